import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaderEpoch, Offset } from '../base/ids.ts'
import { type EpochLog, endOfEpoch, epochOf } from './leader-epochs.ts'

/** Segments by epoch and base; the last one is open. */
function log(segments: readonly (readonly [epoch: number, base: number])[], start: number, next: number): EpochLog {
  return {
    segments: segments.map(([leaderEpoch, base], i) => ({
      leaderEpoch: leaderEpoch as LeaderEpoch,
      base: base as Offset,
      end: (segments[i + 1]?.[1] ?? null) as Offset | null,
    })),
    logStartOffset: start as Offset,
    nextOffset: next as Offset,
  }
}

// Epoch 1 never wrote.
const chain = log(
  [
    [0, 0],
    [0, 10],
    [2, 20],
    [3, 25],
    [3, 30],
  ],
  0,
  37,
)

test('an epoch ends where the next one that wrote begins, the newest at the log end', () => {
  const ends = [0, 1, 2, 3].map(epoch => endOfEpoch(chain, epoch))
  assert.deepEqual(ends, [
    { epoch: 0, endOffset: 20 },
    { epoch: 0, endOffset: 20 },
    { epoch: 2, endOffset: 25 },
    { epoch: 3, endOffset: 37 },
  ])
})

test('an epoch that has not been is unknown', () => {
  for (const epoch of [4, 1000, -1]) assert.deepEqual(endOfEpoch(chain, epoch), { epoch: -1, endOffset: -1 })
})

test('what the log start has passed is forgotten: an older epoch ends where the oldest begins', () => {
  const cut = { ...chain, logStartOffset: 22 as Offset }
  assert.deepEqual(endOfEpoch(cut, 0), { epoch: 0, endOffset: 22 })
  assert.deepEqual(endOfEpoch(cut, 2), { epoch: 2, endOffset: 25 })
})

test('an offset has the epoch of its segment, the log end that of what comes next', () => {
  assert.deepEqual(
    [0, 19, 20, 24, 25, 36, 37, 38, -1].map(offset => epochOf(chain, offset as Offset)),
    [0, 0, 2, 2, 3, 3, 3, -1, -1],
  )
  assert.equal(epochOf({ ...chain, logStartOffset: 22 as Offset }, 21 as Offset), -1)
})
