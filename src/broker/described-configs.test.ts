import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerConfigTable } from './broker-config-table.ts'
import { topicConfigTable } from './config-table.ts'
import { brokerConfigs } from './configs.ts'
import { configSources, describeBrokerConfigs, describeTopicConfigs } from './described-configs.ts'

const { topic, broker, default: byDefault } = configSources

function topicConfig(name: string, set: Record<string, string> = {}, overrides: Record<string, string> = {}) {
  const described = describeTopicConfigs(brokerConfigs(set), new Map(Object.entries(overrides)))
  assert.equal(described.length, topicConfigTable.length)
  return described.find(config => config.name === name)!
}

function brokerConfig(name: string, set: Record<string, string> = {}, facts: Record<string, string> = {}) {
  return describeBrokerConfigs(brokerConfigs(set), new Map(Object.entries(facts))).find(config => config.name === name)!
}

test('a value comes from the topic, from the broker or from the default', () => {
  const segmentBytes = topicConfig('segment.bytes', {}, { 'segment.bytes': '1048576' })
  assert.deepEqual([segmentBytes.value, segmentBytes.source], ['1048576', topic])
  const retention = topicConfig('retention.ms', { 'log.retention.hours': '1' })
  assert.deepEqual([retention.value, retention.source], ['3600000', broker])
  const policy = topicConfig('cleanup.policy')
  assert.deepEqual([policy.value, policy.source], ['delete', byDefault])
})

test('pitfall 26: synonyms say what else gives it a value, the winner first', () => {
  const set = { 'log.retention.hours': '1', 'log.retention.minutes': '5' }
  assert.deepEqual(topicConfig('retention.ms', set, { 'retention.ms': '7' }).synonyms, [
    { name: 'retention.ms', value: '7', source: topic },
    { name: 'log.retention.minutes', value: '5', source: broker },
    { name: 'log.retention.hours', value: '1', source: broker },
    { name: 'log.retention.hours', value: '168', source: byDefault },
  ])
  assert.deepEqual(topicConfig('remote.storage.enable').synonyms, [])
  assert.deepEqual(topicConfig('flush.messages').synonyms, [
    { name: 'log.flush.interval.messages', value: '9223372036854775807', source: byDefault },
  ])
  assert.deepEqual(topicConfig('flush.ms').synonyms, [])
})

test('what has no effect is read-only at its default, all else of a topic can be altered', () => {
  const readOnly = (name: string) => topicConfig(name).readOnly
  assert.deepEqual(['retention.ms', 'cleanup.policy', 'compression.type'].map(readOnly), [false, false, false])
  assert.deepEqual(['flush.ms', 'preallocate', 'remote.storage.enable'].map(readOnly), [true, true, true])
})

test("types are told by Kafka's numbers", () => {
  assert.equal(topicConfig('preallocate').typeCode, 1)
  assert.equal(topicConfig('compression.type').typeCode, 2)
  assert.equal(topicConfig('segment.bytes').typeCode, 3)
  assert.equal(brokerConfig('offsets.topic.replication.factor').typeCode, 4)
  assert.equal(topicConfig('retention.ms').typeCode, 5)
  assert.equal(topicConfig('min.cleanable.dirty.ratio').typeCode, 6)
  assert.equal(topicConfig('cleanup.policy').typeCode, 7)
})

test("a broker's configs are its own and those that give topics their defaults, none to be altered", () => {
  const described = describeBrokerConfigs(brokerConfigs(), new Map())
  const names = described.map(({ name }) => name)
  for (const { name } of brokerConfigTable) assert.ok(names.includes(name), name)
  for (const { synonyms } of topicConfigTable) for (const { name } of synonyms) assert.ok(names.includes(name), name)
  assert.deepEqual(names, names.toSorted())
  assert.ok(described.every(({ readOnly }) => readOnly))
  assert.equal(brokerConfig('broker.rack').value, null)
})

test("a broker's coarser units stand behind the finer one", () => {
  const ms = brokerConfig('log.retention.ms', { 'log.retention.hours': '2' })
  assert.equal(ms.value, null)
  assert.deepEqual(
    ms.synonyms.map(({ name, value }) => [name, value]),
    [
      ['log.retention.hours', '2'],
      ['log.retention.hours', '168'],
    ],
  )
  const hours = brokerConfig('log.retention.hours', { 'log.retention.hours': '2' })
  assert.deepEqual([hours.value, hours.source, hours.synonyms.length], ['2', broker, 2])
})

test('facts of the running node win over what the table says', () => {
  const listeners = brokerConfig('listeners', {}, { listeners: 'PLAINTEXT://localhost:19092' })
  assert.deepEqual([listeners.value, listeners.source], ['PLAINTEXT://localhost:19092', broker])
  assert.equal(listeners.synonyms[0]?.value, 'PLAINTEXT://localhost:19092')
})
