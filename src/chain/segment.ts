/**
 * The records of the segment chain, as the metadata keeps them (Raft), and what follows from them by arithmetic alone. A
 * partition is a chain of segments, the oldest first; only the last may be unsealed.
 *
 *     open ──(writer: SealAndOpen)──────────────────────────────► sealed ──► deleting ──► gone
 *       └──(recoverer: BeginRecovery)──► sealing ──(CompleteRecovery)──┘
 *
 * Segments never change once sealed, except for where their copies are.
 */
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'

/** A copy of a segment: on which disk of which node, and as which incarnation that node was seen when it was recorded. */
export interface Replica {
  readonly nodeId: NodeId
  readonly diskId: DiskId
  readonly incarnation: number
}

export interface ArchivedRange {
  readonly object: string
  readonly position: number
  readonly length: number
  readonly base: Offset
  readonly end: Offset
  readonly crc: number
  readonly etag: string
}

export type SegmentState = 'open' | 'sealing' | 'sealed' | 'deleting'

/** Why a segment was sealed; for people. */
export type SealReason =
  | 'none'
  | 'size'
  | 'age'
  | 'rotation'
  | 'replica lost'
  | 'replica joined'
  | 'recovery'
  | 'compaction'

export interface Segment {
  readonly id: SegmentId
  readonly base: Offset
  /** Null until it is sealed. */
  readonly end: Offset | null
  readonly state: SegmentState
  readonly writer: NodeId
  /** The writer's boot: after a restart the same node is another writer. */
  readonly writerIncarnation: number
  /** Carried by every normal append; higher than every epoch of the partition before it. */
  readonly writeEpoch: number
  /** Of the latest recovery that began; null when none did. */
  readonly recoveryEpoch: number | null
  readonly leaderEpoch: LeaderEpoch
  readonly replicas: readonly Replica[]
  /** Nodes (among `replicas`) known to hold all of [base, end) durably; null until it is sealed. */
  readonly complete: readonly NodeId[] | null
  /** Durable copies that make a record committed. */
  readonly ackQuorum: number
  /** Of a sealed segment; 0, -1 and 0 before. */
  readonly bytes: number
  readonly maxTimestamp: number
  readonly checksum: number
  readonly archive: readonly ArchivedRange[]
  readonly createdAtMs: number
  readonly sealReason: SealReason
}

/** What the topic wants of each of its partitions. */
export interface ReplicationConfig {
  /** Copies of each segment: Kafka's replication factor. */
  readonly replicas: number
  /** Kafka's min.insync.replicas. */
  readonly minInsync: number
  /** Acknowledged after the sync, or (an explicit choice) after the write. */
  readonly flush: 'sync' | 'relaxed'
  /** A segment of one copy whose node is gone may be sealed at the end that Raft knows, losing what came after. */
  readonly uncleanSeal: boolean
}

export interface Partition {
  /** Rises with every change; commands are conditional on it. */
  readonly version: number
  /** The newest epoch that was given out, for writing or for recovery. */
  readonly nextEpoch: number
  readonly leaderEpoch: LeaderEpoch
  readonly logStartOffset: Offset
  /** The oldest first; only the last may be open or sealing. */
  readonly chain: readonly Segment[]
  readonly config: ReplicationConfig
}

export interface PartitionId {
  readonly topicId: TopicId
  readonly index: number
}

/** A partition as the key of a map. */
export type PartitionKey = `${string}-${number}`
export const partitionKey = (id: PartitionId): PartitionKey => `${id.topicId}-${id.index}`

/** Where the next segment goes. The writer is one of the replicas. */
export interface Placement {
  readonly writer: NodeId
  /** The writer's boot that was meant: a node that has restarted since must not take over blindly. */
  readonly writerIncarnation: number
  readonly replicas: readonly Replica[]
  readonly ackQuorum: number
}

/** Copies that must have synced before a record counts as committed, for a segment of `replicas` copies. */
export function ackQuorumOf(replicas: number, minInsync: number): number {
  return Math.max(minInsync, Math.floor(replicas / 2) + 1)
}

/**
 * Clean answers to a fence that a recovery needs: one more than the replicas that a committed record may have missed, so that
 * at least one of them holds every committed record.
 */
export function fenceQuorumOf(segment: Pick<Segment, 'replicas' | 'ackQuorum'>): number {
  return segment.replicas.length - segment.ackQuorum + 1
}

/** The last segment while it is open or sealing: the one that appends and recoveries are about. */
export function unsealed(partition: Pick<Partition, 'chain'>): Segment | null {
  const last = partition.chain.at(-1)
  return last !== undefined && last.end === null ? last : null
}

/** The segment before this one; undefined for the first that is left. */
export function predecessor({ chain }: Pick<Partition, 'chain'>, id: SegmentId): Segment | undefined {
  const at = chain.findIndex(segment => segment.id === id)
  return at > 0 ? chain[at - 1] : undefined
}

export function isReplica(segment: Segment, node: { readonly nodeId: NodeId; readonly diskId: DiskId }): boolean {
  return segment.replicas.some(replica => replica.nodeId === node.nodeId && replica.diskId === node.diskId)
}

/** The segment that holds `offset`: the one that ends behind it, or the unsealed one. Null below the chain's first base. */
export function segmentAt(partition: Pick<Partition, 'chain'>, offset: Offset): Segment | null {
  for (let i = partition.chain.length - 1; i >= 0; i--) {
    const segment = partition.chain[i] as Segment
    if (offset >= segment.base) return segment.end !== null && offset >= segment.end ? null : segment
  }
  return null
}

/**
 * Kafka's OffsetForLeaderEpoch: where the newest leader epoch at or below `epoch` ends. `openEnd` answers for the unsealed
 * segment (the log end at its writer). Null when the chain has nothing that old.
 */
export function endOfLeaderEpoch(
  partition: Pick<Partition, 'chain'>,
  epoch: LeaderEpoch,
  openEnd: Offset,
): { readonly leaderEpoch: LeaderEpoch; readonly end: Offset } | null {
  const last = partition.chain.findLast(segment => segment.leaderEpoch <= epoch)
  return last === undefined ? null : { leaderEpoch: last.leaderEpoch, end: last.end ?? openEnd }
}
