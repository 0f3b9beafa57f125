/**
 * What happened in a run as seen from outside: who asked what, what was answered, and what was done to the machine. The
 * checker knows nothing else. Answers refer to their requests by number, because what an answer may say depends on what was
 * known when the request was made.
 */
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { StoredBatch } from './batches.ts'
import type { GroupHappening } from './group-history.ts'

/** `topicId-index`: a topic made again is another one. */
export type PartitionKey = string

export interface PartitionRules {
  /** Acknowledged before the sync: a power loss may take the newest records. */
  readonly relaxed: boolean
  readonly stampsAppendTime: boolean
  /** -1 for no limit. */
  readonly retentionMs: number
  readonly retentionBytes: number
  /** How every batch is stored, whatever its producer chose; left out where batches stay as they come. */
  readonly codec?: Codec
  /** Every record must have a key. */
  readonly compacts?: boolean
}

/** Those that come with Node. */
export type Codec = 'none' | 'gzip' | 'zstd'

/** What a producer wants stored; several attempts may carry it. */
export interface SentBatch {
  readonly id: number
  readonly partition: PartitionKey
  readonly fingerprint: string
  readonly bytes: number
  readonly timestampsMs: readonly number[]
  readonly producer: { readonly id: number; readonly epoch: number; readonly sequence: number } | null
}

export interface Marks {
  readonly highWatermark: number
  readonly logStartOffset: number
}

export interface FoundOffset {
  readonly offset: number
  readonly timestampMs: number
}

type Happening =
  | { readonly type: 'partition'; readonly partition: PartitionKey; readonly rules: PartitionRules }
  /** Somebody asked to delete it; nothing is promised from here on. */
  | { readonly type: 'deleting'; readonly partition: PartitionKey }
  | {
      readonly type: 'send'
      readonly request: number
      readonly batch: SentBatch
      readonly acks: 0 | 1 | -1
      /** The broker has no reason to refuse its sequence: the one before was acknowledged, and nothing else is under way. */
      readonly inOrder: boolean
    }
  | { readonly type: 'sent'; readonly request: number; readonly baseOffset: number }
  | { readonly type: 'refused'; readonly request: number; readonly error: KafkaErrorName }
  /** A timeout, an error that leaves the outcome open, or the end of the process. */
  | { readonly type: 'unknown'; readonly request: number }
  | { readonly type: 'reading'; readonly request: number; readonly partition: PartitionKey; readonly from: number }
  | {
      readonly type: 'read'
      readonly request: number
      readonly error: KafkaErrorName
      readonly marks: Marks
      readonly batches: readonly StoredBatch[] | string
      readonly bytesMax: number
      readonly minOne: boolean
    }
  | { readonly type: 'marks'; readonly partition: PartitionKey; readonly marks: Marks }
  | { readonly type: 'trim'; readonly partition: PartitionKey; readonly before: number }
  | {
      readonly type: 'trimmed'
      readonly partition: PartitionKey
      readonly before: number
      readonly logStartOffset: number
    }
  /** Somebody read all there was, from the log start to the high watermark. */
  | {
      readonly type: 'drained'
      readonly partition: PartitionKey
      readonly marks: Marks
      readonly batches: readonly StoredBatch[]
      /** Where reads answered that the bytes are damaged, as `[from, to)`. */
      readonly damaged: readonly (readonly [number, number])[]
    }
  /** Asked while nothing else went on, right behind a drain. */
  | {
      readonly type: 'found by time'
      readonly partition: PartitionKey
      readonly timestampMs: number
      readonly found: FoundOffset | null
    }
  | { readonly type: 'found latest'; readonly partition: PartitionKey; readonly found: FoundOffset | null }
  | { readonly type: 'clock jumps'; readonly byMs: number }
  | { readonly type: 'down'; readonly how: 'close' | 'kill' | 'power' }
  /** A process runs. With an operator's word that damage may cost records, their offsets may be given out again. */
  | { readonly type: 'up'; readonly acceptsDataLoss?: boolean }
  | { readonly type: 'sync failed' }
  /** Bits were flipped: damage may be reported from here on. */
  | { readonly type: 'rot' }
  /** The node said that something is damaged. */
  | { readonly type: 'damage reported' }
  /** Something did not come to an end in its time, or ended in a way that it must not. */
  | { readonly type: 'broken'; readonly kind: string; readonly text: string }

export type HistoryEvent = (Happening | GroupHappening) & { readonly atMs: number }

/** Answers that say for sure that a batch was not, and never will be, stored by that request. */
export function isDefinite(error: KafkaErrorName): boolean {
  return !openOutcomes.has(error)
}

const openOutcomes: ReadonlySet<KafkaErrorName> = new Set([
  'UNKNOWN_SERVER_ERROR',
  'KAFKA_STORAGE_ERROR',
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NETWORK_EXCEPTION',
])
