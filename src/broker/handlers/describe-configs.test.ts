import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { AccessRule } from '../access.ts'
import { topicConfigTable } from '../config-table.ts'
import { brokerConfigNames } from '../configs.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.describeConfigs
const [topic, broker, logger, metrics, group] = [2, 4, 8, 16, 32]

interface Asked {
  readonly resourceType: number
  readonly resourceName: string
  readonly configurationKeys?: readonly string[] | null
}

async function describe({ ask }: TestBroker, resources: readonly Asked[], version = 4, more: object = {}) {
  const asked = resources.map(resource => ({ configurationKeys: null, ...resource }))
  return (await ask(api, version, { resources: asked, ...more })).results
}

async function describeOne(kafka: TestBroker, resource: Asked, version = 4, more: object = {}) {
  const [result] = await describe(kafka, [resource], version, more)
  assert.equal(errorIn(result), 'NONE')
  return new Map(result!.configs.map(config => [config.name, config]))
}

for (const version of versionsOf(api.request)) {
  test(`pitfall 26: DescribeConfigs ${version} tells every config of a topic`, async () => {
    const kafka = testBroker({ 'log.retention.hours': '1' })
    const configs = new Map([['segment.bytes', '1048576']])
    await kafka.storage.createTopic({ name: 't', partitions: 1, replicationFactor: 1, configs })
    const asked = version >= 3 ? { includeSynonyms: true, includeDocumentation: true } : { includeSynonyms: true }
    const described = await describeOne(kafka, { resourceType: topic!, resourceName: 't' }, version, asked)
    assert.deepEqual(
      [...described.keys()],
      topicConfigTable.map(({ name }) => name),
    )
    const { value, configSource, readOnly, isSensitive, synonyms } = described.get('segment.bytes')!
    assert.deepEqual([value, configSource, readOnly, isSensitive], ['1048576', 1, false, false])
    assert.deepEqual(
      synonyms.map(({ name, source }) => [name, source]),
      [
        ['segment.bytes', 1],
        ['log.segment.bytes', 5],
      ],
    )
    assert.equal(described.get('retention.ms')!.configSource, 4)
    assert.equal(described.get('preallocate')!.readOnly, true)
    assert.equal(described.get('retention.ms')!.configType, version >= 3 ? 5 : 0)
    if (version >= 3) assert.match(described.get('cleanup.policy')!.documentation ?? '', /keeps everything for now/)
  })

  test(`DescribeConfigs ${version} answers each resource by itself`, async () => {
    const kafka = testBroker()
    kafka.storage.add('t')
    const results = await describe(
      kafka,
      [
        { resourceType: topic!, resourceName: 't' },
        { resourceType: topic!, resourceName: 'nowhere' },
        { resourceType: topic!, resourceName: 'a/b' },
        { resourceType: broker!, resourceName: '2' },
        { resourceType: broker!, resourceName: 'one' },
        { resourceType: 7, resourceName: 't' },
        { resourceType: topic!, resourceName: 't' },
        { resourceType: broker!, resourceName: '1' },
      ],
      version,
    )
    assert.deepEqual(
      results.map(result => [result.resourceType, result.resourceName, errorIn(result)]),
      [
        [2, 't', 'NONE'],
        [2, 'nowhere', 'UNKNOWN_TOPIC_OR_PARTITION'],
        [2, 'a/b', 'INVALID_TOPIC_EXCEPTION'],
        [4, '2', 'INVALID_REQUEST'],
        [4, 'one', 'INVALID_REQUEST'],
        [7, 't', 'INVALID_REQUEST'],
        [4, '1', 'NONE'],
      ],
    )
    for (const result of results) {
      assert.equal(result.errorMessage === null, errorIn(result) === 'NONE')
      assert.equal(result.configs.length > 0, errorIn(result) === 'NONE')
    }
  })
}

test('synonyms and documentation come only when asked', async () => {
  const kafka = testBroker()
  kafka.storage.add('t')
  for (const config of (await describeOne(kafka, { resourceType: topic!, resourceName: 't' })).values()) {
    assert.deepEqual([config.synonyms, config.documentation], [[], null])
  }
})

test('those configs are told that are asked for; an empty list asks for all', async () => {
  const kafka = testBroker()
  kafka.storage.add('t')
  const named = async (configurationKeys: readonly string[]) => {
    return [...(await describeOne(kafka, { resourceType: topic!, resourceName: 't', configurationKeys })).keys()]
  }
  assert.deepEqual(await named(['retention.ms', 'no.such.config', 'cleanup.policy', 'retention.ms']), [
    'cleanup.policy',
    'retention.ms',
  ])
  assert.equal((await named([])).length, topicConfigTable.length)
})

test("a broker's configs are all read-only, with what the node really is among them", async () => {
  const kafka = testBroker({ 'num.partitions': '7', 'broker.rack': 'cellar' })
  const described = await describeOne(kafka, { resourceType: broker!, resourceName: '1' })
  assert.deepEqual([...described.keys()], brokerConfigNames())
  const shown = (name: string) => [described.get(name)?.value, described.get(name)?.configSource]
  assert.deepEqual(shown('num.partitions'), ['7', 4])
  assert.deepEqual(shown('broker.rack'), ['cellar', 4])
  assert.deepEqual(shown('node.id'), ['1', 4])
  assert.deepEqual(shown('process.roles'), ['broker,controller', 4])
  assert.deepEqual(shown('advertised.listeners'), ['PLAINTEXT://broker.example:19092', 4])
  assert.deepEqual(shown('group.initial.rebalance.delay.ms'), ['0', 5])
  assert.ok([...described.values()].every(({ readOnly }) => readOnly))
})

test('an address of IPv6 is told in brackets', async () => {
  const kafka = testBroker()
  const resources = [{ resourceType: broker!, resourceName: '1', configurationKeys: ['advertised.listeners'] }]
  const { results } = await kafka.ask(api, 4, { resources }, { advertised: { host: '::1', port: 9092 } })
  assert.equal(results[0]?.configs[0]?.value, 'PLAINTEXT://[::1]:9092')
})

test('what has no configs here is told so by an empty list', async () => {
  const kafka = testBroker()
  for (const [resourceType, resourceName] of [
    [broker, ''],
    [logger, '1'],
    [metrics, 'm'],
    [group, 'g'],
  ] as const) {
    assert.equal((await describeOne(kafka, { resourceType: resourceType!, resourceName })).size, 0)
  }
  const nameless = [logger, metrics, group].map(resourceType => ({ resourceType: resourceType!, resourceName: '' }))
  const results = await describe(kafka, [...nameless, { resourceType: logger!, resourceName: '2' }])
  for (const result of results) assert.equal(errorIn(result), 'INVALID_REQUEST')
})

test('who may not is told so for each kind of resource', async () => {
  const asked: AccessRule[] = []
  const kafka = testBroker({}, { check: (_principal, rule) => asked.push(rule) < 0 })
  const resources = [topic, broker, logger, metrics, group].map(resourceType => {
    return { resourceType: resourceType!, resourceName: '1' }
  })
  assert.deepEqual((await describe(kafka, resources)).map(errorIn), [
    'TOPIC_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
  ])
  assert.ok(asked.every(({ operation }) => operation === 'DESCRIBE_CONFIGS'))
})
