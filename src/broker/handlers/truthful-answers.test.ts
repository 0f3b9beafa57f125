/** The APIs that tell what one node knows of itself: log directories, elections, reassignments, the quorum, producers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { versionsOf } from '../../wire/schema.ts'
import { batchOf, errorIn, otherNode, type TestBroker, testBroker } from '../testing/test-broker.ts'

const nobody = { check: () => false }

/** A broker with a topic of three partitions, the first of which has a record. */
async function withTopic(): Promise<TestBroker> {
  const kafka = testBroker()
  kafka.storage.add('t', 3)
  const partitionData = [{ index: 0, records: batchOf(['x']) }]
  await kafka.ask(apis.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData }] })
  return kafka
}

for (const version of versionsOf(apis.describeLogDirs.request)) {
  test(`DescribeLogDirs ${version} tells the bytes of every partition, and the room there is`, async () => {
    const kafka = await withTopic()
    const { results, errorCode } = await kafka.ask(apis.describeLogDirs, version, { topics: null })
    assert.equal(errorCode, 0)
    assert.equal(results.length, 1)
    const { logDir, topics, totalBytes, usableBytes, isCordoned } = results[0]!
    assert.deepEqual([logDir, errorIn(results[0]), isCordoned], ['memory', 'NONE', false])
    assert.deepEqual([totalBytes, usableBytes], version >= 4 ? [1 << 30, 1 << 29] : [-1, -1])
    const sizes = topics[0]!.partitions.map(({ partitionSize }) => partitionSize)
    assert.deepEqual([topics[0]!.name, sizes], ['t', [batchOf(['x']).length, 0, 0]])
    assert.deepEqual(topics[0]!.partitions[0], {
      partitionIndex: 0,
      partitionSize: sizes[0],
      offsetLag: 0,
      isFutureKey: false,
    })
  })
}

test('DescribeLogDirs leaves out what does not exist, and tells nothing twice', async () => {
  const kafka = await withTopic()
  const topics = [
    { topic: 't', partitions: [2, 7, 2] },
    { topic: 'nowhere', partitions: [0] },
    { topic: 't', partitions: [0] },
  ]
  const { results } = await kafka.ask(apis.describeLogDirs, 5, { topics })
  const told = results[0]!.topics.map(({ name, partitions }) => [name, partitions.map(one => one.partitionIndex)])
  assert.deepEqual(told, [['t', [0, 2]]])
  assert.deepEqual((await kafka.ask(apis.describeLogDirs, 5, { topics: [] })).results[0]!.topics, [])
})

test('DescribeLogDirs before 3 has no error for who may not look: there are no directories', async () => {
  const kafka = testBroker({}, nobody)
  assert.deepEqual((await kafka.ask(apis.describeLogDirs, 2, { topics: null })).results, [])
})

