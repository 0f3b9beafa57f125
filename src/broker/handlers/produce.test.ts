import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noTopicId, offset, type TopicId } from '../../base/ids.ts'
import { InvariantViolation } from '../../base/invariant.ts'
import { flattenRope, type Rope, ropeOf } from '../../base/rope.ts'
import { apis } from '../../wire/api-keys.ts'
import { sealBatch } from '../../wire/build-batch.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import { batchCrcMatches, readBatchHeaderOfRope } from '../../wire/record-batch.ts'
import { versionsOf } from '../../wire/schema.ts'
import { batchOf, errorIn, otherNode, type TestBroker, testBroker } from '../testing/test-broker.ts'

const api = apis.produce
const start = Date.UTC(2026, 0, 1)

interface Options {
  readonly version?: number
  readonly acks?: number
  readonly topicId?: TopicId
  readonly index?: number
  readonly timeoutMs?: number
  readonly transactionalId?: string | null
}

function requestFor(name: string, batches: readonly (Rope | null)[], options: Options = {}) {
  const { acks = -1, topicId = noTopicId, index = 0, timeoutMs = 1_000, transactionalId = null } = options
  const partitionData = batches.map(records => ({ index, records }))
  return { transactionalId, acks, timeoutMs, topicData: [{ name, topicId, partitionData }] }
}

async function produce({ ask }: TestBroker, name: string, records: Rope | null, options: Options = {}) {
  const answer = await ask(api, options.version ?? 9, requestFor(name, [records], options))
  return answer.responses[0]!.partitionResponses[0]!
}

for (const version of versionsOf(api.request)) {
  for (const acks of [1, -1]) {
    test(`Produce ${version} with acks=${acks} appends a batch and tells its offset`, async () => {
      const broker = testBroker()
      const { id, partitions } = broker.storage.add('t', 2)
      partitions[1]!.logStartOffset = offset(0)
      const options = { version, acks, index: 1, topicId: version >= 13 ? id : noTopicId }
      await produce(broker, 't', batchOf(['a', 'b']), options)
      const request = requestFor('t', [batchOf(['c'])], options)
      const { responses } = await broker.ask(api, version, request)
      const topic = responses[0]!
      assert.deepEqual([topic.name, topic.topicId], version >= 13 ? ['', id] : ['t', noTopicId])
      assert.deepEqual(topic.partitionResponses, [
        {
          index: 1,
          errorCode: 0,
          baseOffset: 2,
          logAppendTimeMs: -1,
          logStartOffset: version >= 5 ? 0 : -1,
          recordErrors: [],
          errorMessage: null,
          currentLeader: { leaderId: -1, leaderEpoch: -1 },
        },
      ])
      assert.deepEqual(partitions[1]!.acks, [acks, acks])
    })
  }

  test(`Q15 Produce ${version} with acks=0 is not answered, and closes the connection when something is wrong`, async () => {
    const broker = testBroker()
    const { id, partitions } = broker.storage.add('t')
    const options = { version, acks: 0, topicId: version >= 13 ? id : noTopicId }
    await broker.tell(api, version, requestFor('t', [batchOf(['a'])], options))
    assert.equal(partitions[0]!.batches.length, 1)
    partitions[0]!.appendRefusal = { error: 'KAFKA_STORAGE_ERROR', message: 'the disk is full' }
    await assert.rejects(broker.tell(api, version, requestFor('t', [batchOf(['a'])], options)), ProtocolError)
    const nowhere = { ...options, topicId: 'b'.repeat(32) as TopicId }
    await assert.rejects(broker.tell(api, version, requestFor('nowhere', [batchOf(['a'])], nowhere)), ProtocolError)
  })

  test(`Produce ${version} refuses transactions for good`, async () => {
    const broker = testBroker()
    const { id, partitions } = broker.storage.add('t')
    const options = { version, topicId: version >= 13 ? id : noTopicId }
    const inName = await produce(broker, 't', batchOf(['a']), { ...options, transactionalId: 'tx' })
    assert.equal(errorIn(inName), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    const batch = batchOf(['a'], { transactional: true, producerId: 1, producerEpoch: 0, baseSequence: 0 })
    const inBatch = await produce(broker, 't', batch, options)
    assert.equal(errorIn(inBatch), 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    assert.equal(inBatch.errorMessage, version >= 8 ? 'Transactions are not supported yet.' : null)
    assert.equal(partitions[0]!.batches.length, 0)
  })
}

test('Q7 Produce 13 goes by topic id alone', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const answer = await produce(broker, 't', batchOf(['a']), { version: 13, topicId: 'b'.repeat(32) as TopicId })
  assert.equal(errorIn(answer), 'UNKNOWN_TOPIC_ID')
})

test('acks other than -1, 0 and 1 are refused', async () => {
  for (const acks of [2, -2]) {
    const broker = testBroker()
    const { partitions } = broker.storage.add('t')
    assert.equal(errorIn(await produce(broker, 't', batchOf(['a']), { acks })), 'INVALID_REQUIRED_ACKS')
    assert.equal(partitions[0]!.batches.length, 0)
  }
})

test('each partition has an outcome of its own', async () => {
  const { ask, storage } = testBroker()
  storage.add('t')
  storage.add('elsewhere').partitions[0]!.leader = otherNode
  const data = (index: number) => ({ index, records: batchOf(['a']) })
  const { responses } = await ask(api, 9, {
    acks: -1,
    timeoutMs: 1_000,
    topicData: [
      { name: 't', partitionData: [data(1), data(0), data(-1)] },
      { name: 'nowhere', partitionData: [data(0)] },
      { name: 'elsewhere', partitionData: [data(0)] },
    ],
  })
  const errors = responses.map(topic => topic.partitionResponses.map(errorIn))
  const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
  assert.deepEqual(errors, [[unknown, 'NONE', unknown], [unknown], ['NOT_LEADER_OR_FOLLOWER']])
})

test('a partition named twice gets both batches, in order', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const answer = await broker.ask(api, 9, requestFor('t', [batchOf(['a', 'b']), batchOf(['c'])]))
  assert.deepEqual(
    answer.responses[0]!.partitionResponses.map(({ baseOffset }) => baseOffset),
    [0, 2],
  )
})

