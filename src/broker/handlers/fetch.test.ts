import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LeaderEpoch, noTopicId, offset, type TopicId } from '../../base/ids.ts'
import { flattenRope, type Rope, sliceRope } from '../../base/rope.ts'
import { apis } from '../../wire/api-keys.ts'
import { encodeRequest } from '../../wire/exchange.ts'
import { batchHeaderBytes, readBatchHeader } from '../../wire/record-batch.ts'
import { readRecords } from '../../wire/records.ts'
import { type Body, type Draft, versionsOf } from '../../wire/schema.ts'
import type { MemoryTopic } from '../testing/memory-storage.ts'
import {
  type Asker,
  batchOf,
  errorIn,
  otherNode,
  settle,
  type TestBroker,
  testBroker,
  testConnection,
} from '../testing/test-broker.ts'

const api = apis.fetch

type Request = Partial<Draft<typeof api.request>>
type Answer = Body<typeof api.response>

interface Place {
  readonly topic: MemoryTopic
  readonly partition?: number
  readonly from?: number
  readonly bytesMax?: number
  readonly epoch?: number
}

/** A fetch of these places, one topic entry per place. Answers at once unless the request says otherwise. */
function fetchFrom({ ask }: TestBroker, version: number, places: readonly Place[], more: Request = {}, from?: Asker) {
  return ask(api, version, requestFor(version, places, more), from)
}

function requestFor(version: number, places: readonly Place[], more: Request = {}) {
  const topics = places.map(({ topic, partition = 0, from: fetchOffset = 0, bytesMax = 1_000_000, epoch = -1 }) => ({
    topic: version >= 13 ? '' : topic.name,
    topicId: version >= 13 ? topic.id : noTopicId,
    partitions: [{ partition, fetchOffset, partitionMaxBytes: bytesMax, currentLeaderEpoch: epoch }],
  }))
  return { maxWaitMs: 0, minBytes: 1, topics, ...more }
}

async function append(
  { ask }: TestBroker,
  topic: MemoryTopic,
  values: readonly string[],
  partition = 0,
): Promise<void> {
  const topicData = [{ name: topic.name, partitionData: [{ index: partition, records: batchOf(values) }] }]
  // Not awaited by those who hold appends back.
  await ask(apis.produce, 9, { acks: 1, timeoutMs: 60_000, topicData })
}

/** `[offset, value]` of every record. */
function recordsIn(records: Rope | null | undefined): [number, string][] {
  assert.ok(records, 'records are there')
  const bytes = flattenRope(records)
  const all: [number, string][] = []
  for (let at = 0; at < bytes.length; ) {
    const header = readBatchHeader(bytes, at)
    const body = bytes.subarray(at + batchHeaderBytes, at + header.bytes)
    for (const record of readRecords(header, { chunks: [body], length: body.length })) {
      all.push([record.offset, String(record.value)])
    }
    at += header.bytes
  }
  return all
}

function partitionsIn(answer: Answer) {
  return answer.responses.flatMap(({ topic, topicId, partitions }) =>
    partitions.map(partition => ({ topic, topicId, ...partition })),
  )
}

const valuesIn = (answer: Answer) =>
  partitionsIn(answer).map(({ records }) => recordsIn(records).map(([, value]) => value))
const errorsIn = (answer: Answer) => partitionsIn(answer).map(errorIn)

