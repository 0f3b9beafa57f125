/** Topic administration over the real engine on a disk in memory: what is changed takes effect, and survives a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Rope } from '../base/rope.ts'
import { ManualClock } from '../sim/clock.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { apis } from '../wire/api-keys.ts'
import type { RecordDraft } from '../wire/build-batch.ts'
import { startNode, type TestNode } from './testing/engine-broker.ts'
import { batchOf, errorIn, settle } from './testing/test-broker.ts'

async function create({ ask }: TestNode, name: string, partitions = 1, configs: Record<string, string> = {}) {
  const topic = {
    name,
    numPartitions: partitions,
    replicationFactor: 1,
    assignments: [],
    configs: Object.entries(configs).map(([config, value]) => ({ name: config, value })),
  }
  const { topics } = await ask(apis.createTopics, 7, { topics: [topic], timeoutMs: 10_000 })
  assert.equal(errorIn(topics[0]), 'NONE')
}

async function produce({ ask }: TestNode, name: string, records: Rope, index = 0) {
  const topicData = [{ name, partitionData: [{ index, records }] }]
  const { responses } = await ask(apis.produce, 9, { acks: -1, timeoutMs: 10_000, topicData })
  return responses[0]!.partitionResponses[0]!
}

/** What a batch of these records comes to. */
async function outcomeOf(node: TestNode, ...records: (string | RecordDraft)[]) {
  return errorIn(await produce(node, 't', batchOf(records, { baseTimestamp: Date.now() })))
}

/** Sets configs of the topic `t`, with null for those that fall back to their defaults. */
async function alter({ ask }: TestNode, configs: Record<string, string | null>) {
  const asked = Object.entries(configs).map(([name, value]) => ({
    name,
    configOperation: value === null ? 1 : 0,
    value,
  }))
  const resources = [{ resourceType: 2, resourceName: 't', configs: asked }]
  return errorIn((await ask(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false })).responses[0])
}

async function described({ ask }: TestNode, ...configurationKeys: string[]) {
  const resources = [{ resourceType: 2, resourceName: 't', configurationKeys }]
  const { results } = await ask(apis.describeConfigs, 4, { resources })
  return results[0]!.configs.map(({ name, value, configSource }) => `${name}=${value} (${configSource})`)
}

async function startOf({ ask }: TestNode, index = 0): Promise<number> {
  const partitions = [{ partitionIndex: index, timestamp: -2 }]
  const { topics } = await ask(apis.listOffsets, 7, { replicaId: -1, topics: [{ name: 't', partitions }] })
  return topics[0]!.partitions[0]!.offset
}

async function sizes({ ask }: TestNode): Promise<number[]> {
  const { results } = await ask(apis.describeLogDirs, 5, { topics: null })
  return results[0]!.topics.find(({ name }) => name === 't')!.partitions.map(({ partitionSize }) => partitionSize)
}

test('configs take effect on the next record, and are still there after a restart', async () => {
  const disk = new MemoryDisk()
  {
    await using node = await startNode(disk)
    await create(node, 't', 1, { 'retention.ms': '5000000' })
    const large = 'x'.repeat(2_000)
    assert.equal(await outcomeOf(node, large), 'NONE')
    assert.equal(await alter(node, { 'max.message.bytes': '1000', 'message.timestamp.type': 'LogAppendTime' }), 'NONE')
    assert.equal(await outcomeOf(node, large), 'MESSAGE_TOO_LARGE')
    const ours = await produce(node, 't', batchOf([{ value: 'old', timestampMs: 5 }]))
    assert.ok(ours.logAppendTimeMs > 5)
    assert.equal(await alter(node, { 'cleanup.policy': 'compact', 'message.timestamp.type': null }), 'NONE')
    assert.equal(await outcomeOf(node, 'no key'), 'INVALID_RECORD')
    assert.equal(await outcomeOf(node, { key: 'k', value: 'v' }), 'NONE')
    assert.equal(await alter(node, { 'segment.bytes': '5' }), 'INVALID_CONFIG')
  }
  await using node = await startNode(disk)
  assert.deepEqual(await described(node, 'max.message.bytes', 'cleanup.policy', 'retention.ms', 'segment.bytes'), [
    'cleanup.policy=compact (1)',
    'max.message.bytes=1000 (1)',
    'retention.ms=5000000 (1)',
    'segment.bytes=1073741824 (5)',
  ])
  assert.equal(await outcomeOf(node, { key: 'k', value: 'x'.repeat(2_000) }), 'MESSAGE_TOO_LARGE')
  const resources = [{ resourceType: 2, resourceName: 't', configs: [] }]
  await node.ask(apis.alterConfigs, 2, { resources, validateOnly: false })
  assert.equal(await outcomeOf(node, 'x'.repeat(2_000)), 'NONE')
  assert.deepEqual(await described(node, 'cleanup.policy'), ['cleanup.policy=delete (5)'])
})

test('retention that is set later removes what is too old, but not from a topic that is only compacted', async () => {
  const clock = new ManualClock()
  await using node = await startNode(new MemoryDisk(), { clock })
  await create(node, 't', 1, {
    'tidelog.segment.records': '1',
    'cleanup.policy': 'compact',
    'file.delete.delay.ms': '0',
  })
  const minutesLater = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute++) {
      await clock.run(60_000)
      for (let turn = 0; turn < 20; turn++) await settle()
    }
  }
  for (const value of ['a', 'b', 'c']) {
    const answer = produce(node, 't', batchOf([{ key: 'k', value }], { baseTimestamp: clock.nowMs() }))
    await clock.run(100)
    assert.equal(errorIn(await answer), 'NONE')
  }
  const set = async (configs: Record<string, string | null>) => {
    const altered = alter(node, configs)
    await clock.run(100)
    assert.equal(await altered, 'NONE')
  }
  await set({ 'retention.ms': '1000' })
  await minutesLater(3)
  assert.equal(await startOf(node), 0)
  await set({ 'cleanup.policy': 'compact,delete' })
  await minutesLater(3)
  assert.ok((await startOf(node)) >= 2)
})