test('Q15 requests handed in without waiting get their offsets in that order', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t')
  partitions[0]!.hold()
  const answers = ['a', 'b', 'c'].map(value => produce(broker, 't', batchOf([value])))
  assert.equal(partitions[0]!.batches.length, 3, 'appended before anything was waited for')
  partitions[0]!.release()
  assert.deepEqual(
    (await Promise.all(answers)).map(({ baseOffset }) => baseOffset),
    [0, 1, 2],
  )
})

test('an append that is not durable in time is told as such; the outcome is open', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t', 2)
  partitions[1]!.hold()
  const data = (index: number) => ({ index, records: batchOf(['a']) })
  const topicData = [{ name: 't', partitionData: [data(0), data(1)] }]
  const answer = broker.ask(api, 9, { acks: -1, timeoutMs: 3_000, topicData })
  await broker.clock.run(2_999)
  await broker.clock.run(1)
  const told = (await answer).responses[0]!.partitionResponses
  assert.deepEqual(told.map(errorIn), ['NONE', 'REQUEST_TIMED_OUT'])
  assert.equal(broker.clock.pendingTimers, 0)
  partitions[1]!.release()
})

test('a client that allows no time still waits for a sync, and none waits longer than five minutes', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t')
  partitions[0]!.hold()
  const hasty = produce(broker, 't', batchOf(['a']), { timeoutMs: 0 })
  await broker.clock.run(900)
  partitions[0]!.release()
  assert.equal(errorIn(await hasty), 'NONE')

  partitions[0]!.hold()
  const patient = produce(broker, 't', batchOf(['a']), { timeoutMs: 0x7fff_ffff })
  await broker.clock.run(300_000)
  assert.equal(errorIn(await patient), 'REQUEST_TIMED_OUT')
})

