import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../base/ids.ts'
import { ropeOf } from '../base/rope.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { apis } from '../wire/api-keys.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { kafkaErrorName } from '../wire/kafka-errors.ts'
import { Door } from './door.ts'
import { startNode } from './testing/engine-broker.ts'
import { batchOf, settle, testBroker } from './testing/test-broker.ts'

const text = (value: string) => ({ value: Buffer.from(value) })
const at = (n: number) => offset(n)

test('what a door appends, clients of Kafka read, and the other way round', async () => {
  const { broker, ask } = testBroker()
  const door = broker.door('User:a')
  const made = await door.createTopic('t', { partitions: 2, configs: { 'retention.ms': '1000' } })
  assert.ok(made.error === 'NONE')
  assert.equal(made.topic.partitions.length, 2)
  assert.equal(made.topic.configs.get('retention.ms'), '1000')

  const headers = [['h', Buffer.from('1')]] as const
  const produced = await door.produce('t', 1, [{ key: Buffer.from('k'), ...text('one'), headers }, text('two')])
  assert.deepEqual(produced, { error: 'NONE', partition: 1, baseOffset: 0, logAppendTimeMs: -1 })
  const partitions = [{ index: 1, records: batchOf(['three']) }]
  await ask(apis.produce, 9, { acks: -1, timeoutMs: 1000, topicData: [{ name: 't', partitionData: partitions }] })

  const read = await door.read({ topic: 't', partition: 1, from: at(0) })
  assert.ok(read.error === 'NONE')
  assert.deepEqual(
    read.records.map(({ offset, key, value }) => [offset, key?.toString() ?? null, value?.toString()]),
    [
      [0, 'k', 'one'],
      [1, null, 'two'],
      [2, null, 'three'],
    ],
  )
  assert.deepEqual(read.records[0]?.headers, [{ key: 'h', value: Buffer.from('1') }])
  assert.equal(read.next, 3)
  const one = await door.read({ topic: 't', partition: 1, from: at(1), recordsMax: 1 })
  assert.ok(one.error === 'NONE')
  assert.deepEqual([one.records.map(({ offset }) => offset), one.next], [[1], 2])
})

test('records without a key take turns, records with one stay together', async () => {
  const { broker } = testBroker()
  const door = broker.door('User:a')
  await door.createTopic('t', { partitions: 3 })
  const partitions = []
  for (let i = 0; i < 4; i++) partitions.push(await door.produce('t', null, [text('x')]))
  assert.deepEqual(
    partitions.map(done => done.error === 'NONE' && done.partition),
    [0, 1, 2, 0],
  )
  const keyed = []
  for (let i = 0; i < 3; i++) keyed.push(await door.produce('t', null, [{ key: Buffer.from('abc'), value: null }]))
  assert.equal(new Set(keyed.map(done => done.error === 'NONE' && done.partition)).size, 1)
})

test('a read waits for what comes', async () => {
  const { broker, clock } = testBroker()
  const door = broker.door('User:a')
  await door.createTopic('t')
  const reading = door.read({ topic: 't', partition: 0, from: at(0), waitMs: 1000 })
  await settle()
  await door.produce('t', 0, [text('late')])
  const read = await reading
  assert.equal(read.error === 'NONE' && read.records[0]?.value?.toString(), 'late')

  const idle = door.read({ topic: 't', partition: 0, from: at(1), waitMs: 1000 })
  await settle()
  clock.advance(1000)
  const nothing = await idle
  assert.deepEqual(nothing.error === 'NONE' && [nothing.records, nothing.next], [[], 1])
})

test('offsets by time, and those that groups commit', async () => {
  await using node = await startNode(new MemoryDisk())
  const door = node.broker.door('User:a')
  await door.createTopic('t', { partitions: 2 })
  await door.produce('t', 0, [
    { ...text('a'), timestampMs: Date.now() - 1000 },
    { ...text('b'), timestampMs: Date.now() },
  ])
  const offsets = []
  for (const when of ['earliest', 'latest', Date.now() - 500, Date.now() + 60_000] as const) {
    const done = await door.offsetAt('t', 0, when)
    offsets.push(done.error === 'NONE' ? done.offset : done.error)
  }
  assert.deepEqual(offsets, [0, 2, 1, null])

  assert.deepEqual(await door.committed('g', 't'), { error: 'NONE', offsets: [null, null] })
  assert.deepEqual(await door.commit('g', 't', 0, at(2)), { error: 'NONE' })
  assert.deepEqual(await door.committed('g', 't'), { error: 'NONE', offsets: [2, null] })
})