for (const version of versionsOf(apis.electLeaders.request)) {
  test(`ElectLeaders ${version} needs no election where it is named, and says nothing where all are meant`, async () => {
    const kafka = await withTopic()
    const topicPartitions = [
      { topic: 't', partitions: [0, 2, 3, 0] },
      { topic: 'nowhere', partitions: [0] },
    ]
    const { replicaElectionResults: named } = await kafka.ask(apis.electLeaders, version, { topicPartitions })
    assert.deepEqual(
      named.map(({ topic, partitionResult }) => [topic, partitionResult.map(one => [one.partitionId, errorIn(one)])]),
      [
        [
          't',
          [
            [0, 'ELECTION_NOT_NEEDED'],
            [2, 'ELECTION_NOT_NEEDED'],
            [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
          ],
        ],
        ['nowhere', [[0, 'UNKNOWN_TOPIC_OR_PARTITION']]],
      ],
    )
    const all = await kafka.ask(apis.electLeaders, version, { topicPartitions: null })
    assert.deepEqual([all.errorCode, all.replicaElectionResults], [0, [{ topic: 't', partitionResult: [] }]])
  })
}

test('ElectLeaders where the leader is another one, or none, or the kind of election is unknown', async () => {
  const kafka = await withTopic()
  const [first, second] = kafka.storage.topicByName('t')!.partitions
  first!.leader = otherNode
  second!.leader = -1 as NodeId
  const elect = async (electionType: number, topicPartitions: { topic: string; partitions: number[] }[] | null) => {
    const answer = await kafka.ask(apis.electLeaders, 2, { electionType, topicPartitions })
    return answer.errorCode !== 0 ? errorIn(answer) : answer.replicaElectionResults[0]?.partitionResult.map(errorIn)
  }
  const asked = [{ topic: 't', partitions: [0, 1, 2] }]
  const preferred = 'PREFERRED_LEADER_NOT_AVAILABLE'
  assert.deepEqual(await elect(0, asked), [preferred, preferred, 'ELECTION_NOT_NEEDED'])
  assert.deepEqual(await elect(0, null), [preferred, preferred])
  assert.deepEqual(await elect(1, asked), [
    'ELECTION_NOT_NEEDED',
    'ELIGIBLE_LEADERS_NOT_AVAILABLE',
    'ELECTION_NOT_NEEDED',
  ])
  assert.equal(await elect(2, asked), 'INVALID_REQUEST')
})

test('ElectLeaders 0 refuses by partition, and closes the connection where all are meant', async () => {
  const kafka = testBroker({}, nobody)
  const topicPartitions = [{ topic: 't', partitions: [0] }]
  const { replicaElectionResults } = await kafka.ask(apis.electLeaders, 0, { topicPartitions })
  assert.equal(errorIn(replicaElectionResults[0]?.partitionResult[0]), 'CLUSTER_AUTHORIZATION_FAILED')
  await assert.rejects(kafka.ask(apis.electLeaders, 0, { topicPartitions: null }), /was not answered/)
})

test('ListPartitionReassignments: nothing moves, known or unknown', async () => {
  const kafka = await withTopic()
  for (const topics of [
    null,
    [],
    [{ name: 't', partitionIndexes: [0] }],
    [{ name: 'nowhere', partitionIndexes: [0] }],
  ]) {
    const answer = await kafka.ask(apis.listPartitionReassignments, 0, { topics })
    assert.deepEqual([errorIn(answer), answer.errorMessage, answer.topics], ['NONE', null, []])
  }
})

for (const version of versionsOf(apis.describeQuorum.request)) {
  test(`DescribeQuorum ${version} tells who agrees on the metadata`, async () => {
    const kafka = testBroker()
    const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
    const answer = await kafka.ask(apis.describeQuorum, version, { topics })
    assert.equal(errorIn(answer), 'NONE')
    const { leaderId, leaderEpoch, highWatermark, currentVoters, observers } = answer.topics[0]!.partitions[0]!
    assert.deepEqual([leaderId, leaderEpoch, highWatermark, observers], [1, 3, 12, []])
    const [voter] = currentVoters
    assert.deepEqual([voter?.replicaId, voter?.logEndOffset], [1, 12])
    assert.equal(voter?.lastFetchTimestamp, version >= 1 ? kafka.clock.nowMs() : -1)
    assert.equal(voter?.replicaDirectoryId, (version >= 2 ? 'd' : '0').repeat(32))
    const listeners = [{ name: 'PLAINTEXT', host: 'broker.example', port: 19092 }]
    assert.deepEqual(answer.nodes, version >= 2 ? [{ nodeId: 1, listeners }] : [])
  })

  test(`DescribeQuorum ${version} knows of one quorum only`, async () => {
    const kafka = await withTopic()
    const one = (topicName: string, partitionIndex: number) => ({ topicName, partitions: [{ partitionIndex }] })
    for (const topics of [[one('t', 0)], [one('__cluster_metadata', 1)], [one('__cluster_metadata', 0), one('t', 0)]]) {
      const answer = await kafka.ask(apis.describeQuorum, version, { topics })
      const errors = answer.topics.flatMap(({ partitions }) => partitions.map(errorIn))
      assert.deepEqual(
        errors,
        topics.map(() => 'UNKNOWN_TOPIC_OR_PARTITION'),
      )
    }
  })
}

test('DescribeProducers tells the producers that a partition remembers', async () => {
  const kafka = await withTopic()
  const partitions = kafka.storage.topicByName('t')!.partitions
  partitions[0]!.active = [{ producerId: 7, producerEpoch: 1, lastSequence: 41, lastTimestampMs: 99 }]
  partitions[2]!.leader = otherNode
  const { topics } = await kafka.ask(apis.describeProducers, 0, {
    topics: [
      { name: 't', partitionIndexes: [0, 1, 2, 3, 0] },
      { name: 'nowhere', partitionIndexes: [0] },
      { name: 'a/b', partitionIndexes: [0] },
      { name: 't', partitionIndexes: [1] },
    ],
  })
  assert.deepEqual(
    topics.map(({ name, partitions }) => [name, partitions.map(errorIn)]),
    [
      ['t', ['NONE', 'NONE', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION']],
      ['nowhere', ['UNKNOWN_TOPIC_OR_PARTITION']],
      ['a/b', ['INVALID_TOPIC_EXCEPTION']],
    ],
  )
  const [active, silent] = topics[0]!.partitions
  assert.deepEqual(active?.activeProducers, [
    {
      producerId: 7,
      producerEpoch: 1,
      lastSequence: 41,
      lastTimestamp: 99,
      coordinatorEpoch: -1,
      currentTxnStartOffset: -1,
    },
  ])
  assert.deepEqual(silent?.activeProducers, [])
})

test('ListConfigResources 0 lists client metrics, of which there are none', async () => {
  const kafka = await withTopic()
  const answer = await kafka.ask(apis.listConfigResources, 0, {})
  assert.deepEqual([errorIn(answer), answer.configResources], ['NONE', []])
})

test('ListConfigResources 1 lists what has configs, of the types asked for or of all', async () => {
  const kafka = await withTopic()
  const listed = async (...resourceTypes: number[]) => {
    const answer = await kafka.ask(apis.listConfigResources, 1, { resourceTypes })
    assert.equal(errorIn(answer), 'NONE')
    return answer.configResources.map(({ resourceName, resourceType }) => `${resourceType}:${resourceName}`)
  }
  assert.deepEqual(await listed(2), ['2:t'])
  assert.deepEqual(await listed(4, 16, 32, 4), ['4:1'])
  assert.deepEqual(await listed(), ['2:t', '4:1', '8:1'])
  const unknown = await kafka.ask(apis.listConfigResources, 1, { resourceTypes: [2, 3] })
  assert.deepEqual([errorIn(unknown), unknown.configResources], ['UNSUPPORTED_VERSION', []])
})
