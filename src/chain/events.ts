/**
 * What goes into the chain core and what comes out of it. `step(chain, event, store)` is a function of these alone: time,
 * chance, the disk, the metadata and the peers are outside.
 */
import type { NodeId, Offset, SegmentId } from '../base/ids.ts'
import type { ProducerState } from '../log/producers.ts'
import type { Batch, ChainMessage, Peer } from './messages.ts'
import type { Partition, PartitionId, Placement, Replica, SealReason } from './segment.ts'

/** A batch whose offsets are yet to be given. */
export type NewBatch = Omit<Batch, 'base' | 'end'> & { readonly records: number }

export type Acks = 0 | 1 | 'all'

export type ChainEvent =
  /** This node has applied a change of the partition's record; null: the partition is gone. In order, each version at most once. */
  | { readonly type: 'metadata'; readonly partition: PartitionId; readonly record: Partition | null }
  | { readonly type: 'message'; readonly from: Peer; readonly message: ChainMessage }
  /** Everything written up to `write` is synced. Cumulative; may be late, and may never come. */
  | { readonly type: 'durable'; readonly write: number }
  | {
      readonly type: 'produce'
      readonly token: number
      readonly partition: PartitionId
      readonly batch: NewBatch
      readonly acks: Acks
    }
  /** What a proposed command came to. `unknown`: it may have been applied, or may still be; the core asks again with the same number. */
  | { readonly type: 'outcome'; readonly proposal: number; readonly outcome: ProposalOutcome }
  /** The monotonic clock; it paces, it decides nothing about safety. */
  | { readonly type: 'tick'; readonly nowMs: number }
  /** This node's lease, as this node counts it: from the moment it sent the renewal that was granted. */
  | { readonly type: 'lease'; readonly untilMs: number }
  /** The next segment goes there: asked for by `place`, or ordered by the controller (rotation, drain, growing back). Null: not enough live nodes. */
  | {
      readonly type: 'placement'
      readonly partition: PartitionId
      readonly reason: SealReason
      readonly next: Placement | null
    }
  /** The controller wants this node to recover the unsealed segment; `spares` may take the place of lost replicas. */
  | {
      readonly type: 'recover'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly next: Placement
      readonly spares: readonly Replica[]
    }
  /** The controller wants this node to hold a complete copy of a sealed segment. */
  | {
      readonly type: 'repair'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly sources: readonly NodeId[]
    }
  /** The connection to a peer broke, or a new one stands. */
  | { readonly type: 'peerDown'; readonly nodeId: NodeId }
  | { readonly type: 'peerUp'; readonly peer: Peer }

export type ProposalOutcome =
  | { readonly kind: 'done'; readonly value: number }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unknown' }

/** Commands of the metadata machine that the chain proposes; `cluster/commands.ts` encodes them. All conditional. */
export type ChainCommand =
  | {
      readonly do: 'sealAndOpen'
      readonly partition: PartitionId
      readonly segment: SegmentId
      /** The write epoch under which the proposer wrote the segment. */
      readonly epoch: number
      readonly end: Offset
      readonly bytes: number
      readonly maxTimestamp: number
      readonly checksum: number
      /** Replicas known to hold everything below `end` durably; at least the acknowledgement quorum. */
      readonly complete: readonly NodeId[]
      readonly reason: SealReason
      readonly next: Placement
    }
  | {
      readonly do: 'beginRecovery'
      readonly partition: PartitionId
      readonly segment: SegmentId
      /** The write epoch of the segment as the proposer knows it. The outcome's value is the recovery's epoch. */
      readonly epoch: number
      readonly recoverer: NodeId
    }
  | {
      readonly do: 'completeRecovery'
      readonly partition: PartitionId
      readonly segment: SegmentId
      /** The recovery's epoch. */
      readonly epoch: number
      readonly end: Offset
      readonly bytes: number
      readonly maxTimestamp: number
      readonly checksum: number
      /** Who holds [base, end), as which incarnation it answered: refused when one of them has started again since. */
      readonly complete: readonly Replica[]
      readonly next: Placement
    }
  | {
      readonly do: 'addReplica'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly replica: Replica
    }
  | {
      readonly do: 'removeReplica'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly nodeId: NodeId
    }

