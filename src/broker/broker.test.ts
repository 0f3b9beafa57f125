import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TidelogError } from '../base/errors.ts'
import { offset } from '../base/ids.ts'
import { InvariantViolation } from '../base/invariant.ts'
import { flattenRope, type Rope, ropeOf, sliceRope } from '../base/rope.ts'
import { type Api, type ApiName, apiList, apis } from '../wire/api-keys.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from '../wire/exchange.ts'
import { type KafkaErrorName, kafkaErrorName } from '../wire/kafka-errors.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type Draft, versionsOf } from '../wire/schema.ts'
import { handlers } from './broker.ts'
import { batchOf, errorIn, type TestBroker, testBroker, testConnection } from './testing/test-broker.ts'

const connection = testConnection

/** A request of each API about the topic `t`. */
function requestOf(name: ApiName, version: number, { storage }: TestBroker): unknown {
  const topicId = storage.topicByName('t')!.id
  const byId = { topic: '', name: '', topicId }
  const byName = { topic: 't', name: 't' }
  const requests: { [K in ApiName]: Draft<(typeof apis)[K]['request']> } = {
    produce: {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ ...(version >= 13 ? byId : byName), partitionData: [{ index: 0, records: batchOf(['a']) }] }],
    },
    fetch: {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [
        {
          ...(version >= 13 ? byId : byName),
          partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }],
        },
      ],
    },
    listOffsets: { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: 0 }] }] },
    metadata: { topics: [{ name: 't' }] },
    offsetCommit: {
      groupId: 'g',
      memberId: '',
      topics: [
        {
          ...(version >= 10 ? byId : byName),
          partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }],
        },
      ],
    },
    offsetFetch:
      version < 8
        ? { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }
        : { groups: [{ groupId: 'g', topics: [{ ...(version >= 10 ? byId : byName), partitionIndexes: [0] }] }] },
    joinGroup: {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    },
    heartbeat: { groupId: 'g', generationId: 1, memberId: 'nobody' },
    leaveGroup: { groupId: 'g', ...(version < 3 ? { memberId: 'nobody' } : { members: [{ memberId: 'nobody' }] }) },
    syncGroup: {
      groupId: 'g',
      generationId: 1,
      memberId: 'nobody',
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [],
    },
    describeGroups: { groups: ['g'] },
    listGroups: {},
    findCoordinator: version < 4 ? { key: 'g' } : { coordinatorKeys: ['g'] },
    apiVersions: { clientSoftwareName: 'a', clientSoftwareVersion: '1' },
    createTopics: {
      topics: [{ name: 'u', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    },
    deleteTopics: version < 6 ? { topicNames: ['t'], timeoutMs: 1 } : { topics: [{ name: 't' }], timeoutMs: 1 },
    initProducerId: { transactionalId: null, transactionTimeoutMs: 0 },
    describeCluster: { includeClusterAuthorizedOperations: false },
    deleteRecords: { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 0 }] }], timeoutMs: 1_000 },
    offsetForLeaderEpoch: { topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: 0 }] }] },
    describeConfigs: { resources: [{ resourceType: 2, resourceName: 't', configurationKeys: null }] },
    alterConfigs: { resources: [{ resourceType: 2, resourceName: 't', configs: [] }], validateOnly: false },
    describeLogDirs: { topics: null },
    createPartitions: { topics: [{ name: 't', count: 2, assignments: null }], timeoutMs: 1_000, validateOnly: false },
    deleteGroups: { groupsNames: ['g'] },
    electLeaders: { topicPartitions: [{ topic: 't', partitions: [0] }], timeoutMs: 1_000 },
    incrementalAlterConfigs: { resources: [{ resourceType: 2, resourceName: 't', configs: [] }], validateOnly: false },
    listPartitionReassignments: { topics: null },
    offsetDelete: { groupId: 'g', topics: [] },
    describeQuorum: { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] },
    describeProducers: { topics: [{ name: 't', partitionIndexes: [0] }] },
    listConfigResources: {},
    describeTopicPartitions: { topics: [{ name: 't' }] },
  }
  return requests[name]
}

function frameOf(name: ApiName, version: number, broker: TestBroker): Buffer {
  const from = { correlationId: 77, clientId: 'ä client' }
  const whole = encodeRequest(apis[name] as Api, version, from, requestOf(name, version, broker))
  return flattenRope(sliceRope(whole, 4, whole.length))
}

