/**
 * What must hold in every state of the chain's search, besides what the core, the disk and the promises check as they change.
 * The names are those of the protocol's list of invariants.
 */
import type { DiskId, NodeId, Offset } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Segment } from '../../chain/segment.ts'
import { endOf, type HeldSegment, heldOf, visibleOf } from './chain-disk.ts'
import type { ChainNode } from './chain-node.ts'
import { type Promises, recordOf } from './chain-promises.ts'

/** I8: two copies of a segment agree as far as both go, durable or not. */
export function checkCopies(one: ChainNode, other: ChainNode): void {
  const copies = visibleOf(other.disk)
  for (const copy of visibleOf(one.disk)) {
    const twin = heldOf(copies, copy.segment)
    if (twin === undefined) continue
    for (const [at, batch] of copy.batches.slice(0, twin.batches.length).entries()) {
      invariant(
        batch.crc === twin.batches[at]?.crc,
        `I8 PrefixAgreement: two copies of segment ${copy.segment} differ at offset ${batch.base}`,
      )
    }
  }
}

/** What clients and the record rely on is where they rely on it being. */
export function checkKept(nodes: readonly ChainNode[], promises: Promises): void {
  const record = recordOf(promises)
  const isRelaxed = record.config.flush === 'relaxed'
  for (const segment of record.chain) if (segment.end !== null && !isRelaxed) checkSealed(nodes, promises, segment)
  for (const [offset, promised] of promises.promised.entries()) {
    if (promised === null || promised.acknowledgedIn === null) continue
    const { crc, acknowledgedIn } = promised
    const end = promises.ends.find(({ segment }) => segment === acknowledgedIn)?.end
    if (end !== undefined) {
      invariant(
        offset < end,
        `I4 NoLoss: segment ${acknowledgedIn} ends at ${end}, below offset ${offset} that was acknowledged`,
      )
      continue
    }
    // What was acknowledged before the sync may be lost; what counts then is that a recovery does not overlook it.
    if (isRelaxed) continue
    const open = record.chain.at(-1) as Segment
    const copies = holdersOf(nodes, open, offset as Offset, crc)
    invariant(
      copies >= open.ackQuorum,
      `I4 NoLoss: offset ${offset} of segment ${open.id} was acknowledged and is durable on ${copies} of ${open.ackQuorum}`,
    )
  }
}

/** I6 and I7: enough copies of a sealed segment are complete, and hold what was promised. */
function checkSealed(nodes: readonly ChainNode[], { promised }: Promises, segment: Segment): void {
  const { id, end, complete, ackQuorum } = segment
  invariant(
    (complete?.length ?? 0) >= ackQuorum,
    `I6 SealReplicated: segment ${id} was sealed with too few complete copies`,
  )
  for (const nodeId of complete ?? []) {
    const held = copyOn(nodes, nodeId, segment)
    const heldEnd = held === undefined ? segment.base : endOf(held)
    invariant(
      heldEnd >= (end as Offset),
      `I6 SealReplicated: node ${nodeId} is complete for segment ${id} (end ${end}) and holds it durably up to ${heldEnd}`,
    )
    for (const { base, crc } of held?.batches ?? []) {
      if (base >= (end as Offset)) break
      const known = promised[base] ?? null
      invariant(
        known === null || known.crc === crc,
        `I7 Immutable: offset ${base} of segment ${id} is not what was promised`,
      )
    }
  }
}

function holdersOf(nodes: readonly ChainNode[], segment: Segment, offset: Offset, crc: number): number {
  return segment.replicas.filter(({ nodeId }) =>
    copyOn(nodes, nodeId, segment)?.batches.some(batch => batch.base === offset && batch.crc === crc),
  ).length
}

/** The durable copy that the record means: on the disk it names, which may have been thrown away since. */
function copyOn(nodes: readonly ChainNode[], nodeId: NodeId, segment: Segment): HeldSegment | undefined {
  const node = nodes.find(({ peer }) => peer.nodeId === nodeId) as ChainNode
  const diskId = segment.replicas.find(replica => replica.nodeId === nodeId)?.diskId as DiskId
  if (node.peer.diskId === diskId) return heldOf(node.disk.durable, segment.id)
  return heldOf(node.lost.find(lost => lost.diskId === diskId)?.segments ?? [], segment.id)
}
