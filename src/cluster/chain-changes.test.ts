import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DiskId, NodeId, Offset, SegmentId } from '../base/ids.ts'
import { ackQuorumOf, type Partition, type Placement, type Replica, type ReplicationConfig } from '../chain/segment.ts'
import {
  type ChangeContext,
  changePartition,
  completeCopies,
  createPartition,
  type PartitionChange,
} from './chain-changes.ts'

const config: ReplicationConfig = { replicas: 3, minInsync: 2, flush: 'sync', uncleanSeal: false }
const disk = (name: string) => name.padStart(32, '0') as DiskId
const at = (value: number) => value as Offset

/** A partition with its nodes 1 to 5, that takes changes one after the other. */
class Machine {
  partition: Partition
  nodes = new Map<NodeId, { diskId: DiskId; incarnation: number }>()
  nextSegmentId = 1

  constructor(settings: Partial<ReplicationConfig> = {}) {
    this.partition = createPartition({ ...config, ...settings })
    for (let id = 1; id <= 5; id++) this.nodes.set(id as NodeId, { diskId: disk(`d${id}`), incarnation: 1 })
  }

  get context(): ChangeContext {
    return { nodes: this.nodes, nowMs: 7, nextSegmentId: this.nextSegmentId as SegmentId }
  }

  change(change: PartitionChange): ReturnType<typeof changePartition> {
    const result = changePartition(this.partition, change, this.context)
    if (!result.ok) return result
    this.partition = result.partition
    if (result.takesSegmentId) this.nextSegmentId++
    return result
  }

  ok(change: PartitionChange): number {
    const result = this.change(change)
    assert.ok(result.ok, result.ok ? '' : `${change.do}: ${result.message}`)
    return result.value
  }

  /** The code and the reason of a refusal. */
  no(change: PartitionChange): string {
    const before = structuredClone(this.partition)
    const result = this.change(change)
    assert.ok(!result.ok, `${change.do} is refused`)
    assert.deepEqual(this.partition, before)
    return `${result.error}: ${result.message}`
  }

  restart(nodeId: number): void {
    const node = this.nodes.get(nodeId as NodeId)
    if (node !== undefined) this.nodes.set(nodeId as NodeId, { ...node, incarnation: node.incarnation + 1 })
  }

  wipe(nodeId: number): void {
    const incarnation = (this.nodes.get(nodeId as NodeId)?.incarnation ?? 0) + 1
    this.nodes.set(nodeId as NodeId, { diskId: disk(`e${nodeId}${incarnation}`), incarnation })
  }

  replica(nodeId: number): Replica {
    const node = this.nodes.get(nodeId as NodeId)
    assert.ok(node !== undefined)
    return { nodeId: nodeId as NodeId, ...node }
  }

  /** The first node writes. */
  place(...nodeIds: number[]): Placement {
    const replicas = nodeIds.map(id => this.replica(id))
    const [writer] = replicas as [Replica]
    const ackQuorum = ackQuorumOf(nodeIds.length, this.partition.config.minInsync)
    return { writer: writer.nodeId, writerIncarnation: writer.incarnation, replicas, ackQuorum }
  }

  get last() {
    const segment = this.partition.chain.at(-1)
    assert.ok(segment !== undefined)
    return segment
  }

  roll(end: number, next: Placement, complete: number[] = [1, 2]): PartitionChange {
    return {
      do: 'sealAndOpen',
      segment: this.last.id,
      epoch: this.last.writeEpoch,
      end: at(end),
      bytes: end * 10,
      maxTimestamp: end,
      checksum: end,
      complete: complete as NodeId[],
      reason: 'size',
      next,
    }
  }

  fence(epoch = this.last.writeEpoch, segment = this.last.id): PartitionChange {
    return { do: 'beginRecovery', segment, epoch, recoverer: 2 as NodeId }
  }

  recovered(epoch: number, end: number, complete: readonly Replica[], next: Placement): PartitionChange {
    const { id: segment } = this.last
    return {
      do: 'completeRecovery',
      segment,
      epoch,
      end: at(end),
      bytes: 1,
      maxTimestamp: 2,
      checksum: 3,
      complete,
      next,
    }
  }

