import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LeaderEpoch, type NodeId, noTopicId, type TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type MetadataRequest, operationsNotAsked } from '../../wire/messages/metadata.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.metadata
const named = (...names: string[]) => names.map(name => ({ name }))

async function topicsOf({ ask }: TestBroker, version: number, topics: { name: string }[] | null) {
  return (await ask(api, version, { topics })).topics
}

for (const version of versionsOf(api.request)) {
  test(`Metadata ${version} tells the node, the cluster and a topic with its partitions`, async () => {
    const { ask, storage } = testBroker({ 'broker.rack': 'cellar' })
    const { id, partitions } = storage.add('t', 2)
    partitions[1]!.leaderEpoch = 4 as LeaderEpoch
    const answer = await ask(api, version, { topics: named('t') })
    const rack = version >= 1 ? 'cellar' : null
    assert.deepEqual(answer.brokers, [{ nodeId: 1, host: 'broker.example', port: 19092, rack }])
    assert.equal(answer.clusterId, version >= 2 ? 'testing-cluster-00000A' : null)
    assert.equal(answer.controllerId, version >= 1 ? 1 : -1)
    assert.equal(answer.errorCode, 0)
    const partition = { errorCode: 0, leaderId: 1, replicaNodes: [1], isrNodes: [1], offlineReplicas: [] }
    const epoch = (leaderEpoch: number) => (version >= 7 ? leaderEpoch : -1)
    assert.deepEqual(answer.topics, [
      {
        errorCode: 0,
        name: 't',
        topicId: version >= 10 ? id : noTopicId,
        isInternal: false,
        partitions: [
          { partitionIndex: 0, leaderEpoch: epoch(0), ...partition },
          { partitionIndex: 1, leaderEpoch: epoch(4), ...partition },
        ],
        topicAuthorizedOperations: operationsNotAsked,
      },
    ])
  })

  test(`Q10 Metadata ${version}: which list of topics asks for all`, async () => {
    const broker = testBroker()
    broker.storage.add('b')
    broker.storage.add('a')
    const none = (await topicsOf(broker, version, [])).map(({ name }) => name)
    assert.deepEqual(none, version === 0 ? ['a', 'b'] : [])
    if (version === 0) return
    const all = (await topicsOf(broker, version, null)).map(({ name }) => name)
    assert.deepEqual(all, ['a', 'b'])
  })

  test(`pitfall 30: Metadata ${version} makes a topic on its first mention, and answers with its leader`, async () => {
    const { ask, storage } = testBroker({ 'num.partitions': '3' })
    const answer = await ask(api, version, { topics: named('new') })
    assert.equal(errorIn(answer.topics[0]), 'NONE')
    assert.deepEqual(
      answer.topics[0]?.partitions.map(({ leaderId }) => leaderId),
      [1, 1, 1],
    )
    assert.equal(storage.topicByName('new')?.partitions.length, 3)
    assert.deepEqual(storage.created, [{ name: 'new', partitions: 3, replicationFactor: 1, configs: new Map() }])
  })

  test(`Q7 Metadata ${version}: a topic id in a request`, async () => {
    if (version < 10) return
    const { ask, storage } = testBroker()
    const { id } = storage.add('t')
    const unknown = 'b'.repeat(32) as TopicId
    const answer = await ask(api, version, {
      topics: [
        { topicId: id, name: null },
        { topicId: unknown, name: null },
      ],
    })
    const told = answer.topics.map(topic => [errorIn(topic), topic.name, topic.topicId])
    if (version < 12) {
      assert.deepEqual(told, [
        ['INVALID_REQUEST', '', id],
        ['INVALID_REQUEST', '', unknown],
      ])
    } else {
      assert.deepEqual(told, [
        ['NONE', 't', id],
        ['UNKNOWN_TOPIC_ID', null, unknown],
      ])
    }
    const nameless = await ask(api, version, { topics: [{ name: null }] })
    assert.equal(errorIn(nameless.topics[0]), 'INVALID_REQUEST')
  })
}

test('a topic is made only when both the client and the broker allow it', async () => {
  const ask = async (set: Record<string, string>, allowAutoTopicCreation: boolean) => {
    const broker = testBroker(set)
    const answer = await broker.ask(api, 12, { topics: named('new'), allowAutoTopicCreation })
    return [errorIn(answer.topics[0]), broker.storage.created.length]
  }
  assert.deepEqual(await ask({}, true), ['NONE', 1])
  assert.deepEqual(await ask({}, false), ['UNKNOWN_TOPIC_OR_PARTITION', 0])
  assert.deepEqual(await ask({ 'auto.create.topics.enable': 'false' }, true), ['UNKNOWN_TOPIC_OR_PARTITION', 0])
})

