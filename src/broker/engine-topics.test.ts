/** What becomes of topics after they were made: they grow, get other configs, and tell what they hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaderEpoch, Offset, TopicId } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { ropeOf } from '../base/rope.ts'
import { ManualClock } from '../sim/clock.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { FileSystem } from '../sim/file-system.ts'
import { type BatchOptions, buildBatch } from '../wire/build-batch.ts'
import { readBatchHeader } from '../wire/record-batch.ts'
import { brokerConfigs, topicSettings } from './configs.ts'
import { Engine, nodeLogSettings } from './engine.ts'
import type { AppendOutcome, PartitionStore, Topic } from './storage.ts'

let starts = 0

async function open(disk: MemoryDisk, clock = new ManualClock()): Promise<Engine> {
  const configs = brokerConfigs()
  const compute = { decompress: () => assert.fail(), compress: () => assert.fail() }
  return Engine.open(
    { disk, clock, random: new Prng(++starts), compute },
    {
      log: nodeLogSettings({ journalBytes: 64 << 20, cacheBytes: 16 << 20, openFilesMax: 100, acceptDataLoss: false }),
      retentionCheckMs: 60_000,
      producerIdExpirationMs: 86_400_000,
      topicSettings: given => topicSettings(configs, given),
    },
    { report: () => {}, fail: error => assert.fail(error) },
  )
}

async function make(engine: Engine, configs: Record<string, string> = {}, partitions = 1): Promise<TopicId> {
  const spec = { name: 't', partitions, replicationFactor: 1, configs: new Map(Object.entries(configs)) }
  const created = await engine.createTopic(spec)
  assert.equal(created.error, 'NONE')
  return (created as { topic: Topic }).topic.id
}

function batch(count: number, options: BatchOptions = {}) {
  const records = Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `value-${i}` }))
  const bytes = buildBatch(records, options)
  return { header: readBatchHeader(bytes), bytes: ropeOf(bytes) }
}

async function append(partition: PartitionStore | undefined, count: number, options: BatchOptions = {}) {
  assert.ok(partition !== undefined)
  return partition.append(batch(count, options), -1)
}

const offsetOf = (outcome: AppendOutcome) => (outcome.error === 'NONE' ? outcome.baseOffset : outcome.error)
const configure = (engine: Engine, configs: Record<string, string>, topic = engine.topicByName('t')) =>
  engine.configureTopic(topic!.id, topic!.version, new Map(Object.entries(configs)))
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

test('a topic grows: its new partitions take records at once, and after a restart', async () => {
  const disk = new MemoryDisk()
  const engine = await open(disk)
  const id = await make(engine, {}, 2)
  assert.equal(offsetOf(await append(engine.topicById(id)?.partitions[1], 2)), 0)
  assert.deepEqual(await engine.createPartitions(id, 5), { error: 'NONE', message: null })
  const topic = engine.topicById(id)
  assert.deepEqual([topic?.partitions.length, topic?.version, engine.topics()[0]], [5, 1, topic])
  assert.deepEqual(
    topic?.partitions.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  )
  assert.equal(offsetOf(await append(topic?.partitions[4], 3)), 0)
  assert.equal(offsetOf(await append(topic?.partitions[1], 1)), 2)
  await engine.close()

  const again = await open(disk)
  const ends = again.topicById(id)?.partitions.map(({ highWatermark }) => highWatermark)
  assert.deepEqual(ends, [0, 3, 0, 0, 3])
  assert.deepEqual(await again.createPartitions(id, 6), { error: 'NONE', message: null })
  assert.equal(again.topicById(id)?.version, 2)
  await again.close()
  assert.deepEqual(disk.violations, [])
})

test('a topic does not shrink, and growths that meet add up', async () => {
  const engine = await open(new MemoryDisk())
  const id = await make(engine, {}, 3)
  for (const total of [3, 2, 0]) assert.equal((await engine.createPartitions(id, total)).error, 'INVALID_PARTITIONS')
  assert.equal((await engine.createPartitions('b'.repeat(32) as TopicId, 2)).error, 'UNKNOWN_TOPIC_OR_PARTITION')
  const outcomes = await Promise.all([4, 40, 6].map(total => engine.createPartitions(id, total)))
  assert.deepEqual(
    outcomes.map(({ error }) => error),
    ['NONE', 'NONE', 'INVALID_PARTITIONS'],
  )
  const partitions = engine.topicById(id)?.partitions ?? []
  assert.deepEqual(
    partitions.map(({ index }) => index),
    Array.from({ length: 40 }, (_, i) => i),
  )
  await engine.close()
})

test('a topic that is deleted while it grows leaves nothing behind', async () => {
  const disk = new MemoryDisk()
  const engine = await open(disk)
  const id = await make(engine, { 'file.delete.delay.ms': '0' })
  const [grown, deleted] = await Promise.all([engine.createPartitions(id, 30), engine.deleteTopic(id)])
  assert.equal(deleted, 'NONE')
  assert.ok(grown.error === 'NONE' || grown.error === 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.deepEqual(engine.topics(), [])
  await make(engine)
  await engine.close()
  const again = await open(disk)
  assert.deepEqual(
    again.topics().map(({ partitions }) => partitions.length),
    [1],
  )
  await again.close()
})

test('configs are changed whole, at the version that was seen, and outlive a restart', async () => {
  const disk = new MemoryDisk()
  const engine = await open(disk)
  const id = await make(engine, { 'retention.ms': '1000', 'max.message.bytes': '5000' })
  const seen = engine.topicById(id)
  assert.equal(await configure(engine, { 'retention.ms': '77' }), 'NONE')
  const topic = engine.topicById(id)
  assert.deepEqual([...(topic?.configs ?? [])], [['retention.ms', '77']])
  assert.deepEqual([topic?.settings.retentionMs, topic?.settings.maxMessageBytes, topic?.version], [77, 1048588, 1])
  assert.equal(await configure(engine, {}, seen), 'STALE')
  assert.equal(await engine.configureTopic('b'.repeat(32) as TopicId, 0, new Map()), 'UNKNOWN_TOPIC_ID')
  await engine.close()
  const again = await open(disk)
  assert.deepEqual([again.topicById(id)?.settings.retentionMs, again.topicById(id)?.version], [77, 1])
  await again.close()
})

test('changed configs are in effect on open partitions at once', async () => {
  const clock = new ManualClock()
  const engine = await open(new MemoryDisk(), clock)
  await make(engine)
  const partition = engine.topicByName('t')?.partitions[0] as PartitionStore
  const stamped = async () => {
    const outcome = await append(partition, 1, { baseTimestamp: clock.nowMs() })
    return outcome.error === 'NONE' ? outcome.logAppendTimeMs : outcome.error
  }
  assert.equal(await stamped(), -1)
  await configure(engine, { 'message.timestamp.type': 'LogAppendTime' })
  assert.equal(await stamped(), clock.nowMs())
  await configure(engine, { 'min.insync.replicas': '2' })
  assert.equal(await stamped(), 'NOT_ENOUGH_REPLICAS')
  await configure(engine, { 'tidelog.segment.records': '1' })
  const before = partition.endOfEpoch(0).endOffset
  for (let i = 0; i < 3; i++) assert.equal(await stamped(), -1)
  assert.equal(partition.logEndOffset, before + 3)
  // Everything but the open segment is too much at once, by the rules of the next tick.
  await configure(engine, { 'retention.bytes': '0' })
  clock.advance(60_000)
  for (let i = 0; i < 100 && partition.logStartOffset === 0; i++) await turn()
  assert.equal(partition.logStartOffset, before + 2)
  await engine.close()
})

for (const [policy, keeps] of [
  ['compact', true],
  ['', true],
  ['delete', false],
  ['compact,delete', false],
] as const) {
  test(`cleanup.policy=${policy}: what is old ${keeps ? 'stays' : 'goes'}`, async () => {
    const clock = new ManualClock()
    const engine = await open(new MemoryDisk(), clock)
    await make(engine, { 'cleanup.policy': policy, 'retention.ms': '1', 'tidelog.segment.records': '1' })
    const partition = engine.topicByName('t')?.partitions[0] as PartitionStore
    for (let i = 0; i < 3; i++) await append(partition, 1, { baseTimestamp: clock.nowMs() })
    for (let i = 0; i < 2; i++) {
      clock.advance(60_000)
      for (let turns = 0; turns < 50; turns++) await turn()
    }
    assert.equal(partition.logStartOffset, keeps ? 0 : 3)
    assert.equal((await partition.deleteRecords(3 as Offset)).error, 'NONE')
    await engine.close()
  })
}

test('a partition tells its end, its size, its epochs and its producers', async () => {
  const disk = new MemoryDisk()
  const clock = new ManualClock()
  const engine = await open(disk, clock)
  await make(engine)
  const partition = engine.topicByName('t')?.partitions[0] as PartitionStore
  const options = { producerId: 9, producerEpoch: 2, baseSequence: 0 }
  await append(partition, 3, options)
  await append(partition, 2, { ...options, baseSequence: 3 })
  await append(partition, 1, { producerId: 4, producerEpoch: 0, baseSequence: 0 })
  const bytes = batch(3, options).bytes.length + batch(2).bytes.length + batch(1).bytes.length
  const told = (one: PartitionStore) => [one.logEndOffset, one.storedBytes, one.endOfEpoch(0), one.endOfEpoch(1)]
  const expected = [6, bytes, { epoch: 0, endOffset: 6 }, { epoch: -1, endOffset: -1 }]
  assert.deepEqual(told(partition), expected)
  assert.equal(partition.epochOf(6 as Offset), 0 as LeaderEpoch)
  const producers = [
    { producerId: 9, producerEpoch: 2, lastSequence: 4, lastTimestampMs: clock.nowMs() },
    { producerId: 4, producerEpoch: 0, lastSequence: 0, lastTimestampMs: clock.nowMs() },
  ]
  assert.deepEqual(partition.producers(), producers)
  await engine.close()
  const again = await open(disk, clock)
  const recovered = again.topicByName('t')?.partitions[0] as PartitionStore
  assert.deepEqual(told(recovered), expected)
  assert.deepEqual(recovered.producers(), producers)
  await again.close()
})

test('the node tells of its disk, and of its group of one', async () => {
  const disk = new MemoryDisk({ files: new FileSystem({ capacityBytes: 64 << 20 }) })
  const engine = await open(disk)
  const [dir] = await engine.logDirs()
  assert.deepEqual(dir, { path: 'memory', totalBytes: 64 << 20, usableBytes: disk.files.freeBytes })
  const before = engine.quorum()
  await make(engine)
  const { leaderId, leaderEpoch, highWatermark, voters, observers } = engine.quorum()
  assert.deepEqual([leaderId, leaderEpoch, observers], [1, before.leaderEpoch, []])
  assert.equal(highWatermark, before.highWatermark + 1)
  assert.deepEqual(
    voters.map(({ nodeId, logEndOffset }) => [nodeId, logEndOffset]),
    [[1, highWatermark]],
  )
  assert.match(voters[0]?.directoryId ?? '', /^[0-9a-f]{32}$/)
  await engine.close()
})

test('a segment that lies below the log start when a later one is sealed is deleted by the next tick', async () => {
  const disk = new MemoryDisk()
  const clock = new ManualClock()
  const engine = await open(disk, clock)
  await make(engine, { 'tidelog.segment.records': '2', 'file.delete.delay.ms': '0' })
  const partition = engine.topicByName('t')?.partitions[0] as PartitionStore
  const now = { baseTimestamp: clock.nowMs() }
  for (let i = 0; i < 4; i++) await append(partition, 1, now)
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let i = 0; i < 100; i++) await turn()
  }
  for (let i = 0; i < 4; i++) await pass(2500)
  assert.equal((await partition.deleteRecords(-1 as Offset)).logStartOffset, 4)
  for (let i = 0; i < 3; i++) await append(partition, 1, now)
  for (let i = 0; i < 4; i++) await pass(60_000)
  assert.deepEqual(
    disk.files.walk('topics').filter(path => /\/0{19}[02]\./.test(path)),
    [],
  )
  await engine.close()
})