test('every refusal has a name and a sentence', async () => {
  const { broker, ask } = testBroker({ 'message.max.bytes': '1000', 'delete.topic.enable': 'false' })
  const door = broker.door('User:a')
  await door.createTopic('t')
  const refusals = await Promise.all([
    door.createTopic('t'),
    door.createTopic('no/name'),
    door.createTopic('u', { partitions: 0 }),
    door.createTopic('u', { configs: { 'no.such': '1' } }),
    door.deleteTopic('t'),
    door.produce('none', 0, [text('x')]),
    door.produce('t', 1, [text('x')]),
    door.produce('t', 0, []),
    door.produce('t', 0, [text('x'.repeat(1000))]),
    door.read({ topic: 'none', partition: 0, from: at(0) }),
    door.read({ topic: 't', partition: 0, from: at(1) }),
    door.commit('g', 't', 1, at(0)),
    door.offsetAt('none', 0, 'earliest'),
  ])
  const told = refusals.map(done => (done.error === 'NONE' ? ['NONE'] : [done.error, done.message.length > 10]))
  assert.deepEqual(
    told,
    [
      'TOPIC_ALREADY_EXISTS',
      'INVALID_TOPIC_EXCEPTION',
      'INVALID_PARTITIONS',
      'INVALID_CONFIG',
      'TOPIC_DELETION_DISABLED',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'INVALID_RECORD',
      'MESSAGE_TOO_LARGE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'OFFSET_OUT_OF_RANGE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ].map(error => [error, true]),
  )
  const metadata = await ask(apis.metadata, 9, { topics: null })
  assert.equal(metadata.topics.length, 1, 'nothing was made on the way')
})

test('what a principal may not do, no door does', async () => {
  const { broker } = testBroker({}, { check: () => false })
  const door = broker.door('User:nobody')
  const refusals = await Promise.all([
    door.createTopic('t'),
    door.deleteTopic('t'),
    door.produce('t', 0, [text('x')]),
    door.read({ topic: 't', partition: 0, from: at(0) }),
    door.offsetAt('t', 0, 'latest'),
    door.committed('g', 't'),
    door.commit('g', 't', 0, at(0)),
  ])
  const expected = ['TOPIC', 'TOPIC', 'TOPIC', 'TOPIC', 'TOPIC', 'GROUP', 'GROUP']
  assert.deepEqual(
    refusals.map(({ error }) => error),
    expected.map(what => `${what}_AUTHORIZATION_FAILED`),
  )
  assert.equal(door.topic('t').error, 'TOPIC_AUTHORIZATION_FAILED')
  assert.deepEqual(door.topics(), [])
})

test('records that nobody can read are told of, with the way past them', async () => {
  const { broker, storage, ask } = testBroker()
  const door = broker.door('User:a')
  await door.createTopic('t')
  const bad = buildBatch([{ value: 'x' }, { value: 'y' }], {
    baseTimestamp: Date.UTC(2026, 0, 1),
    compression: { codec: 'none', compress: records => records.fill(0xff) },
  })
  const partitions = [
    { index: 0, records: ropeOf(bad) },
    { index: 0, records: batchOf(['good']) },
  ]
  const topicData = [{ name: 't', partitionData: partitions }]
  const answer = await ask(apis.produce, 9, { acks: -1, timeoutMs: 1000, topicData })
  const errors = answer.responses[0]?.partitionResponses.map(({ errorCode }) => kafkaErrorName(errorCode))
  assert.deepEqual(errors, ['NONE', 'NONE'])
  const read = await door.read({ topic: 't', partition: 0, from: at(0) })
  assert.equal(read.error, 'CORRUPT_MESSAGE')
  assert.ok('next' in read && read.next === 2)
  const behind = await door.read({ topic: 't', partition: 0, from: read.next })
  assert.equal(behind.error === 'NONE' && behind.records[0]?.value?.toString(), 'good')
  assert.equal(storage.topics().length, 1)
})

test('a fault is an answer, a broken invariant is not', async () => {
  const { broker, storage, faults } = testBroker()
  const door = broker.door('User:a')
  assert.ok(door instanceof Door)
  await door.createTopic('t')
  storage.createTopic = () => Promise.reject(new Error('a bug'))
  assert.equal((await door.createTopic('u')).error, 'UNKNOWN_SERVER_ERROR')
  assert.equal(faults[0]?.request.api, 'createTopic')
})
