/** @platformatic/kafka 2 as a producer and an administrator. It needs the high, flexible versions of every API. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  Admin,
  ListOffsetTimestamps,
  ProduceAcks,
  Producer,
  type ProducerOptions,
  stringSerializers,
} from '@platformatic/kafka'
import { KafkaClient } from '../support/kafka-client.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

type TextProducer = Producer<string, string, string, string>

describe('@platformatic/kafka', () => {
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

  const connection = () => ({ clientId: 'platformatic-test', bootstrapBrokers: [tidelog.address], retries: 0 })
  const withProducer = async <T>(
    options: Partial<ProducerOptions<string, string, string, string>>,
    use: (producer: TextProducer) => Promise<T>,
  ): Promise<T> => {
    const producer = new Producer({ ...connection(), serializers: stringSerializers, ...options })
    try {
      return await use(producer)
    } finally {
      await producer.close()
    }
  }
  const withAdmin = async <T>(use: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = new Admin(connection())
    try {
      return await use(admin)
    } finally {
      await admin.close()
    }
  }
  const recordsOf = async (topic: string, partition = 0) =>
    (await client.readAll(topic, partition)).flatMap(batch => batch.records)
  const valuesOf = async (topic: string, partition = 0) =>
    (await recordsOf(topic, partition)).map(({ value }) => value?.toString() ?? null)

  it('Q11: makes a topic by its first send', async () => {
    const { offsets } = await withProducer({ autocreateTopics: true }, producer =>
      producer.send({ messages: [{ topic: 'made-by-sending', value: 'one' }] }),
    )
    assert.deepEqual(offsets, [{ topic: 'made-by-sending', partition: 0, offset: 0n }])
    assert.deepEqual(await valuesOf('made-by-sending'), ['one'])
  })

  it('keeps keys and headers', async () => {
    await client.createTopic('kept')
    await withProducer({}, producer =>
      producer.send({ messages: [{ topic: 'kept', key: 'k', value: 'v', headers: { trace: 'abc' } }] }),
    )
    const [record] = await recordsOf('kept')
    assert.deepEqual([String(record?.key), String(record?.value)], ['k', 'v'])
    assert.deepEqual(
      record?.headers.map(([key, value]) => [key, String(value)]),
      [['trace', 'abc']],
    )
  })

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`compresses with ${codec}`, async () => {
      const topic = `codec-${codec}`
      await client.createTopic(topic)
      const value = 'well compressible '.repeat(100)
      await withProducer({ compression: codec }, producer =>
        producer.send({
          messages: [
            { topic, value },
            { topic, value },
          ],
        }),
      )
      const batches = await client.readAll(topic, 0)
      assert.deepEqual(
        batches.map(batch => batch.codec),
        [codec],
      )
      assert.deepEqual(await valuesOf(topic), [value, value])
    })
  }

  it('produces with acks 0, 1 and all', async () => {
    await client.createTopic('acks')
    await withProducer({}, async producer => {
      for (const acks of [ProduceAcks.NO_RESPONSE, ProduceAcks.LEADER, ProduceAcks.ALL]) {
        await producer.send({ messages: [{ topic: 'acks', value: String(acks) }], acks })
      }
    })
    assert.deepEqual(await valuesOf('acks'), ['0', '1', '-1'])
  })

  it('produces as an idempotent producer', async () => {
    await client.createTopic('idempotent', 2)
    await withProducer({ idempotent: true }, async producer => {
      for (let i = 0; i < 50; i++) {
        await producer.send({ messages: [{ topic: 'idempotent', partition: i % 2, value: String(i) }] })
      }
    })
    for (const partition of [0, 1]) {
      assert.deepEqual(
        (await client.readAll('idempotent', partition)).map(({ baseSequence }) => baseSequence),
        Array.from({ length: 25 }, (_, i) => i),
      )
      assert.deepEqual(
        await valuesOf('idempotent', partition),
        Array.from({ length: 25 }, (_, i) => String(2 * i + partition)),
      )
    }
  })

  it('makes and deletes topics, and asks for their offsets', async () => {
    await withAdmin(async admin => {
      const [made] = await admin.createTopics({ topics: ['by-admin'], partitions: 3, replicas: 1 })
      assert.deepEqual([made?.name, made?.partitions], ['by-admin', 3])
      await assert.rejects(admin.createTopics({ topics: ['by-admin'], partitions: 3, replicas: 1 }))
      assert.ok((await admin.listTopics()).includes('by-admin'))
      const metadata = await admin.metadata({ topics: ['by-admin'] })
      assert.equal(metadata.topics.get('by-admin')?.partitionsCount, 3)
      await withProducer({}, producer =>
        producer.send({ messages: [{ topic: 'by-admin', partition: 1, value: 'one' }] }),
      )
      const offsets = await admin.listOffsets({
        topics: [
          {
            name: 'by-admin',
            partitions: [
              { partitionIndex: 0, timestamp: ListOffsetTimestamps.LATEST },
              { partitionIndex: 1, timestamp: ListOffsetTimestamps.LATEST },
            ],
          },
        ],
      })
      assert.deepEqual(
        offsets[0]?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset]),
        [
          [0, 0n],
          [1, 1n],
        ],
      )
      await admin.deleteTopics({ topics: ['by-admin'] })
      assert.ok(!(await admin.listTopics()).includes('by-admin'))
    })
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