for (const version of versionsOf(api.request)) {
  test(`Fetch ${version} returns records with their offsets and what is known of the partition`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t', 2)
    await append(broker, topic, ['a', 'b'], 1)
    await append(broker, topic, ['c'], 1)
    const answer = await fetchFrom(broker, version, [{ topic, partition: 1 }])
    assert.deepEqual([answer.errorCode, answer.sessionId, answer.responses.length], [0, 0, 1])
    const [told] = partitionsIn(answer)
    assert.deepEqual([told?.topic, told?.topicId], version >= 13 ? ['', topic.id] : ['t', noTopicId])
    assert.deepEqual(recordsIn(told?.records), [
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ])
    assert.deepEqual([told?.partitionIndex, told?.highWatermark, told?.lastStableOffset], [1, 3, 3])
    assert.deepEqual([told?.logStartOffset, told?.preferredReadReplica], [version >= 5 ? 0 : -1, -1])
    assert.equal(told?.abortedTransactions, null)
  })

  test(`Fetch ${version} at the end returns no records, but empty ones`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    await append(broker, topic, ['a'])
    const [told] = partitionsIn(await fetchFrom(broker, version, [{ topic, from: 1 }], { isolationLevel: 1 }))
    assert.deepEqual([errorIn(told), told?.highWatermark], ['NONE', 1])
    assert.equal(told?.records?.length, 0, 'not null')
    assert.deepEqual(told?.abortedTransactions, [])
  })

  test(`pitfall 1: Fetch ${version} from inside a batch returns the whole batch`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    await append(broker, topic, ['a', 'b', 'c'])
    assert.deepEqual(valuesIn(await fetchFrom(broker, version, [{ topic, from: 1 }])), [['a', 'b', 'c']])
    assert.deepEqual(valuesIn(await fetchFrom(broker, version, [{ topic, from: 2 }])), [['a', 'b', 'c']])
  })

  test(`Fetch ${version}: each partition has an error of its own`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    const elsewhere = broker.storage.add('elsewhere')
    elsewhere.partitions[0]!.leader = otherNode
    const nowhere = { name: 'nowhere', id: 'b'.repeat(32) as TopicId } as MemoryTopic
    await append(broker, topic, ['a'])
    const answer = await fetchFrom(broker, version, [
      { topic, from: 2 },
      { topic, from: -1 },
      { topic, partition: 1 },
      { topic: nowhere },
      { topic: elsewhere },
      { topic },
    ])
    assert.deepEqual(errorsIn(answer), [
      'OFFSET_OUT_OF_RANGE',
      'OFFSET_OUT_OF_RANGE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      version >= 13 ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION',
      'NOT_LEADER_OR_FOLLOWER',
      'NONE',
    ])
    for (const { records } of partitionsIn(answer)) assert.ok(records, 'records are empty, never null')
  })

  test(`Fetch ${version}: a client's leader epoch must be ours`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    topic.partitions[0]!.leaderEpoch = 3 as LeaderEpoch
    const errors = []
    for (const epoch of [3, -1, 2, 4]) errors.push(...errorsIn(await fetchFrom(broker, version, [{ topic, epoch }])))
    const checked = ['NONE', 'NONE', 'FENCED_LEADER_EPOCH', 'UNKNOWN_LEADER_EPOCH']
    assert.deepEqual(errors, version >= 9 ? checked : ['NONE', 'NONE', 'NONE', 'NONE'])
  })

  test(`Fetch ${version} does not serve followers`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    const replica = version < 15 ? { replicaId: 2 } : { replicaState: { replicaId: 2 } }
    const answer = await fetchFrom(broker, version, [{ topic }], replica)
    assert.deepEqual(errorsIn(answer), ['TOPIC_AUTHORIZATION_FAILED'])
  })
}

test('what the log start has passed is out of range, and the log start is told', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  for (const value of ['a', 'b', 'c']) await append(broker, topic, [value])
  await topic.partitions[0]!.deleteRecords(offset(2))
  const [told] = partitionsIn(await fetchFrom(broker, 11, [{ topic, from: 1 }]))
  assert.deepEqual([errorIn(told), told?.logStartOffset], ['OFFSET_OUT_OF_RANGE', 2])
})

test('what is not durable yet cannot be read', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  await append(broker, topic, ['a'])
  topic.partitions[0]!.hold()
  void append(broker, topic, ['b'])
  assert.deepEqual(valuesIn(await fetchFrom(broker, 11, [{ topic }])), [['a']])
  assert.deepEqual(valuesIn(await fetchFrom(broker, 11, [{ topic, from: 1 }])), [[]])
  topic.partitions[0]!.release()
  assert.deepEqual(valuesIn(await fetchFrom(broker, 11, [{ topic, from: 1 }])), [['b']])
})

test('an error from the log is told for its partition', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  await append(broker, topic, ['a'], 0)
  await append(broker, topic, ['b'], 1)
  topic.partitions[0]!.readError = 'CORRUPT_MESSAGE'
  const answer = await fetchFrom(broker, 11, [{ topic }, { topic, partition: 1 }])
  assert.deepEqual(errorsIn(answer), ['CORRUPT_MESSAGE', 'NONE'])
})

test('reads from the disk come in the order of the request, too', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 3)
  for (const index of [0, 1, 2]) {
    topic.partitions[index]!.cold = index !== 1
    await append(broker, topic, [`p${index}`], index)
  }
  const answer = await fetchFrom(
    broker,
    11,
    [2, 0, 1].map(partition => ({ topic, partition })),
  )
  assert.deepEqual(valuesIn(answer), [['p2'], ['p0'], ['p1']])
})

