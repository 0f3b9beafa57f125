import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaderEpoch } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { batchOf, errorIn, otherNode, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.offsetForLeaderEpoch

/** A partition whose epochs 2 and 4 are past, 5 is current, with eight records. */
async function withEpochs(): Promise<TestBroker> {
  const kafka = testBroker()
  const partition = kafka.storage.add('t', 2).partitions[0]!
  partition.leaderEpoch = 5 as LeaderEpoch
  partition.epochs = [
    { epoch: 2, start: 0 },
    { epoch: 4, start: 3 },
    { epoch: 5, start: 6 },
  ]
  const partitionData = [{ index: 0, records: batchOf('abcdefgh'.split('')) }]
  await kafka.ask(apis.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData }] })
  return kafka
}

async function endOf({ ask }: TestBroker, leaderEpoch: number, version = 4, more: object = {}) {
  const partitions = [{ partition: 0, leaderEpoch, ...more }]
  const answer = await ask(api, version, { topics: [{ topic: 't', partitions }] })
  const end = answer.topics[0]!.partitions[0]!
  return [errorIn(end), end.leaderEpoch, end.endOffset]
}

for (const version of versionsOf(api.request)) {
  test(`OffsetForLeaderEpoch ${version} tells where an epoch ends`, async () => {
    const kafka = await withEpochs()
    assert.deepEqual(await endOf(kafka, 2, version), ['NONE', 2, 3])
    assert.deepEqual(await endOf(kafka, 3, version), ['NONE', 2, 3], 'nothing was written under it')
    assert.deepEqual(await endOf(kafka, 4, version), ['NONE', 4, 6])
    assert.deepEqual(await endOf(kafka, 5, version), ['NONE', 5, 8], 'the current one ends where the log does')
    assert.deepEqual(await endOf(kafka, 6, version), ['NONE', -1, -1], 'it has not been yet')
    assert.deepEqual(await endOf(kafka, -1, version), ['NONE', -1, -1])
  })

  test(`OffsetForLeaderEpoch ${version} is fenced by the epoch that the client knows`, async () => {
    const kafka = await withEpochs()
    assert.deepEqual(await endOf(kafka, 2, version, { currentLeaderEpoch: 5 }), ['NONE', 2, 3])
    assert.deepEqual(await endOf(kafka, 2, version, { currentLeaderEpoch: 4 }), ['FENCED_LEADER_EPOCH', -1, -1])
    assert.deepEqual(await endOf(kafka, 2, version, { currentLeaderEpoch: 6 }), ['UNKNOWN_LEADER_EPOCH', -1, -1])
  })
}

test('each partition has its own outcome', async () => {
  const kafka = await withEpochs()
  kafka.storage.topicByName('t')!.partitions[1]!.leader = otherNode
  const ask = (...indexes: number[]) => indexes.map(partition => ({ partition, leaderEpoch: 2 }))
  const topics = [
    { topic: 't', partitions: ask(0, 1, 2) },
    { topic: 'nowhere', partitions: ask(0) },
  ]
  const answer = await kafka.ask(api, 4, { topics })
  assert.deepEqual(
    answer.topics.map(({ topic, partitions }) => [topic, partitions.map(errorIn)]),
    [
      ['t', ['NONE', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION']],
      ['nowhere', ['UNKNOWN_TOPIC_OR_PARTITION']],
    ],
  )
})