function answerOf(api: Api, version: number, answer: Rope | null) {
  assert.ok(answer)
  const bytes = flattenRope(answer)
  assert.equal(bytes.readInt32BE(0), bytes.length - 4, 'the answer begins with its length')
  return decodeResponse(api, version, ropeOf(bytes.subarray(4)))
}

/** The error codes anywhere in an answer. */
function errorsIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(errorsIn)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return []
  return Object.entries(value).flatMap(([name, inner]) => (name === 'errorCode' ? [inner as number] : errorsIn(inner)))
}

const names = Object.keys(apis) as ApiName[]

/** What is answered truthfully where there is nothing wrong with the request. */
const expectedRefusals: { readonly [K in ApiName]?: KafkaErrorName } = {
  joinGroup: 'MEMBER_ID_REQUIRED',
  heartbeat: 'UNKNOWN_MEMBER_ID',
  leaveGroup: 'UNKNOWN_MEMBER_ID',
  syncGroup: 'UNKNOWN_MEMBER_ID',
  describeGroups: 'GROUP_ID_NOT_FOUND',
  deleteGroups: 'GROUP_ID_NOT_FOUND',
  offsetDelete: 'GROUP_ID_NOT_FOUND',
  electLeaders: 'ELECTION_NOT_NEEDED',
}

test('there is one handler for every API of the table', () => {
  const answered = handlers.map(({ api }) => api.key).sort((a, b) => a - b)
  assert.deepEqual(
    answered,
    apiList.map(({ key }) => key),
  )
})

for (const name of names) {
  for (const version of versionsOf(apis[name].request)) {
    test(`pitfall 34: ${name} ${version} may be the first request of a connection`, async () => {
      const broker = testBroker()
      broker.storage.add('t')
      const answer = broker.broker.handle(ropeOf(frameOf(name, version, broker)), connection)
      await broker.clock.run(10)
      const { correlationId, body } = answerOf(apis[name], version, await answer)
      assert.equal(correlationId, 77)
      for (const code of errorsIn(body)) {
        const error = kafkaErrorName(code)
        assert.ok(error === 'NONE' || error === expectedRefusals[name], error)
      }
      assert.deepEqual(broker.faults, [])
    })
  }

  test(`Q6 ${name} in a version that is not served closes the connection, with ApiVersions as the exception`, async () => {
    const { versions, key } = apis[name]
    for (const version of [versions[0] - 1, versions[1] + 1, 32767, -32768]) {
      const broker = testBroker()
      broker.storage.add('t')
      const frame = frameOf(name, versions[1], broker)
      frame.writeInt16BE(version, 2)
      const answer = broker.broker.handle(ropeOf(frame), connection)
      if (key === apis.apiVersions.key)
        assert.equal(errorIn(answerOf(apis[name], 0, await answer).body as never), 'UNSUPPORTED_VERSION')
      else await assert.rejects(answer, ProtocolError, `version ${version}`)
    }
  })
}

test('Q1 Produce 0 to 2 closes the connection, though it is advertised', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  for (const version of [0, 1, 2]) {
    const frame = frameOf('produce', 3, broker)
    frame.writeInt16BE(version, 2)
    await assert.rejects(broker.broker.handle(ropeOf(frame), connection), ProtocolError)
  }
})

test('Q6 an API that does not exist closes the connection', async () => {
  const { broker } = testBroker()
  for (const key of [4, 52, 1000, -1]) {
    const frame = Buffer.alloc(20)
    frame.writeInt16BE(key, 0)
    await assert.rejects(broker.handle(ropeOf(frame), connection), ProtocolError)
  }
})

test('Q6 a request that is cut short or no request closes the connection', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const whole = frameOf('metadata', 12, broker)
  for (const frame of [whole.subarray(0, -1), whole.subarray(0, 5), Buffer.alloc(0)]) {
    await assert.rejects(broker.broker.handle(ropeOf(frame), connection), ProtocolError)
  }
})

test('bytes behind a request are none of it: librdkafka 2.0 sends one too many with ListGroups', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const whole = frameOf('metadata', 12, broker)
  assert.ok(await broker.broker.handle(ropeOf(Buffer.concat([whole, Buffer.alloc(1)])), connection))
})

test('Q5 the client id of a flexible header is an old string; it reaches whoever logs', async () => {
  const broker = testBroker()
  const [partition] = broker.storage.add('t').partitions
  partition!.highWatermark = offset(1)
  partition!.fault = new Error('a surprise')
  for (const version of [11, 12]) await broker.broker.handle(ropeOf(frameOf('fetch', version, broker)), connection)
  assert.deepEqual(
    broker.faults.map(({ request }) => [request.api, request.version, request.clientId]),
    [
      ['Fetch', 11, 'ä client'],
      ['Fetch', 12, 'ä client'],
    ],
  )
})

