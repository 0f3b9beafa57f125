/**
 * Sends batches and keeps the account of what was acknowledged. A partition's batch is taken as a whole or not at all, so
 * what the account says is exact; one that is too large for the broker is cut in two. With acks=all the client's producer is
 * idempotent: a retry leaves nothing twice.
 */
import { type MessageToProduce, Producer } from '@platformatic/kafka'
import { type Cluster, produceMsMax } from './connection.ts'
import { everyError, kafkaErrorName } from './failure.ts'
import { counted } from './output.ts'

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export interface SendSettings {
  readonly acks: 'all' | '1' | '0'
  readonly compression: (typeof codecs)[number]
}

export interface OutgoingRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, string])[]
  readonly partition: number
}

interface Account {
  count: number
  /** -1 where nothing is acknowledged. */
  first: number
  last: number
}

export class Sender implements AsyncDisposable {
  readonly topic: string
  readonly #producer: Producer
  readonly #acks: SendSettings['acks']
  readonly #accounts = new Map<number, Account>()
  #acknowledged = 0
  /** Sent, and nobody said what became of them. */
  #unknown = 0

  constructor(cluster: Cluster, topic: string, { acks, compression }: SendSettings) {
    this.topic = topic
    this.#acks = acks
    this.#producer = new Producer({
      ...cluster.clientOptions,
      timeout: produceMsMax,
      acks: acks === 'all' ? -1 : Number(acks),
      idempotent: acks === 'all',
      compression,
    })
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Resolves when all of it is acknowledged; after a rejection the account says what was. */
  async send(records: readonly OutgoingRecord[]): Promise<void> {
    const batches = [...Map.groupBy(records, ({ partition }) => partition)]
    const outcomes = await Promise.allSettled(batches.map(([partition, batch]) => this.#batch(partition, batch)))
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #batch(partition: number, records: readonly OutgoingRecord[]): Promise<void> {
    try {
      const { offsets } = await this.#producer.send({ messages: records.map(record => messageOf(this.topic, record)) })
      this.#settle(partition, records.length, Number(offsets?.[0]?.offset ?? -1))
    } catch (error) {
      const isTooLarge =
        kafkaErrorName(error) === 'MESSAGE_TOO_LARGE' || kafkaErrorName(error) === 'RECORD_LIST_TOO_LARGE'
      if (!isTooLarge || records.length === 1) {
        if (mayHaveArrived(error)) this.#unknown += records.length
        throw error
      }
      const half = Math.ceil(records.length / 2)
      await this.#batch(partition, records.slice(0, half))
      await this.#batch(partition, records.slice(half))
    }
  }

  #settle(partition: number, count: number, base: number): void {
    const account = this.#accounts.get(partition) ?? { count: 0, first: -1, last: -1 }
    if (account.first < 0) account.first = base
    if (base >= 0) account.last = base + count - 1
    account.count += count
    this.#accounts.set(partition, account)
    this.#acknowledged += count
  }

  /** `3 records acknowledged: tides [0] offsets 0 to 2`, with how many more may have arrived where that is not known. */
  summary(): string {
    const what = this.#acks === '0' ? 'sent, acknowledged by nobody' : 'acknowledged'
    const parts = [...this.#accounts]
      .sort(([a], [b]) => a - b)
      .map(([partition, { first, last }]) => `${this.topic} [${partition}]${rangeText(first, last)}`)
    const places = parts.length > placesMax ? `${this.topic}, ${parts.length} partitions` : parts.join(', ')
    const unknown = this.#unknown === 0 ? '' : `; ${this.#unknown} more may have arrived`
    return `${counted(this.#acknowledged, 'record')} ${what}${places === '' ? '' : `: ${places}`}${unknown}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close().catch(() => undefined)
  }
}

const placesMax = 8

/** One of the tries ended without an answer, or with one that leaves it open. */
function mayHaveArrived(error: unknown): boolean {
  return everyError(error).some(each => {
    const { apiId, code } = each as { apiId?: unknown; code?: unknown }
    if (apiId === 'REQUEST_TIMED_OUT' || apiId === 'NOT_ENOUGH_REPLICAS_AFTER_APPEND') return true
    return code === 'PLT_KFK_TIMEOUT' || code === 'ECONNRESET' || code === 'EPIPE' || code === 'PLT_KFK_NETWORK'
  })
}

function rangeText(first: number, last: number): string {
  if (first < 0) return ''
  return first === last ? ` offset ${first}` : ` offsets ${first} to ${last}`
}

function messageOf(topic: string, { key, value, headers, partition }: OutgoingRecord): MessageToProduce {
  return {
    topic,
    partition,
    ...(key === null ? {} : { key }),
    ...(value === null ? {} : { value }),
    // Buffers are keys of their own, each: so that a name may come twice.
    ...(headers.length === 0
      ? {}
      : { headers: new Map(headers.map(([name, each]) => [Buffer.from(name), Buffer.from(each)])) }),
  }
}
