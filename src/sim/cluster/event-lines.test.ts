import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProduceRequest } from './client-door.ts'
import { linesAbout } from './event-lines.ts'
import { History } from './history.ts'

test('a stretch of a log is told by what was asked and said about it', () => {
  const history = new History()
  const plain = { partition: 0, acks: 'all', producerId: -1, producerEpoch: -1, baseSequence: -1 } as const
  const a: ProduceRequest = { ...plain, serials: [0, 1] }
  const b: ProduceRequest = { ...plain, serials: [2], producerId: 7, producerEpoch: 0, baseSequence: 4 }
  const other: ProduceRequest = { ...plain, partition: 1, serials: [3] }
  for (const [request, batch] of [a, b, other].entries()) {
    history.note({ type: 'send', atMs: request, request, node: 1, batch })
  }
  history.note({ type: 'acknowledged', atMs: 3, request: 0, base: 0, leaderEpoch: 1 })
  history.note({ type: 'acknowledged', atMs: 4, request: 1, base: 2, leaderEpoch: 1 })
  history.note({ type: 'acknowledged', atMs: 5, request: 2, base: 2, leaderEpoch: 1 })
  history.note({ type: 'asked', atMs: 6, request: 3, node: 2, partition: 0, from: 1, recordsMax: 9, isFinal: false })
  const records = [1, 2].map(offset => ({ offset, serial: offset, leaderEpoch: 1 }))
  const answer = { ok: true, records, highWatermark: 3, logStart: 0, leaderEpoch: 1, isWriter: false } as const
  history.note({ type: 'read', atMs: 7, request: 3, answer })
  history.note({ type: 'restarted', atMs: 8, node: 2 })
  assert.deepEqual(linesAbout(history, 0, 2, 3), [
    '       1.000 client sends #1 to 1: p0 serials 2 to 2, acks=all, producer 7/0 from 4 on',
    '       4.000 client hears #1: acknowledged at 2, leader epoch 1',
    '       7.000 client hears #3: 1 to 2 (serials 1 to 2, epochs 1 to 1); watermark 3, start 0, epoch 1 (node 2, asked at 6.000)',
    '       8.000 node 2 is up again',
  ])
})
