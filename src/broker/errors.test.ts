/**
 * Every error that a request can be answered with, provoked and seen in an answer as clients get it. Which there are is read
 * off the sources: a new name in a handler, in the rules for batches or in a group fails this test until it is provoked here.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { LeaderEpoch, TopicId } from '../base/ids.ts'
import { ropeOf } from '../base/rope.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { apis } from '../wire/api-keys.ts'
import type { BatchOptions, RecordDraft } from '../wire/build-batch.ts'
import { type KafkaErrorName, kafkaErrorName, kafkaErrors } from '../wire/kafka-errors.ts'
import { offsetsTopicName } from './groups/coordinator.ts'
import { startNode } from './testing/engine-broker.ts'
import {
  answerTo,
  assignAll,
  beat,
  commit,
  groupId,
  type Join,
  joinOnce,
  newMemberId,
  type Placed,
  stableGroup,
  sync,
} from './testing/group-client.ts'
import type { MemoryPartition } from './testing/memory-storage.ts'
import {
  batchOf,
  errorIn,
  otherNode,
  restarted,
  type TestBroker,
  testBroker,
  testConnection,
} from './testing/test-broker.ts'

type Seen = KafkaErrorName | 'no answer'

const strangeId = 'f'.repeat(32) as TopicId
const now = Date.now()

// Requests in short.

async function produced(
  { ask }: Pick<TestBroker, 'ask'>,
  name: string,
  records: ReturnType<typeof batchOf>,
  more = {},
) {
  const topicData = [{ name, partitionData: [{ index: 0, records }] }]
  const answer = await ask(apis.produce, 9, { acks: -1, timeoutMs: 100, topicData, ...more })
  return errorIn(answer.responses[0]?.partitionResponses[0])
}

/** What a batch comes to that is made and sent to a fresh topic. */
async function batchIsRefused(records: readonly (string | RecordDraft)[], options: BatchOptions = {}): Promise<Seen> {
  const broker = testBroker()
  broker.storage.add('t')
  return produced(broker, 't', batchOf(records, { baseTimestamp: broker.clock.nowMs(), ...options }))
}

async function fetched({ ask }: TestBroker, more: object = {}, place: object = {}): Promise<Seen> {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000, ...place }]
  const request = { maxWaitMs: 0, minBytes: 0, topics: [{ topic: 't', partitions }], ...more }
  const answer = await ask(apis.fetch, 12, request)
  return answer.errorCode === 0 ? errorIn(answer.responses[0]?.partitions[0]) : kafkaErrorName(answer.errorCode)
}

async function created({ ask }: TestBroker, more: object, times = 1): Promise<Seen> {
  const topic = (place: number) => ({
    ...{ name: `t${place}`, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] },
    ...more,
  })
  const topics = Array.from({ length: times }, (_, place) => topic(place))
  return errorIn((await ask(apis.createTopics, 7, { topics })).topics.at(-1))
}

/** Sequences of an idempotent producer on the real engine; what the last one comes to. */
async function sequences(...sent: readonly (readonly [epoch: number, sequence: number])[]): Promise<Seen> {
  await using node = await startNode(new MemoryDisk())
  await node.ask(apis.metadata, 9, { topics: [{ name: 't' }] })
  const { producerId } = await node.ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
  let seen: Seen = 'no answer'
  for (const [producerEpoch, baseSequence] of sent) {
    seen = await produced(node, 't', batchOf(['x'], { producerId, producerEpoch, baseSequence, baseTimestamp: now }))
  }
  return seen
}

const nobodyMay = { check: () => false }

