import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiName, apis } from '../wire/api-keys.ts'
import { type Access, type AccessRule, accessRules, authorizedOperations } from './access.ts'
import { batchOf, errorIn, testBroker } from './testing/test-broker.ts'

test('who may do nothing is told so by every API with a rule', async () => {
  const asked: AccessRule[] = []
  const denyAll: Access = { check: (_principal, rule) => asked.push(rule) < 0 }
  const { ask, storage } = testBroker({}, denyAll)
  const { id: topicId } = storage.add('secret')
  const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }
  const partitionData = [{ index: 0, records: batchOf(['x']) }]
  const topics = [{ name: 'secret', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }]
  const member = { groupId: 'g', memberId: '' }
  const secretConfigs = { resourceType: 2, resourceName: 'secret', configs: [] }
  // All but one: ListGroups tells less instead of refusing, which its own test shows.
  const answers: Record<Exclude<ApiName, 'listGroups'>, () => Promise<string | null>> = {
    produce: async () => {
      const request = { acks: 1, timeoutMs: 1, topicData: [{ name: 'secret', partitionData }] }
      return errorIn((await ask(apis.produce, 9, request)).responses[0]?.partitionResponses[0])
    },
    fetch: async () => {
      const request = { maxWaitMs: 0, minBytes: 0, topics: [{ topic: 'secret', partitions: [partition] }] }
      return errorIn((await ask(apis.fetch, 11, request)).responses[0]?.partitions[0])
    },
    listOffsets: async () => {
      const partitions = [{ partitionIndex: 0, timestamp: -1 }]
      const request = { replicaId: -1, topics: [{ name: 'secret', partitions }] }
      return errorIn((await ask(apis.listOffsets, 7, request)).topics[0]?.partitions[0])
    },
    metadata: async () => errorIn((await ask(apis.metadata, 9, { topics: [{ name: 'secret' }] })).topics[0]),
    findCoordinator: async () => errorIn(await ask(apis.findCoordinator, 3, { key: 'g' })),
    apiVersions: async () => null,
    createTopics: async () => errorIn((await ask(apis.createTopics, 5, { topics })).topics[0]),
    deleteTopics: async () =>
      errorIn((await ask(apis.deleteTopics, 5, { topicNames: ['secret'], timeoutMs: 1 })).responses[0]),
    initProducerId: async () =>
      errorIn(await ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })),
    describeCluster: async () => null,
    offsetCommit: async () => {
      const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }]
      const request = { groupId: 'g', memberId: '', topics: [{ name: 'secret', partitions }] }
      return errorIn((await ask(apis.offsetCommit, 9, request)).topics[0]?.partitions[0])
    },
    offsetFetch: async () =>
      errorIn((await ask(apis.offsetFetch, 9, { groups: [{ groupId: 'g', topics: null }] })).groups[0]),
    joinGroup: async () => {
      const request = { ...member, sessionTimeoutMs: 10_000, protocolType: 'consumer', protocols: [] }
      return errorIn(await ask(apis.joinGroup, 9, request))
    },
    heartbeat: async () => errorIn(await ask(apis.heartbeat, 4, { ...member, generationId: 1 })),
    leaveGroup: async () => errorIn(await ask(apis.leaveGroup, 5, { groupId: 'g', members: [{ memberId: '' }] })),
    syncGroup: async () => errorIn(await ask(apis.syncGroup, 4, { ...member, generationId: 1, assignments: [] })),
    describeGroups: async () => errorIn((await ask(apis.describeGroups, 6, { groups: ['g'] })).groups[0]),
    deleteGroups: async () => errorIn((await ask(apis.deleteGroups, 2, { groupsNames: ['g'] })).results[0]),
    offsetDelete: async () => errorIn(await ask(apis.offsetDelete, 0, { groupId: 'g', topics: [] })),
    describeConfigs: async () => {
      const resources = [{ resourceType: 2, resourceName: 'secret', configurationKeys: null }]
      return errorIn((await ask(apis.describeConfigs, 4, { resources })).results[0])
    },
    alterConfigs: async () =>
      errorIn((await ask(apis.alterConfigs, 2, { resources: [secretConfigs], validateOnly: false })).responses[0]),
    incrementalAlterConfigs: async () => {
      const request = { resources: [secretConfigs], validateOnly: false }
      return errorIn((await ask(apis.incrementalAlterConfigs, 1, request)).responses[0])
    },
    createPartitions: async () => {
      const request = { topics: [{ name: 'secret', count: 2, assignments: null }], timeoutMs: 1, validateOnly: false }
      return errorIn((await ask(apis.createPartitions, 3, request)).results[0])
    },
    deleteRecords: async () => {
      const partitions = [{ partitionIndex: 0, offset: -1 }]
      const request = { topics: [{ name: 'secret', partitions }], timeoutMs: 1 }
      return errorIn((await ask(apis.deleteRecords, 2, request)).topics[0]?.partitions[0])
    },
    offsetForLeaderEpoch: async () => {
      const request = { topics: [{ topic: 'secret', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }
      return errorIn((await ask(apis.offsetForLeaderEpoch, 4, request)).topics[0]?.partitions[0])
    },
    describeTopicPartitions: async () =>
      errorIn((await ask(apis.describeTopicPartitions, 0, { topics: [{ name: 'secret' }] })).topics[0]),
    describeLogDirs: async () => errorIn(await ask(apis.describeLogDirs, 3, { topics: null })),
    electLeaders: async () => errorIn(await ask(apis.electLeaders, 2, { topicPartitions: null })),
    listPartitionReassignments: async () => errorIn(await ask(apis.listPartitionReassignments, 0, {})),
    describeQuorum: async () => errorIn(await ask(apis.describeQuorum, 2, { topics: [] })),
    describeProducers: async () => {
      const request = { topics: [{ name: 'secret', partitionIndexes: [0] }] }
      return errorIn((await ask(apis.describeProducers, 0, request)).topics[0]?.partitions[0])
    },
    listConfigResources: async () => errorIn(await ask(apis.listConfigResources, 1, {})),
  }
  for (const [name, answer] of Object.entries(answers)) {
    const rule: AccessRule | { open: string } = accessRules[name as ApiName]
    assert.equal(await answer(), 'open' in rule ? null : rule.refusal, name)
  }
  assert.ok(storage.topicByName('secret'), 'nothing was deleted')

  const byId = await ask(apis.metadata, 12, { topics: [{ topicId, name: null }] })
  assert.equal(errorIn(byId.topics[0]), 'TOPIC_AUTHORIZATION_FAILED')
  assert.equal(byId.topics[0]?.name, null, 'an id does not tell the name')
  const all = await ask(apis.metadata, 12, { topics: null })
  assert.deepEqual(all.topics, [], 'what one may not see is not listed')
})

test('authorised operations are the bits that Kafka sends', () => {
  const all: Access = { check: () => true }
  assert.equal(authorizedOperations(all, 'User:a', 'topic', 't'), 0b1101_1111_1000)
  assert.equal(authorizedOperations(all, 'User:a', 'cluster', 'kafka-cluster'), 0b1_1111_1010_0000)
  assert.equal(authorizedOperations(all, 'User:a', 'group', 'g'), 0b1101_0100_1000)
  const readers: Access = { check: (_principal, rule) => rule.operation === 'READ' }
  assert.equal(authorizedOperations(readers, 'User:a', 'topic', 't'), 0b1000)
})