// Bounds

test('Q10 the first batch comes back however large, only in the first partition that has one', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 3)
  for (const partition of [1, 2]) await append(broker, topic, ['x'.repeat(1_000)], partition)
  const places = [0, 1, 2].map(partition => ({ topic, partition, bytesMax: 10 }))
  assert.deepEqual(
    valuesIn(await fetchFrom(broker, 11, places, { maxBytes: 10 })).map(({ length }) => length),
    [0, 1, 0],
  )
})

test('Q10 both bounds hold behind the first batch, and partitions are filled in the order of the request', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  const bytes = batchOf(['x']).length
  for (let i = 0; i < 5; i++) for (const partition of [0, 1]) await append(broker, topic, ['x'], partition)
  const counts = async (order: number[], bytesMax: number, maxBytes: number) => {
    const places = order.map(partition => ({ topic, partition, bytesMax }))
    const answer = await fetchFrom(broker, 11, places, { maxBytes })
    return partitionsIn(answer).map(({ partitionIndex, records }) => [partitionIndex, recordsIn(records).length])
  }
  assert.deepEqual(await counts([0, 1], 2 * bytes, 100 * bytes), [
    [0, 2],
    [1, 2],
  ])
  assert.deepEqual(await counts([1, 0], 100 * bytes, 3 * bytes), [
    [1, 3],
    [0, 0],
  ])
  assert.deepEqual(await counts([0, 1], 2 * bytes, 3 * bytes + 5), [
    [0, 2],
    [1, 1],
  ])
})

test("the broker's fetch.max.bytes bounds what a client may ask for", async () => {
  const broker = testBroker({ 'fetch.max.bytes': '1024' })
  const topic = broker.storage.add('t')
  for (let i = 0; i < 4; i++) await append(broker, topic, ['x'.repeat(400)])
  assert.deepEqual(
    valuesIn(await fetchFrom(broker, 11, [{ topic }])).map(({ length }) => length),
    [2],
  )
})

test('bounds of zero and below still let a consumer go on', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  await append(broker, topic, ['a'])
  await append(broker, topic, ['b'])
  assert.deepEqual(valuesIn(await fetchFrom(broker, 11, [{ topic, bytesMax: -5 }], { maxBytes: -1 })), [['a']])
})

test('a partition at its end costs no read', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 100)
  await append(broker, topic, ['a'], 99)
  const places = Array.from({ length: 100 }, (_, partition) => ({ topic, partition }))
  await fetchFrom(broker, 11, places)
  assert.equal(topic.partitions.filter(({ reads }) => reads.length > 0).length, 1)
})

// Waiting

test('a fetch with nothing to tell waits for a record and is then answered at once', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const answer = fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 5_000 })
  await broker.clock.run(1_000)
  assert.equal(topic.partitions[0]!.listeners, 1)
  await append(broker, topic, ['a'])
  assert.deepEqual(valuesIn(await answer), [['a']])
  assert.equal(topic.partitions[0]!.listeners, 0)
  assert.equal(broker.clock.pendingTimers, 0)
})

test('a fetch is answered empty when its time is over', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  let answered = false
  const answer = fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 5_000 }).finally(() => {
    answered = true
  })
  await broker.clock.run(4_999)
  assert.equal(answered, false)
  await broker.clock.run(1)
  assert.deepEqual(valuesIn(await answer), [[]])
  assert.equal(topic.partitions[0]!.listeners, 0)
})

test('nobody waits longer than five minutes', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const answer = fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 0x7fff_ffff })
  await broker.clock.run(300_000)
  assert.deepEqual(valuesIn(await answer), [[]])
})

test('a fetch waits until min bytes are there, over all its partitions', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  const bytes = batchOf(['x']).length
  await append(broker, topic, ['x'])
  let answered = false
  const places = [{ topic }, { topic, partition: 1 }]
  const answer = fetchFrom(broker, 11, places, { maxWaitMs: 5_000, minBytes: 4 * bytes }).finally(() => {
    answered = true
  })
  await append(broker, topic, ['x'], 1)
  await append(broker, topic, ['x'])
  await settle()
  assert.equal(answered, false)
  await append(broker, topic, ['x'], 1)
  assert.deepEqual(valuesIn(await answer), [
    ['x', 'x'],
    ['x', 'x'],
  ])
})