  first(...nodeIds: number[]): PartitionChange {
    return { do: 'openFirst', version: this.partition.version, next: this.place(...nodeIds) }
  }

  get chain(): string[] {
    return this.partition.chain.map(
      ({ id, base, end, state, writer, writeEpoch, leaderEpoch, replicas, complete }) =>
        `${id} [${base}, ${end ?? ''}) ${state} w${writer} e${writeEpoch} l${leaderEpoch} on ${replicas.map(r => r.nodeId)}${complete === null ? '' : ` complete ${complete}`}`,
    )
  }
}

function opened(settings: Partial<ReplicationConfig> = {}): Machine {
  const m = new Machine(settings)
  m.ok(m.first(1, 2, 3))
  return m
}

describe('a chain', () => {
  it('begins with its first segment, once', () => {
    const m = opened()
    assert.deepEqual(m.chain, ['1 [0, ) open w1 e1 l0 on 1,2,3'])
    assert.deepEqual([m.partition.version, m.partition.nextEpoch, m.last.ackQuorum], [1, 1, 2])
    assert.match(m.no(m.first(1, 2, 3)), /^STALE: the chain has its first segment/)
  })

  it('grows when its writer seals: the same leader epoch, a higher write epoch, other replicas', () => {
    const m = opened()
    assert.equal(m.ok(m.roll(10, m.place(1, 4, 5))), 2)
    assert.deepEqual(m.chain, ['1 [0, 10) sealed w1 e1 l0 on 1,2,3 complete 1,2', '2 [10, ) open w1 e2 l0 on 1,4,5'])
    const [sealed] = m.partition.chain
    assert.deepEqual([sealed?.bytes, sealed?.maxTimestamp, sealed?.checksum, sealed?.sealReason], [100, 10, 10, 'size'])
  })

  it('has a new leader epoch when another node writes, or the same one after a restart', () => {
    const m = opened()
    m.ok(m.roll(10, m.place(2, 1, 3)))
    assert.equal(m.last.leaderEpoch, 1)
    m.ok(m.roll(20, m.place(2, 1, 3)))
    assert.equal(m.last.leaderEpoch, 1)
    m.restart(2)
    m.ok(m.roll(30, m.place(2, 1, 3)))
    assert.deepEqual([m.last.leaderEpoch, m.partition.leaderEpoch], [2, 2])
  })

  it('does not grow by an empty segment: the next takes its place, with an id and an epoch of its own', () => {
    const m = opened()
    m.ok(m.roll(10, m.place(1, 2, 3)))
    m.ok(m.roll(10, m.place(1, 2, 4), []))
    const epoch = m.ok(m.fence())
    m.ok(m.recovered(epoch, 10, [], m.place(4, 5)))
    assert.deepEqual(m.chain, ['1 [0, 10) sealed w1 e1 l0 on 1,2,3 complete 1,2', '4 [10, ) open w4 e5 l1 on 4,5'])
  })
})

describe('sealAndOpen is refused', () => {
  const refusals: readonly [string, (m: Machine) => PartitionChange, RegExp][] = [
    ['for another segment', m => ({ ...m.roll(5, m.place(1, 2)), segment: 9 }) as PartitionChange, /^STALE/],
    ['with another epoch', m => ({ ...m.roll(5, m.place(1, 2)), epoch: 0 }) as PartitionChange, /^STALE/],
    ['before the base', m => m.roll(-1, m.place(1, 2)), /^INVALID: a segment does not end before it begins/],
    ['with fewer copies than the quorum', m => m.roll(5, m.place(1, 2), [1]), /^INVALID: fewer complete/],
    ['with a copy counted twice', m => m.roll(5, m.place(1, 2), [1, 1]), /^INVALID: a copy counts once/],
    ['with a stranger as a copy', m => m.roll(5, m.place(1, 2), [1, 4]), /^INVALID: only a replica/],
    ['with too few next replicas', m => m.roll(5, m.place(1)), /^INVALID: the topic wants at least 2/],
    ['with too many next replicas', m => m.roll(5, m.place(1, 2, 3, 4)), /^INVALID: the topic wants 3/],
    ['with a node twice', m => m.roll(5, { ...m.place(1, 2, 2) }), /^INVALID: a node has one copy/],
    [
      'with a writer that has no copy',
      m => m.roll(5, { ...m.place(1, 2), writer: 3 as NodeId }),
      /^INVALID: the writer/,
    ],
    ['with another quorum', m => m.roll(5, { ...m.place(1, 2, 3), ackQuorum: 1 }), /^INVALID: another quorum/],
    [
      'with a next writer that has started again',
      m => {
        const next = m.place(2, 1, 3)
        m.restart(2)
        return m.roll(5, next)
      },
      /^STALE: the writer has started again/,
    ],
    [
      'with a next replica on a disk that is gone',
      m => {
        const next = m.place(2, 1, 3)
        m.wipe(3)
        return m.roll(5, next)
      },
      /^STALE: node 3 is on another disk/,
    ],
  ]
  for (const [what, change, reason] of refusals) {
    it(what, () => {
      const m = opened()
      assert.match(m.no(change(m)), reason)
    })
  }

  it('once a recovery has begun', () => {
    const m = opened()
    m.ok(m.fence())
    assert.match(m.no(m.roll(5, m.place(1, 2))), /^STALE: the segment is being recovered/)
  })
})

