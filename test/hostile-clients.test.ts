/**
 * What strangers may send to the Kafka port, against the real program: each gets the protocol's answer or a closed
 * connection within a second, memory stays bounded, and a well-behaved client beside them notices nothing.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { apis } from '../src/wire/api-keys.ts'
import { buildBatch } from '../src/wire/build-batch.ts'
import { decodeResponse } from '../src/wire/exchange.ts'
import { kafkaErrors } from '../src/wire/kafka-errors.ts'
import { TidelogProcess, temporaryFolder } from './support/broker-process.ts'
import { RawClient } from './support/raw-client.ts'

const mebibyte = 1024 * 1024
const topic = 'tides'

describe('hostile clients', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let broker: TidelogProcess
  let port: number
  let good: RawClient

  before(async () => {
    folder = await temporaryFolder('hostile')
    broker = new TidelogProcess(['--data-dir', join(folder.path, 'data'), '--port', '0'])
    port = await broker.ready()
    good = await RawClient.connect(port)
    const { topics } = await good.ask(apis.metadata, 4, { topics: [{ name: topic }], allowAutoTopicCreation: true })
    assert.equal(topics[0]?.errorCode, kafkaErrors.NONE)
  })
  after(async () => {
    good?.[Symbol.dispose]()
    await broker?.kill()
    await folder?.[Symbol.asyncDispose]()
  })

  const produceOf = (acks: number, records: Buffer, partition = 0) => ({
    acks,
    timeoutMs: 1000,
    topicData: [
      { name: topic, partitionData: [{ index: partition, records: { chunks: [records], length: records.length } }] },
    ],
  })

  /** A record goes in, on the connection that was there before all others. */
  async function assertGoodClientIsServed(): Promise<void> {
    const startedMs = performance.now()
    const answer = await good.ask(
      apis.produce,
      7,
      produceOf(-1, buildBatch([{ value: 'ebb', timestampMs: Date.now() }])),
    )
    assert.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, kafkaErrors.NONE)
    assert.ok(performance.now() - startedMs < 1_000)
  }

  async function assertClosed(client: RawClient): Promise<void> {
    const startedMs = performance.now()
    await client.closed
    assert.ok(performance.now() - startedMs < 1_000, 'closed within a second')
    await assertGoodClientIsServed()
  }

  function int32(value: number): Buffer {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }

  const frame = (body: Buffer) => Buffer.concat([int32(body.length), body])

  /** A request header without a client id. */
  function header(apiKey: number, version: number): Buffer {
    const bytes = Buffer.alloc(10)
    bytes.writeInt16BE(apiKey, 0)
    bytes.writeInt16BE(version, 2)
    bytes.writeInt16BE(-1, 8)
    return bytes
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
    'a body that ends too soon': frame(Buffer.concat([header(3, 1), int32(1)])),
    'a body with more behind it': frame(Buffer.concat([header(3, 1), int32(-1), Buffer.alloc(3)])),
    'an array of 2 billion': frame(Buffer.concat([header(3, 1), int32(0x7fff_ffff)])),
    'a string of length -2': frame(Buffer.concat([header(3, 1), int32(1), Buffer.from([0xff, 0xfe])])),
    'a client id that goes beyond the frame': frame(Buffer.from('000300010000000100ff41', 'hex')),
    'a varint without an end': frame(Buffer.concat([header(3, 9), Buffer.alloc(20, 0xff)])),
  }

  for (const [name, bytes] of Object.entries(closing)) {
    it(`${name} closes the connection`, async () => {
      using client = await RawClient.connect(port)
      client.send(bytes)
      await assertClosed(client)
    })
  }

  it('every API with a body of noise answers or closes', async () => {
    for (const api of Object.values(apis)) {
      using client = await RawClient.connect(port)
      client.send(frame(Buffer.concat([header(api.key, api.versions[1]), Buffer.alloc(64, 0x5a)])))
      await Promise.race([client.answer().catch(() => undefined), client.closed])
    }
    await assertGoodClientIsServed()
  })

  it('Q3: an unknown version of ApiVersions is answered as version 0, and the connection stays', async () => {
    using client = await RawClient.connect(port)
    client.send(frame(Buffer.concat([header(18, 77), Buffer.alloc(40, 0xff)])))
    const { body } = decodeResponse(apis.apiVersions, 0, await client.answer())
    assert.equal(body.errorCode, kafkaErrors.UNSUPPORTED_VERSION)
    assert.deepEqual(
      body.apiKeys.map(({ apiKey }) => apiKey),
      [apis.apiVersions.key],
    )
    const again = await client.ask(apis.apiVersions, 0, {})
    assert.equal(again.errorCode, kafkaErrors.NONE)
  })

  it('Q15: acks=0 is never answered, and answers keep the order of their requests', async () => {
    using client = await RawClient.connect(port)
    const records = buildBatch([{ value: 'flow', timestampMs: Date.now() }])
    const versions = client.encode(apis.apiVersions, 0, {})
    client.send(
      Buffer.concat([
        client.encode(apis.produce, 7, produceOf(1, records)),
        client.encode(apis.produce, 7, produceOf(0, records)),
        client.encode(apis.produce, 7, produceOf(-1, records)),
        versions,
      ]),
    )
    const ids: number[] = []
    for (let i = 0; i < 3; i++) ids.push((await client.answer()).chunks[0]!.readInt32BE(0))
    assert.deepEqual(ids, [2, 4, 1])
  })

  it('Q15: an acks=0 request that fails closes the connection', async () => {
    using client = await RawClient.connect(port)
    client.request(apis.produce, 7, produceOf(0, buildBatch([{ value: 'nowhere' }]), 999))
    await assertClosed(client)
  })

  it('a batch that lies is refused, and the connection stays', async () => {
    using client = await RawClient.connect(port)
    const right = buildBatch([{ value: 'x', timestampMs: Date.now() }])
    const wrongCrc = Buffer.from(right)
    wrongCrc[wrongCrc.length - 1]! ^= 1
    const lies: [Buffer, keyof typeof kafkaErrors][] = [
      [wrongCrc, 'CORRUPT_MESSAGE'],
      [buildBatch([{ value: 'x' }], { recordCount: 1_000_000 }), 'INVALID_RECORD'],
      [right.subarray(0, 40), 'CORRUPT_MESSAGE'],
    ]
    for (const [records, error] of lies) {
      const { responses } = await client.ask(apis.produce, 7, produceOf(-1, records))
      assert.equal(responses[0]?.partitionResponses[0]?.errorCode, kafkaErrors[error], error)
    }
    await assertGoodClientIsServed()
  })

  describe('memory', {
    skip: existsSync('/proc/self/status') ? false : 'needs /proc to read what a process uses',
  }, () => {
    function residentBytes(): number {
      const status = readFileSync(`/proc/${broker.child.pid}/status`, 'latin1')
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
    }

    async function assertGrowth(bytesMax: number, attack: () => Promise<RawClient[]>): Promise<void> {
      const beforeBytes = residentBytes()
      const clients = await attack()
      await assertGoodClientIsServed()
      const grownBytes = residentBytes() - beforeBytes
      for (const client of clients) client[Symbol.dispose]()
      assert.ok(grownBytes < bytesMax, `grew by ${Math.round(grownBytes / mebibyte)} MiB`)
    }

    const connectMany = (count: number) => Promise.all(Array.from({ length: count }, () => RawClient.connect(port)))

    it('is not taken by a declared length', () =>
      assertGrowth(24 * mebibyte, async () => {
        const clients = await connectMany(500)
        for (const client of clients) client.send(Buffer.concat([int32(100 * mebibyte), Buffer.alloc(100)]))
        return clients
      }))

    it('stays bounded for clients that never read their answers', () =>
      assertGrowth(64 * mebibyte, async () => {
        const clients = await connectMany(20)
        for (const client of clients) {
          client.socket.pause()
          const many = Buffer.concat(Array<Buffer>(1000).fill(client.encode(apis.apiVersions, 0, {})))
          for (let i = 0; i < 100; i++) client.send(many)
        }
        return clients
      }))

    it('stays bounded for a thousand pipelined requests for everything', () =>
      assertGrowth(64 * mebibyte, async () => {
        const client = await RawClient.connect(port)
        client.send(Buffer.concat(Array<Buffer>(1000).fill(client.encode(apis.metadata, 1, { topics: null }))))
        for (let i = 0; i < 1000; i++) await client.answer()
        return [client]
      }))
  })

  it('strangers fill no log', async () => {
    const lines = broker.stderr.split('\n').filter(line => line.includes('closed a connection'))
    assert.ok(lines.length > 0)
    assert.ok(lines.length < 5, lines.join('\n'))
  })
})
