/** kafkajs 2.2 as a producer and an administrator; `groups.test.ts` has its consumers. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  type Admin,
  CompressionTypes,
  Kafka,
  logLevel,
  Partitioners,
  type Producer,
  type ProducerConfig,
} from 'kafkajs'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

describe('kafkajs', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient
  /** What kafkajs has to say that is not fine. */
  const complaints: string[] = []
  let kafka: Kafka

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    client = await KafkaClient.connect(tidelog.port)
    kafka = new Kafka({
      brokers: [tidelog.address],
      clientId: 'kafkajs-test',
      logLevel: logLevel.WARN,
      logCreator: () => entry => complaints.push(`${entry.label}: ${entry.log.message} ${JSON.stringify(entry.log)}`),
    })
  })
  after(async () => {
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const withProducer = async <T>(config: ProducerConfig, use: (producer: Producer) => Promise<T>): Promise<T> => {
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...config })
    await producer.connect()
    try {
      return await use(producer)
    } finally {
      await producer.disconnect()
    }
  }
  const withAdmin = async <T>(use: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await use(admin)
    } finally {
      await admin.disconnect()
    }
  }
  const valuesOf = async (topic: string, partition = 0) =>
    (await client.readAll(topic, partition))
      .flatMap(batch => batch.records)
      .map(({ value }) => value?.toString() ?? null)

  it('Q11: makes a topic by its first send, and has nothing to complain of', async () => {
    const before = complaints.length
    const answers = await withProducer({}, producer =>
      producer.send({ topic: 'made-by-sending', messages: [{ value: 'one' }, { value: 'two' }] }),
    )
    assert.deepEqual(
      answers.map(({ errorCode, partition, baseOffset }) => ({ errorCode, partition, baseOffset })),
      [{ errorCode: 0, partition: 0, baseOffset: '0' }],
    )
    assert.deepEqual(await valuesOf('made-by-sending'), ['one', 'two'])
    assert.deepEqual(complaints.slice(before), [])
  })

  it('keeps keys, headers, tombstones, timestamps and binary values', async () => {
    const binary = randomBytes(1000)
    const timestamp = String(Date.now() - 60_000)
    await withProducer({}, producer =>
      producer.send({
        topic: 'kept',
        messages: [
          { key: 'k', value: binary, headers: { trace: 'abc', many: ['1', '2'] }, timestamp },
          { key: 'k', value: null },
        ],
      }),
    )
    const [first, second] = (await client.readAll('kept', 0)).flatMap(batch => batch.records)
    assert.ok(first?.value?.equals(binary))
    assert.equal(String(first?.timestampMs), timestamp)
    assert.deepEqual(
      first?.headers.map(([key, value]) => [key, String(value)]),
      [
        ['trace', 'abc'],
        ['many', '1'],
        ['many', '2'],
      ],
    )
    assert.deepEqual([String(second?.key), second?.value], ['k', null])
  })

  it('compresses with gzip', async () => {
    const value = 'well compressible '.repeat(100)
    await withProducer({}, producer =>
      producer.send({ topic: 'gzip', compression: CompressionTypes.GZIP, messages: [{ value }, { value }] }),
    )
    const batches = await client.readAll('gzip', 0)
    assert.deepEqual(
      batches.map(({ codec }) => codec),
      ['gzip'],
    )
    assert.deepEqual(await valuesOf('gzip'), [value, value])
  })

  for (const acks of [0, 1, -1]) {
    it(`produces with acks=${acks}`, async () => {
      const topic = `acks${acks}`
      await client.createTopic(topic)
      await withProducer({}, async producer => {
        for (const value of ['one', 'two', 'three']) await producer.send({ topic, acks, messages: [{ value }] })
      })
      // With acks=0 nobody is told when it is there.
      await eventually(5_000, 'all of three records', async () => (await client.latest(topic, 0)) === 3)
      assert.deepEqual(await valuesOf(topic), ['one', 'two', 'three'])
    })
  }

  it('produces as an idempotent producer', async () => {
    await client.createTopic('idempotent')
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async producer => {
      for (let i = 0; i < 50; i++) await producer.send({ topic: 'idempotent', messages: [{ value: String(i) }] })
    })
    const batches = await client.readAll('idempotent', 0)
    assert.deepEqual(
      batches.map(({ baseSequence }) => baseSequence),
      Array.from({ length: 50 }, (_, i) => i),
    )
    assert.equal(new Set(batches.map(({ producerId }) => producerId)).size, 1)
    assert.deepEqual(
      await valuesOf('idempotent'),
      Array.from({ length: 50 }, (_, i) => String(i)),
    )
  })

  it('sends to several topics and partitions at once', async () => {
    await client.createTopic('several-a', 3)
    await client.createTopic('several-b', 2)
    const messages = (partitions: number) =>
      Array.from({ length: 30 }, (_, i) => ({ value: String(i), partition: i % partitions }))
    await withProducer({}, producer =>
      producer.sendBatch({
        topicMessages: [
          { topic: 'several-a', messages: messages(3) },
          { topic: 'several-b', messages: messages(2) },
        ],
      }),
    )
    assert.deepEqual(
      await valuesOf('several-a', 2),
      Array.from({ length: 10 }, (_, i) => String(i * 3 + 2)),
    )
    assert.equal((await valuesOf('several-b', 1)).length, 15)
  })

  it('is told when a message is too large', async () => {
    await client.createTopic('small', 1, { 'max.message.bytes': 1000 })
    await withProducer({ retry: { retries: 0 } }, producer =>
      assert.rejects(producer.send({ topic: 'small', messages: [{ value: 'x'.repeat(2000) }] }), {
        type: 'MESSAGE_TOO_LARGE',
      }),
    )
    complaints.length = 0
  })

  it('makes, lists and deletes topics, and asks for their offsets', async () => {
    await withAdmin(async admin => {
      const made = await admin.createTopics({
        topics: [{ topic: 'by-admin', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '3600000' }] }],
      })
      assert.equal(made, true)
      assert.equal(await admin.createTopics({ topics: [{ topic: 'by-admin' }] }), false, 'it is there already')
      complaints.length = 0
      assert.ok((await admin.listTopics()).includes('by-admin'))
      const { topics } = await admin.fetchTopicMetadata({ topics: ['by-admin'] })
      assert.deepEqual(
        topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader]),
        [
          [0, 1],
          [1, 1],
        ],
      )
      await withProducer({}, producer =>
        producer.send({
          topic: 'by-admin',
          messages: [
            { value: 'one', partition: 1 },
            { value: 'two', partition: 1 },
          ],
        }),
      )
      const offsets = await admin.fetchTopicOffsets('by-admin')
      assert.deepEqual(
        offsets.sort((a, b) => a.partition - b.partition),
        [
          { partition: 0, offset: '0', high: '0', low: '0' },
          { partition: 1, offset: '2', high: '2', low: '0' },
        ],
      )
      const later = await admin.fetchTopicOffsetsByTimestamp('by-admin', Date.now() + 60_000)
      assert.equal(later.find(({ partition }) => partition === 1)?.offset, '2')
      await admin.deleteTopics({ topics: ['by-admin'] })
      assert.ok(!(await admin.listTopics()).includes('by-admin'))
    })
  })

  it('describes the cluster', async () => {
    const { brokers, controller, clusterId } = await withAdmin(admin => admin.describeCluster())
    assert.deepEqual(brokers, [{ nodeId: 1, host: '127.0.0.1', port: tidelog.port }])
    assert.equal(controller, 1)
    assert.match(clusterId, /^[\w-]{22}$/)
  })

  it('had nothing to complain of, and neither had the broker', () => {
    assert.deepEqual(complaints, [])
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