describe('a recovery', () => {
  it('begins under an epoch of its own, and ends with the next writer and leader epoch', () => {
    const m = opened()
    assert.equal(m.ok(m.fence()), 2)
    assert.equal(m.last.state, 'sealing')
    m.ok(m.recovered(2, 7, [m.replica(2), m.replica(3)], m.place(2, 3)))
    assert.deepEqual(m.chain, ['1 [0, 7) sealed w1 e1 l0 on 1,2,3 complete 2,3', '2 [7, ) open w2 e3 l1 on 2,3'])
    assert.equal(m.partition.chain[0]?.sealReason, 'recovery')
  })

  it('raises the leader epoch though the same boot of the same node goes on', () => {
    const m = opened()
    m.ok(m.fence())
    m.ok(m.recovered(2, 7, [m.replica(1), m.replica(3)], m.place(1, 3)))
    assert.equal(m.last.leaderEpoch, 1)
  })

  it('that began later makes one before it void', () => {
    const m = opened()
    m.ok(m.fence())
    assert.equal(m.ok(m.fence()), 3)
    const complete = [m.replica(2), m.replica(3)]
    assert.match(m.no(m.recovered(2, 7, complete, m.place(2, 3))), /^STALE: recovery 3 has begun since/)
    m.ok(m.recovered(3, 7, complete, m.place(2, 3)))
    assert.match(m.no(m.recovered(3, 7, complete, m.place(2, 3))), /^STALE: no recovery has begun/)
  })

  it('does not begin for a segment that is sealed by now, nor for another epoch', () => {
    const m = opened()
    const late = m.fence()
    assert.match(m.no(m.fence(9)), /^STALE/)
    m.ok(m.roll(5, m.place(1, 2)))
    assert.match(m.no(late), /^STALE: it is not the segment/)
  })

  it('ends with copies that still are what answered: same disk, same boot', () => {
    const m = opened()
    m.ok(m.fence())
    const [two, three] = [m.replica(2), m.replica(3)]
    m.restart(2)
    assert.match(m.no(m.recovered(2, 7, [two, three], m.place(3, 4))), /^STALE: node 2 has started again/)
    m.wipe(3)
    assert.match(m.no(m.recovered(2, 7, [three, m.replica(2)], m.place(2, 4))), /^STALE: node 3 is on another disk/)
    assert.match(m.no(m.recovered(2, 7, [m.replica(2)], m.place(2, 4))), /^INVALID: fewer complete/)
  })

  it('may copy to nodes that take the place of lost ones, and to the new disk of an old one', () => {
    const m = opened()
    m.wipe(3)
    m.ok(m.fence())
    m.ok(m.recovered(2, 7, [m.replica(2), m.replica(3), m.replica(4)], m.place(2, 3, 4)))
    const [sealed] = m.partition.chain
    assert.deepEqual(sealed?.complete, [2, 3, 4])
    assert.deepEqual(
      sealed?.replicas.map(({ nodeId, diskId }) => `${nodeId} ${diskId.replace(/^0+/, '')}`),
      ['1 d1', '2 d2', '3 e32', '4 d4'],
    )
  })

  it('of the only copy waits for it, unless the topic would rather lose it', () => {
    for (const uncleanSeal of [false, true]) {
      const m = new Machine({ replicas: 1, minInsync: 1, uncleanSeal })
      m.ok(m.first(1))
      m.ok(m.roll(10, m.place(1), [1]))
      m.ok({ do: 'advanceStart', version: m.partition.version, offset: at(15) })
      const epoch = m.ok(m.fence())
      assert.match(m.no(m.recovered(epoch, 12, [], m.place(2))), /^INVALID/)
      const change = m.recovered(epoch, 10, [], m.place(2))
      if (uncleanSeal) m.ok(change)
      else assert.match(m.no(change), /^INVALID: records that were committed are missing/)
      if (!uncleanSeal) continue
      assert.deepEqual(m.chain.at(-1), '3 [10, ) open w2 e4 l1 on 2')
      assert.equal(m.partition.logStartOffset, 10)
    }
  })

  it('never ends below the log start: what was deleted had been committed', () => {
    const m = opened()
    m.ok({ do: 'advanceStart', version: 1, offset: at(8) })
    assert.match(m.no(m.roll(7, m.place(1, 2))), /^INVALID: records/)
    m.ok(m.fence())
    const complete = [m.replica(2), m.replica(3)]
    assert.match(m.no(m.recovered(2, 7, complete, m.place(2, 3))), /^INVALID: records/)
    m.ok(m.recovered(2, 8, complete, m.place(2, 3)))
  })
})

