/** AlterConfigs and IncrementalAlterConfigs, which share what becomes of a change (`config-changes.ts`). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import type { AccessRule } from '../access.ts'
import { errorIn, settle, type TestBroker, testBroker } from '../testing/test-broker.ts'

const [topic, broker, logger, metrics, group] = [2, 4, 8, 16, 32] as const
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

type Value = string | null
type Change = readonly [name: string, operation: keyof typeof operations | number, value?: Value]

interface Resource<C> {
  readonly type?: number
  readonly name?: string
  readonly configs?: readonly C[]
}

/** A broker with one topic, and short ways to change its configs. */
async function withTopic(overrides: Record<string, string> = {}, set: Record<string, string> = {}) {
  const kafka = testBroker(set)
  const configs = new Map(Object.entries(overrides))
  await kafka.storage.createTopic({ name: 't', partitions: 1, replicationFactor: 1, configs })
  return { kafka, overrides: () => Object.fromEntries(kafka.storage.topicByName('t')!.configs) }
}

async function replace(
  kafka: TestBroker,
  resources: Resource<readonly [string, Value]>[],
  version = 2,
  validate = false,
) {
  const asked = resources.map(({ type = topic, name = 't', configs = [] }) => ({
    resourceType: type,
    resourceName: name,
    configs: configs.map(([config, value]) => ({ name: config, value })),
  }))
  return (await kafka.ask(apis.alterConfigs, version, { resources: asked, validateOnly: validate })).responses
}

async function change(kafka: TestBroker, resources: Resource<Change>[], version = 1, validate = false) {
  const asked = resources.map(({ type = topic, name = 't', configs = [] }) => ({
    resourceType: type,
    resourceName: name,
    configs: configs.map(([config, operation, value = null]) => ({
      name: config,
      configOperation: typeof operation === 'number' ? operation : operations[operation],
      value,
    })),
  }))
  return (await kafka.ask(apis.incrementalAlterConfigs, version, { resources: asked, validateOnly: validate }))
    .responses
}

/** What one change of the topic comes to: its error, and the overrides then. */
async function changed(overrides: Record<string, string>, ...configs: Change[]) {
  const there = await withTopic(overrides)
  const [answer] = await change(there.kafka, [{ configs }])
  return [errorIn(answer), there.overrides()]
}

for (const version of versionsOf(apis.alterConfigs.request)) {
  test(`pitfall 27: AlterConfigs ${version} puts what is given in the place of all overrides`, async () => {
    const { kafka, overrides } = await withTopic({ 'retention.ms': '5', 'cleanup.policy': 'compact' })
    const [answer] = await replace(kafka, [{ configs: [['segment.ms', ' 7000 ']] }], version)
    assert.deepEqual([errorIn(answer), answer?.errorMessage], ['NONE', null])
    assert.deepEqual([answer?.resourceType, answer?.resourceName], [2, 't'])
    assert.deepEqual(overrides(), { 'segment.ms': '7000' })
    assert.equal(kafka.storage.topicByName('t')!.settings.segmentMs, 7000)
    await replace(kafka, [{}], version)
    assert.deepEqual(overrides(), {})
  })
}

for (const version of versionsOf(apis.incrementalAlterConfigs.request)) {
  test(`pitfall 27: IncrementalAlterConfigs ${version} sets and resets; what is not named stays`, async () => {
    const { kafka, overrides } = await withTopic({ 'retention.ms': '5', 'retention.bytes': '6' })
    const configs: Change[] = [
      ['segment.ms', 'set', '7000'],
      ['retention.ms', 'delete'],
      ['max.message.bytes', 'delete'],
    ]
    const [answer] = await change(kafka, [{ configs }], version)
    assert.deepEqual([errorIn(answer), answer?.errorMessage], ['NONE', null])
    assert.deepEqual(overrides(), { 'segment.ms': '7000', 'retention.bytes': '6' })
  })
}

test('pitfall 27: APPEND and SUBTRACT change lists, from the default where there is no override', async () => {
  assert.deepEqual(await changed({}, ['cleanup.policy', 'append', 'compact']), [
    'NONE',
    { 'cleanup.policy': 'delete,compact' },
  ])
  const both = { 'cleanup.policy': 'delete,compact' }
  assert.deepEqual(await changed(both, ['cleanup.policy', 'append', 'compact, delete']), ['NONE', both])
  assert.deepEqual(await changed(both, ['cleanup.policy', 'subtract', 'delete']), [
    'NONE',
    { 'cleanup.policy': 'compact' },
  ])
  assert.deepEqual(await changed({}, ['cleanup.policy', 'set', ' compact , delete,compact']), [
    'NONE',
    { 'cleanup.policy': 'compact,delete' },
  ])
  assert.deepEqual(await changed({}, ['cleanup.policy', 'subtract', 'delete']), ['NONE', { 'cleanup.policy': '' }])
  const { kafka, overrides } = await withTopic({}, { 'log.cleanup.policy': 'compact' })
  await change(kafka, [{ configs: [['cleanup.policy', 'append', 'delete']] }])
  assert.deepEqual(overrides(), { 'cleanup.policy': 'compact,delete' })
})

