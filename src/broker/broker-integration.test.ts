/** The handlers over the real engine on a disk in memory: requests as clients send them, across restarts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicId } from '../base/ids.ts'
import { flattenRope, type Rope, sliceRope } from '../base/rope.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { apis } from '../wire/api-keys.ts'
import { batchCrcMatches, batchHeaderBytes, readBatchHeader } from '../wire/record-batch.ts'
import { readRecords } from '../wire/records.ts'
import { startNode, type TestNode } from './testing/engine-broker.ts'
import { batchOf, errorIn } from './testing/test-broker.ts'

async function produce({ ask }: TestNode, topic: string, records: Rope, acks = -1, index = 0) {
  const topicData = [{ name: topic, partitionData: [{ index, records }] }]
  const { responses } = await ask(apis.produce, 9, { acks, timeoutMs: 10_000, topicData })
  return responses[0]!.partitionResponses[0]!
}

async function fetch({ ask }: TestNode, topicId: TopicId, from: number, more: object = {}) {
  const partitions = [{ partition: 0, fetchOffset: from, partitionMaxBytes: 1_000_000 }]
  const request = { maxWaitMs: 0, minBytes: 1, topics: [{ topicId, partitions }], ...more }
  return (await ask(apis.fetch, 13, request)).responses[0]!.partitions[0]!
}

/** `offset:value` of every record; checksums must be right. */
function recordsIn(records: Rope | null): string[] {
  const bytes = flattenRope(records!)
  const all: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const header = readBatchHeader(bytes, at)
    const batch = { chunks: [bytes.subarray(at, at + header.bytes)], length: header.bytes }
    assert.ok(batchCrcMatches(batch, header), 'the checksum is right')
    for (const { offset, value } of readRecords(header, sliceRope(batch, batchHeaderBytes, header.bytes))) {
      all.push(`${offset}:${value}`)
    }
    at += header.bytes
  }
  return all
}

async function topicIdOf({ ask }: TestNode, name: string): Promise<TopicId> {
  const { topics } = await ask(apis.metadata, 12, { topics: [{ name }] })
  assert.equal(errorIn(topics[0]), 'NONE')
  return topics[0]!.topicId
}

test('a first mention makes a topic; what is acknowledged is there after a restart, at its offset', async () => {
  const disk = new MemoryDisk()
  let id: TopicId
  {
    await using node = await startNode(disk)
    id = await topicIdOf(node, 'orders')
    for (const [place, acks] of [-1, 1, -1].entries()) {
      const answer = await produce(node, 'orders', batchOf([`a${place}`, `b${place}`]), acks)
      assert.deepEqual([errorIn(answer), answer.baseOffset], ['NONE', 2 * place])
    }
  }
  await using node = await startNode(disk)
  assert.equal(await topicIdOf(node, 'orders'), id)
  const fetched = await fetch(node, id, 0)
  assert.deepEqual(recordsIn(fetched.records), ['0:a0', '1:b0', '2:a1', '3:b1', '4:a2', '5:b2'])
  assert.equal(fetched.highWatermark, 6)
  assert.deepEqual(recordsIn((await fetch(node, id, 3)).records), ['2:a1', '3:b1', '4:a2', '5:b2'], 'pitfall 1')
  assert.equal(errorIn(await fetch(node, id, 7)), 'OFFSET_OUT_OF_RANGE')
})

test('pitfall 20: a retry of an idempotent producer gets the offset of the original, after a restart too', async () => {
  const disk = new MemoryDisk()
  const idempotent = (baseSequence: number, producerId: number) =>
    batchOf(['x'], { producerId, producerEpoch: 0, baseSequence, baseTimestamp: Date.now() })
  let producerId: number
  {
    await using node = await startNode(disk)
    await topicIdOf(node, 't')
    const init = await node.ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
    producerId = init.producerId
    for (const sequence of [0, 1]) {
      assert.equal((await produce(node, 't', idempotent(sequence, producerId))).baseOffset, sequence)
    }
    assert.equal((await produce(node, 't', idempotent(0, producerId))).baseOffset, 0)
    assert.equal(errorIn(await produce(node, 't', idempotent(5, producerId))), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  }
  await using node = await startNode(disk)
  assert.equal((await produce(node, 't', idempotent(1, producerId))).baseOffset, 1)
  const { offset } = await listed(node, 't', -1)
  assert.equal(offset, 2)
  const next = await node.ask(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
  assert.notEqual(next.producerId, producerId)
})

async function listed({ ask }: TestNode, name: string, timestamp: number) {
  const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp }] }]
  return (await ask(apis.listOffsets, 7, { replicaId: -1, topics })).topics[0]!.partitions[0]!
}

