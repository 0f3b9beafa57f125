import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import type { Draft } from '../../wire/schema.ts'
import { versionsOf } from '../../wire/schema.ts'
import { topicConfigTable } from '../config-table.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.createTopics

type Topic = Draft<typeof api.request>['topics'][number]

function topic(name: string, more: Partial<Topic> = {}): Topic {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], ...more }
}

async function create({ ask }: TestBroker, topics: Topic[], version = 7, more: object = {}) {
  return (await ask(api, version, { topics, ...more })).topics
}

async function errorOf(more: Partial<Topic>, set: Record<string, string> = {}) {
  const broker = testBroker(set)
  const [answer] = await create(broker, [topic('t', more)])
  assert.equal(broker.storage.created.length, errorIn(answer) === 'NONE' ? 1 : 0)
  return errorIn(answer)
}

for (const version of versionsOf(api.request)) {
  test(`CreateTopics ${version} makes a topic, ready before it answers`, async () => {
    const broker = testBroker()
    const configs = [{ name: 'retention.ms', value: '1000' }]
    const [answer] = await create(broker, [topic('t', { numPartitions: 2, replicationFactor: 1, configs })], version)
    assert.equal(errorIn(answer), 'NONE')
    assert.equal(answer?.errorMessage, null)
    const made = broker.storage.topicByName('t')
    assert.equal(made?.partitions.length, 2, 'pitfall 32: a client that goes on at once finds it')
    assert.equal(made?.settings.retentionMs, 1000)
    assert.equal(answer?.topicId, version >= 7 ? made?.id : noTopicId)
    assert.deepEqual([answer?.numPartitions, answer?.replicationFactor], version >= 5 ? [2, 1] : [-1, -1])
  })

  test(`pitfall 29: CreateTopics ${version} answers each topic of a mixed request by itself`, async () => {
    const broker = testBroker()
    broker.storage.add('old')
    const asked = [topic('good'), topic('old'), topic('a/b'), topic('twice'), topic('twice'), topic('also-good')]
    const answers = await create(broker, asked, version)
    assert.deepEqual(
      answers.map(answer => [answer.name, errorIn(answer)]),
      [
        ['good', 'NONE'],
        ['old', 'TOPIC_ALREADY_EXISTS'],
        ['a/b', 'INVALID_TOPIC_EXCEPTION'],
        ['twice', 'INVALID_REQUEST'],
        ['also-good', 'NONE'],
      ],
    )
    for (const answer of answers) assert.equal(answer.errorMessage === null, errorIn(answer) === 'NONE')
  })

  test(`pitfall 29: CreateTopics ${version} that only validates makes nothing`, async () => {
    const broker = testBroker()
    const answers = await create(broker, [topic('t'), topic('a/b')], version, { validateOnly: true })
    assert.deepEqual(answers.map(errorIn), ['NONE', 'INVALID_TOPIC_EXCEPTION'])
    assert.equal(answers[0]?.topicId, noTopicId)
    assert.equal(broker.storage.topicByName('t'), undefined)
    assert.equal(broker.storage.created.length, 0)
  })
}

test('pitfall 29: -1 stands for the broker defaults', async () => {
  const broker = testBroker({ 'num.partitions': '4' })
  const [answer] = await create(broker, [topic('t')])
  assert.deepEqual([answer?.numPartitions, answer?.replicationFactor], [4, 1])
})

test('pitfall 29: from version 5 on every config is told with where it comes from', async () => {
  const broker = testBroker({ 'log.retention.hours': '1' })
  const [answer] = await create(broker, [topic('t', { configs: [{ name: 'segment.bytes', value: '1048576' }] })], 5)
  const configs = new Map(answer?.configs?.map(({ name, value, configSource }) => [name, [value, configSource]]))
  assert.equal(configs.size, topicConfigTable.length)
  assert.deepEqual(configs.get('segment.bytes'), ['1048576', 1])
  assert.deepEqual(configs.get('retention.ms'), ['3600000', 4])
  assert.deepEqual(configs.get('cleanup.policy'), ['delete', 5])
  const readOnly = answer?.configs?.filter(config => config.readOnly).map(({ name }) => name) ?? []
  assert.ok(readOnly.includes('preallocate') && !readOnly.includes('segment.bytes'))
})

test('who may make a topic but not see its configs is told why they are missing', async () => {
  const broker = testBroker({}, { check: (_principal, { operation }) => operation !== 'DESCRIBE_CONFIGS' })
  const [answer] = await create(broker, [topic('t')])
  assert.equal(errorIn(answer), 'NONE')
  assert.deepEqual([answer?.topicConfigErrorCode, answer?.numPartitions, answer?.configs], [29, -1, []])
})