const provocations: Partial<Record<KafkaErrorName, () => Promise<Seen>>> = {
  // Anywhere

  UNKNOWN_SERVER_ERROR: async () => {
    const broker = testBroker()
    broker.storage.add('t').partitions[0]!.fault = new Error('a bug')
    return produced(broker, 't', batchOf(['x'], { baseTimestamp: broker.clock.nowMs() }))
  },
  INVALID_REQUEST: async () => {
    const topics = [{ name: 't', partitions: [0, 0].map(partitionIndex => ({ partitionIndex, timestamp: -1 })) }]
    const broker = testBroker()
    broker.storage.add('t')
    return errorIn((await broker.ask(apis.listOffsets, 7, { replicaId: -1, topics })).topics[0]?.partitions[1])
  },
  UNSUPPORTED_VERSION: async () => {
    const { broker } = testBroker()
    const request = Buffer.from([0, 18, 0, 90, 0, 0, 0, 5, 0xff, 0xff])
    const answer = await broker.handle(ropeOf(request), testConnection)
    return kafkaErrorName(Buffer.concat(answer!.chunks as Buffer[]).readInt16BE(8))
  },
  REQUEST_TIMED_OUT: async () => {
    const broker = testBroker()
    broker.storage.add('t').partitions[0]!.hold()
    const answer = produced(broker, 't', batchOf(['x'], { baseTimestamp: broker.clock.nowMs() }))
    broker.clock.advance(60_000)
    return answer
  },

  // Who may what

  TOPIC_AUTHORIZATION_FAILED: async () => {
    const broker = testBroker({}, nobodyMay)
    broker.storage.add('t')
    return fetched(broker)
  },
  GROUP_AUTHORIZATION_FAILED: async () =>
    errorIn(await testBroker({}, nobodyMay).ask(apis.findCoordinator, 3, { key: 'g' })),
  CLUSTER_AUTHORIZATION_FAILED: async () =>
    errorIn(
      await testBroker({}, nobodyMay).ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 }),
    ),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: async () =>
    errorIn(await testBroker().ask(apis.initProducerId, 4, { transactionalId: 'x', transactionTimeoutMs: 1_000 })),

  // Topics

  UNKNOWN_TOPIC_OR_PARTITION: () => fetched(testBroker()),
  UNKNOWN_TOPIC_ID: async () => {
    const request = { topics: [{ topicId: strangeId, name: null }] }
    return errorIn((await testBroker().ask(apis.metadata, 12, request)).topics[0])
  },
  LEADER_NOT_AVAILABLE: async () => {
    const { ask, storage } = testBroker()
    storage.add('t').partitions[0]!.leader = -1 as typeof otherNode
    return errorIn((await ask(apis.metadata, 9, { topics: [{ name: 't' }] })).topics[0]?.partitions[0])
  },
  TOPIC_ALREADY_EXISTS: async () => {
    const broker = testBroker()
    broker.storage.add('t0')
    return created(broker, {})
  },
  INVALID_TOPIC_EXCEPTION: () => created(testBroker(), { name: 'a/b' }),
  INVALID_PARTITIONS: () => created(testBroker(), { numPartitions: 0 }),
  INVALID_REPLICATION_FACTOR: () => created(testBroker(), { replicationFactor: 2 }),
  INVALID_REPLICA_ASSIGNMENT: () =>
    created(testBroker(), {
      ...{ numPartitions: -1, replicationFactor: -1 },
      assignments: [{ partitionIndex: 5, brokerIds: [1] }],
    }),
  INVALID_CONFIG: () => created(testBroker(), { configs: [{ name: 'retention.ms', value: 'soon' }] }),
  POLICY_VIOLATION: () => created(testBroker(), { numPartitions: 6_000 }, 2),
  TOPIC_DELETION_DISABLED: async () => {
    const { ask } = testBroker({ 'delete.topic.enable': 'false' })
    return errorIn((await ask(apis.deleteTopics, 5, { topicNames: ['t'], timeoutMs: 1 })).responses[0])
  },
  MISMATCHED_ENDPOINT_TYPE: () => described(2),
  UNSUPPORTED_ENDPOINT_TYPE: () => described(9),

  // Batches

  CORRUPT_MESSAGE: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    const records = batchOf(['x'], { baseTimestamp: broker.clock.nowMs() })
    const bytes = Buffer.concat(records.chunks as Buffer[])
    bytes[bytes.length - 1]! ^= 1
    return produced(broker, 't', ropeOf(bytes))
  },
  INVALID_RECORD: () => batchIsRefused(['x'], { control: true }),
  INVALID_TIMESTAMP: () => batchIsRefused(['x'], { baseTimestamp: 2 ** 50 }),
  MESSAGE_TOO_LARGE: () => batchIsRefused(['x'.repeat(2_000_000)]),
  RECORD_LIST_TOO_LARGE: async () => {
    const broker = testBroker()
    broker.storage.add('t', 1, { segmentBytes: 100, maxMessageBytes: 10_000 })
    return produced(broker, 't', batchOf(['x'.repeat(1_000)], { baseTimestamp: broker.clock.nowMs() }))
  },
  UNSUPPORTED_COMPRESSION_TYPE: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    const compression = { codec: 'zstd', compress: (bytes: Buffer) => bytes } as const
    const records = batchOf(['x'], { baseTimestamp: broker.clock.nowMs(), compression })
    const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
    const answer = await broker.ask(apis.produce, 6, { acks: -1, timeoutMs: 100, topicData })
    return errorIn(answer.responses[0]?.partitionResponses[0])
  },
  INVALID_REQUIRED_ACKS: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    return produced(broker, 't', batchOf(['x']), { acks: 2 })
  },
  NOT_ENOUGH_REPLICAS: async () => {
    await using node = await startNode(new MemoryDisk(), { set: { 'min.insync.replicas': '2' } })
    await node.ask(apis.metadata, 9, { topics: [{ name: 't' }] })
    return produced(node, 't', batchOf(['x'], { baseTimestamp: now }))
  },
  OUT_OF_ORDER_SEQUENCE_NUMBER: () => sequences([0, 0], [0, 2]),
  INVALID_PRODUCER_EPOCH: () => sequences([1, 0], [0, 1]),
  DUPLICATE_SEQUENCE_NUMBER: () => sequences(...[0, 1, 2, 3, 4, 5, 6].map(s => [0, s] as const), [0, 0]),
  KAFKA_STORAGE_ERROR: async () => {
    const node = await startNode(new MemoryDisk())
    await node.ask(apis.metadata, 9, { topics: [{ name: 't' }] })
    await node.engine.close()
    const topic = { name: 'late', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
    return errorIn((await node.ask(apis.createTopics, 7, { topics: [topic] })).topics[0])
  },

  // Reading

  OFFSET_OUT_OF_RANGE: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    return fetched(broker, {}, { fetchOffset: 7 })
  },
  NOT_LEADER_OR_FOLLOWER: async () => {
    const broker = testBroker()
    broker.storage.add('t').partitions[0]!.leader = otherNode
    return fetched(broker)
  },
  FENCED_LEADER_EPOCH: () => epochIs(4),
  UNKNOWN_LEADER_EPOCH: () => epochIs(6),
  FETCH_SESSION_ID_NOT_FOUND: () => fetched(testBroker(), { sessionId: 99, sessionEpoch: 1 }),
  INVALID_FETCH_SESSION_EPOCH: () => sessionIsRefused(12, 7),
  FETCH_SESSION_TOPIC_ID_ERROR: () => sessionIsRefused(13, 1),

  // Groups

  COORDINATOR_NOT_AVAILABLE: async () => {
    const broker = testBroker()
    broker.storage.createRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'the disk is full' }
    const { coordinators } = await broker.ask(apis.findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] })
    return errorIn(coordinators[0])
  },
  COORDINATOR_LOAD_IN_PROGRESS: async () => {
    const before = testBroker()
    before.storage.add('t')
    await commit(before, [1])
    // The disk does not answer for now.
    for (const partition of before.storage.topicByName(offsetsTopicName)?.partitions ?? []) {
      partition.readError = 'KAFKA_STORAGE_ERROR'
    }
    const broker = restarted(before)
    const asked = broker.ask(apis.offsetFetch, 9, { groups: [{ groupId, topics: null }] })
    await broker.clock.run(60_000)
    const seen = errorIn((await asked).groups[0])
    await broker.broker.close()
    return seen
  },
  INVALID_GROUP_ID: () => joined({ groupId: '' }),
  INVALID_SESSION_TIMEOUT: () => joined({ sessionTimeoutMs: 1 }),
  INCONSISTENT_GROUP_PROTOCOL: () => joined({ protocols: [] }),
  MEMBER_ID_REQUIRED: () => joined({}),
  UNKNOWN_MEMBER_ID: () => joined({ memberId: 'somebody' }),
  GROUP_MAX_SIZE_REACHED: async () => {
    const broker = testBroker({ 'group.max.size': '1' })
    await stableGroup(broker)
    return errorIn(await answerTo(broker, joinOnce(broker, { groupInstanceId: 'second' })))
  },
  FENCED_INSTANCE_ID: async () => {
    const broker = testBroker()
    const groupInstanceId = 'one'
    const first = await answerTo(broker, joinOnce(broker, { groupInstanceId }))
    await answerTo(broker, sync(broker, first, { ...assignAll([first.memberId]), groupInstanceId }))
    await answerTo(broker, joinOnce(broker, { groupInstanceId }))
    return errorIn(await answerTo(broker, joinOnce(broker, { groupInstanceId, memberId: first.memberId })))
  },
  ILLEGAL_GENERATION: async () => {
    const broker = testBroker()
    const [member] = await stableGroup(broker)
    return beat(broker, { ...member!, generationId: 99 })
  },
  REBALANCE_IN_PROGRESS: async () => {
    const broker = testBroker()
    const [member] = await stableGroup(broker)
    const memberId = await newMemberId(broker)
    void joinOnce(broker, { memberId })
    return beat(broker, member!)
  },
  OFFSET_METADATA_TOO_LARGE: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    const partition = { partitionIndex: 0, committedOffset: 1, committedMetadata: 'm'.repeat(4_097) }
    const topics = [{ name: 't', partitions: [partition] }]
    return (await commit(broker, [], { topics }))[0] ?? 'no answer'
  },
  NON_EMPTY_GROUP: async () => {
    const broker = testBroker()
    await stableGroup(broker)
    return deleted(broker)
  },
  GROUP_ID_NOT_FOUND: () => deleted(testBroker()),
  GROUP_SUBSCRIBED_TO_TOPIC: async () => {
    const broker = testBroker()
    broker.storage.add('t')
    const [{ memberId, generationId }] = (await stableGroup(broker)) as [Placed]
    await commit(broker, [1], { memberId, generationIdOrMemberEpoch: generationId })
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0 }] }]
    const { topics: answers } = await answerTo(broker, broker.ask(apis.offsetDelete, 0, { groupId, topics }))
    return errorIn(answers[0]?.partitions[0])
  },

  // Leaders

  ELECTION_NOT_NEEDED: () => elected(0, () => {}),
  PREFERRED_LEADER_NOT_AVAILABLE: () =>
    elected(0, partition => {
      partition.leader = otherNode
    }),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: () =>
    elected(1, partition => {
      partition.leader = -1 as typeof otherNode
    }),
}