test('pitfall 2, 4: offsets by time, and of the highest time', async () => {
  await using node = await startNode(new MemoryDisk())
  await topicIdOf(node, 't')
  const now = Date.now()
  for (const times of [[10, 20], [40, 30], [25]]) {
    const records = times.map(time => ({ value: 'x', timestampMs: now + time }))
    assert.equal(errorIn(await produce(node, 't', batchOf(records))), 'NONE')
  }
  const at = async (timestamp: number) => {
    const { offset, timestamp: found } = await listed(node, 't', timestamp)
    return [offset, found < 0 ? found : found - now]
  }
  assert.deepEqual(await at(0), [0, 10])
  assert.deepEqual(await at(now + 21), [2, 40])
  assert.deepEqual(await at(now + 41), [-1, -1])
  assert.deepEqual(await at(-3), [2, 40])
})

test('a fetch that waits is answered by the append, and told when the topic goes', async () => {
  await using node = await startNode(new MemoryDisk())
  const id = await topicIdOf(node, 't')
  const waiting = fetch(node, id, 0, { maxWaitMs: 60_000 })
  await produce(node, 't', batchOf(['a']))
  assert.deepEqual(recordsIn((await waiting).records), ['0:a'])
  const doomed = fetch(node, id, 1, { maxWaitMs: 60_000 })
  const { responses } = await node.ask(apis.deleteTopics, 6, { topics: [{ topicId: id }], timeoutMs: 10_000 })
  assert.equal(errorIn(responses[0]), 'NONE')
  assert.equal(errorIn(await doomed), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(errorIn(await fetch(node, id, 0)), 'UNKNOWN_TOPIC_ID')
  assert.notEqual(await topicIdOf(node, 't'), id, 'pitfall 46')
})

test('pitfall 47: LogAppendTime gives the batch our time under a right checksum', async () => {
  await using node = await startNode(new MemoryDisk(), { set: { 'log.message.timestamp.type': 'LogAppendTime' } })
  const id = await topicIdOf(node, 't')
  const before = Date.now()
  const answer = await produce(node, 't', batchOf(['a', 'b'], { baseTimestamp: 5 }))
  assert.ok(answer.logAppendTimeMs >= before)
  const { records } = await fetch(node, id, 0)
  assert.deepEqual(recordsIn(records), ['0:a', '1:b'])
  const header = readBatchHeader(flattenRope(records!))
  assert.deepEqual([header.maxTimestamp, header.attributes & 8], [answer.logAppendTimeMs, 8])
})

test('pitfall 32, Q15: CreateTopics, then produce and fetch without waiting for answers, across rolls', async () => {
  const disk = new MemoryDisk()
  const configs = [{ name: 'tidelog.segment.records', value: '10' }]
  let id: TopicId
  {
    await using node = await startNode(disk)
    const topic = { name: 't', numPartitions: 3, replicationFactor: 1, assignments: [], configs }
    const created = await node.ask(apis.createTopics, 7, { topics: [topic] })
    assert.equal(errorIn(created.topics[0]), 'NONE')
    id = created.topics[0]!.topicId
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => produce(node, 't', batchOf([`v${i}`]))))
    assert.deepEqual(
      answers.map(({ baseOffset }) => baseOffset),
      answers.map((_, place) => place),
    )
  }
  await using node = await startNode(disk)
  const values: string[] = []
  for (let from = 0; from < 100; from = values.length) {
    const { records } = await fetch(node, id, from, { maxBytes: 500 })
    values.push(...recordsIn(records))
  }
  assert.deepEqual(
    values,
    Array.from({ length: 100 }, (_, i) => `${i}:v${i}`),
  )
})

test('pitfall 29: a topic that exists, a bad one and a good one in one request', async () => {
  await using node = await startNode(new MemoryDisk())
  await topicIdOf(node, 'old')
  const topic = (name: string) => ({ name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] })
  const request = { topics: [topic('old'), topic('a/b'), topic('new')] }
  const { topics } = await node.ask(apis.createTopics, 7, request)
  assert.deepEqual(topics.map(errorIn), ['TOPIC_ALREADY_EXISTS', 'INVALID_TOPIC_EXCEPTION', 'NONE'])
})

test('acks=-1 needs min.insync.replicas, acks=1 does not', async () => {
  await using node = await startNode(new MemoryDisk(), { set: { 'min.insync.replicas': '2' } })
  await topicIdOf(node, 't')
  assert.equal(errorIn(await produce(node, 't', batchOf(['a']), -1)), 'NOT_ENOUGH_REPLICAS')
  assert.equal(errorIn(await produce(node, 't', batchOf(['a']), 1)), 'NONE')
})
