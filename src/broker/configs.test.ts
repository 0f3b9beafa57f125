import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerConfigTable } from './broker-config-table.ts'
import { type ConfigDefinition, topicConfigTable } from './config-table.ts'
import { brokerConfigNames, brokerConfigs, checkTopicConfigs, parseBrokerConfigs, topicSettings } from './configs.ts'

const none: ReadonlyMap<string, string> = new Map()

function brokerErrors(set: Record<string, string>): readonly string[] {
  const parsed = parseBrokerConfigs(Object.entries(set))
  return parsed.ok ? [] : parsed.errors
}

function topicError(name: string, value: string | null): string | null {
  return checkTopicConfigs([[name, value]]).error
}

test('every default in the table is a value that is accepted', () => {
  for (const row of topicConfigTable as readonly ConfigDefinition[]) {
    assert.equal(topicError(row.name, row.default), null, row.name)
  }
  for (const row of brokerConfigTable as readonly ConfigDefinition[]) {
    if (row.default !== null) assert.deepEqual(brokerErrors({ [row.name]: row.default }), [], row.name)
  }
  for (const row of topicConfigTable) {
    for (const { name, default: value } of row.synonyms) {
      if (value !== null) assert.deepEqual(brokerErrors({ [name]: value }), [], name)
    }
  }
})

test('the tables are in order and name nothing twice', () => {
  for (const table of [topicConfigTable, brokerConfigTable] as readonly (readonly ConfigDefinition[])[]) {
    const names = table.map(({ name }) => name)
    assert.deepEqual(names, [...new Set(names)].sort())
  }
  for (const { doc, name } of [...topicConfigTable, ...brokerConfigTable]) assert.match(doc, /\.$/, name)
})

test("a topic without overrides has Kafka's defaults", () => {
  assert.deepEqual(topicSettings(brokerConfigs(), none), {
    deletesOld: true,
    compacts: false,
    compressionType: 'producer',
    gzipLevel: -1,
    zstdLevel: 3,
    segmentBytes: 1_073_741_824,
    segmentMs: 604_800_000,
    segmentJitterMs: 0,
    segmentRecords: 0,
    retentionMs: 604_800_000,
    retentionBytes: -1,
    maxMessageBytes: 1_048_588,
    indexIntervalBytes: 4096,
    timestampType: 'CreateTime',
    timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
    timestampAfterMaxMs: 3_600_000,
    minInsyncReplicas: 1,
    fileDeleteDelayMs: 60_000,
    flush: 'sync',
  })
})

test("a topic's override wins over the broker's config, and that over the default", () => {
  const broker = brokerConfigs({ 'log.segment.bytes': '2097152', 'message.max.bytes': '5000' })
  const settings = topicSettings(broker, new Map([['segment.bytes', '1048576']]))
  assert.equal(settings.segmentBytes, 1_048_576)
  assert.equal(settings.maxMessageBytes, 5000)
  assert.equal(settings.indexIntervalBytes, 4096)
})

test('of the broker configs for the same thing the finest unit wins', () => {
  const retentionMs = (set: Record<string, string>) => topicSettings(brokerConfigs(set), none).retentionMs
  assert.equal(retentionMs({ 'log.retention.hours': '2' }), 7_200_000)
  assert.equal(retentionMs({ 'log.retention.hours': '2', 'log.retention.minutes': '3' }), 180_000)
  assert.equal(retentionMs({ 'log.retention.minutes': '3', 'log.retention.ms': '4' }), 4)
  assert.equal(retentionMs({ 'log.retention.hours': '-1' }), -1)
})

test('a value of the wrong kind is refused with a sentence that says what is wanted', () => {
  const sentences: [name: string, value: string, sentence: RegExp][] = [
    ['retention.ms', 'soon', /must be a whole number/],
    ['retention.ms', '', /must be a whole number/],
    ['retention.ms', '-2', /at least -1/],
    ['retention.ms', '9223372036854775808', /fit in 64 bits/],
    ['segment.bytes', '1048575', /at least 1048576/],
    ['segment.bytes', '2147483648', /fit in 32 bits/],
    ['segment.bytes', '1e9', /must be a whole number/],
    ['min.insync.replicas', '0', /at least 1/],
    ['message.timestamp.type', 'logappendtime', /one of CreateTime, LogAppendTime/],
    ['tidelog.flush', 'never', /one of sync, relaxed/],
    ['preallocate', 'yes', /true or false/],
    ['min.cleanable.dirty.ratio', '1.5', /at most 1/],
    ['cleanup.policy', 'delete,shred', /made of delete, compact/],
    ['compression.gzip.level', '0', /must not be 0/],
    ['compression.type', 'brotli', /one of uncompressed, zstd/],
    ['retention.ms', `1${' '.repeat(2_000)}`, /more than 1000 characters/],
  ]
  for (const [name, value, sentence] of sentences)
    assert.match(topicError(name, value) ?? '', sentence, `${name}=${value}`)
})

