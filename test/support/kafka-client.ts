/**
 * A Kafka connection for tests: one socket, requests out, answers in. It checks what every client relies on, that answers
 * come in the order of the requests, and shows what libraries hide: raw error codes, raw batches, the moment of a close.
 */
import { connect, type Socket } from 'node:net'
import type { TopicId } from '../../src/base/ids.ts'
import { flattenRope, type Rope, ropeOf } from '../../src/base/rope.ts'
import { type Api, apis } from '../../src/wire/api-keys.ts'
import { decodeResponse, encodeRequest } from '../../src/wire/exchange.ts'
import { FrameReader } from '../../src/wire/frame.ts'
import { kafkaErrorName } from '../../src/wire/kafka-errors.ts'
import { listOffsetsTimes } from '../../src/wire/messages/list-offsets.ts'
import type { Body, Draft } from '../../src/wire/schema.ts'
import { parseBatches, type StoredBatch } from './stored-batches.ts'
import { within } from './waiting.ts'

const answerMsMax = 15_000
const answerBytesMax = 0x7fff_ffff

interface Pending {
  readonly correlationId: number
  readonly resolve: (frame: Rope) => void
  readonly reject: (error: Error) => void
}

export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'
}

export interface ProduceOutcome {
  readonly error: string
  readonly baseOffset: number
  readonly message: string | null
}

export interface FetchOutcome {
  readonly error: string
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly batches: readonly StoredBatch[]
  readonly bytes: Buffer
}

export class KafkaClient implements AsyncDisposable {
  /** Resolves when the connection is over, whoever ended it and however. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #frames = new FrameReader({ bytesMin: 4, bytesMax: answerBytesMax })
  readonly #pending: Pending[] = []
  #lastId = 0
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('error', () => undefined)
    this.closed = new Promise(resolve => {
      socket.on('close', () => {
        this.#isClosed = true
        const error = new ConnectionClosed('the broker closed the connection')
        for (const { reject } of this.#pending.splice(0)) reject(error)
        resolve()
      })
    })
  }

  static connect(port: number, host = '127.0.0.1'): Promise<KafkaClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new KafkaClient(socket))
      })
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends a request and gives its answer. Several may be underway; they leave in the order of the calls. */
  async call<A extends Api>(api: A, version: number, body: Draft<A['request']>): Promise<Body<A['response']>> {
    const correlationId = ++this.#lastId
    this.write(encodeRequest(api, version, { correlationId, clientId: 'test' }, body))
    const answer = this.expectAnswer(correlationId)
    const frame = await within(answerMsMax, `the answer to ${api.name} ${version}`, answer)
    return decodeResponse(api, version, frame).body
  }

