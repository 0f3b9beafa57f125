/**
 * The end of a copy: its bytes are dropped when the record says that the segment is deleted, and when they are gone for good
 * the record is told, until it says so itself.
 */
import type { SegmentId } from '../base/ids.ts'
import type { ProposalOutcome } from './events.ts'
import { stateOf } from './replica.ts'
import type { Partition } from './segment.ts'
import {
  type LocalSegment,
  type PartitionState,
  propose,
  proposeAgain,
  type Removal,
  type Turn,
  write,
} from './state.ts'

export function dropCopy(turn: Turn, local: LocalSegment): void {
  const { chain } = turn
  const number = write(turn, { kind: 'drop', segment: local.id })
  chain.pending.push({ write: number, kind: 'drop', segment: local.id })
  chain.segments.delete(local.id)
  chain.behind.delete(local.id)
  stateOf(chain, local.partition).copies.delete(local.id)
}

/** A drop is durable: nothing of it can come back. */
export function onDropped(turn: Turn, segment: SegmentId): void {
  const removal = turn.chain.removals.get(segment)
  if (removal === undefined || removal.proposal !== null || isStillHere(turn, segment)) return
  tell(turn, removal)
}

const isStillHere = ({ chain }: Turn, segment: SegmentId) =>
  chain.segments.has(segment) || chain.pending.some(each => each.kind === 'drop' && each.segment === segment)

function tell(turn: Turn, removal: Removal): void {
  const { partition, segment } = removal
  const { nodeId } = turn.chain.self
  removal.proposal = propose(turn, { do: 'removeReplica', partition, segment, nodeId })
}

/** Deleted segments that name this node, and of which it has nothing (any more). */
export function noteRemovals(turn: Turn, state: PartitionState, record: Partition): void {
  const { chain } = turn
  for (const { id, state: segmentState, replicas } of record.chain) {
    // Deleted segments are the oldest.
    if (segmentState !== 'deleting') break
    const isNamed = replicas.some(({ nodeId }) => nodeId === chain.self.nodeId)
    if (!isNamed) chain.removals.delete(id)
    else if (!chain.removals.has(id)) {
      const removal: Removal = { partition: state.id, segment: id, proposal: null }
      chain.removals.set(id, removal)
      if (!isStillHere(turn, id)) tell(turn, removal)
    }
  }
}

export function onRemovalOutcome(turn: Turn, removal: Removal, outcome: ProposalOutcome): void {
  if (outcome.kind !== 'unknown') turn.chain.removals.delete(removal.segment)
}

export function watchRemoval(turn: Turn, removal: Removal): void {
  if (removal.proposal !== null) proposeAgain(turn, removal.proposal)
}