async function joined(more: Join): Promise<Seen> {
  const broker = testBroker()
  return errorIn(await answerTo(broker, joinOnce(broker, more)))
}

async function deleted(broker: TestBroker): Promise<Seen> {
  const { results } = await answerTo(broker, broker.ask(apis.deleteGroups, 2, { groupsNames: [groupId] }))
  return errorIn(results[0])
}

/** An election of that type for a partition of which something is to be true. */
async function elected(electionType: number, make: (partition: MemoryPartition) => void): Promise<Seen> {
  const { ask, storage } = testBroker()
  make(storage.add('t').partitions[0]!)
  const topicPartitions = [{ topic: 't', partitions: [0] }]
  const answer = await ask(apis.electLeaders, 2, { electionType, topicPartitions, timeoutMs: 1_000 })
  return errorIn(answer.replicaElectionResults[0]?.partitionResult[0])
}

/** The cluster, as an endpoint of that type describes it. */
async function described(endpointType: number): Promise<Seen> {
  const request = { includeClusterAuthorizedOperations: false, endpointType }
  return errorIn(await testBroker().ask(apis.describeCluster, 1, request))
}

/** A fetch by a client that believes in leader epoch `currentLeaderEpoch`, where 5 is right. */
async function epochIs(currentLeaderEpoch: number): Promise<Seen> {
  const broker = testBroker()
  broker.storage.add('t').partitions[0]!.leaderEpoch = 5 as LeaderEpoch
  return fetched(broker, {}, { currentLeaderEpoch })
}

