/**
 * A well-behaved client beside whatever a test does: it produces and reads back, again and again, over one connection. What it
 * notices is what other users would notice.
 */
import { buildBatch } from '../../src/wire/build-batch.ts'
import { KafkaClient } from './kafka-client.ts'

export interface Noticed {
  readonly operations: number
  readonly slowestMs: number
}

export class Neighbour implements AsyncDisposable {
  readonly #client: KafkaClient
  readonly #topic: string
  readonly #running: Promise<void>
  #stopped = false
  #operations = 0
  #slowestMs = 0

  private constructor(client: KafkaClient, topic: string) {
    this.#client = client
    this.#topic = topic
    this.#running = this.#run()
    // Told by `noticed`.
    this.#running.catch(() => undefined)
  }

  static async moveIn(port: number, topic = 'neighbour'): Promise<Neighbour> {
    const client = await KafkaClient.connect(port)
    await client.createTopic(topic)
    return new Neighbour(client, topic)
  }

  /** What it noticed since it was asked last; throws when it met an error. */
  async noticed(): Promise<Noticed> {
    const before = this.#operations
    // At least one more operation, so that a broker that stands still is noticed.
    while (this.#operations === before) await Promise.race([this.#running, this.#client.latest(this.#topic, 0)])
    const noticed = { operations: this.#operations, slowestMs: this.#slowestMs }
    this.#operations = 0
    this.#slowestMs = 0
    return noticed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#running.catch(() => undefined)
    await this.#client[Symbol.asyncDispose]()
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const startedMs = performance.now()
      const value = `value ${i}`
      const produced = await this.#client.produce(this.#topic, 0, buildBatch([{ value, timestampMs: Date.now() }]))
      if (produced.error !== 'NONE') throw new Error(`the neighbour's produce was refused: ${produced.error}`)
      const { batches } = await this.#client.fetch(this.#topic, 0, produced.baseOffset, { partitionMaxBytes: 1 })
      const read = String(batches[0]?.records[0]?.value)
      if (read !== value) throw new Error(`the neighbour wrote ${value} and read ${read}`)
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs)
      this.#operations++
    }
  }
}
