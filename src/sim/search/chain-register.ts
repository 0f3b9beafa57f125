/**
 * The atomic register that stands for Raft: the very transitions of one partition's record, decided one at a time. A proposal
 * is decided once; its retries get the same outcome (the machine keeps it by request id, chain-node.ts by proposal).
 */
import type { NodeId, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ChainCommand, ProposalOutcome } from '../../chain/events.ts'
import type { Peer } from '../../chain/messages.ts'
import type { Partition, Placement, ReplicationConfig } from '../../chain/segment.ts'
import { type ChangeContext, changePartition, createPartition } from '../../cluster/chain-changes.ts'
import { type Note, type Promises, recordOf } from './chain-promises.ts'

export interface Decision {
  readonly outcome: ProposalOutcome
  /** Null when nothing changed. */
  readonly note: Note | null
}

export function decide(promises: Promises, command: ChainCommand): Decision {
  const before = recordOf(promises)
  const { partition: _, ...change } = command
  const changed = changePartition(before, change, contextOf(promises))
  if (!changed.ok) return { outcome: { kind: 'refused', error: changed.error }, note: null }
  const { partition: record, value, takesSegmentId } = changed
  const outcome: ProposalOutcome = { kind: 'done', value }
  if (record === before) return { outcome, note: null }
  const nextSegment = (promises.nextSegment + (takesSegmentId ? 1 : 0)) as SegmentId
  return { outcome, note: { note: 'record', command, record, nextSegment } }
}

/** The record of a partition with one open segment, and the id of the next. */
export function firstRecord(config: ReplicationConfig, boots: readonly Peer[], next: Placement): Partition {
  const context = { nodes: registeredOf(boots), nowMs: 0, nextSegmentId: 1 as SegmentId }
  const partition = createPartition(config)
  const opened = changePartition(partition, { do: 'openFirst', version: partition.version, next }, context)
  invariant(opened.ok, 'the first segment opens')
  return opened.partition
}

function contextOf({ boots, nextSegment }: Promises): ChangeContext {
  return { nodes: registeredOf(boots), nowMs: 0, nextSegmentId: nextSegment }
}

function registeredOf(boots: readonly Peer[]): ReadonlyMap<NodeId, Peer> {
  return new Map(boots.map(peer => [peer.nodeId, peer]))
}
