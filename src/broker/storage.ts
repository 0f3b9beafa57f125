/**
 * What the request handlers ask of the engine beneath them: topics, and one log per partition. The handlers know nothing of
 * journals, segments or Raft; the engine (`engine.ts`) knows nothing of requests.
 */
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import type { Rope } from '../base/rope.ts'
import type { SealReason, SegmentState } from '../chain/segment.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { BatchHeader } from '../wire/record-batch.ts'
import type { TopicSettings } from './topic-settings.ts'

export interface Storage {
  readonly clusterId: string
  readonly nodeId: NodeId
  /** All topics, in order of name. */
  topics(): readonly Topic[]
  topicByName(name: string): Topic | undefined
  topicById(id: TopicId): Topic | undefined
  /** Resolves when the topic's partitions take requests; its outcome is the same for a retry. */
  createTopic(spec: TopicSpec): Promise<CreateOutcome>
  /** Resolves when the topic is gone from the metadata; its files go in the background. */
  deleteTopic(id: TopicId): Promise<KafkaErrorName>
  /** Lets a topic grow to `total` partitions. Resolves when the new ones take requests; a retry of the same is refused, not repeated. */
  createPartitions(id: TopicId, total: number): Promise<GrowOutcome>
  /**
   * Puts `configs`, already validated, in the place of all of a topic's overrides, if it is still at `version`. Durable, and in
   * effect on the open partitions, when it resolves.
   */
  configureTopic(id: TopicId, version: number, configs: ReadonlyMap<string, string>): Promise<KafkaErrorName | 'STALE'>
  /** A block of producer ids nobody else ever gets. */
  allocateProducerIds(): Promise<{ readonly first: number; readonly count: number }>
  /** Where the data lies, and the room on that file system. */
  logDirs(): Promise<readonly LogDir[]>
  /** The members of the metadata's Raft group, as this node knows them. */
  quorum(): Quorum
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  /** Overrides as given by the client, already validated by `topic-settings.ts`. */
  readonly configs: ReadonlyMap<string, string>
}

export type CreateOutcome =
  | { readonly error: 'NONE'; readonly topic: Topic }
  | { readonly error: Exclude<KafkaErrorName, 'NONE'>; readonly message: string }

export interface GrowOutcome {
  readonly error: KafkaErrorName
  readonly message: string | null
}

export interface LogDir {
  readonly path: string
  readonly totalBytes: number
  readonly usableBytes: number
}

export interface Quorum {
  readonly leaderId: NodeId
  readonly leaderEpoch: number
  /** The last entry of the metadata's log that is committed. */
  readonly highWatermark: number
  readonly voters: readonly QuorumMember[]
  readonly observers: readonly QuorumMember[]
}

export interface QuorumMember {
  readonly nodeId: NodeId
  /** Of the node's disk: 32 hex digits. */
  readonly directoryId: DiskId
  readonly logEndOffset: number
  /** Wall times as the leader knows them; of the leader itself, now. -1 where nothing is known. */
  readonly lastFetchMs: number
  readonly lastCaughtUpMs: number
}

export interface Topic {
  readonly id: TopicId
  readonly name: string
  /** Rises with every change of its configs and of its number of partitions. */
  readonly version: number
  /** One of Kafka's own (`topic-names.ts`): clients neither write nor delete it. */
  readonly internal: boolean
  readonly configs: ReadonlyMap<string, string>
  readonly settings: TopicSettings
  readonly partitions: readonly PartitionStore[]
}

