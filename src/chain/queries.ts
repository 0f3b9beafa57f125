/**
 * What the rest of the node asks the chain's core: who serves an offset and how far readers may see (R5), where the log ends,
 * and what this node is in a partition. Nothing here changes anything.
 */
import type { NodeId, Offset, SegmentId } from '../base/ids.ts'
import { readableEnd } from './replica.ts'
import { isReplica, type PartitionId, partitionKey, segmentAt, unsealed } from './segment.ts'
import type { Chain, LocalSegment, PartitionState } from './state.ts'
import { highWatermarkOf } from './watermark.ts'

export type ReadLimit =
  /** This node serves the offset from `segment`, and may show everything below `end`. */
  | { readonly kind: 'here'; readonly segment: SegmentId; readonly end: Offset }
  /** Nothing is there yet, as far as this node knows: wait, or ask another one. */
  | { readonly kind: 'wait'; readonly end: Offset }
  /** This node has no copy of the segment, or not all of a sealed one; these nodes have. */
  | { readonly kind: 'elsewhere'; readonly segment: SegmentId; readonly holders: readonly NodeId[] }
  /** Below the log start. */
  | { readonly kind: 'gone'; readonly start: Offset }
  | { readonly kind: 'unknown' }

const recordOf = (chain: Chain, partition: PartitionId): PartitionState['record'] =>
  chain.partitions.get(partitionKey(partition))?.record ?? null

/** R5: up to min(end of the copy, known commit) of the unsealed segment, up to the end of a sealed and complete one. */
export function readLimit(chain: Chain, partition: PartitionId, offset: Offset): ReadLimit {
  const record = recordOf(chain, partition)
  if (record === null) return { kind: 'unknown' }
  if (offset < record.logStartOffset) return { kind: 'gone', start: record.logStartOffset }
  const segment = segmentAt(record, offset)
  if (segment === null) return { kind: 'wait', end: highWatermark(chain, partition) }
  const local = chain.segments.get(segment.id)
  const end = local === undefined ? segment.base : readableEnd(local)
  if (offset < end) return { kind: 'here', segment: segment.id, end }
  const isOpenHere = segment.end === null && isReplica(segment, chain.self)
  if (isOpenHere) return { kind: 'wait', end: highWatermark(chain, partition) }
  const others = segment.complete ?? segment.replicas.map(({ nodeId }) => nodeId)
  const holders = others.filter(nodeId => nodeId !== chain.self.nodeId)
  return { kind: 'elsewhere', segment: segment.id, holders }
}

/** Kafka's: what is committed as far as this node knows. */
export function highWatermark(chain: Chain, partition: PartitionId): Offset {
  const state = chain.partitions.get(partitionKey(partition))
  return state === undefined ? (0 as Offset) : highWatermarkOf(chain, state)
}

export type Role = 'writer' | 'replica' | 'none'

export function roleOf(chain: Chain, partition: PartitionId): Role {
  const state = chain.partitions.get(partitionKey(partition))
  const open = state?.record == null ? null : unsealed(state.record)
  if (state === undefined || open === null) return 'none'
  const writer = chain.writers.get(open.id)
  if (writer !== undefined && writer.phase !== 'stopped') return 'writer'
  return open.replicas.some(({ nodeId }) => nodeId === chain.self.nodeId) ? 'replica' : 'none'
}

/** Copies that the record does not name, and that are kept because nothing proves that they may go. */
export function strays(chain: Chain): readonly SegmentId[] {
  const isStray = ({ partition, id }: LocalSegment) =>
    !recordOf(chain, partition)?.chain.some(segment => segment.id === id)
  return [...chain.segments.values()].filter(isStray).map(({ id }) => id)
}

/** LEO: behind the last record that this node has of the partition, committed or not. */
export function logEnd(chain: Chain, partition: PartitionId): Offset {
  const last = recordOf(chain, partition)?.chain.at(-1)
  if (last === undefined) return 0 as Offset
  return endOf(chain, last.id) ?? last.end ?? last.base
}

/** Of this node's copy of a segment; null when it has none. */
export function endOf(chain: Chain, segment: SegmentId): Offset | null {
  return chain.segments.get(segment)?.end ?? null
}
