/**
 * Clients of bad will and of bad luck, against the real process. Each gets the protocol's error or a closed connection, soon;
 * memory stays bounded by what has arrived; a good client beside notices nothing; the log is not flooded.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import snappy from 'snappy'
import { flattenRope, ropeOf } from '../../src/base/rope.ts'
import { type Api, apis } from '../../src/wire/api-keys.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { encodeRequest } from '../../src/wire/exchange.ts'
import type { Draft } from '../../src/wire/schema.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { Neighbour } from '../support/neighbour.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'
import { within } from '../support/waiting.ts'

const mib = 1 << 20
/** What a good client may have to wait on this machine while somebody misbehaves. */
const patienceMs = 1_000

const int16 = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const framed = (...parts: readonly Buffer[]) => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length), body])
}
const header1 = (key: number, version: number) => Buffer.concat([int16(key), int16(version), int32(1), int16(-1)])
const header2 = (key: number, version: number) => Buffer.concat([header1(key, version), hex('00')])
const request = <A extends Api>(api: A, version: number, body: Draft<A['request']>) =>
  flattenRope(encodeRequest(api, version, { correlationId: 1, clientId: 'hostile' }, body))

const validProduce = request(apis.produce, 9, {
  acks: -1,
  timeoutMs: 1_000,
  topicData: [{ name: 'victim', partitionData: [{ index: 0, records: ropeOf(buildBatch([{ value: 'x' }])) }] }],
})

/** Each must end with a closed connection within a second. */
const closing: Readonly<Record<string, Buffer>> = {
  'a frame of length 0': int32(0),
  'a frame of length 3': Buffer.concat([int32(3), hex('000000')]),
  'a frame of length -1': int32(-1),
  'a frame of the least length there is': int32(-0x8000_0000),
  'a frame of length 0x7fffffff': int32(0x7fff_ffff),
  'a frame one byte longer than socket.request.max.bytes': int32(104_857_601),
  'a request of HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'the hello of TLS': hex('16030102000100 01fc0303'),
  'a line of SSH': Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
  'ten kilobytes of 0xff': Buffer.alloc(10_240, 0xff),
  'a header cut short': framed(hex('0000 0009 00')),
  'a client id longer than the frame': framed(int16(3), int16(9), int32(1), int16(0x7fff)),
  'a client id of length -2': framed(int16(3), int16(9), int32(1), int16(-2)),
  'an unknown API': framed(header1(999, 0)),
  'an unknown version': framed(header1(3, 99), Buffer.alloc(8)),
  'a body cut short': framed(validProduce.subarray(4, -20)),
  'an array of 0x7fffffff elements': framed(header1(3, 1), int32(0x7fff_ffff)),
  'a compact array of as many as a varint says': framed(header2(3, 9), hex('ffffffff0f')),
  'an array of -2 elements': framed(header1(3, 1), int32(-2)),
  'a varint without end': framed(header2(3, 9), hex('ffffffffffffffffffff')),
  'a string of length -2': framed(header1(3, 1), int32(1), int16(-2)),
  'a string longer than the frame': framed(header1(3, 1), int32(1), int16(0x7ff0), Buffer.from('short')),
  'a null where none may be': framed(header1(3, 1), int32(1), int16(-1)),
  'a name that is no UTF-8': framed(header1(3, 1), int32(1), int16(2), hex('c328')),
  'tagged fields without end': framed(header1(3, 9), hex('ffffffff0f')),
  'a tagged field longer than the frame': framed(header1(3, 9), hex('01 05 ff7f')),
  'tagged fields out of order': framed(header1(3, 9), hex('02 05 01 00 05 01 00')),
  'records longer than the frame': framed(
    header1(0, 3),
    int16(-1),
    int16(-1),
    int32(1000),
    int32(1),
    int16(1),
    hex('61'),
    int32(1),
    int32(0),
    int32(0x7fff_fff0),
  ),
}

