/**
 * What other compatible brokers got wrong, each as one test by its number in our list of pitfalls; seen as a client sees it,
 * over sockets. Those of groups are in `group-pitfalls.test.ts`. Numbers without a test are below with the reason.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import snappy from 'snappy'
import { ropeOf } from '../../src/base/rope.ts'
import type { Codec } from '../../src/io/compute.ts'
import { apis } from '../../src/wire/api-keys.ts'
import { type BatchOptions, buildBatch, type RecordDraft } from '../../src/wire/build-batch.ts'
import { decodeResponse } from '../../src/wire/exchange.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { within } from '../support/waiting.ts'

/** Numbers that no test here or in `group-pitfalls.test.ts` has. */
const withoutTest: Readonly<Record<number, string>> = {
  12: 'there are no transactions, so no offset is ever staged',
  14: 'there are no transactions, so nothing is aborted',
  15: 'there are no transactions: the last stable offset is the high watermark, which a restart does not move back (20, 21)',
  16: 'EndTxn is not served',
  17: 'transactions are refused whatever their timeout',
  19: 'there are no transactions that could be torn',
  35: 'SASL is not served',
  36: 'SCRAM is not served',
  40: 'nothing is compacted yet, so no tombstone goes',
  42: 'nothing is compacted yet, so there are no gaps at the end of a batch',
  48: 'there are no quotas: ThrottleTimeMs is always 0',
  49: 'the new consumer groups (KIP-848) are not served',
}

const now = Date.now()

function batchOf(records: readonly (string | RecordDraft)[], options: BatchOptions = {}): Buffer {
  const drafts = records.map(record => (typeof record === 'string' ? { value: record } : record))
  return buildBatch(drafts, { baseTimestamp: now, ...options })
}

const valuesOf = (batches: readonly { readonly records: readonly { readonly value: Buffer | null }[] }[]) =>
  batches.flatMap(({ records }) => records.map(({ value }) => String(value)))

