import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DiskId, LogIndex, NodeId, Term } from '../base/ids.ts'
import type { Snapshot } from './events.ts'
import {
  acknowledged,
  appendSent,
  becomeSnapshot,
  disconnected,
  freshProgress,
  heartbeatAnswered,
  isPaused,
  type Progress,
  rejected,
} from './progress.ts'
import { defaultSettings } from './testing/cluster.ts'

const index = (value: number) => value as LogIndex
const member = { nodeId: 2 as NodeId, diskId: 'd2' as DiskId }
const settings = { ...defaultSettings, inflightMessagesMax: 3, inflightBytesMax: 100 }
const snapshotAt = (at: number): Snapshot => {
  return { index: index(at), term: 1 as Term, membership: [], data: Buffer.from('state'), checksum: 0 }
}

/** Whatever the state, these relations hold. */
function check(progress: Progress): void {
  assert.ok(progress.match < progress.next, 'match < next')
  assert.equal(progress.transfer !== null, progress.state === 'snapshot')
  if (progress.state !== 'probe') assert.ok(!progress.isProbeSent)
  if (progress.state !== 'replicate') assert.equal(progress.inflight.length, 0)
  assert.equal(
    progress.inflightBytes,
    progress.inflight.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  assert.ok(progress.inflight.every(at => at.index > progress.match && at.index < progress.next))
}

type Act =
  | { readonly do: 'send'; readonly count: number }
  | { readonly do: 'ack'; readonly index: number }
  | { readonly do: 'reject'; readonly previous: number; readonly agreed: number; readonly round: number }
  | { readonly do: 'heartbeat' | 'disconnect' | 'snapshot' }

const small = fc.nat({ max: 12 })
const anAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ do: fc.constant('send' as const), count: fc.nat({ max: 3 }) }),
  fc.record({ do: fc.constant('ack' as const), index: small }),
  fc.record({ do: fc.constant('reject' as const), previous: small, agreed: small, round: fc.nat({ max: 3 }) }),
  fc.record({ do: fc.constantFrom('heartbeat' as const, 'disconnect' as const, 'snapshot' as const) }),
)

function perform(progress: Progress, act: Act): void {
  switch (act.do) {
    case 'send': {
      if (isPaused(progress, settings)) return
      const last = progress.next - 1 + act.count
      appendSent(progress, index(last), act.count, act.count * 20)
      return
    }
    case 'ack':
      acknowledged(progress, index(act.index))
      return
    case 'reject':
      rejected(progress, index(act.previous), index(Math.min(act.previous, act.agreed)), act.round)
      return
    case 'heartbeat':
      heartbeatAnswered(progress, progress.round + 1)
      return
    case 'disconnect':
      disconnected(progress)
      return
    case 'snapshot':
      if (progress.state !== 'snapshot') becomeSnapshot(progress, snapshotAt(progress.match + 2), 1)
  }
}

describe('what a leader knows of a follower', () => {
  it('keeps its relations, and never takes back what was acknowledged, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(fc.array(anAct, { maxLength: 40 }), acts => {
        const progress = freshProgress(member, index(5))
        for (const act of acts) {
          const { match } = progress
          perform(progress, act)
          check(progress)
          assert.ok(progress.match >= match)
        }
      }),
    )
  })

  it('begins by asking where the logs part, one append at a time', () => {
    const progress = freshProgress(member, index(9))
    assert.equal(isPaused(progress, settings), false)
    appendSent(progress, index(9), 1, 20)
    assert.equal(isPaused(progress, settings), true)
    assert.equal(rejected(progress, index(8), index(3), 1), true)
    assert.deepEqual([progress.next, isPaused(progress, settings)], [4, false])
    appendSent(progress, index(5), 2, 40)
    assert.equal(rejected(progress, index(8), index(3), 1), false, 'of an older probe')
    heartbeatAnswered(progress, 1)
    assert.equal(isPaused(progress, settings), false)
    assert.equal(acknowledged(progress, index(5)), true)
    assert.deepEqual([progress.state, progress.match, progress.next], ['replicate', 5, 6])
  })

  it('runs ahead of the acks within a window of messages and of bytes', () => {
    const progress = freshProgress(member, index(1))
    acknowledged(progress, index(0))
    for (const last of [1, 2, 3]) appendSent(progress, index(last), 1, 20)
    assert.equal(isPaused(progress, settings), true)
    acknowledged(progress, index(2))
    assert.deepEqual([progress.inflight, isPaused(progress, settings)], [[{ index: 3, bytes: 20 }], false])
    appendSent(progress, index(4), 1, 90)
    assert.equal(isPaused(progress, settings), true)
    appendSent(progress, index(4), 0, 0)
    assert.equal(progress.inflight.length, 2, 'an empty append takes no room')
  })

  it('goes back to asking when an append ahead was lost, and not for an old reject', () => {
    const progress = freshProgress(member, index(1))
    acknowledged(progress, index(4))
    appendSent(progress, index(6), 2, 40)
    assert.equal(rejected(progress, index(4), index(0), 1), false)
    assert.equal(rejected(progress, index(6), index(4), 1), true)
    assert.deepEqual([progress.state, progress.next, progress.inflightBytes], ['probe', 5, 0])
  })

  it('goes back once until a later round is answered, however many appends are rejected', () => {
    const progress = freshProgress(member, index(1))
    acknowledged(progress, index(4))
    appendSent(progress, index(9), 5, 20)
    assert.equal(rejected(progress, index(8), index(4), 1), true)
    acknowledged(progress, index(5))
    appendSent(progress, index(9), 4, 20)
    assert.equal(rejected(progress, index(7), index(4), 1), false)
    assert.equal(progress.state, 'replicate')
    heartbeatAnswered(progress, 2)
    assert.equal(rejected(progress, index(7), index(4), 3), true)
  })

  it('sends nothing else while a snapshot is under way, and goes on behind it', () => {
    const progress = freshProgress(member, index(1))
    becomeSnapshot(progress, snapshotAt(7), 3)
    assert.equal(isPaused(progress, settings), true)
    acknowledged(progress, index(3))
    disconnected(progress)
    assert.equal(progress.state, 'snapshot')
    acknowledged(progress, index(7))
    assert.deepEqual([progress.state, progress.next, progress.transfer], ['replicate', 8, null])
  })
})
