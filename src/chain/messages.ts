/**
 * What nodes say to each other about segments. Messages may be lost, doubled, delayed and reordered: each is either idempotent
 * or carries the epoch that tells whether it still counts. How they look on a socket is `wire/peer.ts`'s matter.
 */
import type { DiskId, NodeId, Offset, SegmentId } from '../base/ids.ts'
import type { ProducerState } from '../log/producers.ts'
import type { PartitionId } from './segment.ts'

/** Who speaks. The connection's handshake has established it, together with the cluster. */
export interface Peer {
  readonly nodeId: NodeId
  readonly diskId: DiskId
  readonly incarnation: number
}

/** A record batch as the chain sees it: its place, its header's facts, and bytes that it never looks into. */
export interface Batch {
  readonly base: Offset
  readonly end: Offset
  /** Size of `payload`. */
  readonly bytes: number
  /** The batch's own checksum; equal batches at one offset have equal ones. */
  readonly crc: number
  readonly maxTimestamp: number
  /** -1 for a batch without an idempotent producer. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly payload: unknown
}

export type ChainMessage =
  // ── the writer and its replicas
  /** In order, from `batches[0].base` on; no batches: only tells the commit offset and asks for the replica's end. */
  | {
      readonly type: 'append'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly epoch: number
      readonly segmentBase: Offset
      readonly batches: readonly Batch[]
      readonly commit: Offset
      /** The producers' state at the segment's base; sent until the replica is known to have it. */
      readonly producers: readonly ProducerState[] | null
    }
  /** Everything below `end` is durable at the sender. Cumulative. */
  | { readonly type: 'ack'; readonly segment: SegmentId; readonly epoch: number; readonly end: Offset }
  /** The sender has not got what comes before an append that it was sent: go on from `end`. */
  | { readonly type: 'gap'; readonly segment: SegmentId; readonly epoch: number; readonly end: Offset }
  /** The sender answers a higher epoch than the one it was sent; nothing of that was taken. */
  | { readonly type: 'fenced'; readonly segment: SegmentId; readonly epoch: number; readonly fenceEpoch: number }
  /** The sender cannot vouch for what it holds of this segment, and takes nothing more of it. */
  | { readonly type: 'unfit'; readonly segment: SegmentId; readonly epoch: number; readonly reason: Unfit }
  /** One message per pair of peers: the segments whose commit offset advanced. */
  | {
      readonly type: 'commits'
      readonly commits: readonly { readonly segment: SegmentId; readonly epoch: number; readonly commit: Offset }[]
    }
  // ── the recoverer
  | {
      readonly type: 'fence'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly segmentBase: Offset
      /** The epoch of the recovery: nothing with a lower one is accepted any more. */
      readonly epoch: number
    }
  /** The fence is durable, and so is everything below `end`. */
  | {
      readonly type: 'fenceReply'
      readonly segment: SegmentId
      readonly epoch: number
      readonly standing: Standing
      readonly end: Offset
      /** The highest commit offset that the sender was told of. */
      readonly commit: Offset
    }
  | {
      readonly type: 'recoveryAppend'
      readonly partition: PartitionId
      readonly segment: SegmentId
      readonly segmentBase: Offset
      readonly epoch: number
      readonly batches: readonly Batch[]
      readonly producers: readonly ProducerState[] | null
    }
  /** Everything below `end` is durable at the sender, under this recovery's epoch. `isGap`: go on from `end`. */
  | {
      readonly type: 'recoveryAck'
      readonly segment: SegmentId
      readonly epoch: number
      readonly end: Offset
      readonly isGap: boolean
    }
  // ── copying
  /** Asks for bytes: of an unsealed segment only with the epoch of the fence that the holder has; else of a sealed one. */
  | {
      readonly type: 'read'
      readonly segment: SegmentId
      readonly epoch: number | null
      readonly from: Offset
      readonly bytesMax: number
    }
  | {
      readonly type: 'readReply'
      readonly segment: SegmentId
      readonly epoch: number | null
      readonly from: Offset
      /** Empty: the sender has nothing there that it may give. */
      readonly batches: readonly Batch[]
      readonly producers: readonly ProducerState[] | null
    }
  /** Asks a replica that is fenced with `epoch` what [base, end) comes to. */
  | { readonly type: 'summary'; readonly segment: SegmentId; readonly epoch: number; readonly end: Offset }
  | {
      readonly type: 'summaryReply'
      readonly segment: SegmentId
      readonly epoch: number
      readonly end: Offset
      readonly bytes: number
      readonly maxTimestamp: number
      readonly checksum: number
    }
  /** Asks a holder of a complete copy for the producers' state at the segment's end. */
  | { readonly type: 'producers'; readonly segment: SegmentId }
  | {
      readonly type: 'producersReply'
      readonly segment: SegmentId
      readonly end: Offset
      /** Null: the sender does not hold a complete copy. */
      readonly producers: readonly ProducerState[] | null
    }

export type MessageOf<Type extends ChainMessage['type']> = Extract<ChainMessage, { readonly type: Type }>

/** Why a replica cannot vouch: it may have lost what it acknowledged, or its disk is damaged, or is another one. */
export type Unfit = 'dirty' | 'damaged' | 'stranger'

/** `clean`: `end` is all that this disk ever acknowledged, or more. */
export type Standing = 'clean' | Unfit