test('mutated requests are answered or close the connection; nothing else ever comes of them', async () => {
  const clean = testBroker()
  clean.storage.add('t')
  const cases = names.flatMap(name => versionsOf(apis[name].request).map(version => frameOf(name, version, clean)))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(cases.length - 1),
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (which, changes) => {
        const broker = testBroker()
        broker.storage.add('t')
        const frame = Buffer.from(cases[which]!)
        for (const [at, byte] of changes) if (at >= 4 && at < frame.length) frame[at] = byte
        const closing = new AbortController()
        const answer = broker.broker.handle(ropeOf(frame), { ...connection, signal: closing.signal }).catch(error => {
          if (!(error instanceof ProtocolError)) throw error
        })
        closing.abort()
        await broker.clock.run(300_000)
        await answer
        assert.deepEqual(broker.faults, [])
      },
    ),
    { numRuns: 1_500 },
  )
})

// What goes wrong inside

/** A broker whose storage fails wherever a request may touch it. */
function failing(error: Error): TestBroker {
  const broker = testBroker()
  const [partition] = broker.storage.add('t').partitions
  const fail = () => {
    throw error
  }
  partition!.highWatermark = offset(1)
  partition!.fault = error
  partition!.findByTime = fail
  broker.storage.createTopic = fail
  broker.storage.deleteTopic = fail
  broker.storage.allocateProducerIds = fail
  return broker
}

const touchStorage: readonly ApiName[] = ['fetch', 'listOffsets', 'createTopics', 'deleteTopics', 'initProducerId']

for (const name of touchStorage) {
  for (const version of versionsOf(apis[name].request)) {
    test(`${name} ${version} is answered with UNKNOWN_SERVER_ERROR when something unforeseen happens`, async () => {
      const broker = failing(new Error('a surprise'))
      const answer = await broker.broker.handle(ropeOf(frameOf(name, version, broker)), connection)
      assert.ok(errorsIn(answerOf(apis[name], version, answer).body).includes(-1))
      assert.equal(broker.faults.length, 1)
    })
  }

  test(`${name}: a broken invariant or a broken disk is not answered but stops the process`, async () => {
    for (const error of [new InvariantViolation('it holds'), new TidelogError('DISK_FAILED', 'no sync')]) {
      const broker = failing(error)
      const { versions } = apis[name]
      await assert.rejects(broker.broker.handle(ropeOf(frameOf(name, versions[1], broker)), connection), error)
    }
  })

  test(`${name}: a storage that is closing closes the connection`, async () => {
    const broker = failing(new TidelogError('CLOSED', 'stopping'))
    const { versions } = apis[name]
    await assert.rejects(broker.broker.handle(ropeOf(frameOf(name, versions[1], broker)), connection), ProtocolError)
  })
}

for (const name of names) {
  for (const version of versionsOf(apis[name].request)) {
    test(`${name} ${version} has an answer for a request that failed as a whole`, () => {
      const broker = testBroker()
      broker.storage.add('t')
      const api: Api = apis[name]
      const handler = handlers.find(candidate => candidate.api === api)!
      const { body } = decodeRequest(api, version, ropeOf(frameOf(name, version, broker)))
      const answer = handler.failed(body as never, 'UNKNOWN_SERVER_ERROR', { version } as never)
      assert.ok(errorsIn(answerOf(api, version, encodeResponse(api, version, 77, answer as never)).body).includes(-1))
    })
  }
}

test('Metadata for all topics that fails has no room for an error before 13, and closes the connection', () => {
  const handler = handlers.find(({ api }) => api.key === apis.metadata.key)!
  assert.equal(handler.failed({ topics: null } as never, 'UNKNOWN_SERVER_ERROR', { version: 12 } as never), null)
  assert.notEqual(handler.failed({ topics: null } as never, 'UNKNOWN_SERVER_ERROR', { version: 13 } as never), null)
})

test('Produce without acks that fails closes the connection', () => {
  const handler = handlers.find(({ api }) => api.key === apis.produce.key)!
  const request = { acks: 0, topicData: [] } as never
  assert.equal(handler.failed(request, 'UNKNOWN_SERVER_ERROR', { version: 9 } as never), null)
})
