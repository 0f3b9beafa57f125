/**
 * Every config of topics, in one table (those of brokers: `broker-config-table.ts`): Kafka's under Kafka's names, ours under
 * `tidelog.`. `configs.ts` gives the rows their meaning.
 *
 * A row with `fixed` has no effect yet: its default is accepted, any other value is refused with that sentence, so that
 * nobody believes in a setting that does nothing. Tools see it as read-only.
 */
export interface ConfigDefinition {
  readonly name: string
  readonly type: ConfigType
  /** As text, the way tools show it; null where another row's default applies. */
  readonly default: string | null
  readonly min?: number
  readonly max?: number
  /** A number between the two that is none of them all the same. */
  readonly excluded?: number
  /** Of a list: what its items are made of. */
  readonly oneOf?: readonly string[]
  /** Of a list with `oneOf`: whether it may be empty. */
  readonly mayBeEmpty?: true
  readonly fixed?: string
  readonly doc: string
}

export type ConfigType = 'boolean' | 'short' | 'int' | 'long' | 'double' | 'string' | 'list'

export interface TopicConfigDefinition extends ConfigDefinition {
  readonly default: string
  /** The broker configs that give topics their default, the first one set wins. */
  readonly synonyms: readonly Synonym[]
}

export interface Synonym {
  readonly name: string
  readonly default: string | null
  /** How many of the topic config's units one of this config's is (hours to milliseconds). */
  readonly scale: number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const longMax = '9223372036854775807'
export const mebibyte = 1024 * 1024

const untilCompaction = 'log compaction does not exist yet'
const untilTiering = 'there is no remote storage yet'
export const untilReplication = 'there is one replica of everything yet'
const syncedAnyway = 'every record is synced before it is acknowledged (see tidelog.flush)'

const same = (name: string, value: string): Synonym => ({ name, default: value, scale: 1 })

export const topicConfigTable = [
  {
    name: 'cleanup.policy',
    type: 'list',
    default: 'delete',
    oneOf: ['delete', 'compact'],
    mayBeEmpty: true,
    synonyms: [same('log.cleanup.policy', 'delete')],
    doc: 'What becomes of old records: `delete` removes them by retention.ms and retention.bytes. `compact` asks for keys, and keeps everything for now: log compaction does not exist yet. An empty list keeps everything.',
  },
  {
    name: 'compression.gzip.level',
    type: 'int',
    default: '-1',
    min: -1,
    max: 9,
    excluded: 0,
    synonyms: [same('compression.gzip.level', '-1')],
    doc: 'The level for compression.type=gzip.',
  },
  {
    name: 'compression.lz4.level',
    type: 'int',
    default: '9',
    min: 1,
    max: 17,
    fixed: 'lz4 has one level here',
    synonyms: [same('compression.lz4.level', '9')],
    doc: 'The level for compression.type=lz4.',
  },
  {
    name: 'compression.type',
    type: 'string',
    default: 'producer',
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    synonyms: [same('compression.type', 'producer')],
    doc: 'How batches are stored; `producer` keeps what the producer chose.',
  },
  {
    name: 'compression.zstd.level',
    type: 'int',
    default: '3',
    min: -131072,
    max: 22,
    synonyms: [same('compression.zstd.level', '3')],
    doc: 'The level for compression.type=zstd.',
  },
  {
    name: 'delete.retention.ms',
    type: 'long',
    default: '86400000',
    min: 0,
    fixed: untilCompaction,
    synonyms: [same('log.cleaner.delete.retention.ms', '86400000')],
    doc: 'How long a tombstone stays in a compacted topic.',
  },
  {
    name: 'file.delete.delay.ms',
    type: 'long',
    default: '60000',
    min: 0,
    synonyms: [same('log.segment.delete.delay.ms', '60000')],
    doc: 'How long a deleted segment stays on disk, for the readers that still have it.',
  },
  {
    name: 'flush.messages',
    type: 'long',
    default: longMax,
    min: 1,
    fixed: syncedAnyway,
    synonyms: [same('log.flush.interval.messages', longMax)],
    doc: 'After how many records a sync is forced.',
  },
  {
    name: 'flush.ms',
    type: 'long',
    default: longMax,
    min: 0,
    fixed: syncedAnyway,
    synonyms: [{ name: 'log.flush.interval.ms', default: null, scale: 1 }],
    doc: 'After what time a sync is forced.',
  },
  {
    name: 'follower.replication.throttled.replicas',
    type: 'list',
    default: '',
    fixed: untilReplication,
    synonyms: [],
    doc: 'The followers whose replication is throttled.',
  },
  {
    name: 'index.interval.bytes',
    type: 'int',
    default: '4096',
    min: 0,
    synonyms: [same('log.index.interval.bytes', '4096')],
    doc: 'After how many bytes of records the offset index gets an entry.',
  },
  {
    name: 'leader.replication.throttled.replicas',
    type: 'list',
    default: '',
    fixed: untilReplication,
    synonyms: [],
    doc: 'The leaders whose replication is throttled.',
  },
  {
    name: 'local.retention.bytes',
    type: 'long',
    default: '-2',
    min: -2,
    fixed: untilTiering,
    synonyms: [same('log.local.retention.bytes', '-2')],
    doc: 'How many bytes stay on local disk; -2 means retention.bytes.',
  },
  {
    name: 'local.retention.ms',
    type: 'long',
    default: '-2',
    min: -2,
    fixed: untilTiering,
    synonyms: [same('log.local.retention.ms', '-2')],
    doc: 'How long records stay on local disk; -2 means retention.ms.',
  },
  {
    name: 'max.compaction.lag.ms',
    type: 'long',
    default: longMax,
    min: 1,
    fixed: untilCompaction,
    synonyms: [same('log.cleaner.max.compaction.lag.ms', longMax)],
    doc: 'The longest time that a record stays uncompacted.',
  },
  {
    name: 'max.message.bytes',
    type: 'int',
    default: '1048588',
    min: 0,
    synonyms: [same('message.max.bytes', '1048588')],
    doc: 'The largest batch accepted, as it is on the wire (compressed, with its header).',
  },
  {
    name: 'message.timestamp.after.max.ms',
    type: 'long',
    default: '3600000',
    min: 0,
    synonyms: [same('log.message.timestamp.after.max.ms', '3600000')],
    doc: "How far a producer's timestamp may lie in the future.",
  },
  {
    name: 'message.timestamp.before.max.ms',
    type: 'long',
    default: longMax,
    min: 0,
    synonyms: [same('log.message.timestamp.before.max.ms', longMax)],
    doc: "How far a producer's timestamp may lie in the past.",
  },
  {
    name: 'message.timestamp.type',
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    synonyms: [same('log.message.timestamp.type', 'CreateTime')],
    doc: "Whether records carry the producer's time or the time of their append.",
  },
  {
    name: 'min.cleanable.dirty.ratio',
    type: 'double',
    default: '0.5',
    min: 0,
    max: 1,
    fixed: untilCompaction,
    synonyms: [same('log.cleaner.min.cleanable.ratio', '0.5')],
    doc: 'The share of uncompacted bytes at which compaction begins.',
  },
  {
    name: 'min.compaction.lag.ms',
    type: 'long',
    default: '0',
    min: 0,
    fixed: untilCompaction,
    synonyms: [same('log.cleaner.min.compaction.lag.ms', '0')],
    doc: 'The shortest time that a record stays uncompacted.',
  },
  {
    name: 'min.insync.replicas',
    type: 'int',
    default: '1',
    min: 1,
    synonyms: [same('min.insync.replicas', '1')],
    doc: 'How many replicas must be in sync for acks=all to be accepted.',
  },
  {
    name: 'preallocate',
    type: 'boolean',
    default: 'false',
    fixed: 'segment files grow as they are written; only the journal is written ahead',
    synonyms: [same('log.preallocate', 'false')],
    doc: 'Whether segment files get their size when they are made.',
  },
  {
    name: 'remote.log.copy.disable',
    type: 'boolean',
    default: 'false',
    fixed: untilTiering,
    synonyms: [],
    doc: 'Whether no further segments move to remote storage.',
  },
  {
    name: 'remote.log.delete.on.disable',
    type: 'boolean',
    default: 'false',
    fixed: untilTiering,
    synonyms: [],
    doc: 'Whether what lies in remote storage is deleted when that is switched off.',
  },
  {
    name: 'remote.storage.enable',
    type: 'boolean',
    default: 'false',
    fixed: untilTiering,
    synonyms: [],
    doc: 'Whether sealed segments move to remote storage.',
  },
  {
    name: 'retention.bytes',
    type: 'long',
    default: '-1',
    min: -1,
    synonyms: [same('log.retention.bytes', '-1')],
    doc: 'How many bytes of a partition are kept; -1 for no limit.',
  },
  {
    name: 'retention.ms',
    type: 'long',
    default: '604800000',
    min: -1,
    synonyms: [
      { name: 'log.retention.ms', default: null, scale: 1 },
      { name: 'log.retention.minutes', default: null, scale: minuteMs },
      { name: 'log.retention.hours', default: '168', scale: hourMs },
    ],
    doc: 'How long records are kept; -1 for no limit.',
  },
  {
    name: 'segment.bytes',
    type: 'int',
    default: '1073741824',
    min: mebibyte,
    synonyms: [same('log.segment.bytes', '1073741824')],
    doc: 'The size at which a segment is sealed and the next one opened.',
  },
  {
    name: 'segment.index.bytes',
    type: 'int',
    default: '10485760',
    min: 4,
    fixed: 'an index has the size that its segment needs',
    synonyms: [same('log.index.size.max.bytes', '10485760')],
    doc: "The most bytes of a segment's offset index.",
  },
  {
    name: 'segment.jitter.ms',
    type: 'long',
    default: '0',
    min: 0,
    synonyms: [
      { name: 'log.roll.jitter.ms', default: null, scale: 1 },
      { name: 'log.roll.jitter.hours', default: '0', scale: hourMs },
    ],
    doc: 'The most time by which a roll comes early, at random, so that not all partitions roll at once.',
  },
  {
    name: 'segment.ms',
    type: 'long',
    default: '604800000',
    min: 1,
    synonyms: [
      { name: 'log.roll.ms', default: null, scale: 1 },
      { name: 'log.roll.hours', default: '168', scale: hourMs },
    ],
    doc: 'The age at which a segment is sealed even when it is not full.',
  },
  {
    name: 'tidelog.flush',
    type: 'string',
    default: 'sync',
    oneOf: ['sync', 'relaxed'],
    synonyms: [same('tidelog.flush', 'sync')],
    doc: '`sync` acknowledges after the sync; `relaxed` when the group is written, which a power loss may undo.',
  },
  {
    name: 'tidelog.segment.records',
    type: 'int',
    default: '0',
    min: 0,
    synonyms: [same('tidelog.segment.records', '0')],
    doc: 'The number of records at which a segment is sealed; 0 for no such limit.',
  },
  {
    name: 'unclean.leader.election.enable',
    type: 'boolean',
    default: 'false',
    fixed: 'a replica that may lack acknowledged records never leads',
    synonyms: [same('unclean.leader.election.enable', 'false')],
    doc: 'Whether a replica that is not in sync may become the leader.',
  },
] as const satisfies readonly TopicConfigDefinition[]

export type TopicConfigName = (typeof topicConfigTable)[number]['name']
