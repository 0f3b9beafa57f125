/**
 * What strangers may send to the Kafka port, against the real program: each gets the protocol's answer or a closed
 * connection within a second, memory stays bounded, and a well-behaved client beside them notices nothing.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { apis } from '../src/wire/api-keys.ts'
import { buildBatch } from '../src/wire/build-batch.ts'
import { KafkaClient } from './support/kafka-client.ts'
import { type TempDir, tempDir } from './support/temp-dir.ts'
import { Tidelog } from './support/tidelog.ts'

const mebibyte = 1024 * 1024
const topic = 'tides'
const procNeeded = existsSync('/proc/self/status') ? false : 'needs /proc to read what a process uses'

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const frame = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length), body])
}

/** A request header without a client id, whose correlation id is 0. */
function header(apiKey: number, version: number): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeInt16BE(apiKey, 0)
  bytes.writeInt16BE(version, 2)
  bytes.writeInt16BE(-1, 8)
  return bytes
}

describe('hostile clients', () => {
  let folder: TempDir
  let broker: Tidelog
  let good: KafkaClient

  before(async () => {
    folder = await tempDir()
    broker = await Tidelog.start({ dataDir: folder.path })
    good = await KafkaClient.connect(broker.port)
    await good.createTopic(topic)
  })
  after(async () => {
    await good?.[Symbol.asyncDispose]()
    await broker?.kill()
    await folder?.[Symbol.asyncDispose]()
  })

  /** A record goes in, on the connection that was there before all others. */
  async function assertGoodClientIsServed(): Promise<void> {
    const startedMs = performance.now()
    const { error } = await good.produce(topic, 0, buildBatch([{ value: 'ebb', timestampMs: Date.now() }]))
    assert.equal(error, 'NONE')
    assert.ok(performance.now() - startedMs < 1_000, 'answered within a second')
  }

  const closing: Record<string, Buffer> = {
    'the length 0': int32(0),
    'the length -1': int32(-1),
    'the length 3': int32(3),
    'the largest length': int32(0x7fff_ffff),
    'a length just over socket.request.max.bytes': int32(104_857_601),
    'a greeting of TLS': Buffer.from('1603010200010001fc0303', 'hex'),
    'a greeting of HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    'Q6: an API that does not exist': frame(header(9999, 0)),
    'Q6: a negative API': frame(header(-1, 0)),
    'Q6: Produce 2, advertised and not served': frame(header(0, 2)),
    'Q6: Metadata 99': frame(header(3, 99)),
    'Q6: an API between brokers': frame(header(4, 0)),
    'a body that ends too soon': frame(header(3, 1), int32(1)),
    'a body with more behind it': frame(header(3, 1), int32(-1), Buffer.alloc(3)),
    'an array of 2 billion': frame(header(3, 1), int32(0x7fff_ffff)),
    'a string of length -2': frame(header(3, 1), int32(1), Buffer.from([0xff, 0xfe])),
    'a client id that goes beyond the frame': frame(Buffer.from('000300010000000100ff41', 'hex')),
    'a varint without an end': frame(header(3, 9), Buffer.alloc(20, 0xff)),
  }

  for (const [name, bytes] of Object.entries(closing)) {
    it(`${name} closes the connection within a second`, async () => {
      await using client = await KafkaClient.connect(broker.port)
      const startedMs = performance.now()
      client.write(bytes)
      await client.closed
      assert.ok(performance.now() - startedMs < 1_000)
      await assertGoodClientIsServed()
    })
  }

  it('every API with a body of noise answers or closes', async () => {
    for (const api of Object.values(apis)) {
      await using client = await KafkaClient.connect(broker.port)
      client.write(frame(header(api.key, api.versions[1]), Buffer.alloc(64, 0x5a)))
      await Promise.race([client.expectAnswer(0).catch(() => undefined), client.closed])
    }
    await assertGoodClientIsServed()
  })

  describe('memory', { skip: procNeeded }, () => {
    async function assertGrowth(bytesMax: number, attack: () => Promise<KafkaClient[]>): Promise<void> {
      const beforeBytes = broker.residentBytes
      const clients = await attack()
      await assertGoodClientIsServed()
      const grownBytes = broker.residentBytes - beforeBytes
      for (const client of clients) await client[Symbol.asyncDispose]()
      assert.ok(grownBytes < bytesMax, `grew by ${Math.round(grownBytes / mebibyte)} MiB`)
    }

    const connectMany = (count: number) =>
      Promise.all(Array.from({ length: count }, () => KafkaClient.connect(broker.port)))

    it('is not taken by a declared length', () =>
      assertGrowth(24 * mebibyte, async () => {
        const clients = await connectMany(500)
        for (const client of clients) client.write(Buffer.concat([int32(100 * mebibyte), Buffer.alloc(100)]))
        return clients
      }))

    it('stays bounded for clients that never read their answers', () =>
      assertGrowth(64 * mebibyte, async () => {
        const clients = await connectMany(20)
        const many = Buffer.concat(Array<Buffer>(1000).fill(frame(header(apis.apiVersions.key, 0))))
        for (const client of clients) {
          client.pause()
          for (let i = 0; i < 100; i++) client.write(many)
        }
        return clients
      }))

    it('stays bounded for a thousand pipelined requests for everything', () =>
      assertGrowth(64 * mebibyte, async () => {
        const client = await KafkaClient.connect(broker.port)
        await Promise.all(Array.from({ length: 1000 }, () => client.call(apis.metadata, 1, { topics: null })))
        return [client]
      }))
  })

  it('fill no log', () => {
    const lines = broker.logged('warn').filter(line => line.includes('closed a connection'))
    assert.ok(lines.length > 0)
    assert.ok(lines.length < 5, lines.join('\n'))
  })
})