test('a fetch whose time is over gets the little that is there', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  await append(broker, topic, ['a'])
  const answer = fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 100, minBytes: 1_000_000 })
  await broker.clock.run(100)
  assert.deepEqual(valuesIn(await answer), [['a']])
})

test('min bytes above max bytes cannot be waited for', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  await append(broker, topic, ['x'.repeat(200)])
  const answer = await fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 5_000, minBytes: 1_000, maxBytes: 100 })
  assert.equal(valuesIn(answer)[0]?.length, 1)
})

test('each byte is counted once while waiting, and only what changed is looked at', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 50)
  const bytes = batchOf(['x']).length
  const places = Array.from({ length: 50 }, (_, partition) => ({ topic, partition }))
  const answer = fetchFrom(broker, 11, places, { maxWaitMs: 5_000, minBytes: 10 * bytes })
  for (let i = 0; i < 9; i++) {
    await append(broker, topic, ['x'], 7)
    await settle()
  }
  const { reads } = topic.partitions[7]!
  assert.deepEqual(
    reads.map(({ from }) => from),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  )
  assert.equal(topic.partitions.filter(partition => partition.reads.length > 0).length, 1)
  await append(broker, topic, ['x'], 8)
  assert.equal(valuesIn(await answer)[7]?.length, 9)
})

test('an error is told at once, whatever is waited for elsewhere', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const answer = await fetchFrom(broker, 11, [{ topic }, { topic, partition: 9 }], { maxWaitMs: 5_000 })
  assert.deepEqual(errorsIn(answer), ['NONE', 'UNKNOWN_TOPIC_OR_PARTITION'])
})

test('pitfall 39, 46: whoever waits hears at once that the log start passed it, or that the topic is gone', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  await append(broker, topic, ['a', 'b'])
  const [partition] = topic.partitions
  const cut = fetchFrom(broker, 11, [{ topic, from: 2 }], { maxWaitMs: 5_000 })
  await settle()
  partition!.highWatermark = offset(9)
  await partition!.deleteRecords(offset(9))
  assert.deepEqual(errorsIn(await cut), ['OFFSET_OUT_OF_RANGE'])

  const gone = fetchFrom(broker, 11, [{ topic, from: 9 }], { maxWaitMs: 5_000 })
  await settle()
  await broker.ask(apis.deleteTopics, 5, { topicNames: ['t'], timeoutMs: 1_000 })
  assert.deepEqual(errorsIn(await gone), ['UNKNOWN_TOPIC_OR_PARTITION'])
})

test('a change while a fetch is still reading is not missed', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  await append(broker, topic, ['a'], 1)
  topic.partitions[1]!.cold = true
  // Partition 0 is looked at first; its record comes while partition 1 is read from the disk.
  const answer = fetchFrom(broker, 11, [{ topic }, { topic, partition: 1 }], { maxWaitMs: 5_000, minBytes: 100 })
  await append(broker, topic, ['b'], 0)
  await settle()
  assert.deepEqual(valuesIn(await answer), [['b'], ['a']])
})

test('a fetch ends when its connection does', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const closing = new AbortController()
  const { signal } = closing
  const answer = fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 5_000 }, { signal })
  await settle()
  closing.abort()
  await answer
  assert.equal(topic.partitions[0]!.listeners, 0)
  assert.equal(broker.clock.pendingTimers, 0)
  await fetchFrom(broker, 11, [{ topic }], { maxWaitMs: 5_000 }, { signal })
})

test('records are lent until the answer has been sent, and none that are not in it', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  const lent = () => topic.partitions.map(partition => partition.lent)
  await append(broker, topic, ['a'], 0)
  const minBytes = 3 * batchOf(['x']).length
  const places = [{ topic }, { topic, partition: 1 }]
  const answer = fetchFrom(broker, 11, places, { maxWaitMs: 5_000, minBytes })
  await settle()
  assert.deepEqual(lent(), [0, 0], 'a fetch that waits holds nothing')
  await append(broker, topic, ['b'], 1)
  await settle()
  assert.deepEqual(lent(), [0, 0], 'counting holds nothing')
  await append(broker, topic, ['c'], 1)
  assert.deepEqual(valuesIn(await answer), [['a'], ['b', 'c']])
  assert.deepEqual(lent(), [0, 0], 'given back once sent')

  const frame = encodeRequest(api, 11, { correlationId: 1, clientId: null }, requestFor(11, places))
  const sent = await broker.broker.handle(sliceRope(frame, 4, frame.length), testConnection)
  assert.deepEqual(lent(), [1, 1], 'not sent yet')
  sent?.release?.()
  assert.deepEqual(lent(), [0, 0])
})