test('changes of one topic that meet are all made', async () => {
  await using node = await startNode(new MemoryDisk())
  await create(node, 't')
  const names = ['retention.ms', 'retention.bytes', 'segment.ms', 'max.message.bytes', 'file.delete.delay.ms']
  const grown = node.ask(apis.createPartitions, 3, {
    topics: [{ name: 't', count: 3, assignments: null }],
    timeoutMs: 10_000,
    validateOnly: false,
  })
  const outcomes = await Promise.all(names.map(name => alter(node, { [name]: '123456' })))
  assert.deepEqual(
    outcomes,
    names.map(() => 'NONE'),
  )
  assert.deepEqual((await grown).results.map(errorIn), ['NONE'])
  assert.equal((await described(node, ...names)).filter(text => text.endsWith('=123456 (1)')).length, names.length)
})

test('pitfall 28: partitions that are added take records at once, and are there after a restart', async () => {
  const disk = new MemoryDisk()
  const grow = async ({ ask }: TestNode, count: number) => {
    const topics = [{ name: 't', count, assignments: null }]
    return errorIn((await ask(apis.createPartitions, 3, { topics, timeoutMs: 10_000, validateOnly: false })).results[0])
  }
  {
    await using node = await startNode(disk)
    await create(node, 't')
    assert.equal(await grow(node, 4), 'NONE')
    assert.equal(await grow(node, 4), 'INVALID_PARTITIONS')
    assert.equal(await grow(node, 2), 'INVALID_PARTITIONS')
    assert.equal((await produce(node, 't', batchOf(['x', 'y']), 3)).baseOffset, 0)
    assert.equal((await produce(node, 't', batchOf(['z']), 3)).baseOffset, 2)
  }
  await using node = await startNode(disk)
  const { topics } = await node.ask(apis.describeTopicPartitions, 0, { topics: [{ name: 't' }] })
  assert.equal(topics[0]!.partitions.length, 4)
  assert.equal((await produce(node, 't', batchOf(['w']), 3)).baseOffset, 3)
  const [empty, , , full] = await sizes(node)
  assert.ok(empty === 0 && full! > 0)
})

test('pitfall 39: records that are deleted stay deleted', async () => {
  const disk = new MemoryDisk()
  const cut = async ({ ask }: TestNode, offset: number) => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }]
    const answer = (await ask(apis.deleteRecords, 2, { topics, timeoutMs: 10_000 })).topics[0]!.partitions[0]!
    return [errorIn(answer), answer.lowWatermark]
  }
  {
    await using node = await startNode(disk)
    await create(node, 't')
    for (const value of ['a', 'b', 'c']) await produce(node, 't', batchOf([value, value]))
    assert.deepEqual(await cut(node, 7), ['OFFSET_OUT_OF_RANGE', -1])
    assert.deepEqual(await cut(node, 3), ['NONE', 3])
    assert.equal(await startOf(node), 3)
  }
  {
    await using node = await startNode(disk)
    assert.equal(await startOf(node), 3)
    assert.deepEqual(await cut(node, 1), ['NONE', 3])
    assert.deepEqual(await cut(node, -1), ['NONE', 6])
  }
  await using node = await startNode(disk)
  assert.equal(await startOf(node), 6)
  assert.equal((await produce(node, 't', batchOf(['d']))).baseOffset, 6)
})

test('what a node tells of its epochs, its producers and its quorum', async () => {
  await using node = await startNode(new MemoryDisk())
  await create(node, 't')
  const { producerId } = await node.ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
  const baseTimestamp = Date.now()
  const idempotent = { producerId, producerEpoch: 0, baseSequence: 0, baseTimestamp }
  assert.equal(errorIn(await produce(node, 't', batchOf(['a', 'b'], idempotent))), 'NONE')

  const producers = await node.ask(apis.describeProducers, 0, { topics: [{ name: 't', partitionIndexes: [0] }] })
  const [active] = producers.topics[0]!.partitions[0]!.activeProducers
  assert.deepEqual([active?.producerId, active?.producerEpoch, active?.lastSequence], [producerId, 0, 1])
  assert.ok((active?.lastTimestamp ?? 0) >= baseTimestamp, 'when it was last heard of')

  const { topics } = await node.ask(apis.metadata, 12, { topics: [{ name: 't' }] })
  const { leaderEpoch } = topics[0]!.partitions[0]!
  const partitions = [{ partition: 0, currentLeaderEpoch: leaderEpoch, leaderEpoch }]
  const ends = await node.ask(apis.offsetForLeaderEpoch, 4, { topics: [{ topic: 't', partitions }] })
  assert.deepEqual(ends.topics[0]!.partitions[0], { errorCode: 0, partition: 0, leaderEpoch, endOffset: 2 })

  const asked = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
  const quorum = (await node.ask(apis.describeQuorum, 2, { topics: asked })).topics[0]!.partitions[0]!
  assert.deepEqual([quorum.leaderId, quorum.currentVoters.map(({ replicaId }) => replicaId)], [1, [1]])
  assert.ok(quorum.highWatermark > 0 && quorum.currentVoters[0]!.logEndOffset >= quorum.highWatermark)
})