test('numbers are taken as Kafka takes them', () => {
  const settings = (value: string) => {
    const checked = checkTopicConfigs([['retention.ms', value]])
    assert.equal(checked.error, null)
    return topicSettings(brokerConfigs(), checked.error === null ? checked.configs : none).retentionMs
  }
  assert.equal(settings(' 1000 '), 1000)
  assert.equal(settings('+5'), 5)
  assert.equal(settings('9223372036854775807'), Number.MAX_SAFE_INTEGER)
})

test('a config that has no effect yet takes its default and nothing else', () => {
  assert.equal(topicError('min.compaction.lag.ms', '0'), null)
  assert.match(topicError('min.compaction.lag.ms', '1') ?? '', /min.compaction.lag.ms cannot be changed.*compaction/)
  assert.match(brokerErrors({ 'log.cleaner.min.compaction.lag.ms': '1' })[0] ?? '', /compaction/)
  assert.match(brokerErrors({ 'log.dirs': '/data' })[0] ?? '', /--data-dir/)
})

test('the cleanup policy is a list of two policies, either, or none', () => {
  const policies = (value: string) => {
    const { deletesOld, compacts } = topicSettings(brokerConfigs(), new Map([['cleanup.policy', value]]))
    assert.equal(topicError('cleanup.policy', value), null, value)
    return [deletesOld, compacts]
  }
  assert.deepEqual(policies('delete'), [true, false])
  assert.deepEqual(policies('compact'), [false, true])
  assert.deepEqual(policies('compact, delete'), [true, true])
  assert.deepEqual(policies(''), [false, false])
})

test('an unknown name is an error that suggests the nearest', () => {
  assert.match(topicError('retention.msec', '1') ?? '', /did you mean retention.ms\?/)
  assert.match(
    brokerErrors({ 'auto.create.topic.enable': 'true' })[0] ?? '',
    /did you mean auto.create.topics.enable\?/,
  )
  assert.match(brokerErrors({ 'retention.ms': '1' })[0] ?? '', /did you mean log.retention.ms\?/)
  assert.equal(topicError('entirely.different', '1'), 'Unknown topic config name: entirely.different.')
  assert.ok((topicError('x'.repeat(30_000), '1') ?? '').length < 200)
})

test('a config without a value is refused', () => {
  assert.match(topicError('retention.ms', null) ?? '', /has no value/)
})

test('everything wrong with a command line is said at once', () => {
  assert.equal(brokerErrors({ 'num.partitions': '0', nonsense: '1', 'broker.rack': 'a' }).length, 2)
  assert.throws(() => brokerConfigs({ 'num.partitions': '0' }), /num.partitions/)
  assert.match(brokerErrors({ 'group.min.session.timeout.ms': '2000000' })[0] ?? '', /more than group.max.session/)
  assert.match(brokerErrors({ 'offsets.topic.replication.factor': '32768' })[0] ?? '', /fit in 16 bits/)
})

test('names for --set include those that give topics their defaults', () => {
  const names = brokerConfigNames()
  for (const name of ['log.retention.hours', 'num.partitions', 'tidelog.flush', 'message.max.bytes']) {
    assert.ok(names.includes(name), name)
  }
  assert.ok(!names.includes('retention.ms'))
})

test('broker settings follow from their configs', () => {
  const { settings } = brokerConfigs({
    'auto.create.topics.enable': 'FALSE',
    'num.partitions': '12',
    'broker.rack': 'cellar',
    'connections.max.idle.ms': '-1',
    'tidelog.journal.bytes': '67108864',
  })
  assert.equal(settings.autoCreateTopics, false)
  assert.equal(settings.partitionsDefault, 12)
  assert.equal(settings.rack, 'cellar')
  assert.equal(settings.connectionIdleMsMax, -1)
  assert.equal(settings.journalBytesMax, 67_108_864)
  assert.equal(brokerConfigs().settings.rack, null)
})

test("groups have Kafka's limits, but do not wait before their first rebalance", () => {
  const { settings } = brokerConfigs({ 'offsets.retention.minutes': '2' })
  assert.equal(settings.groupInitialRebalanceDelayMs, 0)
  assert.deepEqual([settings.groupMinSessionTimeoutMs, settings.groupMaxSessionTimeoutMs], [6_000, 1_800_000])
  assert.equal(settings.groupSizeMax, 2_147_483_647)
  assert.equal(settings.offsetMetadataBytesMax, 4096)
  assert.deepEqual([settings.offsetsRetentionMs, settings.offsetsRetentionCheckIntervalMs], [120_000, 600_000])
  assert.deepEqual([settings.offsetsTopicPartitions, settings.offsetsTopicReplicationFactor], [50, 3])
  assert.equal(settings.offsetsTopicSegmentBytes, 104_857_600)
})
