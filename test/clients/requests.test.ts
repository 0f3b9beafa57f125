/**
 * Requests over a socket: what may be asked in which version, the order of answers, and the rules of producing that only raw
 * requests can break.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { noTopicId, type TopicId } from '../../src/base/ids.ts'
import { ropeOf, sliceRope } from '../../src/base/rope.ts'
import { type Api, apis } from '../../src/wire/api-keys.ts'
import { type BatchOptions, buildBatch, sealBatch } from '../../src/wire/build-batch.ts'
import { decodeResponse, encodeRequest } from '../../src/wire/exchange.ts'
import { kafkaErrors } from '../../src/wire/kafka-errors.ts'
import type { Draft } from '../../src/wire/schema.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually, within } from '../support/waiting.ts'

/** As Apache Kafka 4.3.1 has them, written out: a change of ours must not change this table by itself. */
const advertised: Readonly<Record<number, readonly [number, number]>> = {
  0: [0, 13],
  1: [4, 18],
  2: [1, 11],
  3: [0, 13],
  8: [2, 10],
  9: [1, 10],
  10: [0, 6],
  11: [0, 9],
  12: [0, 4],
  13: [0, 5],
  14: [0, 5],
  15: [0, 6],
  16: [0, 5],
  18: [0, 4],
  19: [2, 7],
  20: [1, 6],
  21: [0, 2],
  22: [0, 5],
  23: [2, 4],
  32: [1, 4],
  33: [0, 2],
  35: [1, 5],
  37: [0, 3],
  42: [0, 2],
  43: [0, 2],
  44: [0, 1],
  46: [0, 0],
  47: [0, 0],
  55: [0, 2],
  60: [0, 2],
  61: [0, 0],
  74: [0, 1],
  75: [0, 0],
}

const batchOf = (values: readonly string[], options: BatchOptions = {}) =>
  buildBatch(
    values.map(value => ({ value })),
    { baseTimestamp: Date.now(), ...options },
  )