/** A session that was opened by names is gone on with in another version, or at another epoch. */
async function sessionIsRefused(version: number, sessionEpoch: number): Promise<Seen> {
  const { ask, storage } = testBroker()
  storage.add('t')
  const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }]
  const opened = await ask(apis.fetch, 12, { maxWaitMs: 0, minBytes: 0, sessionId: 0, sessionEpoch: 0, topics })
  const request = { maxWaitMs: 0, minBytes: 0, sessionId: opened.sessionId, sessionEpoch, topics: [] }
  return errorIn(await ask(apis.fetch, version, request))
}

for (const [error, provoke] of Object.entries(provocations)) {
  test(`${error} is answered`, async () => {
    assert.equal(await provoke(), error)
  })
}

test('there is no other error in the sources', () => {
  const known = new Set(Object.keys(kafkaErrors))
  const root = new URL('..', import.meta.url).pathname
  const files = [
    ...globSync('broker/**/*.ts', { cwd: root }).filter(file => !/test|testing|door/.test(file)),
    ...['wire/validate-batch.ts', 'log/producers.ts', 'log/read.ts', 'log/partition-log.ts'],
  ]
  const named = files.flatMap(file =>
    [...readFileSync(`${root}${file}`, 'utf8').matchAll(/'([A-Z][A-Z_]+)'/g)].map(match => match[1] as string),
  )
  const used = new Set(named.filter(name => known.has(name) && name !== 'NONE'))
  assert.deepEqual(
    [...used].filter(name => !(name in provocations)).sort(),
    [],
    'these are answered somewhere, and never provoked',
  )
})