export interface PartitionStore {
  readonly topicId: TopicId
  readonly index: number
  readonly leader: NodeId
  readonly leaderEpoch: LeaderEpoch
  readonly replicas: readonly NodeId[]
  readonly inSyncReplicas: readonly NodeId[]
  readonly logStartOffset: Offset
  /** Everything below is acknowledged durable and may be read. */
  readonly highWatermark: Offset
  /** Where the next batch goes: behind all that was given offsets, durable or not. */
  readonly logEndOffset: Offset
  /** The length of its segments, with what is not flushed to their files yet. */
  readonly storedBytes: number
  /** Since the node's start. Reads of our own, of the groups' offsets, are among what went out. */
  readonly traffic: Traffic
  /** The chain, the oldest first. */
  segments(): readonly SegmentFacts[]
  /** When a record was written, at least about: null where there is none, or nobody knows. */
  timeOf(offset: Offset): Promise<number | null>
  /**
   * Where the newest leader epoch at or below `epoch` ends, and which that is. Of one that is older than all that is left:
   * itself, and where the oldest begins. -1 and -1 for one that has not been yet.
   */
  endOfEpoch(epoch: number): EpochEnd
  /** The leader epoch of the record at an offset; -1 where there is none. At the log's end, the epoch of what comes next. */
  epochOf(offset: Offset): LeaderEpoch | -1
  /** The idempotent producers whose sequences are known, in order of their latest batch. */
  producers(): readonly ActiveProducer[]
  /**
   * Appends one batch whose header and CRC the handler has checked (`wire/validate-batch.ts`); sequence, epoch, space and
   * the topic's state are checked here. Offsets are given out in the order of the calls. Resolves when the batch is as
   * durable as `acks` and the topic ask for; the rope's bytes belong to the log from the call on.
   */
  append(batch: Batch, acks: Acks): Promise<AppendOutcome>
  /** Reads whole batches from `from` on. At least one batch comes back, however large, when `minOne` is set and there is one. */
  read(request: ReadRequest): Promise<ReadOutcome> | ReadOutcome
  /** The first record whose timestamp is at least `timestampMs`, below the high watermark. */
  findByTime(timestampMs: number): Promise<FoundRecord | null>
  /** The record with the highest timestamp below the high watermark; the first of equals. */
  findMaxTimestamp(): Promise<FoundRecord | null>
  /** Moves the log start; resolves when the move is durable. */
  deleteRecords(before: Offset): Promise<{ readonly error: KafkaErrorName; readonly logStartOffset: Offset }>
  /** Calls back whenever there may be more to read, the log start moved, or the partition went away. Returns the unsubscriber. */
  onChange(listener: () => void): () => void
}

export interface Traffic {
  readonly recordsIn: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** A segment, for people. */
export interface SegmentFacts {
  readonly id: SegmentId
  readonly base: Offset
  /** Null until it is sealed. */
  readonly end: Offset | null
  readonly state: SegmentState
  readonly writer: NodeId
  readonly writeEpoch: number
  readonly bytes: number
  /** -1 where it has no records. */
  readonly maxTimestamp: number
  readonly createdAtMs: number
  readonly sealReason: SealReason
}

export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestampMs: number
}

/** 0: nobody waits. 1: this node's disk. -1: the acknowledgement quorum. */
export type Acks = 0 | 1 | -1

export interface Batch {
  readonly header: BatchHeader
  readonly bytes: Rope
}

export type AppendOutcome =
  | {
      readonly error: 'NONE'
      readonly baseOffset: Offset
      /** -1 when the topic keeps the producer's timestamps. */
      readonly logAppendTimeMs: number
      readonly logStartOffset: Offset
    }
  | {
      readonly error: Exclude<KafkaErrorName, 'NONE'>
      readonly message: string
      /** The records that the batch was refused for, by their index in it; left out where it is the batch as a whole. */
      readonly recordErrors?: readonly RecordError[]
    }

export interface RecordError {
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string
}

export interface ReadRequest {
  readonly from: Offset
  readonly bytesMax: number
  readonly minOne: boolean
}

export interface ReadOutcome {
  /** NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION (deleted meanwhile). */
  readonly error: KafkaErrorName
  /** Whole batches; the first may start below `from` (the client filters). Empty when `from` is the high watermark. */
  readonly records: Rope
  readonly highWatermark: Offset
  readonly logStartOffset: Offset
  /**
   * Called once when `records` are not looked at any more, so that their memory is used again. To forget it does no harm but
   * to leave that memory to the garbage collector.
   */
  readonly release?: (() => void) | undefined
}

export interface FoundRecord {
  readonly offset: Offset
  readonly timestampMs: number
  readonly leaderEpoch: LeaderEpoch
}
