/**
 * Every config that a user may set, in one table: Kafka's under Kafka's names, ours under `tidelog.`. `configs.ts` gives the
 * rows their meaning.
 *
 * A row with `fixed` has no effect yet: its default is accepted, any other value is refused with that sentence, so that
 * nobody believes in a setting that does nothing.
 */
export interface ConfigDefinition {
  readonly name: string
  readonly type: ConfigType
  /** As text, the way tools show it; null where another row's default applies. */
  readonly default: string | null
  readonly min?: number
  readonly max?: number
  readonly oneOf?: readonly string[]
  readonly fixed?: string
  readonly doc: string
}

export type ConfigType = 'boolean' | 'int' | 'long' | 'double' | 'string' | 'list'

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
const mebibyte = 1024 * 1024

const untilCompaction = 'log compaction does not exist yet'
const untilTiering = 'there is no remote storage yet'
const untilReplication = 'there is one replica of everything yet'
const untilTransactions = 'transactions do not exist yet'
const passedThrough = 'batches are stored as the producer sent them'
const syncedAnyway = 'every record is synced before it is acknowledged (see tidelog.flush)'

const same = (name: string, value: string): Synonym => ({ name, default: value, scale: 1 })

export const topicConfigTable = [
  {
    name: 'cleanup.policy',
    type: 'list',
    default: 'delete',
    oneOf: ['delete', 'compact'],
    fixed: untilCompaction,
    synonyms: [same('log.cleanup.policy', 'delete')],
    doc: 'What becomes of old records: deleted, or compacted by key.',
  },
  {
    name: 'compression.gzip.level',
    type: 'int',
    default: '-1',
    min: -1,
    max: 9,
    fixed: passedThrough,
    synonyms: [same('compression.gzip.level', '-1')],
    doc: 'The level for compression.type=gzip.',
  },
  {
    name: 'compression.lz4.level',
    type: 'int',
    default: '9',
    min: 1,
    max: 17,
    fixed: passedThrough,
    synonyms: [same('compression.lz4.level', '9')],
    doc: 'The level for compression.type=lz4.',
  },
  {
    name: 'compression.type',
    type: 'string',
    default: 'producer',
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    fixed: passedThrough,
    synonyms: [same('compression.type', 'producer')],
    doc: 'How batches are stored; `producer` keeps what the producer chose.',
  },
  {
    name: 'compression.zstd.level',
    type: 'int',
    default: '3',
    min: -131072,
    max: 22,
    fixed: passedThrough,
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
    synonyms: [same('log.flush.interval.ms', longMax)],
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

const byOption = (option: string) => `it is given as ${option}`

/** What is not already a topic's default (those follow from `topicConfigTable`). */
export const brokerConfigTable = [
  {
    name: 'advertised.listeners',
    type: 'list',
    default: '',
    fixed: byOption('--advertise HOST:PORT'),
    doc: 'The addresses told to clients.',
  },
  { name: 'authorizer.class.name', type: 'string', default: '', fixed: 'no code is loaded by name', doc: 'Unused.' },
  {
    name: 'auto.create.topics.enable',
    type: 'boolean',
    default: 'true',
    doc: 'Whether asking for the metadata of an unknown topic makes it.',
  },
  {
    name: 'auto.leader.rebalance.enable',
    type: 'boolean',
    default: 'true',
    fixed: untilReplication,
    doc: 'Whether leaders move back to their preferred nodes.',
  },
  { name: 'broker.rack', type: 'string', default: '', doc: 'The rack that this node is in, told to clients.' },
  {
    name: 'connections.max.idle.ms',
    type: 'long',
    default: '600000',
    min: -1,
    doc: 'After what time without a request a connection is closed; -1 for never.',
  },
  {
    name: 'connections.max.reauth.ms',
    type: 'long',
    default: '0',
    min: 0,
    fixed: 'authentication does not exist yet',
    doc: 'After what time a client must authenticate again.',
  },
  {
    name: 'default.replication.factor',
    type: 'int',
    default: '1',
    min: 1,
    max: 32767,
    doc: 'The replication factor of topics made without one.',
  },
  { name: 'delete.topic.enable', type: 'boolean', default: 'true', doc: 'Whether topics can be deleted.' },
  {
    name: 'fetch.max.bytes',
    type: 'int',
    default: '57671680',
    min: 1024,
    doc: 'The most bytes of records in one fetch response, whatever the client allows.',
  },
  {
    name: 'group.initial.rebalance.delay.ms',
    type: 'int',
    default: '0',
    min: 0,
    // Kafka's own default is 3000, so that members started one after another on many machines meet in the first rebalance.
    // On one node that is three seconds of silence at the start of every program, and saves a rebalance of milliseconds.
    doc: "How long a new group waits for more members before its first rebalance; 0 here where Kafka's default is 3000, as on one node a further rebalance costs less than the wait.",
  },
  {
    name: 'group.max.session.timeout.ms',
    type: 'int',
    default: '1800000',
    min: 1,
    doc: 'The longest session timeout a member may ask for.',
  },
  {
    name: 'group.max.size',
    type: 'int',
    default: '2147483647',
    min: 1,
    doc: 'The most members of a group.',
  },
  {
    name: 'group.min.session.timeout.ms',
    type: 'int',
    default: '6000',
    min: 1,
    doc: 'The shortest session timeout a member may ask for.',
  },
  {
    name: 'listener.security.protocol.map',
    type: 'string',
    default: 'PLAINTEXT:PLAINTEXT',
    fixed: 'there is one kind of listener yet',
    doc: 'Which listener speaks which protocol.',
  },
  {
    name: 'listeners',
    type: 'list',
    default: 'PLAINTEXT://:9092',
    fixed: byOption('--host and --port'),
    doc: 'The addresses listened on.',
  },
  { name: 'log.dirs', type: 'list', default: '', fixed: byOption('--data-dir DIR'), doc: 'Where the data lies.' },
  {
    name: 'log.retention.check.interval.ms',
    type: 'long',
    default: '300000',
    min: 1,
    doc: 'How often segments past their retention are looked for.',
  },
  {
    name: 'max.connections',
    type: 'int',
    default: '2147483647',
    min: 0,
    doc: 'The most connections at a time.',
  },
  {
    name: 'max.connections.per.ip',
    type: 'int',
    default: '2147483647',
    min: 0,
    doc: 'The most connections at a time from one address.',
  },
  {
    name: 'max.incremental.fetch.session.cache.slots',
    type: 'int',
    default: '1000',
    min: 0,
    doc: 'The most fetch sessions kept at a time.',
  },
  { name: 'node.id', type: 'int', default: '1', fixed: 'the first start chooses it', doc: "This node's number." },
  {
    name: 'num.partitions',
    type: 'int',
    default: '1',
    min: 1,
    max: 10_000,
    doc: 'The number of partitions of topics made without one.',
  },
  {
    name: 'num.recovery.threads.per.data.dir',
    type: 'int',
    default: '2',
    min: 1,
    fixed: 'recovery reads one journal',
    doc: 'Threads that read the logs at the start.',
  },
  {
    name: 'offset.metadata.max.bytes',
    type: 'int',
    default: '4096',
    min: 0,
    doc: 'The longest metadata of a committed offset.',
  },
  {
    name: 'offsets.retention.check.interval.ms',
    type: 'long',
    default: '600000',
    min: 1,
    doc: 'How often expired group offsets are looked for.',
  },
  {
    name: 'offsets.retention.minutes',
    type: 'int',
    default: '10080',
    min: 1,
    doc: "How long an empty group's offsets are kept.",
  },
  {
    name: 'offsets.topic.num.partitions',
    type: 'int',
    default: '50',
    min: 1,
    doc: 'Partitions of the topic of group offsets.',
  },
  {
    name: 'offsets.topic.replication.factor',
    type: 'int',
    default: '3',
    min: 1,
    doc: 'Replicas of the topic of group offsets; one per node where there are fewer nodes.',
  },
  {
    name: 'offsets.topic.segment.bytes',
    type: 'int',
    default: '104857600',
    min: mebibyte,
    doc: 'Segment size of the topic of group offsets.',
  },
  {
    name: 'process.roles',
    type: 'list',
    default: 'broker,controller',
    fixed: 'a node is both',
    doc: 'What this process is.',
  },
  {
    name: 'producer.id.expiration.ms',
    type: 'int',
    default: '86400000',
    min: 1,
    doc: 'How long the sequence of a silent idempotent producer is remembered.',
  },
  {
    name: 'queued.max.requests',
    type: 'int',
    default: '500',
    min: 1,
    fixed: 'bytes are bounded instead (see tidelog.request.budget.bytes)',
    doc: 'The most requests waiting to be handled.',
  },
  {
    name: 'replica.lag.time.max.ms',
    type: 'long',
    default: '30000',
    fixed: untilReplication,
    doc: 'After what time a silent replica is no longer in sync.',
  },
  {
    name: 'sasl.enabled.mechanisms',
    type: 'list',
    default: 'GSSAPI',
    fixed: 'authentication does not exist yet',
    doc: 'The SASL mechanisms offered.',
  },
  {
    name: 'socket.request.max.bytes',
    type: 'int',
    default: '104857600',
    min: 1024,
    doc: 'The largest request accepted; a connection that announces a larger one is closed.',
  },
  {
    name: 'super.users',
    type: 'string',
    default: '',
    fixed: 'authentication does not exist yet',
    doc: 'Users for whom no rule is asked.',
  },
  {
    name: 'tidelog.journal.bytes',
    type: 'long',
    default: '1073741824',
    min: 16 * mebibyte,
    doc: 'The most bytes of the journal; the flusher frees it from behind.',
  },
  {
    name: 'tidelog.log.cache.bytes',
    type: 'long',
    default: '268435456',
    min: 8 * mebibyte,
    doc: 'Memory for records not yet flushed to their segment files, then for recent ones.',
  },
  {
    name: 'tidelog.request.budget.bytes',
    type: 'long',
    default: '134217728',
    min: mebibyte,
    doc: 'Memory for requests being received and answered, over all connections.',
  },
  {
    name: 'transaction.max.timeout.ms',
    type: 'int',
    default: '900000',
    min: 1,
    fixed: untilTransactions,
    doc: 'The longest transaction timeout.',
  },
  {
    name: 'transaction.partition.verification.enable',
    type: 'boolean',
    default: 'true',
    fixed: untilTransactions,
    doc: 'Whether a transactional append is checked against its transaction.',
  },
  {
    name: 'transaction.state.log.min.isr',
    type: 'int',
    default: '2',
    min: 1,
    fixed: untilTransactions,
    doc: 'Replicas that must be in sync for the transaction log.',
  },
  {
    name: 'transaction.state.log.num.partitions',
    type: 'int',
    default: '50',
    min: 1,
    fixed: untilTransactions,
    doc: 'Partitions of the transaction log.',
  },
  {
    name: 'transaction.state.log.replication.factor',
    type: 'int',
    default: '3',
    min: 1,
    fixed: untilTransactions,
    doc: 'Replicas of the transaction log.',
  },
  {
    name: 'transactional.id.expiration.ms',
    type: 'int',
    default: '604800000',
    min: 1,
    fixed: untilTransactions,
    doc: 'How long a silent transactional id is remembered.',
  },
] as const satisfies readonly ConfigDefinition[]

export type TopicConfigName = (typeof topicConfigTable)[number]['name']
export type BrokerConfigName = (typeof brokerConfigTable)[number]['name']
