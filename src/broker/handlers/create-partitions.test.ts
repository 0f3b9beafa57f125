import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { errorIn, settle, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.createPartitions

interface Asked {
  readonly name: string
  readonly count: number
  readonly assignments?: readonly (readonly number[])[]
}

async function grow({ ask }: TestBroker, topics: readonly Asked[], version = 3, more: object = {}) {
  const asked = topics.map(({ assignments, ...topic }) => ({
    ...topic,
    assignments: assignments?.map(brokerIds => ({ brokerIds })) ?? null,
  }))
  return (await ask(api, version, { topics: asked, timeoutMs: 1_000, validateOnly: false, ...more })).results
}

function sizeOf({ storage }: TestBroker, name: string): number | undefined {
  return storage.topicByName(name)?.partitions.length
}

for (const version of versionsOf(api.request)) {
  test(`pitfall 28: CreatePartitions ${version} answers for each topic, and lets those grow that can`, async () => {
    const kafka = testBroker()
    for (const name of ['good', 'twice', 'large', 'same']) kafka.storage.add(name, name === 'good' ? 1 : 3)
    const answers = await grow(
      kafka,
      [
        { name: 'good', count: 3 },
        { name: 'nowhere', count: 2 },
        { name: 'twice', count: 4 },
        { name: 'large', count: 2 },
        { name: 'same', count: 3 },
        { name: 'twice', count: 5 },
      ],
      version,
    )
    assert.deepEqual(
      answers.map(answer => [answer.name, errorIn(answer)]),
      [
        ['good', 'NONE'],
        ['nowhere', 'UNKNOWN_TOPIC_OR_PARTITION'],
        ['twice', 'INVALID_REQUEST'],
        ['large', 'INVALID_PARTITIONS'],
        ['same', 'INVALID_PARTITIONS'],
      ],
    )
    assert.deepEqual(
      ['good', 'twice', 'large', 'same'].map(name => sizeOf(kafka, name)),
      [3, 3, 3, 3],
    )
    assert.equal(answers[0]?.errorMessage, null)
    assert.match(answers[3]?.errorMessage ?? '', /has 3 partitions; 2 would not be more/)
  })
}

test('what only validates makes nothing', async () => {
  const kafka = testBroker()
  kafka.storage.add('t')
  const asked = [{ name: 't', count: 2 }]
  assert.deepEqual((await grow(kafka, asked, 3, { validateOnly: true })).map(errorIn), ['NONE'])
  assert.equal(sizeOf(kafka, 't'), 1)
})

test('a manual assignment must fit the topic and the cluster', async () => {
  const outcome = async (...assignments: number[][]) => {
    const kafka = testBroker()
    kafka.storage.add('t')
    const error = errorIn((await grow(kafka, [{ name: 't', count: 3, assignments }]))[0])
    assert.equal(sizeOf(kafka, 't'), error === 'NONE' ? 3 : 1)
    return error
  }
  assert.equal(await outcome([1], [1]), 'NONE')
  for (const wrong of [[], [[1]], [[1], [1], [1]], [[1], []], [[1], [2]], [[1], [1, 1]]]) {
    assert.equal(await outcome(...wrong), 'INVALID_REPLICA_ASSIGNMENT', JSON.stringify(wrong))
  }
})

test('one request makes at most ten thousand partitions, and no topic shrinks below nothing', async () => {
  const kafka = testBroker()
  for (const name of ['a', 'b', 'c', 'd']) kafka.storage.add(name)
  const answers = await grow(kafka, [
    { name: 'a', count: 6_001 },
    { name: 'b', count: 6_001 },
    { name: 'c', count: 2_147_483_647 },
    { name: 'd', count: -2_147_483_648 },
  ])
  assert.deepEqual(answers.map(errorIn), ['NONE', 'POLICY_VIOLATION', 'POLICY_VIOLATION', 'INVALID_PARTITIONS'])
})

test("brokers' own topics do not grow", async () => {
  const kafka = testBroker()
  kafka.storage.add('__consumer_offsets', 50)
  const answers = await grow(kafka, [{ name: '__consumer_offsets', count: 51 }])
  assert.deepEqual(answers.map(errorIn), ['INVALID_TOPIC_EXCEPTION'])
})

test('partitions that are not ready in time, and a refusal of storage', async () => {
  const kafka = testBroker()
  kafka.storage.add('t')
  kafka.storage.growRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'the disk is full' }
  const [refused] = await grow(kafka, [{ name: 't', count: 2 }])
  assert.deepEqual([errorIn(refused), refused?.errorMessage], ['KAFKA_STORAGE_ERROR', 'the disk is full'])
  kafka.storage.creating = new Promise(() => {})
  const slow = grow(kafka, [{ name: 't', count: 2 }], 3, { timeoutMs: 300 })
  await settle()
  await kafka.clock.run(300)
  assert.deepEqual((await slow).map(errorIn), ['REQUEST_TIMED_OUT'])
})