describe('copies of a sealed segment', () => {
  const sealed = () => {
    const m = opened()
    m.ok(m.roll(10, m.place(1, 2, 3)))
    return m
  }
  const add = (m: Machine, replica: Replica): PartitionChange => ({
    do: 'addReplica',
    segment: m.partition.chain[0]?.id as SegmentId,
    replica,
  })
  const remove = (m: Machine, nodeId: number): PartitionChange => ({
    do: 'removeReplica',
    segment: m.partition.chain[0]?.id as SegmentId,
    nodeId: nodeId as NodeId,
  })
  const copies = (m: Machine) => m.chain[0]?.replace(/.* on /, '')

  it('are completed, added and taken away', () => {
    const m = sealed()
    m.ok(add(m, m.replica(3)))
    m.ok(add(m, m.replica(4)))
    assert.equal(copies(m), '1,2,3,4 complete 1,2,3,4')
    m.ok(remove(m, 1))
    assert.equal(copies(m), '2,3,4 complete 2,3,4')
  })

  it('that are there, or are not, are left as they are by a repetition', () => {
    const m = sealed()
    m.ok(add(m, m.replica(3)))
    const { version } = m.partition
    m.ok(add(m, m.replica(3)))
    m.ok(remove(m, 5))
    assert.equal(m.partition.version, version)
  })

  it('count on the disk where they were made', () => {
    const m = sealed()
    const copied = m.replica(3)
    m.restart(3)
    assert.match(m.no(add(m, copied)), /^STALE: node 3 has started again/)
    m.wipe(3)
    assert.match(m.no(add(m, copied)), /^STALE: node 3 is on another disk/)
    m.ok(add(m, m.replica(3)))
    assert.equal(copies(m), '1,2,3 complete 1,2,3')
  })

  it('never go with the last complete one, unless the archive has it', () => {
    const m = sealed()
    m.ok(remove(m, 1))
    assert.match(m.no(remove(m, 2)), /^INVALID: it is the last copy/)
    m.ok(add(m, m.replica(4)))
    m.wipe(4)
    assert.match(m.no(remove(m, 2)), /^INVALID: it is the last copy/, 'a copy on a lost disk is none')
    const range = { object: 'o', position: 0, length: 9, crc: 1, etag: 'e' }
    const archive = (...pieces: [number, number][]): PartitionChange => ({
      do: 'setArchived',
      version: m.partition.version,
      segment: m.partition.chain[0]?.id as SegmentId,
      archive: pieces.map(([base, end]) => ({ ...range, base: at(base), end: at(end) })),
    })
    m.ok(archive([0, 4], [5, 10]))
    assert.match(m.no(remove(m, 2)), /^INVALID: it is the last copy/, 'the archive has a gap')
    assert.match(m.no(archive([0, 11])), /^INVALID: a range lies within/)
    m.ok(archive([0, 4], [4, 10]))
    m.ok(remove(m, 2))
    assert.equal(copies(m), '3,4 complete 4')
  })

  it('that are lost are taken out, though what is left is incomplete, but not the very last trace of where it was', () => {
    const m = sealed()
    m.wipe(1)
    m.wipe(2)
    m.ok(remove(m, 1))
    m.ok(remove(m, 2))
    assert.equal(copies(m), '3 complete ')
    assert.match(m.no(remove(m, 3)), /^INVALID: it is the last copy/)
  })

  it('are known by the boot that completed them last', () => {
    const m = sealed()
    m.restart(1)
    const { version } = m.partition
    m.ok(add(m, m.replica(1)))
    assert.equal(m.partition.version, version + 1)
    assert.equal(m.partition.chain[0]?.replicas[0]?.incarnation, 2)
    assert.equal(copies(m), '1,2,3 complete 2,1')
  })

  it('that are surplus are taken away down to what the topic wants, each by somebody who saw the state before', () => {
    const m = sealed()
    const surplus = (nodeId: number, version = m.partition.version): PartitionChange => {
      const segment = m.partition.chain[0]?.id as SegmentId
      return { do: 'removeSurplus', version, segment, nodeId: nodeId as NodeId }
    }
    assert.match(m.no(surplus(1)), /^INVALID: it is no more than the topic wants/)
    for (const nodeId of [3, 4]) m.ok(add(m, m.replica(nodeId)))
    const other = surplus(2)
    m.ok(surplus(1))
    assert.match(m.no(other), /^STALE/)
    assert.match(m.no(surplus(2)), /^INVALID: it is no more than the topic wants/)
    m.wipe(2)
    m.ok(surplus(2))
    assert.equal(copies(m), '3,4 complete 3,4')
    m.ok(m.roll(20, m.place(1, 3, 4)))
    m.ok({ do: 'advanceStart', version: m.partition.version, offset: at(10) })
    m.ok(surplus(3))
    m.ok(surplus(4))
    assert.equal(m.partition.chain.length, 2, 'the last copy of a deleted segment goes with the segment')
  })

  it('are not added to or taken from a segment that is not sealed', () => {
    const m = opened()
    assert.match(m.no(add(m, m.replica(4))), /^STALE/)
    assert.match(m.no(remove(m, 3)), /^STALE/)
    m.ok(m.roll(10, m.place(1, 2, 3)))
    m.ok(m.roll(20, m.place(1, 2, 3)))
    m.ok({ do: 'advanceStart', version: m.partition.version, offset: at(10) })
    assert.match(m.no(add(m, m.replica(4))), /^STALE: the segment is deleting/)
  })

  it('of deleted segments go one by one, and the segment with the last, from the front of the chain', () => {
    const m = sealed()
    m.ok(m.roll(20, m.place(1, 2, 3)))
    m.ok(m.roll(30, m.place(1, 2, 3)))
    m.ok({ do: 'advanceStart', version: m.partition.version, offset: at(20) })
    const second = m.partition.chain[1]?.id as SegmentId
    const drop = (nodeId: number, segment: SegmentId): PartitionChange => ({
      do: 'removeReplica',
      segment,
      nodeId: nodeId as NodeId,
    })
    for (const node of [1, 2, 3]) m.ok(drop(node, second))
    assert.equal(m.partition.chain.length, 4, 'no gap')
    for (const node of [1, 2, 3]) m.ok(drop(node, m.partition.chain[0]?.id as SegmentId))
    assert.deepEqual(
      m.partition.chain.map(({ base, state }) => `${base} ${state}`),
      ['20 sealed', '30 open'],
    )
    assert.match(m.no(drop(1, second)), /^UNKNOWN/)
  })

  it('of the newest sealed segment stay until the next is sealed: they know the producers at its base', () => {
    const states = (m: Machine) => m.partition.chain.map(({ base, state }) => `${base} ${state}`)
    const m = sealed()
    m.ok({ do: 'advanceStart', version: m.partition.version, offset: at(12) })
    assert.deepEqual(states(m), ['0 sealed', '10 open'])
    m.ok(m.roll(20, m.place(1, 2, 3)))
    assert.deepEqual(states(m), ['0 deleting', '10 sealed', '20 open'])
    const single = new Machine({ replicas: 1, minInsync: 1, uncleanSeal: false })
    single.ok(single.first(1))
    single.ok(single.roll(10, single.place(1), [1]))
    single.ok({ do: 'advanceStart', version: single.partition.version, offset: at(10) })
    assert.deepEqual(states(single), ['0 deleting', '10 open'], 'the only copy is its node’s, which knows them itself')
    single.ok({ do: 'advanceStart', version: single.partition.version, offset: at(12) })
    single.ok(single.roll(12, single.place(1), [1]))
    assert.deepEqual(
      states(single),
      ['0 deleting', '10 sealed', '12 open'],
      'not before the node has heard of the seal',
    )
  })
})

