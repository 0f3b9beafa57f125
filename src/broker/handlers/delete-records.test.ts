import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { batchOf, errorIn, otherNode, settle, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.deleteRecords

type Place = readonly [partitionIndex: number, offset: number]

async function cut({ ask }: TestBroker, name: string, places: readonly Place[], version = 2, timeoutMs = 1_000) {
  const partitions = places.map(([partitionIndex, offset]) => ({ partitionIndex, offset }))
  return (await ask(api, version, { topics: [{ name, partitions }], timeoutMs })).topics[0]!.partitions
}

/** What a cut comes to: its error, and the start that it tells. */
async function outcome(kafka: TestBroker, name: string, offset: number) {
  const [answer] = await cut(kafka, name, [[0, offset]])
  return [errorIn(answer), answer?.lowWatermark]
}

/** A broker with a topic of five records. */
async function withRecords(name = 't', settings: Parameters<TestBroker['storage']['add']>[2] = {}) {
  const kafka = testBroker()
  kafka.storage.add(name, 2, settings)
  const partitionData = [{ index: 0, records: batchOf(['a', 'b', 'c', 'd', 'e'].map(value => ({ key: 'k', value }))) }]
  await kafka.ask(apis.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name, partitionData }] })
  return kafka
}

for (const version of versionsOf(api.request)) {
  test(`pitfall 39: DeleteRecords ${version} moves the start, seen at once by who fetches and lists`, async () => {
    const kafka = await withRecords()
    const [answer] = await cut(kafka, 't', [[0, 2]], version)
    assert.deepEqual([errorIn(answer), answer?.partitionIndex, answer?.lowWatermark], ['NONE', 0, 2])
    const partitions = [{ partitionIndex: 0, timestamp: -2 }]
    const listed = await kafka.ask(apis.listOffsets, 7, { replicaId: -1, topics: [{ name: 't', partitions }] })
    assert.equal(listed.topics[0]?.partitions[0]?.offset, 2)
    const place = { partition: 0, fetchOffset: 1, partitionMaxBytes: 1_000 }
    const topics = [{ topic: 't', partitions: [place] }]
    const fetched = await kafka.ask(apis.fetch, 11, { maxWaitMs: 0, minBytes: 0, topics })
    const { logStartOffset, ...partition } = fetched.responses[0]!.partitions[0]!
    assert.deepEqual([errorIn(partition), logStartOffset], ['OFFSET_OUT_OF_RANGE', 2])
  })
}

test('pitfall 39: -1 is the high watermark, beyond it is out of range, what is gone already is no error', async () => {
  const kafka = await withRecords()
  assert.deepEqual(await outcome(kafka, 't', 6), ['OFFSET_OUT_OF_RANGE', -1])
  assert.deepEqual(await outcome(kafka, 't', -2), ['OFFSET_OUT_OF_RANGE', -1])
  assert.deepEqual(await outcome(kafka, 't', Number.MAX_SAFE_INTEGER), ['OFFSET_OUT_OF_RANGE', -1])
  assert.deepEqual(await outcome(kafka, 't', 3), ['NONE', 3])
  assert.deepEqual(await outcome(kafka, 't', 1), ['NONE', 3])
  assert.deepEqual(await outcome(kafka, 't', -1), ['NONE', 5])
  assert.deepEqual(await outcome(kafka, 't', -1), ['NONE', 5])
})

test('what cannot be read yet cannot be deleted', async () => {
  const kafka = await withRecords()
  const partition = kafka.storage.topicByName('t')!.partitions[0]!
  partition.hold()
  const partitionData = [{ index: 0, records: batchOf(['f']) }]
  void kafka.ask(apis.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData }] })
  await settle()
  assert.deepEqual(await outcome(kafka, 't', 6), ['OFFSET_OUT_OF_RANGE', -1])
  assert.deepEqual(await outcome(kafka, 't', -1), ['NONE', 5])
  partition.release()
})

test('each partition has its own outcome; of one that is named twice the last start counts', async () => {
  const kafka = await withRecords()
  const partitions = kafka.storage.topicByName('t')!.partitions
  partitions[1]!.leader = otherNode
  const topics = [
    { name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] },
    { name: 'nowhere', partitions: [{ partitionIndex: 0, offset: 1 }] },
    {
      name: 't',
      partitions: [
        { partitionIndex: 0, offset: 4 },
        { partitionIndex: 1, offset: 0 },
        { partitionIndex: 2, offset: 0 },
        { partitionIndex: -1, offset: 0 },
      ],
    },
  ]
  const answer = await kafka.ask(api, 2, { topics, timeoutMs: 1_000 })
  assert.deepEqual(
    answer.topics.map(({ name, partitions }) => [name, partitions.map(errorIn)]),
    [
      ['t', ['NONE', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION']],
      ['nowhere', ['UNKNOWN_TOPIC_OR_PARTITION']],
    ],
  )
  assert.equal(partitions[0]!.logStartOffset, 4)
})

test("what is compacted only, and brokers' own topics, are not cut", async () => {
  const compacted = await withRecords('t', { compacts: true, deletesOld: false })
  assert.deepEqual(await outcome(compacted, 't', 1), ['POLICY_VIOLATION', -1])
  const both = await withRecords('t', { compacts: true })
  assert.deepEqual(await outcome(both, 't', 1), ['NONE', 1])
  const neither = await withRecords('t', { deletesOld: false })
  assert.deepEqual(await outcome(neither, 't', 1), ['NONE', 1])
  const kafka = testBroker()
  kafka.storage.add('__consumer_offsets')
  assert.deepEqual(await outcome(kafka, '__consumer_offsets', 0), ['INVALID_TOPIC_EXCEPTION', -1])
})

test('a deletion that storage refuses, or that takes too long', async () => {
  const kafka = await withRecords()
  const partition = kafka.storage.topicByName('t')!.partitions[0]!
  partition.deleteRefusal = 'KAFKA_STORAGE_ERROR'
  assert.deepEqual(await outcome(kafka, 't', 1), ['KAFKA_STORAGE_ERROR', -1])
  partition.deleteRecords = () => new Promise(() => {})
  const slow = cut(kafka, 't', [[0, 1]], 2, 300)
  await settle()
  await kafka.clock.run(300)
  assert.deepEqual((await slow).map(errorIn), ['REQUEST_TIMED_OUT'])
})
