import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noTopicId } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { ManualClock } from '../sim/clock.ts'
import { type FetchPartition, FetchSessions, partitionsByKey } from './fetch-sessions.ts'

function wanted(partition: number, fetchOffset = 0): FetchPartition {
  return {
    topic: 't',
    topicId: noTopicId,
    partition,
    fetchOffset,
    bytesMax: 100,
    currentLeaderEpoch: -1,
    toldHighWatermark: -1,
    toldLogStart: -1,
  }
}

function sessionsOf(sessionsMax: number, partitionsMax?: number) {
  const clock = new ManualClock()
  const sessions = new FetchSessions(clock, new Prng(1), sessionsMax, partitionsMax)
  const open = (...partitions: number[]) =>
    sessions.open('User:me', false, partitionsByKey(partitions.map(partition => wanted(partition))))
  return { clock, sessions, open }
}

test('Q9 at the bound a session makes room only when it was not used for two minutes', async () => {
  const { clock, sessions, open } = sessionsOf(2)
  const first = open(0)
  const second = open(0)
  assert.ok(first !== null && second !== null)
  await clock.run(100_000)
  assert.equal(open(0), null)
  sessions.resume(first.id, 1, 'User:me', false)
  await clock.run(20_000)
  const third = open(0)
  assert.ok(third !== null, 'the second has rested long enough')
  assert.equal(sessions.resume(second.id, 1, 'User:me', false), 'FETCH_SESSION_ID_NOT_FOUND')
  assert.equal(typeof sessions.resume(first.id, 2, 'User:me', false), 'object')
  assert.equal(open(0), null)
})

test('Q9 the partitions of all sessions are bounded together', async () => {
  const { clock, sessions, open } = sessionsOf(10, 5)
  const first = open(0, 1, 2)!
  assert.equal(open(0, 1, 2), null)
  const second = open(0, 1)!
  assert.equal(sessions.update(second, [wanted(7)], []), false, 'a session that outgrows the bound is closed')
  assert.equal(sessions.size, 1)
  assert.equal(sessions.update(first, [wanted(7), wanted(1)], ['t/0']), true)
  assert.ok(open(0, 1))
  await clock.run(120_000)
  assert.equal(open(0, 1, 2, 3, 4, 5), null, 'more than there is room for at all')
})

test('Q9 the epoch of a session starts over at 1, as 0 and -1 mean something else', () => {
  const { sessions, open } = sessionsOf(1)
  const session = open(0)!
  session.epoch = 0x7fff_ffff
  assert.equal(typeof sessions.resume(session.id, 0x7fff_ffff, 'User:me', false), 'object')
  assert.equal(session.epoch, 1)
})

test('a partition named again keeps its place and what it was told', () => {
  const { sessions, open } = sessionsOf(1)
  const session = open(0, 1)!
  session.partitions.get('t/0')!.toldHighWatermark = 9
  sessions.update(session, [wanted(0, 5)], [])
  assert.deepEqual([...session.partitions.keys()], ['t/0', 't/1'])
  const { fetchOffset, toldHighWatermark } = session.partitions.get('t/0')!
  assert.deepEqual([fetchOffset, toldHighWatermark], [5, 9])
})

test('without slots there are no sessions', () => {
  assert.equal(sessionsOf(0).open(0), null)
})