describe('compaction', () => {
  const replaced = (m: Machine, old: number[], nodes = [2, 3]): PartitionChange => ({
    do: 'replaceSealed',
    version: m.partition.version,
    old: old as SegmentId[],
    compacted: { bytes: 5, maxTimestamp: 6, checksum: 7, replicas: nodes.map(id => m.replica(id)) },
  })

  it('puts one segment, with another id, in the place of several', () => {
    const m = opened()
    for (const end of [10, 20, 30]) m.ok(m.roll(end, m.place(1, 2, 3)))
    assert.equal(m.ok(replaced(m, [2, 3])), 5)
    assert.deepEqual(m.chain, [
      '1 [0, 10) sealed w1 e1 l0 on 1,2,3 complete 1,2',
      '5 [10, 30) sealed w1 e3 l0 on 2,3 complete 2,3',
      '4 [30, ) open w1 e4 l0 on 1,2,3',
    ])
  })

  it('is refused for what does not follow each other, is not sealed, has two leader epochs or fewer copies', () => {
    const m = opened()
    m.ok(m.roll(10, m.place(1, 2, 3)))
    m.ok(m.roll(20, m.place(2, 1, 3)))
    m.ok(m.roll(30, m.place(2, 1, 3), [1, 2]))
    assert.match(m.no(replaced(m, [1, 3])), /^UNKNOWN/)
    assert.match(m.no(replaced(m, [9])), /^UNKNOWN/)
    assert.match(m.no(replaced(m, [])), /^UNKNOWN/)
    assert.match(m.no(replaced(m, [3, 4])), /^INVALID: only sealed/)
    assert.match(m.no(replaced(m, [2, 3])), /^INVALID: a segment has one leader epoch/)
    assert.match(m.no(replaced(m, [3], [2])), /^INVALID: fewer complete/)
    assert.match(m.no({ ...replaced(m, [3]), version: 1 } as PartitionChange), /^STALE: the partition is at version 4/)
  })
})