describe('pitfalls', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    client = await KafkaClient.connect(tidelog.port)
  })
  after(async () => {
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const timeOf = async (topic: string, timestamp: number, isolationLevel = 0) => {
    const { topics } = await client.call(apis.listOffsets, 11, {
      replicaId: -1,
      isolationLevel,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
    })
    const { errorCode, offset, timestamp: found } = topics[0]!.partitions[0]!
    assert.equal(kafkaErrorName(errorCode), 'NONE')
    return [offset, found]
  }

  it('pitfall 1: a fetch from inside a batch gives that batch whole', async () => {
    await client.createTopic('p1')
    await client.produce('p1', 0, batchOf(['a', 'b', 'c']))
    const { batches } = await client.fetch('p1', 0, 2)
    assert.deepEqual([batches[0]?.baseOffset, valuesOf(batches)], [0, ['a', 'b', 'c']])
  })

  it('pitfall 2: the offset of a time is of the first record as late, else -1, in both isolation levels', async () => {
    await client.createTopic('p2')
    const at = (ms: number) => ({ value: 'x', timestampMs: now + ms })
    await client.produce('p2', 0, batchOf([at(10), at(30)]))
    await client.produce('p2', 0, batchOf([at(20), at(40)]))
    for (const isolation of [0, 1]) {
      assert.deepEqual(await timeOf('p2', 0, isolation), [0, now + 10])
      assert.deepEqual(await timeOf('p2', now + 15, isolation), [1, now + 30])
      assert.deepEqual(await timeOf('p2', now + 31, isolation), [3, now + 40])
      assert.deepEqual(await timeOf('p2', now + 41, isolation), [-1, -1])
    }
  })

  it('pitfall 3: ListOffsets 0 is neither advertised nor served', async () => {
    const { apiKeys } = await client.call(apis.apiVersions, 0, {})
    assert.equal(apiKeys.find(({ apiKey }) => apiKey === 2)?.minVersion, 1)
    await using other = await KafkaClient.connect(tidelog.port)
    other.write(Buffer.from([0, 0, 0, 10, 0, 2, 0, 0, 0, 0, 0, 1, 0xff, 0xff]))
    await within(2_000, 'the end of the connection', other.closed)
  })

  it('pitfall 4: the times with a meaning of their own: highest timestamp, earliest local, tiered, waiting for upload', async () => {
    await client.createTopic('p4')
    await client.produce('p4', 0, batchOf([30, 50, 40].map(ms => ({ value: 'x', timestampMs: now + ms }))))
    assert.deepEqual(await timeOf('p4', -3), [1, now + 50])
    assert.deepEqual(await timeOf('p4', -4), [0, -1])
    assert.deepEqual(await timeOf('p4', -5), [-1, -1])
    assert.deepEqual(await timeOf('p4', -6), [-1, -1])
  })

  it('pitfall 18: a batch of a producer’s older epoch is refused with INVALID_PRODUCER_EPOCH', async () => {
    await client.createTopic('p18')
    const { producerId } = await client.call(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
    const send = (producerEpoch: number, baseSequence: number) =>
      client.produce('p18', 0, batchOf(['x'], { producerId, producerEpoch, baseSequence }))
    assert.equal((await send(0, 0)).error, 'NONE')
    assert.equal((await send(1, 0)).error, 'NONE')
    assert.equal((await send(0, 1)).error, 'INVALID_PRODUCER_EPOCH')
  })

  it('pitfall 20: a batch that is sent again after a kill gets the offset it had, as do the last five', async () => {
    await using own = await tempDir()
    const sent = (producerId: number, baseSequence: number) =>
      batchOf([`s${baseSequence}`], { producerId, producerEpoch: 0, baseSequence })
    let producerId: number
    {
      await using first = await Tidelog.start({ dataDir: own.path })
      await using there = await KafkaClient.connect(first.port)
      await there.createTopic('p20')
      const init = await there.call(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })
      producerId = init.producerId
      for (let sequence = 0; sequence < 7; sequence++) {
        assert.equal((await there.produce('p20', 0, sent(producerId, sequence))).baseOffset, sequence)
      }
      await first.kill()
    }
    await using second = await Tidelog.start({ dataDir: own.path })
    await using here = await KafkaClient.connect(second.port)
    for (let sequence = 2; sequence < 7; sequence++) {
      const { error, baseOffset } = await here.produce('p20', 0, sent(producerId, sequence))
      assert.deepEqual([error, baseOffset], ['NONE', sequence])
    }
    assert.equal((await here.produce('p20', 0, sent(producerId, 1))).error, 'DUPLICATE_SEQUENCE_NUMBER')
    assert.equal((await here.produce('p20', 0, sent(producerId, 9))).error, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
    assert.deepEqual(
      valuesOf(await here.readAll('p20', 0)),
      Array.from({ length: 7 }, (_, i) => `s${i}`),
    )
  })

  it('pitfall 21: no acknowledged write is lost in a healthy run, and no answer invents offset 0', async () => {
    await client.createTopic('p21')
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.produce('p21', 0, batchOf([`v${i}`]))),
    )
    assert.deepEqual(
      answers.map(({ baseOffset }) => baseOffset),
      answers.map((_, place) => place),
    )
    assert.deepEqual(
      valuesOf(await client.readAll('p21', 0)),
      answers.map((_, place) => `v${place}`),
    )
    const refused = await client.produce('p21', 0, batchOf(['x'], { recordCount: 2 }))
    assert.deepEqual([refused.error, refused.baseOffset], ['INVALID_RECORD', -1])
  })

  it('pitfall 22: max.message.bytes bounds the batch as it is on the wire, by topic', async () => {
    await client.createTopic('p22', 1, { 'max.message.bytes': 2_000 })
    const plain = batchOf(['x'.repeat(3_000)])
    assert.equal((await client.produce('p22', 0, plain)).error, 'MESSAGE_TOO_LARGE')
    const compression = { codec: 'gzip', compress: gzipSync } as const
    assert.equal((await client.produce('p22', 0, batchOf(['x'.repeat(3_000)], { compression }))).error, 'NONE')
    const exactly = batchOf(['x'.repeat(2_000 - batchOf(['x'.repeat(1_000)]).length + 1_000)])
    assert.equal(exactly.length, 2_000)
    assert.equal((await client.produce('p22', 0, exactly)).error, 'NONE')
  })

  it('pitfall 23: a large request is bounded by socket.request.max.bytes alone', async () => {
    await client.createTopic('p23', 4, { 'max.message.bytes': 2_000_000 })
    const records = ropeOf(batchOf([Buffer.alloc(1_900_000, 'x').toString()]))
    const partitionData = [0, 1, 2, 3].map(index => ({ index, records }))
    const topicData = [{ name: 'p23', partitionData }]
    const { responses } = await client.call(apis.produce, 9, { acks: -1, timeoutMs: 10_000, topicData })
    assert.deepEqual(
      responses[0]!.partitionResponses.map(({ errorCode }) => errorCode),
      [0, 0, 0, 0],
    )
  })

  it('pitfall 24: a record without a key is refused on a compacted topic, by its index', async () => {
    await client.createTopic('p24', 1, { 'cleanup.policy': 'compact' })
    const records = ropeOf(batchOf([{ key: 'k', value: 'v' }, { value: 'no key' }, { key: 'k', value: null }]))
    const topicData = [{ name: 'p24', partitionData: [{ index: 0, records }] }]
    const { responses } = await client.call(apis.produce, 9, { acks: -1, timeoutMs: 10_000, topicData })
    const { errorCode, recordErrors, baseOffset } = responses[0]!.partitionResponses[0]!
    assert.deepEqual([kafkaErrorName(errorCode), baseOffset], ['INVALID_RECORD', -1])
    assert.deepEqual(
      recordErrors.map(({ batchIndex }) => batchIndex),
      [1],
    )
    assert.equal((await client.produce('p24', 0, batchOf([{ key: 'k', value: 'v' }]))).error, 'NONE')
  })

  it('pitfall 25: errors of single records say which', async () => {
    await client.createTopic('p25')
    const late = { value: 'x', timestampMs: now + 2 * 3_600_000 }
    const records = ropeOf(batchOf(['a', late, 'b', late]))
    const topicData = [{ name: 'p25', partitionData: [{ index: 0, records }] }]
    const { responses } = await client.call(apis.produce, 8, { acks: -1, timeoutMs: 10_000, topicData })
    const { errorCode, recordErrors, errorMessage } = responses[0]!.partitionResponses[0]!
    assert.equal(kafkaErrorName(errorCode), 'INVALID_TIMESTAMP')
    assert.deepEqual(
      recordErrors.map(({ batchIndex }) => batchIndex),
      [1, 3],
    )
    assert.match(errorMessage ?? '', /timestamp/)
  })

  it('pitfall 26: DescribeConfigs has every config, with value, source, type and synonyms', async () => {
    await client.createTopic('p26', 1, { 'retention.ms': 1_000 })
    const { results } = await client.call(apis.describeConfigs, 4, {
      resources: [{ resourceType: 2, resourceName: 'p26', configurationKeys: null }],
      includeSynonyms: true,
    })
    const configs = new Map(results[0]!.configs.map(config => [config.name, config]))
    assert.ok(configs.size >= 30)
    for (const name of ['cleanup.policy', 'segment.bytes', 'min.insync.replicas', 'compression.type']) {
      assert.ok(configs.get(name)?.value, name)
      assert.equal(configs.get(name)?.configSource, 5)
    }
    const retention = configs.get('retention.ms')!
    assert.deepEqual([retention.value, retention.configSource, retention.configType], ['1000', 1, 5])
    assert.deepEqual(
      retention.synonyms.map(({ name, source }) => [name, source]),
      [
        ['retention.ms', 1],
        ['log.retention.hours', 5],
      ],
    )
  })

  it('pitfall 27: APPEND and SUBTRACT work on lists only; AlterConfigs resets what it does not name', async () => {
    await client.createTopic('p27', 1, { 'cleanup.policy': 'delete', 'retention.ms': 1_000 })
    const change = async (name: string, configOperation: number, value: string | null) => {
      const configs = [{ name, configOperation, value }]
      const resources = [{ resourceType: 2, resourceName: 'p27', configs }]
      const { responses } = await client.call(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false })
      return kafkaErrorName(responses[0]!.errorCode)
    }
    const described = async (name: string) => {
      const resources = [{ resourceType: 2, resourceName: 'p27', configurationKeys: [name] }]
      return (await client.call(apis.describeConfigs, 4, { resources })).results[0]!.configs[0]?.value
    }
    assert.equal(await change('cleanup.policy', 2, 'compact'), 'NONE')
    assert.equal(await described('cleanup.policy'), 'delete,compact')
    assert.equal(await change('cleanup.policy', 3, 'delete'), 'NONE')
    assert.equal(await described('cleanup.policy'), 'compact')
    assert.equal(await change('retention.ms', 2, '5'), 'INVALID_CONFIG')
    assert.equal(await described('retention.ms'), '1000')
    const { responses } = await client.call(apis.alterConfigs, 2, {
      resources: [{ resourceType: 2, resourceName: 'p27', configs: [{ name: 'segment.ms', value: '7000' }] }],
      validateOnly: false,
    })
    assert.equal(kafkaErrorName(responses[0]!.errorCode), 'NONE')
    assert.deepEqual(
      [await described('segment.ms'), await described('retention.ms'), await described('cleanup.policy')],
      ['7000', '604800000', 'delete'],
    )
  })

  it('pitfall 28: CreatePartitions answers for each topic, with INVALID_PARTITIONS for what does not grow', async () => {
    for (const [name, partitions] of Object.entries({ p28a: 1, p28b: 3, p28c: 2 }))
      await client.createTopic(name, partitions)
    const topics = ['p28a', 'p28b', 'p28c', 'p28d'].map(name => ({ name, count: 2, assignments: null }))
    const { results } = await client.call(apis.createPartitions, 3, { topics, timeoutMs: 10_000, validateOnly: false })
    assert.deepEqual(Object.fromEntries(results.map(({ name, errorCode }) => [name, kafkaErrorName(errorCode)])), {
      p28a: 'NONE',
      p28b: 'INVALID_PARTITIONS',
      p28c: 'INVALID_PARTITIONS',
      p28d: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    assert.equal((await client.produce('p28a', 1, batchOf(['x']))).error, 'NONE')
  })

  it('pitfall 29: CreateTopics with defaults, by assignment, only to validate, and mixed with bad ones', async () => {
    const topic = (name: string, more: object = {}) => ({
      ...{ name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] },
      ...more,
    })
    const asked = [
      topic('p29a'),
      topic('p29b', { assignments: [0, 1].map(partitionIndex => ({ partitionIndex, brokerIds: [1] })) }),
      topic('p29/c'),
      topic('p29d', { numPartitions: 0 }),
      topic('p29e', { configs: [{ name: 'retention.ms', value: 'soon' }] }),
    ]
    const expected = {
      p29a: 'NONE',
      p29b: 'NONE',
      'p29/c': 'INVALID_TOPIC_EXCEPTION',
      p29d: 'INVALID_PARTITIONS',
      p29e: 'INVALID_CONFIG',
    }
    for (const validateOnly of [true, false]) {
      const { topics } = await client.call(apis.createTopics, 7, { topics: asked, validateOnly })
      const errors = Object.fromEntries(topics.map(({ name, errorCode }) => [name, kafkaErrorName(errorCode)]))
      assert.deepEqual(errors, expected)
      const [defaults, assigned] = topics
      assert.deepEqual([defaults?.numPartitions, assigned?.numPartitions], [1, 2])
      assert.ok((defaults?.configs?.length ?? 0) >= 30)
      assert.equal(/^0*$/.test(defaults?.topicId ?? ''), validateOnly)
    }
  })

  it('pitfall 30: Metadata makes a topic when client and broker both allow it', async () => {
    const ask = async (name: string, allowAutoTopicCreation: boolean) => {
      const { topics } = await client.call(apis.metadata, 9, { topics: [{ name }], allowAutoTopicCreation })
      return kafkaErrorName(topics[0]!.errorCode)
    }
    assert.equal(await ask('p30', false), 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal(await ask('p30', true), 'NONE')
    await using own = await tempDir()
    await using strict = await Tidelog.start({ dataDir: own.path, set: { 'auto.create.topics.enable': 'false' } })
    await using there = await KafkaClient.connect(strict.port)
    const { topics } = await there.call(apis.metadata, 9, { topics: [{ name: 'p30' }], allowAutoTopicCreation: true })
    assert.equal(kafkaErrorName(topics[0]!.errorCode), 'UNKNOWN_TOPIC_OR_PARTITION')
  })

  it('pitfall 31: whoever races to make a topic gets the topic or an error to try again on, and one id', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => KafkaClient.connect(tidelog.port)))
    try {
      const answers = await Promise.all(
        clients.map(each => each.call(apis.metadata, 12, { topics: [{ name: 'p31' }], allowAutoTopicCreation: true })),
      )
      const topics = answers.map(answer => answer.topics[0]!)
      for (const { errorCode } of topics) {
        assert.match(kafkaErrorName(errorCode), /^(NONE|UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE)$/)
      }
      const ids = new Set(topics.filter(({ errorCode }) => errorCode === 0).map(({ topicId }) => topicId))
      assert.equal(ids.size, 1)
    } finally {
      for (const each of clients) await each[Symbol.asyncDispose]()
    }
  })

  it('pitfall 32: a topic that was made is known to every connection at once', async () => {
    await using other = await KafkaClient.connect(tidelog.port)
    for (let i = 0; i < 20; i++) {
      await client.createTopic(`p32-${i}`)
      const { topics } = await other.call(apis.metadata, 9, {
        topics: [{ name: `p32-${i}` }],
        allowAutoTopicCreation: false,
      })
      assert.deepEqual([kafkaErrorName(topics[0]!.errorCode), topics[0]!.partitions[0]?.leaderId], ['NONE', 1])
      assert.equal((await other.produce(`p32-${i}`, 0, batchOf(['x']))).error, 'NONE')
    }
  })

  it('pitfall 33: an unknown version of ApiVersions is answered, and the connection goes on', async () => {
    await using other = await KafkaClient.connect(tidelog.port)
    other.write(Buffer.from([0, 0, 0, 11, 0, 18, 0, 90, 0, 0, 0, 5, 0xff, 0xff, 0]))
    const { body } = decodeResponse(apis.apiVersions, 0, await within(2_000, 'an answer', other.expectAnswer(5)))
    assert.equal(kafkaErrorName(body.errorCode), 'UNSUPPORTED_VERSION')
    assert.equal((await other.call(apis.metadata, 9, { topics: [] })).brokers.length, 1)
  })

  it('pitfall 34: any request may be the first of a connection', async () => {
    for (const first of ['metadata', 'listOffsets', 'findCoordinator'] as const) {
      await using other = await KafkaClient.connect(tidelog.port)
      if (first === 'metadata') await other.call(apis.metadata, 1, { topics: [] })
      if (first === 'listOffsets') await other.call(apis.listOffsets, 1, { replicaId: -1, topics: [] })
      if (first === 'findCoordinator') await other.call(apis.findCoordinator, 4, { coordinatorKeys: [] })
    }
  })

  it('pitfall 37: an idle connection is closed after ten minutes by default, and a long poll is not idleness', async () => {
    const { results } = await client.call(apis.describeConfigs, 4, {
      resources: [{ resourceType: 4, resourceName: '1', configurationKeys: ['connections.max.idle.ms'] }],
    })
    assert.equal(results[0]!.configs[0]?.value, '600000')
    await using own = await tempDir()
    await using hasty = await Tidelog.start({ dataDir: own.path, set: { 'connections.max.idle.ms': '300' } })
    await using there = await KafkaClient.connect(hasty.port)
    await there.createTopic('p37')
    const { error } = await there.fetch('p37', 0, 0, { maxWaitMs: 900 })
    assert.equal(error, 'NONE')
    await within(5_000, 'the end of the idle connection', there.closed)
  })

  it('pitfall 38: every codec is taken and given back, byte for byte', async () => {
    await client.createTopic('p38')
    const codecs: Record<Exclude<Codec, 'none'>, (bytes: Buffer) => Buffer> = {
      gzip: gzipSync,
      snappy: bytes => snappy.compressSync(bytes) as Buffer,
      lz4: bytes => compressFrameSync(bytes),
      zstd: zstdCompressSync,
    }
    for (const [place, codec] of (Object.keys(codecs) as (keyof typeof codecs)[]).entries()) {
      const sent = batchOf(['a', 'b'], { compression: { codec, compress: codecs[codec] } })
      assert.equal((await client.produce('p38', 0, Buffer.from(sent))).error, 'NONE', codec)
      const { batches } = await client.fetch('p38', 0, place * 2)
      assert.deepEqual([batches[0]?.codec, valuesOf(batches.slice(0, 1))], [codec, ['a', 'b']])
      assert.deepEqual(batches[0]?.bytes.subarray(21), sent.subarray(21))
    }
  })

  it('pitfall 39: DeleteRecords moves the log start at once, to the end for -1, and not beyond it', async () => {
    await client.createTopic('p39')
    for (const value of ['a', 'b', 'c', 'd']) await client.produce('p39', 0, batchOf([value]))
    const remove = async (offset: number) => {
      const topics = [{ name: 'p39', partitions: [{ partitionIndex: 0, offset }] }]
      const answer = await client.call(apis.deleteRecords, 2, { topics, timeoutMs: 10_000 })
      const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!
      return [kafkaErrorName(errorCode), lowWatermark]
    }
    assert.deepEqual(await remove(5), ['OFFSET_OUT_OF_RANGE', -1])
    assert.deepEqual(await remove(2), ['NONE', 2])
    const fetched = await client.fetch('p39', 0, 2)
    assert.deepEqual([fetched.logStartOffset, valuesOf(fetched.batches)], [2, ['c', 'd']])
    assert.equal(await client.earliest('p39', 0), 2)
    assert.equal((await client.fetch('p39', 0, 1)).error, 'OFFSET_OUT_OF_RANGE')
    assert.deepEqual(await remove(-1), ['NONE', 4])
    assert.equal(await client.earliest('p39', 0), 4)
  })

  it('pitfall 41: a fetch session says every partition that changed', async () => {
    const topicId = await client.createTopic('p41', 3)
    const ask = async (sessionId: number, sessionEpoch: number, from: readonly number[]) => {
      const partitions = from.map((fetchOffset, partition) => ({
        partition,
        fetchOffset,
        partitionMaxBytes: 1_000_000,
      }))
      const topics = from.length === 0 ? [] : [{ topicId, partitions }]
      const answer = await client.call(apis.fetch, 13, { maxWaitMs: 0, minBytes: 0, sessionId, sessionEpoch, topics })
      assert.equal(kafkaErrorName(answer.errorCode), 'NONE')
      const changed = answer.responses.flatMap(topic => topic.partitions).map(({ partitionIndex }) => partitionIndex)
      return { sessionId: answer.sessionId, changed: changed.sort() }
    }
    const { sessionId } = await ask(0, 0, [0, 0, 0])
    assert.notEqual(sessionId, 0)
    assert.deepEqual((await ask(sessionId, 1, [])).changed, [])
    await client.produce('p41', 1, batchOf(['x']))
    assert.deepEqual((await ask(sessionId, 2, [])).changed, [1])
    await client.produce('p41', 0, batchOf(['x']))
    await client.produce('p41', 2, batchOf(['x']))
    assert.deepEqual((await ask(sessionId, 3, [])).changed, [0, 1, 2], 'what was not read on is said again')
  })

  it('pitfall 43: FindCoordinator takes many keys at once, and finds', async () => {
    const coordinatorKeys = ['a', 'b', 'c']
    const { coordinators } = await client.call(apis.findCoordinator, 4, { keyType: 0, coordinatorKeys })
    assert.deepEqual(
      coordinators.map(({ key, errorCode, nodeId, port }) => [key, kafkaErrorName(errorCode), nodeId, port]),
      coordinatorKeys.map(key => [key, 'NONE', 1, tidelog.port]),
    )
  })

  it('pitfall 46: a topic made anew has another id, and the old one is unknown', async () => {
    const before = await client.createTopic('p46')
    await client.produce('p46', 0, batchOf(['old']))
    await client.deleteTopic('p46')
    const after = await client.createTopic('p46')
    assert.notEqual(after, before)
    assert.deepEqual(await client.readAll('p46', 0), [])
    const fetchOf = async (topicId: typeof before) => {
      const topics = [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }]
      const answer = await client.call(apis.fetch, 13, { maxWaitMs: 0, minBytes: 0, topics })
      return kafkaErrorName(answer.responses[0]!.partitions[0]!.errorCode)
    }
    assert.deepEqual([await fetchOf(before), await fetchOf(after)], ['UNKNOWN_TOPIC_ID', 'NONE'])
  })

  it('pitfall 47: LogAppendTime is in the answer, in the batch, and under a right checksum', async () => {
    await client.createTopic('p47', 1, { 'message.timestamp.type': 'LogAppendTime' })
    const records = ropeOf(batchOf(['a'], { baseTimestamp: 5 }))
    const topicData = [{ name: 'p47', partitionData: [{ index: 0, records }] }]
    const { responses } = await client.call(apis.produce, 9, { acks: -1, timeoutMs: 10_000, topicData })
    const { logAppendTimeMs } = responses[0]!.partitionResponses[0]!
    assert.ok(Math.abs(logAppendTimeMs - Date.now()) < 60_000)
    const { batches } = await client.fetch('p47', 0, 0)
    assert.deepEqual([batches[0]?.maxTimestampMs, batches[0]!.bytes.readInt16BE(21) & 8], [logAppendTimeMs, 8])
  })

  it('pitfall 50: localhost is served on 127.0.0.1 and ::1', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      await using other = await KafkaClient.connect(tidelog.port, host)
      assert.equal((await other.call(apis.metadata, 9, { topics: [] })).brokers.length, 1)
    }
  })

  it('are all tested, or have a reason why not', () => {
    const tested = ['pitfalls.test.ts', 'group-pitfalls.test.ts'].flatMap(file => {
      const text = readFileSync(new URL(file, import.meta.url), 'utf8')
      return [...text.matchAll(/ it\('pitfall (\d+): /g)].map(match => Number(match[1]))
    })
    const all = [...tested, ...Object.keys(withoutTest).map(Number)].sort((a, b) => a - b)
    assert.deepEqual(
      all,
      Array.from({ length: 50 }, (_, place) => place + 1),
    )
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
