import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noTopicId, type TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.deleteTopics

async function remove({ ask }: TestBroker, version: number, names: string[], timeoutMs = 1_000) {
  const asked = version < 6 ? { topicNames: names } : { topics: names.map(name => ({ name })) }
  return (await ask(api, version, { ...asked, timeoutMs })).responses
}

for (const version of versionsOf(api.request)) {
  test(`DeleteTopics ${version} deletes topics by name, each with its own outcome`, async () => {
    const broker = testBroker()
    const { id } = broker.storage.add('old')
    broker.storage.add('twice')
    const answers = await remove(broker, version, ['old', 'nowhere', 'twice', 'twice'])
    assert.deepEqual(
      answers.map(answer => [answer.name, errorIn(answer)]),
      [
        ['old', 'NONE'],
        ['nowhere', 'UNKNOWN_TOPIC_OR_PARTITION'],
        ['twice', 'INVALID_REQUEST'],
      ],
    )
    assert.equal(answers[0]?.topicId, version >= 6 ? id : noTopicId)
    assert.deepEqual(
      broker.storage.topics().map(({ name }) => name),
      ['twice'],
    )
  })

  test(`DeleteTopics ${version} where deleting is switched off`, async () => {
    const broker = testBroker({ 'delete.topic.enable': 'false' })
    broker.storage.add('kept')
    const answers = await remove(broker, version, ['kept'])
    assert.deepEqual(answers.map(errorIn), [version < 3 ? 'INVALID_REQUEST' : 'TOPIC_DELETION_DISABLED'])
    assert.ok(broker.storage.topicByName('kept'))
  })
}

test('topics are deleted by id', async () => {
  const { ask, storage } = testBroker()
  const { id } = storage.add('old')
  const unknown = 'b'.repeat(32) as TopicId
  const topics = [{ topicId: id }, { topicId: unknown }, {}, { name: 'old', topicId: id }]
  const { responses } = await ask(api, 6, { topics, timeoutMs: 1_000 })
  assert.deepEqual(
    responses.map(answer => [answer.name, answer.topicId, errorIn(answer)]),
    [
      ['old', id, 'NONE'],
      [null, unknown, 'UNKNOWN_TOPIC_ID'],
      [null, noTopicId, 'INVALID_REQUEST'],
      ['old', id, 'INVALID_REQUEST'],
    ],
  )
})

test('pitfall 46: a topic made again under its name has another id, and the old one is unknown', async () => {
  const broker = testBroker()
  const old = broker.storage.add('t').id
  await remove(broker, 6, ['t'])
  const { topics } = await broker.ask(apis.metadata, 12, { topics: [{ name: 't' }] })
  const id = topics[0]?.topicId
  assert.ok(id !== undefined && id !== old)
  const byId = await broker.ask(apis.metadata, 12, {
    topics: [
      { topicId: old, name: null },
      { topicId: id, name: null },
    ],
  })
  assert.deepEqual(byId.topics.map(errorIn), ['UNKNOWN_TOPIC_ID', 'NONE'])
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }]
  const fetched = await broker.ask(apis.fetch, 13, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topicId: old, partitions }],
  })
  assert.equal(errorIn(fetched.responses[0]?.partitions[0]), 'UNKNOWN_TOPIC_ID')
})

test('of two who delete a topic at once the slower one hears, in its own terms, that there is none', async () => {
  const broker = testBroker()
  const { id } = broker.storage.add('t')
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.deleting = promise
  const byId = () => broker.ask(api, 6, { topics: [{ topicId: id }], timeoutMs: 1_000 })
  const answers = [remove(broker, 5, ['t']), remove(broker, 5, ['t']), byId().then(({ responses }) => responses)]
  resolve()
  assert.deepEqual((await Promise.all(answers)).flat().map(errorIn), [
    'NONE',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
  ])
})

test('a deletion that takes too long is told as such', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.storage.deleting = promise
  const answer = remove(broker, 6, ['t'], 300)
  await broker.clock.run(300)
  assert.deepEqual((await answer).map(errorIn), ['REQUEST_TIMED_OUT'])
  resolve()
})

test("brokers' own topics are not deleted", async () => {
  const broker = testBroker()
  const { id } = broker.storage.add('__consumer_offsets')
  const [byName] = await remove(broker, 5, ['__consumer_offsets'])
  assert.deepEqual([errorIn(byName), byName?.errorMessage !== null], ['INVALID_TOPIC_EXCEPTION', true])
  const { responses } = await broker.ask(api, 6, { topics: [{ topicId: id }], timeoutMs: 1_000 })
  assert.equal(errorIn(responses[0]), 'INVALID_TOPIC_EXCEPTION')
  assert.ok(broker.storage.topicByName('__consumer_offsets'))
})
