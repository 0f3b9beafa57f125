import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaderEpoch } from '../../base/ids.ts'
import { offset } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrorName } from '../../wire/kafka-errors.ts'
import { listOffsetsTimes } from '../../wire/messages/list-offsets.ts'
import { versionsOf } from '../../wire/schema.ts'
import { batchOf, otherNode, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.listOffsets
const start = Date.UTC(2026, 0, 1)

/** A partition with the records of three batches, at offsets 0-1, 2-3 and 4, of which the third has the highest time. */
async function filled(): Promise<TestBroker> {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t')
  partitions[0]!.leaderEpoch = 3 as LeaderEpoch
  for (const times of [[10, 20], [40, 30], [25]]) {
    const records = batchOf(times.map(time => ({ value: 'x', timestampMs: start + time })))
    const partitionData = [{ index: 0, records }]
    await broker.ask(apis.produce, 9, { acks: -1, timeoutMs: 1, topicData: [{ name: 't', partitionData }] })
  }
  return broker
}

async function list({ ask }: TestBroker, version: number, timestamp: number, more: object = {}) {
  const partitions = [{ partitionIndex: 0, timestamp, ...more }]
  const answer = await ask(api, version, { replicaId: -1, topics: [{ name: 't', partitions }] })
  const listed = answer.topics[0]!.partitions[0]!
  return [kafkaErrorName(listed.errorCode), listed.offset, listed.timestamp, listed.leaderEpoch]
}

for (const version of versionsOf(api.request)) {
  const epoch = version >= 4 ? 3 : -1

  test(`ListOffsets ${version}: latest is the high watermark, earliest the log start`, async () => {
    const broker = await filled()
    assert.deepEqual(await list(broker, version, listOffsetsTimes.latest), ['NONE', 5, -1, epoch])
    assert.deepEqual(await list(broker, version, listOffsetsTimes.earliest), ['NONE', 0, -1, epoch])
    broker.storage.topicByName('t')!.partitions[0]!.logStartOffset = offset(2)
    assert.deepEqual(await list(broker, version, listOffsetsTimes.earliest), ['NONE', 2, -1, epoch])
  })

  test(`pitfall 2: ListOffsets ${version} by time finds the first record at or after it, else -1`, async () => {
    const broker = await filled()
    assert.deepEqual(await list(broker, version, 0), ['NONE', 0, start + 10, epoch])
    assert.deepEqual(await list(broker, version, start + 11), ['NONE', 1, start + 20, epoch])
    assert.deepEqual(await list(broker, version, start + 20), ['NONE', 1, start + 20, epoch])
    assert.deepEqual(await list(broker, version, start + 21), ['NONE', 2, start + 40, epoch])
    assert.deepEqual(await list(broker, version, start + 41), ['NONE', -1, -1, -1])
  })

  test(`pitfall 4: ListOffsets ${version} knows the special times of its version and no later ones`, async () => {
    const broker = await filled()
    const answers: [time: number, since: number, answer: unknown[]][] = [
      [listOffsetsTimes.maxTimestamp, 7, ['NONE', 2, start + 40, 3]],
      [listOffsetsTimes.earliestLocal, 8, ['NONE', 0, -1, 3]],
      [listOffsetsTimes.latestTiered, 9, ['NONE', -1, -1, -1]],
      [listOffsetsTimes.earliestPendingUpload, 11, ['NONE', -1, -1, -1]],
      [-7, 99, []],
      [Number.MIN_SAFE_INTEGER, 99, []],
    ]
    for (const [time, since, answer] of answers) {
      const expected = version >= since ? answer : ['UNSUPPORTED_VERSION', -1, -1, -1]
      assert.deepEqual(await list(broker, version, time), expected, `time ${time}`)
    }
  })
}

test('pitfall 3: the version with old semantics is not served', () => {
  assert.equal(api.advertised[0], 1)
})

test('what is not durable yet is not listed', async () => {
  const broker = await filled()
  const partition = broker.storage.topicByName('t')!.partitions[0]!
  partition.hold()
  const records = batchOf([{ value: 'later', timestampMs: start + 99 }])
  void broker.ask(apis.produce, 9, {
    acks: 1,
    timeoutMs: 1,
    topicData: [{ name: 't', partitionData: [{ index: 0, records }] }],
  })
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.latest), ['NONE', 5, -1, 3])
  assert.deepEqual(await list(broker, 7, start + 50), ['NONE', -1, -1, -1])
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.maxTimestamp), ['NONE', 2, start + 40, 3])
})

test('an empty partition has offset 0 at both ends and no record at any time', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.earliest), ['NONE', 0, -1, 0])
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.latest), ['NONE', 0, -1, 0])
  assert.deepEqual(await list(broker, 7, 0), ['NONE', -1, -1, -1])
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.maxTimestamp), ['NONE', -1, -1, -1])
})

test('the oldest record is listed with the leader epoch that wrote it', async () => {
  const broker = await filled()
  const partition = broker.storage.topicByName('t')!.partitions[0]!
  partition.epochs = [
    { epoch: 1, start: 0 },
    { epoch: 2, start: 2 },
  ]
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.earliest), ['NONE', 0, -1, 1])
  partition.logStartOffset = offset(3)
  assert.deepEqual(await list(broker, 7, listOffsetsTimes.earliest), ['NONE', 3, -1, 2])
})

test("a client's leader epoch must be ours", async () => {
  const broker = await filled()
  const error = async (currentLeaderEpoch: number) => (await list(broker, 4, -1, { currentLeaderEpoch }))[0]
  assert.equal(await error(3), 'NONE')
  assert.equal(await error(-1), 'NONE')
  assert.equal(await error(2), 'FENCED_LEADER_EPOCH')
  assert.equal(await error(4), 'UNKNOWN_LEADER_EPOCH')
})

test('each partition has an error of its own', async () => {
  const broker = await filled()
  const { ask, storage } = broker
  storage.add('elsewhere').partitions[0]!.leader = otherNode
  const asked = (partitionIndex: number) => ({ partitionIndex, timestamp: -1 })
  const answer = await ask(api, 7, {
    replicaId: -1,
    topics: [
      { name: 't', partitions: [asked(0), asked(1), asked(0), asked(-1)] },
      { name: 'nowhere', partitions: [asked(0)] },
      { name: 'elsewhere', partitions: [asked(0)] },
    ],
  })
  const errors = answer.topics.map(({ partitions }) => partitions.map(({ errorCode }) => kafkaErrorName(errorCode)))
  const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
  assert.deepEqual(errors, [['NONE', unknown, 'INVALID_REQUEST', unknown], [unknown], ['NOT_LEADER_OR_FOLLOWER']])
})

test('a follower is not served on a connection of clients', async () => {
  const { ask } = await filled()
  const answer = await ask(api, 1, {
    replicaId: 2,
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  })
  assert.equal(kafkaErrorName(answer.topics[0]!.partitions[0]!.errorCode), 'TOPIC_AUTHORIZATION_FAILED')
})