test('pitfall 47: a topic with LogAppendTime answers with the time, and the batch has it under a right checksum', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t', 1, { timestampType: 'LogAppendTime' })
  await broker.clock.run(5)
  const answer = await produce(broker, 't', batchOf(['a'], { baseTimestamp: 1 }))
  assert.deepEqual([errorIn(answer), answer.logAppendTimeMs], ['NONE', start + 5])
  const { bytes } = partitions[0]!.batches[0]!
  const header = readBatchHeaderOfRope(bytes)!
  assert.equal(header.maxTimestamp, start + 5)
  assert.ok(batchCrcMatches(bytes, header))
})

test('pitfall 22: max.message.bytes of the topic bounds the batch as it is on the wire', async () => {
  const broker = testBroker({ 'message.max.bytes': '2000' })
  broker.storage.add('t')
  broker.storage.add('small', 1, { maxMessageBytes: 100 })
  const batch = () => batchOf(['x'.repeat(100)])
  assert.equal(errorIn(await produce(broker, 't', batch())), 'NONE')
  assert.equal(errorIn(await produce(broker, 'small', batch())), 'MESSAGE_TOO_LARGE')
  assert.equal(errorIn(await produce(broker, 't', batchOf(['x'.repeat(2_000)]))), 'MESSAGE_TOO_LARGE')
})

test('a batch larger than a segment is refused', async () => {
  const broker = testBroker()
  broker.storage.add('t', 1, { segmentBytes: 200 })
  assert.equal(errorIn(await produce(broker, 't', batchOf(['x'.repeat(300)]))), 'RECORD_LIST_TOO_LARGE')
})

test('pitfall 25: records with a bad time are pointed out from version 8 on', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const batch = () => batchOf(['now', { value: 'late', timestampMs: start + 3_600_001 }, 'now'])
  const told = await produce(broker, 't', batch(), { version: 8 })
  assert.equal(errorIn(told), 'INVALID_TIMESTAMP')
  assert.deepEqual(
    told.recordErrors.map(({ batchIndex }) => batchIndex),
    [1],
  )
  assert.match(told.recordErrors[0]!.batchIndexErrorMessage ?? '', /out of range/)
  assert.match(told.errorMessage ?? '', /timestamp/)
  const silent = await produce(broker, 't', batch(), { version: 7 })
  assert.deepEqual([errorIn(silent), silent.recordErrors, silent.errorMessage], ['INVALID_TIMESTAMP', [], null])
})

test('pitfall 25: no more than a hundred records are pointed out', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const batch = batchOf(
    Array.from({ length: 500 }, () => 'x'),
    { baseTimestamp: start + 10_000_000 },
  )
  assert.equal((await produce(broker, 't', batch)).recordErrors.length, 100)
})

test('timestamps within the bounds of the topic are taken', async () => {
  const broker = testBroker()
  broker.storage.add('t', 1, { timestampBeforeMaxMs: 1_000 })
  const at = async (baseTimestamp: number) => errorIn(await produce(broker, 't', batchOf(['a'], { baseTimestamp })))
  assert.equal(await at(start - 1_000), 'NONE')
  assert.equal(await at(start - 1_001), 'INVALID_TIMESTAMP')
  assert.equal(await at(start + 3_600_000), 'NONE')
})