describe('hostile clients', () => {
  let dir: TempDir
  let tidelog: Tidelog
  let neighbour: Neighbour
  let firstBytes: number
  let restingBytes: number

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    neighbour = await Neighbour.moveIn(tidelog.port)
    await using client = await KafkaClient.connect(tidelog.port)
    await client.createTopic('victim')
    await neighbour.noticed()
    firstBytes = tidelog.residentBytes
    restingBytes = firstBytes
  })
  after(async () => {
    await neighbour[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const connectMany = (count: number) =>
    Promise.all(Array.from({ length: count }, () => KafkaClient.connect(tidelog.port)))
  const hangUp = (clients: readonly KafkaClient[]) => Promise.all(clients.map(client => client[Symbol.asyncDispose]()))
  const assertGoodNeighbourhood = async () => {
    const { slowestMs } = await neighbour.noticed()
    assert.ok(slowestMs < patienceMs, `the neighbour had to wait ${slowestMs.toFixed(0)} ms`)
  }
  /** Counted from the end of the test before. */
  const assertGrownLessThan = (bytesMax: number) => {
    const grown = tidelog.residentBytes - restingBytes
    restingBytes = tidelog.residentBytes
    assert.ok(grown < bytesMax, `the process has grown by ${(grown / mib).toFixed(0)} MiB`)
  }

  for (const [what, bytes] of Object.entries(closing)) {
    it(`${what} closes the connection`, async () => {
      await using client = await KafkaClient.connect(tidelog.port)
      client.write(bytes)
      await within(1_000, 'the end of the connection', client.closed)
    })
  }

  it('a bad frame behind good ones is preceded by their answers', async () => {
    await using client = await KafkaClient.connect(tidelog.port)
    const answers = [client.latest('victim', 0), client.call(apis.metadata, 9, { topics: [] })]
    client.write(int32(-1))
    assert.equal((await Promise.allSettled(answers)).filter(({ status }) => status === 'rejected').length, 0)
    await within(1_000, 'the end of the connection', client.closed)
  })

  it('of all that, the log has a few lines, and the neighbour noticed nothing', async () => {
    await assertGoodNeighbourhood()
    const lines = tidelog.logged('warn').length
    assert.ok(lines >= 1 && lines <= 5, `${lines} lines`)
    assertGrownLessThan(64 * mib)
  })

  it('a hundred frames that declare 100 MB and send 64 KB cost what they send', async () => {
    const clients = await connectMany(100)
    for (const client of clients) {
      client.write(Buffer.concat([int32(104_857_600), header1(0, 9), Buffer.alloc(65_536)]))
    }
    await sleep(500)
    await assertGoodNeighbourhood()
    assertGrownLessThan(64 * mib)
    await hangUp(clients)
  })

  it('arrays as large as a request may have cost no multiple of their bytes', async () => {
    const count = 60_000
    const names = Buffer.alloc(count * 3)
    for (let i = 0; i < count; i++) names.write(`\x02${String.fromCharCode(97 + (i % 26))}\0`, i * 3, 'latin1')
    const length = hex('e1d403')
    const metadata = framed(header2(3, 9), length, names, hex('00 00 00 00'))
    await using client = await KafkaClient.connect(tidelog.port)
    const answers = Array.from({ length: 20 }, () => {
      client.write(metadata)
      return client.expectAnswer(1)
    })
    await within(10_000, 'the answers', Promise.all(answers))
    await assertGoodNeighbourhood()
    assertGrownLessThan(128 * mib)
  })

  it('ten thousand requests whose answers nobody reads are not begun all at once', async () => {
    await using maker = await KafkaClient.connect(tidelog.port)
    for (let i = 0; i < 200; i++) await maker.createTopic(`one-of-many-${i}`, 5)
    await neighbour.noticed()
    const clients = await connectMany(10)
    const all = request(apis.metadata, 9, { topics: null })
    for (const client of clients) {
      client.pause()
      for (let i = 0; i < 1_000; i++) client.write(all)
    }
    await sleep(1_000)
    await assertGoodNeighbourhood()
    assertGrownLessThan(128 * mib)
    await hangUp(clients)
  })

  it('fetches of megabytes that nobody reads are not read ahead', async () => {
    await using maker = await KafkaClient.connect(tidelog.port)
    const batch = buildBatch([{ value: Buffer.alloc(900_000) }], { baseTimestamp: Date.now() })
    await maker.createTopic('bulk')
    for (let i = 0; i < 30; i++) assert.equal((await maker.produce('bulk', 0, batch)).error, 'NONE')
    await neighbour.noticed()
    const clients = await connectMany(20)
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 30_000_000 }]
    const fetch = request(apis.fetch, 12, { maxWaitMs: 0, minBytes: 1, topics: [{ topic: 'bulk', partitions }] })
    for (const client of clients) {
      client.pause()
      for (let i = 0; i < 20; i++) client.write(fetch)
    }
    await sleep(1_000)
    await assertGoodNeighbourhood()
    // 400 answers of 27 MB were asked for.
    assertGrownLessThan(128 * mib)
    await hangUp(clients)
  })

  it('a thousand silent connections cost little and are no trouble', async () => {
    await neighbour.noticed()
    const clients = await connectMany(1_000)
    await assertGoodNeighbourhood()
    assertGrownLessThan(24 * mib)
    await hangUp(clients)
  })

  const unfolded = Buffer.alloc(256 * mib)
  const bombs: Readonly<Record<string, () => { codec: 'gzip' | 'snappy' | 'lz4' | 'zstd'; bytes: Buffer }>> = {
    gzip: () => ({ codec: 'gzip', bytes: gzipSync(unfolded, { level: 9 }) }),
    zstd: () => ({ codec: 'zstd', bytes: zstdCompressSync(unfolded) }),
    lz4: () => ({ codec: 'lz4', bytes: compressFrameSync(unfolded) as Buffer }),
    snappy: () => ({ codec: 'snappy', bytes: snappy.compressSync(unfolded.subarray(0, 128 * mib)) as Buffer }),
    'snappy with a lying length': () => ({ codec: 'snappy', bytes: hex('ffffffff0f 00') }),
    'snappy in blocks of 0x7fffffff bytes': () => ({
      codec: 'snappy',
      bytes: Buffer.concat([hex('82 534e41505059 00 00000001 00000001'), int32(0x7fff_ffff), hex('00')]),
    }),
  }
  for (const [what, make] of Object.entries(bombs)) {
    it(`a bomb of ${what} is not unfolded, whatever is asked about it`, async () => {
      await using client = await KafkaClient.connect(tidelog.port)
      const topic = `bomb-${what.replaceAll(/[^a-z0-9]/g, '-')}`
      await client.createTopic(topic, 1, { 'max.message.bytes': 20_000_000 })
      const { codec, bytes } = make()
      const nowMs = Date.now()
      // Told to lie between two times, so that a search by time has to look inside.
      const options = {
        baseTimestamp: nowMs - 10_000,
        maxTimestamp: nowMs,
        compression: { codec, compress: () => bytes },
      }
      const { error } = await client.produce(topic, 0, buildBatch([{ value: 'x' }, { value: 'y' }], options))
      assert.equal(error, 'NONE')
      await neighbour.noticed()
      const asked = Array.from({ length: 8 }, () =>
        client.call(apis.listOffsets, 7, {
          replicaId: -1,
          topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: nowMs - 5_000 }] }],
        }),
      )
      await within(5_000, 'the answers', Promise.all(asked))
      await assertGoodNeighbourhood()
      // Eight times 256 MiB would be more.
      assertGrownLessThan(300 * mib)
    })
  }

  it('half a request that drips is closed within ten seconds of its first byte', async () => {
    const clients = await connectMany(100)
    const startedMs = performance.now()
    let dripping = true
    const drip = (async () => {
      for (let i = 0; dripping && i < validProduce.length - 1; i++) {
        for (const client of clients) if (!client.isClosed) client.write(validProduce.subarray(i, i + 1))
        await sleep(250)
      }
    })()
    await within(13_000, 'the end of all connections', Promise.all(clients.map(client => client.closed)))
    dripping = false
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs > 5_000, `closed after ${tookMs.toFixed(0)} ms: a slow network is no crime`)
    await drip
    await assertGoodNeighbourhood()
  })

  it('after all of them, the process is not much larger than it began, and goes on', async () => {
    await assertGoodNeighbourhood()
    const grown = tidelog.residentBytes - firstBytes
    assert.ok(grown < 600 * mib, `the process has grown by ${(grown / mib).toFixed(0)} MiB`)
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