describe('requests', () => {
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

  const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' }
  const closesSoon = (broken: KafkaClient) => within(1_000, 'the end of the connection', broken.closed)

  it('Q2: exactly what is implemented is advertised, in the ranges of Kafka 4.3.1', async () => {
    for (const version of [0, 1, 2, 3, 4]) {
      const { errorCode, apiKeys } = await client.call(apis.apiVersions, version, software)
      assert.equal(errorCode, 0)
      assert.deepEqual(
        Object.fromEntries(apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]])),
        advertised,
      )
    }
  })

  it('any request may be the first on a connection', async () => {
    await using fresh = await KafkaClient.connect(tidelog.port)
    const { clusterId } = await fresh.call(apis.describeCluster, 1, { includeClusterAuthorizedOperations: false })
    assert.match(clusterId, /^[\w-]{22}$/)
  })

  it('Q3: an unknown version of ApiVersions is answered as version 0, and the connection stays', async () => {
    await using fresh = await KafkaClient.connect(tidelog.port)
    const body = Buffer.from('whatever a future version says')
    const header = Buffer.from([0, 18, 0, 99, 0, 0, 0, 77, 0, 1, 0x61])
    const length = Buffer.alloc(4)
    length.writeInt32BE(header.length + body.length)
    fresh.write(Buffer.concat([length, header, body]))
    const answer = decodeResponse(apis.apiVersions, 0, await within(1_000, 'an answer', fresh.expectAnswer(77)))
    assert.equal(answer.body.errorCode, kafkaErrors.UNSUPPORTED_VERSION)
    assert.deepEqual(
      answer.body.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, minVersion, maxVersion]),
      [[18, 0, 4]],
    )
    assert.equal((await fresh.call(apis.apiVersions, 4, software)).errorCode, 0)
  })

  it('Q4: a client whose software has no proper name is refused', async () => {
    for (const name of ['', '-', 'a b', 'käfka']) {
      const body = { ...software, clientSoftwareName: name }
      assert.equal((await client.call(apis.apiVersions, 3, body)).errorCode, kafkaErrors.INVALID_REQUEST, name)
    }
  })

  it('Q6: an unknown API and a version that is not served close the connection', async () => {
    const unserved: readonly (readonly [number, number])[] = [
      [9999, 0],
      [-1, 0],
      [apis.fetch.key, 3],
      [apis.fetch.key, 19],
      [apis.produce.key, 2],
      [apis.produce.key, 14],
      [apis.metadata.key, -1],
      [11, 0],
    ]
    for (const [key, version] of unserved) {
      await using fresh = await KafkaClient.connect(tidelog.port)
      const request = Buffer.alloc(4 + 10 + 4)
      request.writeInt32BE(request.length - 4)
      request.writeInt16BE(key, 4)
      request.writeInt16BE(version, 6)
      request.writeInt32BE(1, 8)
      request.writeInt16BE(-1, 12)
      fresh.write(request)
      await closesSoon(fresh)
    }
  })

  it('Q7: a Metadata request with a topic id or without a name is invalid before version 12', async () => {
    const topicId = await client.createTopic('with-id')
    for (const version of [10, 11]) {
      for (const topic of [
        { topicId, name: '' },
        { topicId: noTopicId, name: null },
      ]) {
        const { topics } = await client.call(apis.metadata, version, { topics: [topic] })
        assert.equal(topics[0]?.errorCode, kafkaErrors.INVALID_REQUEST)
      }
    }
    const { topics } = await client.call(apis.metadata, 12, { topics: [{ topicId, name: null }] })
    assert.deepEqual([topics[0]?.errorCode, topics[0]?.name], [0, 'with-id'])
    const { topics: byName } = await client.call(apis.metadata, 10, { topics: [{ name: 'with-id' }] })
    assert.equal(byName[0]?.topicId, topicId)
  })

  it('Q7: Produce takes topic ids from version 13 on', async () => {
    const topicId = await client.createTopic('produce-by-id')
    const produce = (id: TopicId) =>
      client.call(apis.produce, 13, {
        acks: -1,
        timeoutMs: 5_000,
        topicData: [{ topicId: id, partitionData: [{ index: 0, records: ropeOf(batchOf(['x'])) }] }],
      })
    assert.equal((await produce(topicId)).responses[0]?.partitionResponses[0]?.errorCode, 0)
    const stranger = await produce('0123456789abcdef0123456789abcdef' as TopicId)
    assert.equal(stranger.responses[0]?.partitionResponses[0]?.errorCode, kafkaErrors.UNKNOWN_TOPIC_ID)
  })

  it('Q10: an empty list of topics means all in Metadata 0, and none from 1 on, where null means all', async () => {
    await client.createTopic('listed')
    const names = async (version: number, topics: readonly { name: string }[] | null) =>
      (await client.call(apis.metadata, version, { topics })).topics.map(({ name }) => name)
    assert.ok((await names(0, [])).includes('listed'))
    assert.deepEqual(await names(1, []), [])
    assert.ok((await names(1, null)).includes('listed'))
    assert.ok((await names(13, null)).includes('listed'))
  })

  it('Q11: asking for a topic makes it, with a leader in the first answer, unless the client forbids it', async () => {
    const ask = (name: string, allowAutoTopicCreation: boolean) =>
      client.call(apis.metadata, 9, { topics: [{ name }], allowAutoTopicCreation })
    const { topics } = await ask('asked-for', true)
    assert.deepEqual(
      topics.map(({ errorCode, partitions }) => [errorCode, partitions.map(({ leaderId }) => leaderId)]),
      [[0, [1]]],
    )
    assert.equal((await client.produce('asked-for', 0, batchOf(['x']))).error, 'NONE')
    assert.equal((await ask('not-asked-for', false)).topics[0]?.errorCode, kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('Q11: a hundred clients that ask for the same new topic at once all get the same one', async () => {
    const asks = Array.from({ length: 100 }, () => client.call(apis.metadata, 12, { topics: [{ name: 'raced-for' }] }))
    const answers = await Promise.all(asks)
    assert.deepEqual([...new Set(answers.map(({ topics }) => topics[0]?.errorCode))], [0])
    assert.equal(new Set(answers.map(({ topics }) => topics[0]?.topicId)).size, 1)
  })

  const hostileNames = [
    '../../etc/passwd',
    '.',
    '..',
    'a/b',
    '%2e',
    'nul\0',
    'x'.repeat(250),
    '',
    'ä',
    'a b',
    '__consumer_offsets',
  ]
  for (const name of hostileNames) {
    it(`Q11: no topic can be called ${JSON.stringify(name.slice(0, 30))}`, async () => {
      const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
      const made = await client.call(apis.createTopics, 7, { topics: [topic] })
      assert.equal(made.topics[0]?.errorCode, kafkaErrors.INVALID_TOPIC_EXCEPTION)
      const asked = await client.call(apis.metadata, 9, { topics: [{ name }] })
      assert.notEqual(asked.topics[0]?.errorCode, 0)
      const { topics } = await client.call(apis.metadata, 9, { topics: null })
      assert.ok(!topics.some(topic => topic.name === name))
    })
  }

  it('Q11: names that differ only in a dot and an underscore collide', async () => {
    await client.createTopic('a.b')
    await assert.rejects(client.createTopic('a_b'), /collides/)
  })

  it('Q15: answers come in the order of the requests, however long each takes', async () => {
    await client.createTopic('pipelined')
    const answered: string[] = []
    const ask = async <A extends Api>(api: A, version: number, body: Draft<A['request']>) => {
      await client.call(api, version, body)
      answered.push(api.name)
    }
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }]
    await Promise.all([
      ask(apis.fetch, 12, { maxWaitMs: 400, minBytes: 1, topics: [{ topic: 'pipelined', partitions }] }),
      ask(apis.metadata, 9, { topics: [] }),
      ask(apis.findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] }),
    ])
    assert.deepEqual(answered, ['Fetch', 'Metadata', 'FindCoordinator'])
  })

  it('Q15: a thousand pipelined produce requests keep their order, and so do their offsets', async () => {
    await client.createTopic('thousand')
    const sent = Array.from({ length: 1000 }, (_, i) => client.produce('thousand', 0, batchOf([`${i}`])))
    const outcomes = await Promise.all(sent)
    assert.deepEqual(
      outcomes.map(({ error, baseOffset }) => [error, baseOffset]),
      outcomes.map((_, i) => ['NONE', i]),
    )
    const records = (await client.readAll('thousand', 0)).flatMap(batch => batch.records)
    assert.deepEqual(
      records.map(({ value }) => String(value)),
      records.map((_, i) => `${i}`),
    )
  })

  it('Q15: requests cut into single bytes are answered like any other', async () => {
    await using fresh = await KafkaClient.connect(tidelog.port)
    const request = encodeRequest(apis.metadata, 9, { correlationId: 5, clientId: 'drip' }, { topics: [] })
    for (let i = 0; i < request.length; i++) fresh.write(sliceRope(request, i, i + 1))
    const frame = await within(2_000, 'an answer', fresh.expectAnswer(5))
    assert.equal(decodeResponse(apis.metadata, 9, frame).body.brokers.length, 1)
  })

  it('Q15: acks=0 is not answered, and the next request is', async () => {
    await client.createTopic('acks-0')
    const data = (topic: string) => ({
      acks: 0,
      timeoutMs: 1_000,
      topicData: [{ name: topic, partitionData: [{ index: 0, records: ropeOf(batchOf(['x'])) }] }],
    })
    for (let i = 0; i < 10; i++) client.tell(apis.produce, 9, data('acks-0'))
    await client.call(apis.metadata, 9, { topics: [] })
    await eventually(5_000, 'all of ten records', async () => (await client.latest('acks-0', 0)) === 10)
  })

  it('Q15: acks=0 for what cannot be written closes the connection', async () => {
    await using fresh = await KafkaClient.connect(tidelog.port)
    fresh.tell(apis.produce, 9, {
      acks: 0,
      timeoutMs: 1_000,
      topicData: [{ name: 'nowhere-at-all', partitionData: [{ index: 0, records: ropeOf(batchOf(['x'])) }] }],
    })
    await closesSoon(fresh)
  })

  describe('a batch is refused', () => {
    const base = () => batchOf(['one', 'two'])
    const changed = (change: (batch: Buffer) => void, seal = true) => {
      const batch = base()
      change(batch)
      return seal ? sealBatch(batch) : batch
    }
    const dayMs = 86_400_000
    const cases: readonly (readonly [string, string, () => Buffer])[] = [
      ['with a wrong checksum', 'CORRUPT_MESSAGE', () => changed(batch => batch.writeUInt8(0x55, 70), false)],
      ['with a wrong count of records', 'INVALID_RECORD', () => changed(batch => batch.writeInt32BE(1_000_000, 57))],
      ['with a negative count of records', 'INVALID_RECORD', () => changed(batch => batch.writeInt32BE(-1, 57))],
      ['with no records', 'INVALID_RECORD', () => buildBatch([])],
      ['with a wrong last offset', 'INVALID_RECORD', () => changed(batch => batch.writeInt32BE(5, 23))],
      ['of magic 0', 'INVALID_RECORD', () => changed(batch => batch.writeInt8(0, 16))],
      ['of magic 1', 'INVALID_RECORD', () => changed(batch => batch.writeInt8(1, 16))],
      ['of magic 9', 'INVALID_RECORD', () => changed(batch => batch.writeInt8(9, 16))],
      ['that is a control batch', 'INVALID_RECORD', () => batchOf(['x'], { control: true })],
      ['with a producer and no sequence', 'INVALID_RECORD', () => batchOf(['x'], { producerId: 5, producerEpoch: 0 })],
      ['from the far future', 'INVALID_TIMESTAMP', () => batchOf(['x'], { baseTimestamp: Date.now() + 30 * dayMs })],
      ['that claims the broker’s clock', 'INVALID_TIMESTAMP', () => batchOf(['x'], { logAppendTime: true })],
      ['larger than the limit', 'MESSAGE_TOO_LARGE', () => batchOf(['x'.repeat(1_048_588)])],
      ['longer than the request', 'CORRUPT_MESSAGE', () => changed(batch => batch.writeInt32BE(1_000_000, 8), false)],
      ['shorter than a header', 'CORRUPT_MESSAGE', () => base().subarray(0, 40)],
      ['beside another', 'INVALID_RECORD', () => Buffer.concat([base(), base()])],
    ]
    for (const [what, error, make] of cases) {
      it(`${what}: ${error}`, async () => {
        const topic = `refused-${cases.findIndex(([name]) => name === what)}`
        await client.createTopic(topic)
        const outcome = await client.produce(topic, 0, make())
        assert.equal(outcome.error, error, outcome.message ?? '')
        assert.equal(outcome.baseOffset, -1)
        assert.equal(await client.latest(topic, 0), 0)
      })
    }

    it('of zstd before version 7 of Produce: UNSUPPORTED_COMPRESSION_TYPE', async () => {
      await client.createTopic('zstd-early')
      const compression = { codec: 'zstd', compress: (records: Buffer) => zstdCompressSync(records) } as const
      const produce = (version: number) => client.produce('zstd-early', 0, batchOf(['x'], { compression }), { version })
      assert.equal((await produce(6)).error, 'UNSUPPORTED_COMPRESSION_TYPE')
      assert.equal((await produce(7)).error, 'NONE')
    })

    it('of a transaction, plainly and for good', async () => {
      await client.createTopic('transactional')
      const batch = batchOf(['x'], { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true })
      const { error } = await client.produce('transactional', 0, batch)
      assert.equal(error, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    })

    it('with acks that mean nothing: INVALID_REQUIRED_ACKS', async () => {
      await client.createTopic('acks-2')
      assert.equal((await client.produce('acks-2', 0, base(), { acks: 2 })).error, 'INVALID_REQUIRED_ACKS')
    })
  })

  it('an idempotent producer’s retry gets its first offset, and a gap is refused', async () => {
    await client.createTopic('sequences')
    const { producerId, producerEpoch } = await client.call(apis.initProducerId, 4, {
      transactionalId: null,
      transactionTimeoutMs: 60_000,
    })
    const send = (baseSequence: number, values = ['x']) =>
      client.produce('sequences', 0, batchOf(values, { producerId, producerEpoch, baseSequence }))
    for (let i = 0; i < 8; i++) assert.deepEqual((await send(i)).baseOffset, i)
    for (let i = 3; i < 8; i++) {
      const { error, baseOffset } = await send(i)
      assert.deepEqual([error, baseOffset], ['NONE', i], 'the last five are remembered')
    }
    assert.equal((await send(1)).error, 'DUPLICATE_SEQUENCE_NUMBER')
    assert.equal((await send(9)).error, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
    assert.equal((await send(8)).baseOffset, 8)
    assert.equal(await client.latest('sequences', 0), 9)

    await tidelog.kill()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    client = await KafkaClient.connect(tidelog.port)
    const { error, baseOffset } = await send(8)
    assert.deepEqual([error, baseOffset], ['NONE', 8], 'the producer’s window survives a kill')
    assert.equal((await send(9)).baseOffset, 9)
  })

  it('all APIs of the table are among those tested here', () => {
    const keys = Object.values<Api>(apis).map(({ key }) => String(key))
    assert.deepEqual(keys.sort(), Object.keys(advertised).sort())
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