// Sessions

const sessionVersions = versionsOf(api.request).filter(version => version >= 7)

/** Goes on with a session, telling only what is new. */
function goOn(
  broker: TestBroker,
  version: number,
  sessionId: number,
  sessionEpoch: number,
  more: Request = {},
  places: Place[] = [],
) {
  return fetchFrom(broker, version, places, { sessionId, sessionEpoch, ...more })
}

for (const version of sessionVersions) {
  test(`Q9, pitfall 41: Fetch ${version} within a session tells what changed and nothing else`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t', 3)
    const places = [0, 1, 2].map(partition => ({ topic, partition }))
    await append(broker, topic, ['a'], 1)
    const first = await fetchFrom(broker, version, places, { sessionEpoch: 0 })
    const { sessionId } = first
    assert.notEqual(sessionId, 0)
    assert.equal(partitionsIn(first).length, 3, 'the first answer has all')

    const second = await goOn(broker, version, sessionId, 1, {}, [{ topic, partition: 1, from: 1 }])
    assert.deepEqual([second.sessionId, second.responses], [sessionId, []])

    await append(broker, topic, ['b'], 0)
    const third = await goOn(broker, version, sessionId, 2)
    assert.deepEqual(
      partitionsIn(third).map(({ partitionIndex, records }) => [partitionIndex, recordsIn(records)]),
      [[0, [[0, 'b']]]],
    )
    const fourth = await goOn(broker, version, sessionId, 3)
    assert.deepEqual(valuesIn(fourth), [['b']], 'the client has not said that it has them')
  })

  test(`Q9 Fetch ${version} with a wrong session or epoch is told to start over`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    const { sessionId } = await fetchFrom(broker, version, [{ topic }], { sessionEpoch: 0 })
    const error = async (id: number, epoch: number) => {
      const answer = await goOn(broker, version, id, epoch)
      assert.deepEqual([answer.sessionId, answer.responses], [0, []])
      return errorIn(answer)
    }
    assert.equal(await error(sessionId, 2), 'INVALID_FETCH_SESSION_EPOCH')
    assert.equal(await error(sessionId + 1, 1), 'FETCH_SESSION_ID_NOT_FOUND')
    assert.equal(await error(0, 1), 'FETCH_SESSION_ID_NOT_FOUND')
    assert.equal(errorIn(await goOn(broker, version, sessionId, 1)), 'NONE', 'a wrong guess does no harm')
    assert.equal(await error(sessionId, 1), 'INVALID_FETCH_SESSION_EPOCH', 'an answer that was lost')
  })

  test(`Q9 Fetch ${version} with epoch -1 ends its session and is answered in full`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t')
    const { sessionId } = await fetchFrom(broker, version, [{ topic }], { sessionEpoch: 0 })
    const last = await fetchFrom(broker, version, [{ topic }], { sessionId, sessionEpoch: -1 })
    assert.deepEqual([errorIn(last), last.sessionId, partitionsIn(last).length], ['NONE', 0, 1])
    assert.equal(errorIn(await goOn(broker, version, sessionId, 1)), 'FETCH_SESSION_ID_NOT_FOUND')
  })

  test(`Q9 Fetch ${version} forgets partitions, adds others and moves on in those it has`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t', 3)
    for (const partition of [0, 1, 2]) await append(broker, topic, ['old', 'new'], partition)
    const { sessionId } = await fetchFrom(broker, version, [{ topic }, { topic, partition: 1 }], { sessionEpoch: 0 })
    const named = version >= 13 ? { topicId: topic.id } : { topic: 't' }
    const answer = await goOn(broker, version, sessionId, 1, { forgottenTopicsData: [{ ...named, partitions: [0] }] }, [
      { topic, partition: 1, from: 2 },
      { topic, partition: 2 },
    ])
    assert.deepEqual(
      partitionsIn(answer).map(({ partitionIndex }) => partitionIndex),
      [2],
    )
    const empty = await goOn(broker, version, sessionId, 2, {
      forgottenTopicsData: [{ ...named, partitions: [1, 2] }],
    })
    assert.deepEqual([empty.sessionId, empty.responses], [0, []], 'a session of nothing ends')
    assert.equal(errorIn(await goOn(broker, version, sessionId, 3)), 'FETCH_SESSION_ID_NOT_FOUND')
  })

  test(`pitfall 41: Fetch ${version} within a session tells moved offsets and errors, and again when they are over`, async () => {
    const broker = testBroker()
    const topic = broker.storage.add('t', 2)
    await append(broker, topic, ['a', 'b'], 0)
    const places = [
      { topic, from: 2 },
      { topic, partition: 1 },
    ]
    const { sessionId } = await fetchFrom(broker, version, places, { sessionEpoch: 0 })
    const [partition] = topic.partitions
    await partition!.deleteRecords(offset(1))
    const moved = partitionsIn(await goOn(broker, version, sessionId, 1))
    assert.deepEqual(
      moved.map(({ partitionIndex, logStartOffset }) => [partitionIndex, logStartOffset]),
      [[0, 1]],
    )
    partition!.leader = otherNode
    for (const epoch of [2, 3]) {
      assert.deepEqual(errorsIn(await goOn(broker, version, sessionId, epoch)), ['NOT_LEADER_OR_FOLLOWER'])
    }
    partition!.leader = broker.storage.nodeId
    assert.deepEqual(errorsIn(await goOn(broker, version, sessionId, 4)), ['NONE'])
    assert.deepEqual(errorsIn(await goOn(broker, version, sessionId, 5)), [])
  })
}

