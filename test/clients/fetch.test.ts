/** Reading with raw requests over a socket: what consumers rely on and libraries hide. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { TopicId } from '../../src/base/ids.ts'
import { apis } from '../../src/wire/api-keys.ts'
import { type BatchOptions, buildBatch } from '../../src/wire/build-batch.ts'
import { kafkaErrors } from '../../src/wire/kafka-errors.ts'
import { listOffsetsTimes } from '../../src/wire/messages/list-offsets.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import type { StoredBatch } from '../support/stored-batches.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const batchOf = (values: readonly string[], options: BatchOptions = {}) =>
  buildBatch(
    values.map(value => ({ value })),
    { baseTimestamp: Date.now(), ...options },
  )
const numbered = (from: number, count: number) => Array.from({ length: count }, (_, i) => `value ${from + i}`)
const valuesOf = (batches: readonly StoredBatch[]) =>
  batches.flatMap(batch => batch.records).map(({ value }) => String(value))

describe('fetch', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient
  let other: KafkaClient

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    client = await KafkaClient.connect(tidelog.port)
    other = await KafkaClient.connect(tidelog.port)
  })
  after(async () => {
    await client[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  /** Produces, and must succeed; the base offset. */
  const put = async (topic: string, batch: Buffer, partition = 0) => {
    const { error, baseOffset } = await other.produce(topic, partition, batch)
    assert.equal(error, 'NONE')
    return baseOffset
  }

  it('gives the whole batch for an offset inside it', async () => {
    await client.createTopic('inside')
    await put('inside', batchOf(numbered(0, 10)))
    await put('inside', batchOf(numbered(10, 10)))
    const { batches } = await client.fetch('inside', 0, 15)
    assert.deepEqual(
      batches.map(({ baseOffset, endOffset }) => [baseOffset, endOffset]),
      [[10, 20]],
    )
    assert.deepEqual(valuesOf(batches), numbered(10, 10))
  })

  it('gives batches as the producer sent them, but for their offset and epoch', async () => {
    await client.createTopic('untouched')
    const compression = { codec: 'gzip', compress: (records: Buffer) => gzipSync(records) } as const
    const sent = [batchOf(['a', 'b']), batchOf(['c'], { compression }), batchOf(['d'])]
    for (const batch of sent) await put('untouched', batch)
    const stored = await client.readAll('untouched', 0)
    assert.deepEqual(
      stored.map(({ bytes }) => bytes.subarray(16).toString('hex')),
      sent.map(batch => batch.subarray(16).toString('hex')),
    )
    assert.deepEqual(
      stored.map(({ baseOffset, leaderEpoch }) => [baseOffset, leaderEpoch]),
      [
        [0, 0],
        [2, 0],
        [3, 0],
      ],
    )
  })

  it('at the end is empty, beyond it and before the start is out of range', async () => {
    await client.createTopic('bounds')
    await put('bounds', batchOf(numbered(0, 5)))
    const end = await client.fetch('bounds', 0, 5)
    assert.deepEqual([end.error, end.batches.length, end.highWatermark, end.logStartOffset], ['NONE', 0, 5, 0])
    assert.equal((await client.fetch('bounds', 0, 6)).error, 'OFFSET_OUT_OF_RANGE')
    assert.equal((await client.fetch('bounds', 0, -1)).error, 'OFFSET_OUT_OF_RANGE')
    assert.equal((await client.fetch('bounds', 7, 0)).error, 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal((await client.fetch('nowhere', 0, 0)).error, 'UNKNOWN_TOPIC_OR_PARTITION')
  })

  it('waits for records that come, and is answered with them at once', async () => {
    await client.createTopic('awaited')
    const startedMs = performance.now()
    const waiting = client.fetch('awaited', 0, 0, { maxWaitMs: 10_000 })
    await put('awaited', batchOf(['here']))
    const { batches } = await waiting
    assert.deepEqual(valuesOf(batches), ['here'])
    assert.ok(performance.now() - startedMs < 2_000)
  })

  it('waits as long as it was asked to for records that do not come', async () => {
    await client.createTopic('silent')
    const startedMs = performance.now()
    const { error, batches } = await client.fetch('silent', 0, 0, { maxWaitMs: 300 })
    const tookMs = performance.now() - startedMs
    assert.deepEqual([error, batches.length], ['NONE', 0])
    assert.ok(tookMs >= 295 && tookMs < 2_000, `took ${tookMs} ms`)
  })

  it('waits for as many bytes as it was asked to', async () => {
    await client.createTopic('enough')
    const waiting = client.fetch('enough', 0, 0, { maxWaitMs: 10_000, minBytes: 5_000 })
    for (let i = 0; i < 6; i++) await put('enough', batchOf([`${i}`.repeat(1000)]))
    const { bytes } = await waiting
    assert.ok(bytes.length >= 5_000, `${bytes.length} bytes`)
  })

  it('waits for as many bytes as it was asked to, however they are cut', async () => {
    await client.createTopic('burst')
    const startedMs = performance.now()
    const waiting = client.fetch('burst', 0, 0, { maxWaitMs: 10_000, minBytes: 680 })
    await Promise.all(Array.from({ length: 10 }, () => put('burst', batchOf(['x']))))
    const { bytes } = await waiting
    assert.equal(bytes.length, 690)
    assert.ok(performance.now() - startedMs < 2_000)
  })

  it('Q10: keeps within its limits, but gives the first batch however large', async () => {
    await client.createTopic('limits', 2)
    for (let i = 0; i < 10; i++) await put('limits', batchOf(['x'.repeat(10_000)]))
    const all = await client.fetch('limits', 0, 0)
    const batchBytes = all.bytes.length / 10
    const some = await client.fetch('limits', 0, 0, { partitionMaxBytes: Math.floor(3.5 * batchBytes) })
    assert.ok(some.bytes.length <= 3.5 * batchBytes, `${some.bytes.length} bytes`)
    assert.equal(some.batches.length, 3)
    const first = await client.fetch('limits', 0, 0, { partitionMaxBytes: 100, maxBytes: 100 })
    assert.deepEqual(valuesOf(first.batches), ['x'.repeat(10_000)])
  })

  it('Q10: reads partitions in the order of the request, so that none starves', async () => {
    await client.createTopic('ordered', 3)
    for (const partition of [0, 1, 2]) await put('ordered', batchOf(['x'.repeat(10_000)]), partition)
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
    ]) {
      const { responses } = await client.call(apis.fetch, 12, {
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 15_000,
        topics: [
          {
            topic: 'ordered',
            partitions: order.map(partition => ({ partition, fetchOffset: 0, partitionMaxBytes: 100_000 })),
          },
        ],
      })
      const bytes = responses[0]?.partitions.map(({ partitionIndex, records }) => [
        partitionIndex,
        records?.length ?? 0,
      ])
      assert.ok((bytes?.find(([partition]) => partition === order[0])?.[1] ?? 0) > 10_000, JSON.stringify(bytes))
      assert.equal(bytes?.find(([partition]) => partition === order[2])?.[1], 0)
    }
  })

  for (const version of [4, 5, 7, 11, 12]) {
    it(`is answered in version ${version}`, async () => {
      const topic = `version-${version}`
      await client.createTopic(topic)
      await put(topic, batchOf(['x']))
      const { responses } = await client.call(apis.fetch, version, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
      })
      const answer = responses[0]?.partitions[0]
      assert.deepEqual([answer?.errorCode, answer?.highWatermark], [0, 1])
      assert.ok((answer?.records?.length ?? 0) > 61)
    })
  }

  for (const version of [13, 16, 18]) {
    it(`Q7: takes topic ids in version ${version}, and knows which it does not know`, async () => {
      const name = `by-id-${version}`
      const topicId = await client.createTopic(name)
      await put(name, batchOf(['x']))
      const ask = (id: TopicId) =>
        client.call(apis.fetch, version, {
          maxWaitMs: 0,
          minBytes: 1,
          topics: [{ topicId: id, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
        })
      const { responses } = await ask(topicId)
      assert.equal(responses[0]?.topicId, topicId)
      assert.deepEqual([responses[0]?.partitions[0]?.errorCode, responses[0]?.partitions[0]?.highWatermark], [0, 1])
      const stranger = await ask('0123456789abcdef0123456789abcdef' as TopicId)
      assert.equal(stranger.responses[0]?.partitions[0]?.errorCode, kafkaErrors.UNKNOWN_TOPIC_ID)
    })
  }

  it('Q9: follows a session: only what changed is said, and nothing that changed is left out', async () => {
    await client.createTopic('session', 3)
    const fetch = (sessionId: number, sessionEpoch: number, partitions: readonly (readonly [number, number])[]) =>
      client.call(apis.fetch, 12, {
        maxWaitMs: 0,
        minBytes: 1,
        sessionId,
        sessionEpoch,
        topics:
          partitions.length === 0
            ? []
            : [
                {
                  topic: 'session',
                  partitions: partitions.map(([partition, fetchOffset]) => ({
                    partition,
                    fetchOffset,
                    partitionMaxBytes: 1 << 20,
                  })),
                },
              ],
      })
    type Answer = Awaited<ReturnType<typeof fetch>>
    const told = ({ responses }: Answer) =>
      responses
        .flatMap(({ partitions }) => partitions)
        .map(({ partitionIndex, highWatermark, records }) => [
          partitionIndex,
          highWatermark,
          (records?.length ?? 0) > 0,
        ])

    const opened = await fetch(0, 0, [
      [0, 0],
      [1, 0],
      [2, 0],
    ])
    const id = opened.sessionId
    assert.ok(id > 0)
    assert.equal(told(opened).length, 3, 'the first answer says everything')
    assert.deepEqual(told(await fetch(id, 1, [])), [], 'nothing happened')
    await put('session', batchOf(['x']), 1)
    assert.deepEqual(told(await fetch(id, 2, [])), [[1, 1, true]])
    assert.deepEqual(told(await fetch(id, 3, [])), [[1, 1, true]], 'not read past it: the records come again')
    assert.deepEqual(told(await fetch(id, 4, [[1, 1]])), [], 'read past it')
    await put('session', batchOf(['y']), 2)
    await put('session', batchOf(['z']), 1)
    assert.deepEqual(told(await fetch(id, 5, [])).sort(), [
      [1, 2, true],
      [2, 1, true],
    ])

    const wrongEpoch = await fetch(id, 99, [])
    assert.equal(wrongEpoch.errorCode, kafkaErrors.INVALID_FETCH_SESSION_EPOCH)
    const closing = await fetch(id, -1, [])
    assert.deepEqual([closing.errorCode, closing.sessionId], [0, 0])
    const gone = await fetch(id, 6, [])
    assert.equal(gone.errorCode, kafkaErrors.FETCH_SESSION_ID_NOT_FOUND)
  })

  it('Q9: a fetch in a session waits, and wakes for a partition that was said long ago', async () => {
    await client.createTopic('session-wait', 2)
    const topics = [
      {
        topic: 'session-wait',
        partitions: [0, 1].map(partition => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 })),
      },
    ]
    const { sessionId } = await client.call(apis.fetch, 12, {
      maxWaitMs: 0,
      minBytes: 1,
      sessionId: 0,
      sessionEpoch: 0,
      topics,
    })
    const waiting = client.call(apis.fetch, 12, {
      maxWaitMs: 10_000,
      minBytes: 1,
      sessionId,
      sessionEpoch: 1,
      topics: [],
    })
    await put('session-wait', batchOf(['x']), 1)
    const { responses } = await waiting
    assert.deepEqual(
      responses.flatMap(({ partitions }) => partitions).map(({ partitionIndex }) => partitionIndex),
      [1],
    )
  })

  it('finds offsets by time, also inside a compressed batch', async () => {
    await client.createTopic('by-time')
    const base = Date.now() - 3_600_000
    const records = Array.from({ length: 10 }, (_, i) => ({ value: `${i}`, timestampMs: base + i * 1000 }))
    await put('by-time', buildBatch(records.slice(0, 5)))
    const compression = { codec: 'gzip', compress: (bytes: Buffer) => gzipSync(bytes) } as const
    await put('by-time', buildBatch(records.slice(5), { compression }))
    const at = (timestampMs: number) => client.listOffset('by-time', 0, timestampMs)
    assert.equal(await at(0), 0)
    assert.equal(await at(base + 2_000), 2)
    assert.equal(await at(base + 2_001), 3)
    assert.equal(await at(base + 7_500), 8)
    assert.equal(await at(base + 9_001), -1)
    assert.equal(await at(listOffsetsTimes.maxTimestamp), 9)
    assert.deepEqual([await client.earliest('by-time', 0), await client.latest('by-time', 0)], [0, 10])
  })

  it('ends with an error when the topic is deleted, also one that waits', async () => {
    await client.createTopic('doomed')
    await put('doomed', batchOf(['x']))
    const waiting = client.fetch('doomed', 0, 1, { maxWaitMs: 10_000 })
    await other.deleteTopic('doomed')
    const startedMs = performance.now()
    assert.equal((await waiting).error, 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.ok(performance.now() - startedMs < 2_000)
    assert.equal((await client.fetch('doomed', 0, 0)).error, 'UNKNOWN_TOPIC_OR_PARTITION')
    await client.createTopic('doomed')
    assert.equal(await client.latest('doomed', 0), 0, 'a topic of the same name begins anew')
  })

  it('reads through rolled segments, before and after a restart', async () => {
    await client.createTopic('rolled', 1, { 'tidelog.segment.records': 20 })
    for (let i = 0; i < 100; i += 4) await put('rolled', batchOf(numbered(i, 4)))
    const before = await client.readAll('rolled', 0)
    assert.deepEqual(valuesOf(before), numbered(0, 100))
    for (const end of ['stop', 'kill'] as const) {
      await tidelog[end]()
      tidelog = await Tidelog.start({ dataDir: dir.path })
      client = await KafkaClient.connect(tidelog.port)
      other = await KafkaClient.connect(tidelog.port)
      const after = await client.readAll('rolled', 0)
      assert.deepEqual(
        after.map(({ bytes }) => bytes.toString('hex')),
        before.map(({ bytes }) => bytes.toString('hex')),
      )
      for (let offset = 0; offset < 100; offset += 7) {
        const { batches } = await client.fetch('rolled', 0, offset, { partitionMaxBytes: 1 })
        assert.deepEqual(
          batches.map(({ baseOffset }) => baseOffset),
          [offset - (offset % 4)],
        )
      }
    }
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