test('Q11 a bad name is told as such, and never becomes a topic', async () => {
  const broker = testBroker()
  broker.storage.add('a_b')
  const bad = ['', '.', '..', '../../etc/passwd', 'a/b', '%2e', 'nul\0', 'x'.repeat(250), 'a.b', '__consumer_offsets']
  for (const topic of await topicsOf(broker, 12, named(...bad))) {
    assert.equal(errorIn(topic), 'INVALID_TOPIC_EXCEPTION', String(topic.name))
  }
  const two = await topicsOf(broker, 12, named('c.d', 'c_d'))
  assert.deepEqual(two.map(errorIn), ['NONE', 'INVALID_TOPIC_EXCEPTION'])
  assert.deepEqual(
    broker.storage.created.map(({ name }) => name),
    ['c.d'],
  )
})

test('pitfall 31: whoever mentions a new topic at the same time gets the same topic', async () => {
  const broker = testBroker()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.creating = promise
  const answers = [topicsOf(broker, 12, named('new')), topicsOf(broker, 12, named('new'))]
  await broker.clock.run(100)
  resolve()
  const [first, second] = await Promise.all(answers)
  assert.equal(errorIn(first?.[0]), 'NONE')
  assert.deepEqual(first, second)
  assert.equal(broker.storage.created.length, 1)
})

test('Q11, pitfall 31: a topic that is not ready in time is told as unknown, which every client asks again', async () => {
  const broker = testBroker()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.creating = promise
  const answer = topicsOf(broker, 12, named('new'))
  await broker.clock.run(5_000)
  assert.equal(errorIn((await answer)[0]), 'UNKNOWN_TOPIC_OR_PARTITION')
  resolve()
  await broker.clock.run(0)
  assert.equal(errorIn((await topicsOf(broker, 12, named('new')))[0]), 'NONE')
  assert.equal(broker.clock.pendingTimers, 0)
})

test('a topic that another node made meanwhile is the answer', async () => {
  const broker = testBroker()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.creating = promise
  const answer = topicsOf(broker, 12, named('new'))
  await broker.clock.run(1)
  broker.storage.add('new', 7)
  resolve()
  assert.equal((await answer)[0]?.partitions.length, 7)
})

test('a refusal that cannot come right is told, one that may is not', async () => {
  const broker = testBroker()
  broker.storage.createRefusal = { error: 'INVALID_REPLICATION_FACTOR', message: 'too many' }
  assert.equal(errorIn((await topicsOf(broker, 12, named('new')))[0]), 'INVALID_REPLICATION_FACTOR')
  broker.storage.createRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'disk full' }
  assert.equal(errorIn((await topicsOf(broker, 12, named('new')))[0]), 'UNKNOWN_TOPIC_OR_PARTITION')
})

test('a topic named twice is answered once', async () => {
  const broker = testBroker()
  const topics = await topicsOf(broker, 12, named('a', 'b', 'a'))
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['a', 'b'],
  )
})

test('one request makes at most a thousand topics; the rest is to be asked again', async () => {
  const broker = testBroker()
  const names = Array.from({ length: 1_002 }, (_, i) => `t${i}`)
  const topics = await topicsOf(broker, 12, named(...names))
  assert.equal(topics.filter(topic => errorIn(topic) === 'NONE').length, 1_000)
  assert.equal(errorIn(topics[1_001]), 'UNKNOWN_TOPIC_OR_PARTITION')
})

test('Q16 authorised operations are told when asked for', async () => {
  const { ask, storage } = testBroker()
  storage.add('t')
  const request: Partial<MetadataRequest> = { includeTopicAuthorizedOperations: true }
  const topics = named('t')
  const answer = await ask(api, 8, { ...request, includeClusterAuthorizedOperations: true, topics })
  assert.equal(answer.topics[0]?.topicAuthorizedOperations, 0b1101_1111_1000)
  assert.equal(answer.clusterAuthorizedOperations, 0b1_1111_1010_0000)
})

test('a partition without a leader is told as such', async () => {
  const { ask, storage } = testBroker()
  storage.add('t').partitions[0]!.leader = -1 as NodeId
  const answer = await ask(api, 12, { topics: named('t') })
  assert.equal(errorIn(answer.topics[0]?.partitions[0]), 'LEADER_NOT_AVAILABLE')
})