  /** Sends a request that is not answered. */
  tell<A extends Api>(api: A, version: number, body: Draft<A['request']>): void {
    this.write(encodeRequest(api, version, { correlationId: ++this.#lastId, clientId: 'test' }, body))
  }

  /** The next answer not yet spoken for; must carry the id. */
  expectAnswer(correlationId: number): Promise<Rope> {
    if (this.#isClosed) return Promise.reject(new ConnectionClosed('the connection is closed'))
    return new Promise((resolve, reject) => this.#pending.push({ correlationId, resolve, reject }))
  }

  /** Any bytes at all. */
  write(bytes: Rope | Buffer): void {
    if (Buffer.isBuffer(bytes)) this.#socket.write(bytes)
    else for (const chunk of bytes.chunks) this.#socket.write(chunk)
  }

  /** Stops taking what arrives. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
    await this.closed
  }

  #onData(chunk: Buffer): void {
    this.#frames.push(chunk)
    for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) {
      const pending = this.#pending.shift()
      if (pending === undefined) throw new Error('an answer came that nobody asked for')
      const correlationId = flattenRope(frame).readInt32BE(0)
      if (correlationId === pending.correlationId) pending.resolve(frame)
      else pending.reject(new Error(`answer ${correlationId} came where ${pending.correlationId} was due`))
    }
  }

  // What tests do most.

  async createTopic(
    name: string,
    partitions = 1,
    configs: Readonly<Record<string, string | number>> = {},
  ): Promise<TopicId> {
    const topic = {
      name,
      numPartitions: partitions,
      replicationFactor: -1,
      assignments: [],
      configs: Object.entries(configs).map(([config, value]) => ({ name: config, value: String(value) })),
    }
    const { topics } = await this.call(apis.createTopics, 7, { topics: [topic] })
    const answer = topics[0]
    if (answer?.errorCode !== 0) throw new Error(`${name}: ${answer?.errorMessage ?? 'no answer'}`)
    return answer.topicId
  }

  async deleteTopic(name: string): Promise<void> {
    const { responses } = await this.call(apis.deleteTopics, 6, { topics: [{ name }], timeoutMs: 10_000 })
    if (responses[0]?.errorCode !== 0) throw new Error(`${name}: ${responses[0]?.errorMessage ?? 'no answer'}`)
  }

  async produce(
    topic: string,
    partition: number,
    batch: Buffer,
    options: { readonly acks?: number; readonly timeoutMs?: number; readonly version?: number } = {},
  ): Promise<ProduceOutcome> {
    const answer = await this.call(apis.produce, options.version ?? 9, {
      acks: options.acks ?? -1,
      timeoutMs: options.timeoutMs ?? 10_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records: ropeOf(batch) }] }],
    })
    const outcome = answer.responses[0]?.partitionResponses[0]
    if (outcome === undefined) throw new Error('a produce request was answered without its partition')
    return {
      error: kafkaErrorName(outcome.errorCode),
      baseOffset: outcome.baseOffset,
      message: outcome.errorMessage,
    }
  }

  async fetch(
    topic: string,
    partition: number,
    offset: number,
    options: {
      readonly maxWaitMs?: number
      readonly minBytes?: number
      readonly maxBytes?: number
      readonly partitionMaxBytes?: number
    } = {},
  ): Promise<FetchOutcome> {
    const { maxWaitMs = 0, minBytes = 1, maxBytes = 64 << 20, partitionMaxBytes = 16 << 20 } = options
    const answer = await this.call(apis.fetch, 12, {
      maxWaitMs,
      minBytes,
      maxBytes,
      topics: [{ topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes }] }],
    })
    const data = answer.responses[0]?.partitions[0]
    if (data === undefined) throw new Error(`fetch was answered without its partition (error ${answer.errorCode})`)
    // Copied, because it is a view of the connection's memory.
    const bytes = data.records === null ? Buffer.alloc(0) : Buffer.concat(data.records.chunks as Buffer[])
    return {
      error: kafkaErrorName(data.errorCode),
      highWatermark: data.highWatermark,
      logStartOffset: data.logStartOffset,
      batches: parseBatches(bytes),
      bytes,
    }
  }

  /** Everything from an offset up to the high watermark. */
  async readAll(topic: string, partition: number, from = 0): Promise<StoredBatch[]> {
    const all: StoredBatch[] = []
    for (let offset = from; ; ) {
      const { error, batches, highWatermark } = await this.fetch(topic, partition, offset)
      if (error !== 'NONE') throw new Error(`fetch of ${topic}-${partition} at ${offset}: ${error}`)
      all.push(...batches)
      const last = batches.at(-1)
      if (last === undefined) {
        if (offset < highWatermark)
          throw new Error(`${topic}-${partition} has nothing at ${offset} of ${highWatermark}`)
        return all
      }
      offset = last.endOffset
      if (offset >= highWatermark) return all
    }
  }

  async listOffset(topic: string, partition: number, timestamp: number): Promise<number> {
    const { topics } = await this.call(apis.listOffsets, 7, {
      replicaId: -1,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
    })
    const answer = topics[0]?.partitions[0]
    if (answer?.errorCode !== 0)
      throw new Error(`offset of ${topic}-${partition}: ${kafkaErrorName(answer?.errorCode ?? -1)}`)
    return answer.offset
  }

  earliest(topic: string, partition: number): Promise<number> {
    return this.listOffset(topic, partition, listOffsetsTimes.earliest)
  }

  latest(topic: string, partition: number): Promise<number> {
    return this.listOffset(topic, partition, listOffsetsTimes.latest)
  }
}