test('what brokers need of their own topic stays: without it what groups committed would be lost', async () => {
  const kafka = testBroker()
  const name = '__consumer_offsets'
  const made = { 'cleanup.policy': 'compact', 'compression.type': 'producer' }
  const configs = new Map(Object.entries(made))
  await kafka.storage.createTopic({ name, partitions: 1, replicationFactor: 1, configs })
  const wrong: Change[] = [
    ['compression.type', 'set', 'gzip'],
    ['compression.type', 'delete'],
    ['cleanup.policy', 'append', 'delete'],
  ]
  for (const one of wrong) assert.equal(errorIn((await change(kafka, [{ name, configs: [one] }]))[0]), 'INVALID_CONFIG')
  const [replaced] = await replace(kafka, [{ name, configs: [['segment.bytes', '2000000']] }])
  assert.equal(errorIn(replaced), 'INVALID_CONFIG')
  assert.deepEqual(Object.fromEntries(kafka.storage.topicByName(name)!.configs), made)
  const [answer] = await change(kafka, [{ name, configs: [['segment.bytes', 'set', '2000000']] }])
  assert.equal(errorIn(answer), 'NONE')
})

test('pitfall 27: APPEND and SUBTRACT are for lists of topics only', async () => {
  assert.deepEqual(await changed({ 'retention.ms': '5' }, ['retention.ms', 'append', '6']), [
    'INVALID_CONFIG',
    { 'retention.ms': '5' },
  ])
  assert.deepEqual(await changed({}, ['compression.type', 'subtract', 'gzip']), ['INVALID_CONFIG', {}])
  assert.deepEqual(await changed({}, ['no.such.config', 'append', 'x']), ['INVALID_CONFIG', {}])
  assert.deepEqual(await changed({}, ['cleanup.policy', 'append', 'shred']), ['INVALID_CONFIG', {}])
  assert.deepEqual(await changed({}, ['leader.replication.throttled.replicas', 'append', '0:1']), [
    'INVALID_CONFIG',
    {},
  ])
})

test('a resource is changed as a whole or not at all, and what is wrong is said in a sentence', async () => {
  const wrong: [config: readonly [string, Value], error: string, sentence: RegExp][] = [
    [['retention.ms', 'soon'], 'INVALID_CONFIG', /whole number/],
    [['segment.bytes', '5'], 'INVALID_CONFIG', /at least 1048576/],
    [['retention.msec', '5'], 'INVALID_CONFIG', /did you mean retention.ms/],
    [['preallocate', 'true'], 'INVALID_CONFIG', /cannot be changed/],
    [['retention.ms', null], 'INVALID_REQUEST', /has no value/],
  ]
  for (const [[name, value], error, sentence] of wrong) {
    const { kafka, overrides } = await withTopic({ 'max.message.bytes': '77' })
    const [replaced] = await replace(kafka, [
      {
        configs: [
          ['segment.ms', '1'],
          [name, value],
        ],
      },
    ])
    const [altered] = await change(kafka, [
      {
        configs: [
          ['segment.ms', 'set', '1'],
          [name, 'set', value],
        ],
      },
    ])
    for (const answer of [replaced, altered]) {
      assert.equal(errorIn(answer), error, `${name}=${value}`)
      assert.match(answer?.errorMessage ?? '', sentence)
    }
    assert.deepEqual(overrides(), { 'max.message.bytes': '77' })
  }
})

test('what contradicts itself is refused and the rest of the request is served', async () => {
  const kafka = testBroker()
  for (const name of ['a', 'b', 'twice', 'good']) kafka.storage.add(name)
  const set = (value: string): Change => ['retention.ms', 'set', value]
  const answers = await change(kafka, [
    { name: 'a', configs: [set('1'), set('2')] },
    { name: 'twice', configs: [set('1')] },
    { name: 'b', configs: [['retention.ms', 9, '1']] },
    { name: 'twice', configs: [['retention.ms', 'delete']] },
    { name: 'nowhere', configs: [set('1')] },
    { name: 'a/b', configs: [set('1')] },
    { name: '', configs: [set('1')] },
    { type: 3, name: 'a', configs: [set('1')] },
    { name: 'good', configs: [set('1')] },
  ])
  assert.deepEqual(
    answers.map(answer => [answer.resourceName, errorIn(answer)]),
    [
      ['a', 'INVALID_REQUEST'],
      ['twice', 'INVALID_REQUEST'],
      ['b', 'INVALID_REQUEST'],
      ['nowhere', 'UNKNOWN_TOPIC_OR_PARTITION'],
      ['a/b', 'INVALID_TOPIC_EXCEPTION'],
      ['', 'INVALID_REQUEST'],
      ['a', 'INVALID_REQUEST'],
      ['good', 'NONE'],
    ],
  )
  const overridden = kafka.storage.topics().filter(({ configs }) => configs.size > 0)
  assert.deepEqual(
    overridden.map(({ name }) => name),
    ['good'],
  )
  const twice = await replace(kafka, [
    { name: 'a' },
    { name: 'a' },
    {
      name: 'b',
      configs: [
        ['x', '1'],
        ['x', '1'],
      ],
    },
  ])
  assert.deepEqual(twice.map(errorIn), ['INVALID_REQUEST', 'INVALID_REQUEST'])
})