test('Q9 a broker without room for sessions answers in full each time', async () => {
  const broker = testBroker({ 'max.incremental.fetch.session.cache.slots': '1' })
  const topic = broker.storage.add('t')
  const first = await fetchFrom(broker, 11, [{ topic }], { sessionEpoch: 0 })
  const second = await fetchFrom(broker, 11, [{ topic }], { sessionEpoch: 0 })
  assert.notEqual(first.sessionId, 0)
  assert.deepEqual([second.sessionId, partitionsIn(second).length], [0, 1])
  const again = await fetchFrom(broker, 11, [{ topic }], { sessionId: first.sessionId, sessionEpoch: 0 })
  assert.ok(again.sessionId !== 0 && again.sessionId !== first.sessionId, 'a new session may take the place of the old')
})

test('Q10 partitions that gave records come last the next time in their session', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 3)
  for (const partition of [0, 1, 2]) await append(broker, topic, ['x'.repeat(500)], partition)
  const places = [0, 1, 2].map(partition => ({ topic, partition }))
  const turns: number[] = []
  const served = (answer: Answer) =>
    turns.push(
      ...partitionsIn(answer).flatMap(({ partitionIndex, records }) => (records?.length ? partitionIndex : [])),
    )
  const first = await fetchFrom(broker, 11, places, { sessionEpoch: 0, maxBytes: 100 })
  served(first)
  for (const epoch of [1, 2, 3]) served(await goOn(broker, 11, first.sessionId, epoch, { maxBytes: 100 }))
  assert.deepEqual(turns, [0, 1, 2, 0])
})

test('Q7, Q9 a session by names cannot go on by ids', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const { sessionId } = await fetchFrom(broker, 12, [{ topic }], { sessionEpoch: 0 })
  assert.equal(errorIn(await goOn(broker, 13, sessionId, 1)), 'FETCH_SESSION_TOPIC_ID_ERROR')
})

test('Q9 nobody goes on with the session of somebody else', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t')
  const mine = await fetchFrom(broker, 11, [{ topic }], { sessionEpoch: 0 }, { principal: 'User:me' })
  const { sessionId } = mine
  const theirs = await fetchFrom(broker, 11, [], { sessionId, sessionEpoch: 1 }, { principal: 'User:them' })
  assert.equal(errorIn(theirs), 'FETCH_SESSION_ID_NOT_FOUND')
  await fetchFrom(broker, 11, [], { sessionId, sessionEpoch: -1 }, { principal: 'User:them' })
  const after = await fetchFrom(broker, 11, [], { sessionId, sessionEpoch: 1 }, { principal: 'User:me' })
  assert.equal(errorIn(after), 'NONE')
})

test('Q9 a session waits as others do', async () => {
  const broker = testBroker()
  const topic = broker.storage.add('t', 2)
  const places = [{ topic }, { topic, partition: 1 }]
  const { sessionId } = await fetchFrom(broker, 12, places, { sessionEpoch: 0 })
  const answer = goOn(broker, 12, sessionId, 1, { maxWaitMs: 5_000 })
  await broker.clock.run(10)
  await append(broker, topic, ['a'], 1)
  assert.deepEqual(
    partitionsIn(await answer).map(({ partitionIndex }) => partitionIndex),
    [1],
  )
})