/** What the node's journal is told, in order. It is visible to `store` at once, and durable when `durable` says so. */
export type ChainRecord =
  /**
   * The segment exists here, with the producers' state at its base (null: not known here). `epoch` is its write epoch, 0 while
   * that is not known. A second one for the same segment adds the producers' state and changes nothing else.
   */
  | {
      readonly kind: 'open'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly base: Offset
      readonly epoch: number
      readonly producers: readonly ProducerState[] | null
    }
  | { readonly kind: 'batch'; readonly segment: SegmentId; readonly batch: Batch }
  | { readonly kind: 'fence'; readonly segment: SegmentId; readonly epoch: number }
  | { readonly kind: 'truncate'; readonly segment: SegmentId; readonly end: Offset }
  | { readonly kind: 'seal'; readonly segment: SegmentId; readonly end: Offset; readonly checksum: number }
  /** All that is held of the segment is given up (it is deleted, or damaged and about to be copied anew). */
  | { readonly kind: 'drop'; readonly segment: SegmentId }

/** Kafka's names; the door maps them to codes. `NOT_ENOUGH_REPLICAS_AFTER_APPEND` may have been written. */
export type ProduceError =
  | 'NOT_LEADER_OR_FOLLOWER'
  | 'NOT_ENOUGH_REPLICAS'
  | 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'
  | 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  | 'DUPLICATE_SEQUENCE_NUMBER'
  | 'INVALID_PRODUCER_EPOCH'
  | 'UNKNOWN_TOPIC_OR_PARTITION'
  | 'KAFKA_STORAGE_ERROR'
  | 'THROTTLED'

export type ProduceResult =
  | { readonly ok: true; readonly base: Offset; readonly leaderEpoch: number }
  /** `isDefinite`: the batch is not in the log and never will be. Otherwise nobody can tell yet. */
  | { readonly ok: false; readonly error: ProduceError; readonly isDefinite: boolean }

export type ChainEffect =
  | { readonly do: 'write'; readonly write: number; readonly record: ChainRecord }
  /** `control` never waits behind `data`. What must be durable before a message is durable when this comes. */
  | { readonly do: 'send'; readonly to: NodeId; readonly channel: 'data' | 'control'; readonly message: ChainMessage }
  | { readonly do: 'answer'; readonly token: number; readonly result: ProduceResult }
  /** The same number again means the same request id: a retry. */
  | { readonly do: 'propose'; readonly proposal: number; readonly command: ChainCommand }
  /** Asks where the next segment should go; answered by a `placement`. */
  | {
      readonly do: 'place'
      readonly partition: PartitionId
      readonly reason: SealReason
      readonly avoid: readonly NodeId[]
    }
  /** Readers of this partition at this node may see more. */
  | { readonly do: 'readable'; readonly partition: PartitionId; readonly highWatermark: Offset }
  /** Something that must never be, found in what peers or the metadata say: the node stops and tells. */
  | { readonly do: 'halt'; readonly sentence: string }

/** What the core reads of this node's segments. It reflects every `write` effect performed so far, durable or not. */
export interface SegmentStore {
  /** Batches from the one at or behind `from`, at least one if there is one, then up to `bytesMax`. */
  read(segment: SegmentId, from: Offset, bytesMax: number): readonly Batch[]
  /** Of [base, end). `checksum` is over the batches' checksums in order. Null when the segment does not reach `end`. */
  summary(
    segment: SegmentId,
    end: Offset,
  ): { readonly bytes: number; readonly maxTimestamp: number; readonly checksum: number } | null
}

/** What a node's disk holds of a segment when it starts. */
export interface RestoredSegment {
  readonly partition: PartitionId
  readonly segment: SegmentId
  readonly base: Offset
  readonly epoch: number
  readonly fenceEpoch: number
  readonly end: Offset
  readonly sealedEnd: Offset | null
  readonly standing: 'clean' | 'dirty' | 'damaged'
  readonly producersAtBase: readonly ProducerState[] | null
}