describe('whatever is ordered', () => {
  type Step = { readonly what: number; readonly a: number; readonly b: number; readonly c: number }
  const anyStep = fc.record<Step>(
    { what: fc.nat(11), a: fc.nat(5), b: fc.nat(5), c: fc.nat(30) },
    { noNullPrototype: true },
  )

  /** A change that makes sense for the state now and then, and else is a little off. */
  function changeFor(m: Machine, { what, a, b, c }: Step): PartitionChange | null {
    const nodes = [...new Set([a, b, c])].map(n => 1 + (n % 5))
    const next = m.place(...new Set(nodes))
    const any = m.partition.chain[c % Math.max(m.partition.chain.length, 1)]?.id ?? (1 as SegmentId)
    const version = m.partition.version - (c === 1 ? 1 : 0)
    if (m.partition.chain.length === 0) return m.first(...new Set(nodes))
    const end = m.last.base + (c % 7)
    switch (what) {
      case 0:
      case 1:
        return m.roll(end, next, m.last.replicas.map(r => r.nodeId).slice(0, 1 + b))
      case 2:
        return m.fence(m.last.writeEpoch - (c === 2 ? 1 : 0))
      case 3:
      case 4:
        return m.recovered(
          (m.last.recoveryEpoch ?? 1) - (c === 3 ? 1 : 0),
          end,
          nodes.map(id => m.replica(id)),
          next,
        )
      case 5:
        return { do: 'addReplica', segment: any, replica: m.replica(1 + (a % 5)) }
      case 6:
      case 7:
        return { do: 'removeReplica', segment: any, nodeId: (1 + (a % 5)) as NodeId }
      case 8:
        return { do: 'advanceStart', version, offset: at(m.partition.logStartOffset + a) }
      case 9:
        return { do: 'dropSegments', version, through: any }
      case 10: {
        const old = m.partition.chain.slice(a % 3, (a % 3) + 1 + (b % 2)).map(segment => segment.id)
        const compacted = { bytes: 1, maxTimestamp: 1, checksum: 1, replicas: next.replicas }
        return { do: 'replaceSealed', version, old, compacted }
      }
      default:
        if (b === 0) m.wipe(1 + (a % 5))
        else m.restart(1 + (a % 5))
        return null
    }
  }

  it('the chain has no gaps, one unsealed end, rising epochs, and copies enough', () => {
    let done = 0
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 20, maxLength: 80 }), steps => {
        const m = new Machine()
        const ids = new Set<number>()
        for (const step of steps) {
          const before = m.partition
          const change = changeFor(m, step)
          if (change === null) continue
          const frozen = structuredClone(before)
          const result = m.change(change)
          assert.deepEqual(before, frozen, 'a record is never changed in place')
          if (!result.ok) assert.equal(m.partition, before)
          else if (m.partition !== before) {
            done++
            assert.equal(m.partition.version, before.version + 1)
          }
          check(before, m, ids)
        }
      }),
      { numRuns: 300 },
    )
    assert.ok(done > 1000, `only ${done} changes took place`)
  })

  function check(
    before: Partition,
    { partition: { chain, nextEpoch, leaderEpoch, logStartOffset, config }, context }: Machine,
    ids: Set<number>,
  ) {
    assert.ok(nextEpoch >= before.nextEpoch && leaderEpoch >= before.leaderEpoch)
    assert.ok(logStartOffset >= before.logStartOffset)
    chain.forEach((segment, i) => {
      const isLast = i === chain.length - 1
      const following = chain[i + 1]
      assert.equal(segment.end === null, isLast)
      assert.equal(segment.state === 'open' || segment.state === 'sealing', isLast)
      assert.ok(segment.writeEpoch <= nextEpoch && (segment.recoveryEpoch ?? 0) <= nextEpoch)
      if (segment.state === 'sealing') assert.ok((segment.recoveryEpoch ?? 0) > segment.writeEpoch)
      if (!before.chain.some(one => one.id === segment.id)) {
        assert.ok(!ids.has(segment.id), 'an id is given once')
        ids.add(segment.id)
        assert.ok(segment.ackQuorum >= config.minInsync && segment.replicas.length >= segment.ackQuorum)
        assert.ok(segment.ackQuorum * 2 > segment.replicas.length || segment.sealReason === 'compaction')
      }
      assert.equal(new Set(segment.replicas.map(replica => replica.nodeId)).size, segment.replicas.length)
      if (isLast) return
      assert.equal(segment.end, following?.base)
      assert.ok(segment.base < (segment.end as number))
      assert.ok(segment.writeEpoch < (following?.writeEpoch as number))
      assert.ok(segment.leaderEpoch <= (following?.leaderEpoch as number))
      const was = before.chain.find(one => one.id === segment.id)
      // Where every complete copy's disk is lost, even the record of the last may go: what is left is no worse without it.
      const hadCopy = was?.end === undefined || was.end === null || completeCopies(was, context) > 0
      if (segment.state === 'sealed' && hadCopy) assert.ok((segment.complete?.length ?? 0) > 0)
      if (was === undefined || was.end === null) return
      assert.deepEqual(
        [segment.end, segment.checksum, segment.bytes],
        [was.end, was.checksum, was.bytes],
        'sealed is sealed',
      )
    })
  }
})
