/** What a topic's configs come to: texts parsed, defaults applied. `configs.ts` makes it. */
export const compressionTypes = ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CompressionType = (typeof compressionTypes)[number]

/** The configs of one topic, as the engine reads them on the hot path. */
export interface TopicSettings {
  /** `cleanup.policy` names `delete`: retention removes old segments. */
  readonly deletesOld: boolean
  /** `cleanup.policy` names `compact`: every record must have a key. */
  readonly compacts: boolean
  /** `producer` stores batches as they come. */
  readonly compressionType: CompressionType
  readonly gzipLevel: number
  readonly zstdLevel: number
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly segmentJitterMs: number
  /** `tidelog.segment.records`: a roll after so many records; 0 for never. */
  readonly segmentRecords: number
  /** -1 for no limit. */
  readonly retentionMs: number
  /** -1 for no limit. */
  readonly retentionBytes: number
  readonly maxMessageBytes: number
  readonly indexIntervalBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  readonly minInsyncReplicas: number
  readonly fileDeleteDelayMs: number
  /** `tidelog.flush`: `relaxed` acknowledges when a group is written, before its sync. */
  readonly flush: 'sync' | 'relaxed'
}