test('what only validates changes nothing', async () => {
  const { kafka, overrides } = await withTopic()
  const good = await change(kafka, [{ configs: [['retention.ms', 'set', '1']] }], 1, true)
  const bad = await change(kafka, [{ configs: [['retention.ms', 'set', 'x']] }], 1, true)
  assert.deepEqual([...good, ...bad].map(errorIn), ['NONE', 'INVALID_CONFIG'])
  assert.deepEqual((await replace(kafka, [{ configs: [['retention.ms', '1']] }], 2, true)).map(errorIn), ['NONE'])
  assert.deepEqual(overrides(), {})
})

test("a broker's configs are set at its start, and the refusal says how", async () => {
  const { kafka } = await withTopic()
  const alter = async (name: string, ...configs: Change[]) =>
    (await change(kafka, [{ type: broker, name, configs }]))[0]!
  for (const name of ['1', '']) {
    const answer = await alter(name, ['log.retention.ms', 'set', '5'])
    assert.equal(errorIn(answer), 'INVALID_REQUEST')
    assert.match(answer.errorMessage ?? '', /--set log\.retention\.ms=VALUE/)
    assert.equal(errorIn(await alter(name)), 'NONE', 'to change nothing is to succeed')
    assert.equal(errorIn(await alter(name, ['log.retention.ms', 'delete'])), 'NONE', 'and so is to reset')
  }
  assert.match((await alter('2')).errorMessage ?? '', /another broker/)
  assert.match((await alter('x')).errorMessage ?? '', /no number/)
  const [replaced] = await replace(kafka, [{ type: broker, name: '1', configs: [['num.partitions', '5']] }])
  assert.equal(errorIn(replaced), 'INVALID_REQUEST')
})

test('what has no configs refuses them', async () => {
  const { kafka } = await withTopic()
  const answers = await change(kafka, [
    { type: logger, name: '1', configs: [['kafka.log', 'set', 'DEBUG']] },
    { type: group, name: 'g', configs: [['consumer.session.timeout.ms', 'set', '5']] },
    { type: metrics, name: 'm', configs: [['interval.ms', 'set', '5']] },
    { type: group, name: '' },
    { type: logger, name: '' },
  ])
  assert.deepEqual(answers.map(errorIn), [
    'INVALID_CONFIG',
    'INVALID_CONFIG',
    'INVALID_REQUEST',
    'INVALID_REQUEST',
    'INVALID_REQUEST',
  ])
})

test('changes that meet are both made', async () => {
  const { kafka, overrides } = await withTopic()
  const faster = Promise.withResolvers<Awaited<ReturnType<typeof change>>>()
  kafka.storage.beforeConfigure = () => {
    kafka.storage.beforeConfigure = () => {}
    faster.resolve(change(kafka, [{ configs: [['segment.ms', 'set', '2']] }]))
  }
  const both = [change(kafka, [{ configs: [['retention.ms', 'set', '1']] }]), faster.promise]
  for (const answers of await Promise.all(both)) assert.deepEqual(answers.map(errorIn), ['NONE'])
  assert.deepEqual(overrides(), { 'retention.ms': '1', 'segment.ms': '2' })
})

test('a topic that others keep changing, that is lost, or whose storage does not answer', async () => {
  const there = await withTopic()
  const set = () => change(there.kafka, [{ configs: [['retention.ms', 'set', '1']] }])
  there.kafka.storage.configureRefusal = 'STALE'
  assert.deepEqual((await set()).map(errorIn), ['REQUEST_TIMED_OUT'])
  there.kafka.storage.configureRefusal = 'KAFKA_STORAGE_ERROR'
  assert.deepEqual((await set()).map(errorIn), ['KAFKA_STORAGE_ERROR'])
  there.kafka.storage.configureTopic = () => new Promise(() => {})
  const slow = set()
  await settle()
  await there.kafka.clock.run(30_000)
  assert.deepEqual((await slow).map(errorIn), ['REQUEST_TIMED_OUT'])
})

test('who may not is told so for each kind of resource', async () => {
  const asked: AccessRule[] = []
  const kafka = testBroker({}, { check: (_principal, rule) => asked.push(rule) < 0 })
  kafka.storage.add('t')
  const resources = [topic, broker, logger, metrics, group].map(type => ({ type, name: 't' }))
  const expected = [
    'TOPIC_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
  ]
  assert.deepEqual((await change(kafka, resources)).map(errorIn), expected)
  assert.deepEqual((await replace(kafka, resources)).map(errorIn), expected)
  assert.ok(asked.every(({ operation }) => operation === 'ALTER_CONFIGS'))
})