test('a batch that is damaged, lies or is of another time is refused with its error', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t')
  const changed = (change: (batch: Buffer) => void, seal = true) => {
    const batch = flattenRope(batchOf(['a', 'b']))
    change(batch)
    return ropeOf(seal ? sealBatch(batch) : batch)
  }
  const cases: [what: string, records: Rope | null, error: string][] = [
    ['no records', null, 'INVALID_RECORD'],
    ['empty records', ropeOf(), 'INVALID_RECORD'],
    ['two batches', ropeOf(flattenRope(batchOf(['a'])), flattenRope(batchOf(['b']))), 'INVALID_RECORD'],
    ['a flipped bit', changed(batch => batch.writeUInt8(0xff, 70), false), 'CORRUPT_MESSAGE'],
    ['a length that lies', changed(batch => batch.writeInt32BE(9_999, 8)), 'CORRUPT_MESSAGE'],
    ['magic 1', changed(batch => batch.writeInt8(1, 16)), 'INVALID_RECORD'],
    ['a count that lies', changed(batch => batch.writeInt32BE(7, 57)), 'INVALID_RECORD'],
    ['a last offset delta that lies', changed(batch => batch.writeInt32BE(9, 23)), 'INVALID_RECORD'],
    ['a control batch', batchOf(['a'], { control: true }), 'INVALID_RECORD'],
    ['no sequence', batchOf(['a'], { producerId: 1, producerEpoch: 0, baseSequence: -1 }), 'INVALID_RECORD'],
    ['the bit of LogAppendTime', batchOf(['a'], { logAppendTime: true }), 'INVALID_TIMESTAMP'],
    ['an unknown codec', changed(batch => batch.writeInt16BE(5, 21)), 'UNSUPPORTED_COMPRESSION_TYPE'],
  ]
  for (const [what, records, error] of cases) {
    const answer = await produce(broker, 't', records)
    assert.equal(errorIn(answer), error, what)
    assert.notEqual(answer.errorMessage, null, what)
    assert.deepEqual([answer.baseOffset, answer.logStartOffset], [-1, -1])
  }
  assert.equal(partitions[0]!.batches.length, 0)
})

test('zstd is taken from version 7 on', async () => {
  const broker = testBroker()
  broker.storage.add('t')
  const batch = () => batchOf(['a'], { compression: { codec: 'zstd', compress: records => records } })
  assert.equal(errorIn(await produce(broker, 't', batch(), { version: 6 })), 'UNSUPPORTED_COMPRESSION_TYPE')
  assert.equal(errorIn(await produce(broker, 't', batch(), { version: 7 })), 'NONE')
})

test('what the log refuses is passed on with its sentence', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t')
  for (const error of ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'INVALID_PRODUCER_EPOCH', 'KAFKA_STORAGE_ERROR'] as const) {
    partitions[0]!.appendRefusal = { error, message: `because of ${error}` }
    const answer = await produce(broker, 't', batchOf(['a']))
    assert.deepEqual([errorIn(answer), answer.errorMessage], [error, `because of ${error}`])
  }
})

test('an append that throws fails its partition alone; a broken invariant stops everything', async () => {
  const broker = testBroker()
  const { partitions } = broker.storage.add('t', 2)
  const data = (index: number) => ({ index, records: batchOf(['a']) })
  const request = {
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ name: 't', partitionData: [data(0), data(1)] }],
  }
  partitions[0]!.fault = new Error('a surprise')
  const answer = await broker.ask(api, 9, request)
  assert.deepEqual(answer.responses[0]!.partitionResponses.map(errorIn), ['UNKNOWN_SERVER_ERROR', 'NONE'])
  partitions[0]!.fault = new InvariantViolation('offsets are dense')
  await assert.rejects(broker.ask(api, 9, request), InvariantViolation)
})

test("clients do not write to brokers' own topics", async () => {
  const broker = testBroker()
  for (const name of ['__consumer_offsets', '__transaction_state']) {
    const { partitions } = broker.storage.add(name)
    assert.equal(errorIn(await produce(broker, name, batchOf(['a']))), 'INVALID_TOPIC_EXCEPTION')
    assert.equal(partitions[0]?.batches.length, 0)
  }
})

for (const version of versionsOf(api.request)) {
  test(`pitfall 25: Produce ${version} says which records a batch was refused for, from version 8 on`, async () => {
    const broker = testBroker()
    const { id, partitions } = broker.storage.add('t')
    const recordErrors = [
      { batchIndex: 1, batchIndexErrorMessage: 'no key' },
      { batchIndex: 3, batchIndexErrorMessage: 'no key either' },
    ]
    partitions[0]!.appendRefusal = { error: 'INVALID_RECORD', message: 'records have no keys', recordErrors }
    const topicId = version >= 13 ? id : noTopicId
    const answer = await produce(broker, 't', batchOf(['a', 'b', 'c', 'd']), { version, topicId })
    assert.equal(errorIn(answer), 'INVALID_RECORD')
    assert.deepEqual(answer.recordErrors, version >= 8 ? recordErrors : [])
    assert.equal(answer.errorMessage, version >= 8 ? 'records have no keys' : null)
  })
}