test('sizes that no cluster has, and that this one has not', async () => {
  assert.equal(await errorOf({ numPartitions: 0 }), 'INVALID_PARTITIONS')
  assert.equal(await errorOf({ numPartitions: -2 }), 'INVALID_PARTITIONS')
  assert.equal(await errorOf({ replicationFactor: 0 }), 'INVALID_REPLICATION_FACTOR')
  assert.equal(await errorOf({ replicationFactor: 2 }), 'INVALID_REPLICATION_FACTOR')
  assert.equal(await errorOf({}, { 'default.replication.factor': '3' }), 'INVALID_REPLICATION_FACTOR')
  assert.equal(await errorOf({ numPartitions: 10_001 }), 'POLICY_VIOLATION')
  assert.equal(await errorOf({ numPartitions: 10_000 }), 'NONE')
})

test('one request makes at most ten thousand partitions, over all of its topics', async () => {
  const answers = await create(
    testBroker(),
    ['a', 'b', 'c'].map(name => topic(name, { numPartitions: 4_000 })),
  )
  assert.deepEqual(answers.map(errorIn), ['NONE', 'NONE', 'POLICY_VIOLATION'])
})

test('pitfall 29: a manual assignment gives the number of partitions and replicas', async () => {
  const assigned = (...lists: number[][]) => lists.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }))
  const broker = testBroker()
  const [answer] = await create(broker, [topic('t', { assignments: assigned([1], [1], [1]) })])
  assert.deepEqual([errorIn(answer), answer?.numPartitions, answer?.replicationFactor], ['NONE', 3, 1])

  assert.equal(await errorOf({ assignments: assigned([1]), numPartitions: 1 }), 'INVALID_REQUEST')
  assert.equal(await errorOf({ assignments: assigned([1]), replicationFactor: 1 }), 'INVALID_REQUEST')
  for (const wrong of [
    assigned([2]),
    assigned([]),
    assigned([1, 1]),
    assigned([1], []),
    [{ partitionIndex: 1, brokerIds: [1] }],
    [...assigned([1]), ...assigned([1])],
    [{ partitionIndex: -1, brokerIds: [1] }],
  ]) {
    assert.equal(await errorOf({ assignments: wrong }), 'INVALID_REPLICA_ASSIGNMENT', JSON.stringify(wrong))
  }
})

test('a config that is unknown, out of range, without a value or without effect is refused', async () => {
  const config = (name: string, value: string | null) => errorOf({ configs: [{ name, value }] })
  assert.equal(await config('retention.ms', '5'), 'NONE')
  assert.equal(await config('retention.msec', '5'), 'INVALID_CONFIG')
  assert.equal(await config('retention.ms', 'five'), 'INVALID_CONFIG')
  assert.equal(await config('segment.bytes', '1000'), 'INVALID_CONFIG')
  assert.equal(await config('retention.ms', null), 'INVALID_CONFIG')
  assert.equal(await config('preallocate', 'true'), 'INVALID_CONFIG')
  assert.equal(await config('preallocate', 'false'), 'NONE')
})

test('Q11 names that collide but for dots and underscores are refused', async () => {
  const broker = testBroker()
  broker.storage.add('a.b')
  const answers = await create(broker, [topic('a_b'), topic('c.d'), topic('c_d'), topic('a-b')])
  assert.deepEqual(answers.map(errorIn), ['INVALID_TOPIC_EXCEPTION', 'NONE', 'INVALID_TOPIC_EXCEPTION', 'NONE'])
  assert.match(answers[0]?.errorMessage ?? '', /a_b collides with the topic a\.b/)
})

test('a topic that is not ready in time is told as such and made all the same', async () => {
  const broker = testBroker()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.creating = promise
  const answer = create(broker, [topic('t')], 7, { timeoutMs: 500 })
  await broker.clock.run(500)
  assert.deepEqual((await answer).map(errorIn), ['REQUEST_TIMED_OUT'])
  const again = create(broker, [topic('t')], 7, { timeoutMs: 500 })
  resolve()
  assert.deepEqual((await again).map(errorIn), ['TOPIC_ALREADY_EXISTS'])
})

test('what storage refuses is passed on with its sentence', async () => {
  const broker = testBroker()
  broker.storage.createRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'the disk is full' }
  const [answer] = await create(broker, [topic('t')])
  assert.deepEqual([errorIn(answer), answer?.errorMessage], ['KAFKA_STORAGE_ERROR', 'the disk is full'])
})
