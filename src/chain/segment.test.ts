import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId } from '../base/ids.ts'
import {
  ackQuorumOf,
  endOfLeaderEpoch,
  fenceQuorumOf,
  isReplica,
  predecessor,
  type Segment,
  segmentAt,
  unsealed,
} from './segment.ts'

function segment(id: number, base: number, end: number | null, leaderEpoch: number): Segment {
  return {
    id: id as SegmentId,
    base: base as Offset,
    end: end as Offset | null,
    state: end === null ? 'open' : 'sealed',
    writer: 1 as NodeId,
    writerIncarnation: 1,
    writeEpoch: id,
    recoveryEpoch: null,
    leaderEpoch: leaderEpoch as LeaderEpoch,
    replicas: [{ nodeId: 1 as NodeId, diskId: 'd1' as DiskId, incarnation: 1 }],
    complete: null,
    ackQuorum: 1,
    bytes: 0,
    maxTimestamp: -1,
    checksum: 0,
    archive: [],
    createdAtMs: 0,
    sealReason: 'none',
  }
}

const replicas = (count: number) => Array.from({ length: count }, () => segment(1, 0, null, 0).replicas[0]!)

/** Offsets 10 to 20 by the leader of epoch 0, 20 to 30 and on by that of epoch 2. */
const chain = [segment(1, 10, 15, 0), segment(2, 15, 20, 0), segment(3, 20, 30, 2), segment(4, 30, null, 2)]
const [first, second, third, open] = chain as [Segment, Segment, Segment, Segment]

describe('the arithmetic of quorums', () => {
  it('acknowledges by a majority, or more where min.insync.replicas wants more', () => {
    const quorums = [1, 2, 3, 4, 5].map(copies => [1, 2, 3].map(minInsync => ackQuorumOf(copies, minInsync)))
    assert.deepEqual(quorums, [
      [1, 2, 3],
      [2, 2, 3],
      [2, 2, 3],
      [3, 3, 3],
      [3, 3, 3],
    ])
  })

  it('fences so many that one of them has whatever was acknowledged', () => {
    const of = (copies: number, ackQuorum: number) => fenceQuorumOf({ replicas: replicas(copies), ackQuorum })
    assert.deepEqual([of(3, 2), of(3, 3), of(2, 2), of(1, 1), of(3, 1), of(5, 3)], [2, 1, 1, 1, 3, 3])
    for (let copies = 1; copies <= 7; copies++) {
      for (let quorum = 1; quorum <= copies; quorum++) assert.ok(of(copies, quorum) + quorum > copies)
    }
  })
})

describe('a chain', () => {
  it('is asked for the segment of an offset', () => {
    const at = (offset: number) => segmentAt({ chain }, offset as Offset)?.id ?? null
    assert.deepEqual([9, 10, 14, 15, 29, 30, 99].map(at), [null, 1, 1, 2, 3, 4, 4])
    assert.equal(segmentAt({ chain: [first] }, 15 as Offset), null)
    assert.equal(segmentAt({ chain: [] }, 0 as Offset), null)
  })

  it('knows its unsealed segment, and who comes before whom', () => {
    assert.equal(unsealed({ chain }), open)
    assert.equal(unsealed({ chain: [first] }), null)
    assert.equal(unsealed({ chain: [] }), null)
    assert.deepEqual([predecessor({ chain }, open.id), predecessor({ chain }, first.id)], [third, undefined])
  })

  it('is the memory of leader epochs: where the newest at or below one ends', () => {
    const end = (epoch: number) => endOfLeaderEpoch({ chain }, epoch as LeaderEpoch, 35 as Offset)
    assert.deepEqual(end(0), { leaderEpoch: 0, end: second.end })
    assert.deepEqual(end(1), { leaderEpoch: 0, end: second.end })
    assert.deepEqual(end(2), { leaderEpoch: 2, end: 35 })
    assert.equal(endOfLeaderEpoch({ chain: [third] }, 1 as LeaderEpoch, 35 as Offset), null)
  })

  it('counts another disk of the same node as another replica', () => {
    const node = { nodeId: 1 as NodeId, diskId: 'd1' as DiskId }
    assert.deepEqual([isReplica(open, node), isReplica(open, { ...node, diskId: 'd2' as DiskId })], [true, false])
  })
})
