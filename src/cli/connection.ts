/**
 * The brokers that a command talks to: found, connected, asked, let go.
 *
 *     parse --brokers → connect (once, without retries: no broker is said at once) → requests → close
 *
 * Commands that fit the client's administration use that. What it leaves out (internal topics, several answers of which one
 * is an error, reading without a group) is asked with the client's own requests, at the newest version that both sides know.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as kafka from '@platformatic/kafka'
import { exitCodes } from '../base/errors.ts'
import { type Address, addressText } from '../server/address.ts'
import { parseBrokers } from './brokers.ts'
import { CliError, everyError, failureOf } from './failure.ts'

const clientId = 'tidelog-cli'
const connectMsMax = 5_000
const requestMsMax = 30_000
/** Enough for a broker that is started again. */
const retries = 12
const retryMs = 400
const createdMsMax = 10_000

/** A produce request that a broker holds for longer is asked again; the broker knows that it is the same. */
export const produceMsMax = 5_000

/** What every client of a command is made with. */
export function clientOptions(brokers: readonly Address[]): kafka.BaseOptions {
  return {
    clientId,
    bootstrapBrokers: brokers.map(({ host, port }) => ({ host, port })),
    connectTimeout: connectMsMax,
    requestTimeout: requestMsMax,
    timeout: requestMsMax,
    retries,
    retryDelay: retryMs,
    autocreateTopics: false,
  }
}

type ApiRange = Awaited<ReturnType<kafka.Admin['listApis']>>[number]

export interface PartitionFacts {
  readonly partition: number
  /** -1 where there is none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
}

export interface TopicFacts {
  readonly name: string
  /** Null where the broker is too old to have ids. */
  readonly id: string | null
  readonly isInternal: boolean
  readonly partitions: readonly PartitionFacts[]
}

export interface OffsetQuestion {
  readonly topic: string
  readonly partition: number
  readonly leader: number
  /** A time, or one of `offsetAt`. */
  readonly at: number
}

export interface OffsetAnswer {
  readonly topic: string
  readonly partition: number
  /** -1 where no record is that young. */
  readonly offset: number
}

export const offsetAt = { beginning: -2, end: -1 } as const

/** Runs `work` with a connection, which is closed whatever comes. */
export async function withCluster<T>(brokers: string, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  await using cluster = await Cluster.connect(parseBrokers(brokers))
  return await work(cluster)
}

export class Cluster implements AsyncDisposable {
  readonly addresses: readonly Address[]
  readonly admin: kafka.Admin
  readonly #versions: ReadonlyMap<string, readonly [number, number]>

  private constructor(addresses: readonly Address[], admin: kafka.Admin, apis: readonly ApiRange[]) {
    this.addresses = addresses
    this.admin = admin
    this.#versions = new Map(apis.map(api => [api.name, [api.minVersion, api.maxVersion]]))
  }

  /** Rejects with exit code 3 where nobody answers. */
  static async connect(addresses: readonly Address[]): Promise<Cluster> {
    const probe = new kafka.Admin({ ...clientOptions(addresses), retries: 0, requestTimeout: connectMsMax })
    let apis: readonly ApiRange[]
    try {
      apis = await probe.listApis()
    } catch (error) {
      throw unreachable(addresses, error)
    } finally {
      await probe.close().catch(() => undefined)
    }
    return new Cluster(addresses, new kafka.Admin(clientOptions(addresses)), apis)
  }

  /** As the user knows it. */
  get name(): string {
    return this.addresses.map(addressText).join(',')
  }

  get clientOptions(): kafka.BaseOptions {
    return clientOptions(this.addresses)
  }

  /** Topics by name; all of them for null. A topic that does not exist is left out. */
  async topics(names: readonly string[] | null): Promise<TopicFacts[]> {
    const version = this.versionOf('Metadata')
    const answer = await this.#partial<kafka.metadataV12.MetadataResponse>(
      this.#call('Metadata', null, version, names, false, false),
    )
    return answer.topics
      .filter(topic => topic.errorCode === 0 && topic.name !== null)
      .map(({ name, topicId, isInternal, partitions }) => ({
        name: name as string,
        id: version >= 10 ? topicId : null,
        isInternal,
        partitions: partitions.map(partitionFacts).sort((a, b) => a.partition - b.partition),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** One topic that must exist; where it does not, the error names the nearest that does. */
  async topic(name: string): Promise<TopicFacts> {
    const [topic] = await this.topics([name])
    if (topic !== undefined) return topic
    const { nearestName } = await import('../broker/nearest-name.ts')
    const all = (await this.topics(null)).map(each => each.name)
    const near = nearestName(name, all)
    const hint = near === null ? `'tidelog topic ls' lists those that there are` : `did you mean '${near}'?`
    throw new CliError(exitCodes.notFound, `there is no topic '${name}' at ${this.name}; ${hint}`)
  }

  /** One that was just created: other brokers of a cluster hear of it a moment later. */
  async createdTopic(name: string): Promise<TopicFacts> {
    const endMs = performance.now() + createdMsMax
    for (;;) {
      const [topic] = await this.topics([name])
      if (topic?.partitions.every(({ leader }) => leader >= 0)) return topic
      if (performance.now() > endMs) return await this.topic(name)
      await sleep(retryMs)
    }
  }

  /** Offsets by time, or of beginnings and ends; asked of each leader at once. */
  async offsets(questions: readonly OffsetQuestion[]): Promise<OffsetAnswer[]> {
    const byLeader = Map.groupBy(questions, ({ leader }) => leader)
    const answers = await Promise.all(
      [...byLeader].map(async ([leader, ofLeader]) => {
        const topics = [...Map.groupBy(ofLeader, ({ topic }) => topic)].map(([name, ofTopic]) => ({
          name,
          partitions: ofTopic.map(({ partition, at }) => ({
            partitionIndex: partition,
            currentLeaderEpoch: -1,
            timestamp: BigInt(at),
          })),
        }))
        const node = requireLeader(leader, ofLeader[0]!)
        const version = this.versionOf('ListOffsets')
        return await this.#call<kafka.listOffsetsV9.ListOffsetsResponse>('ListOffsets', node, version, -1, 0, topics)
      }),
    )
    return answers.flatMap(({ topics }) =>
      topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, offset }) => ({
          topic: name,
          partition: partitionIndex,
          offset: Number(offset),
        })),
      ),
    )
  }

  /** Beginning and end of each partition, by its number. */
  async ranges(topic: TopicFacts): Promise<ReadonlyMap<number, { readonly start: number; readonly end: number }>> {
    const ask = (at: number) =>
      this.offsets(topic.partitions.map(({ partition, leader }) => ({ topic: topic.name, partition, leader, at })))
    const [starts, ends] = await Promise.all([ask(offsetAt.beginning), ask(offsetAt.end)])
    const end = new Map(ends.map(answer => [answer.partition, answer.offset]))
    return new Map(
      starts.map(({ partition, offset }) => [partition, { start: offset, end: end.get(partition) ?? offset }]),
    )
  }

  /** A request of the client's own, to a node, or to whichever broker answers. */
  async call<Answer>(api: string, node: number | null, ...words: readonly unknown[]): Promise<Answer> {
    return await this.#call(api, node, this.versionOf(api), ...words)
  }

  /** The newest version of an API that both sides know. */
  versionOf(api: string): number {
    const [min, max] = this.#versions.get(api) ?? [0, -1]
    for (let version = max; version >= min; version--) {
      if (requestOf(api, version) !== null) return version
    }
    throw new CliError(exitCodes.runtime, `the broker at ${this.name} does not offer ${api} in a version known here`)
  }

  async #call<Answer>(
    api: string,
    node: number | null,
    version: number,
    ...words: readonly unknown[]
  ): Promise<Answer> {
    const connection = node === null ? await this.#anyConnection() : await this.#connectionTo(node)
    const request = requestOf(api, version)
    if (connection === undefined || request === null) {
      throw new CliError(exitCodes.unreachable, `broker ${node} of ${this.name} cannot be reached; try again`)
    }
    return (await request.async(connection, ...words)) as Answer
  }

  #anyConnection(): Promise<kafka.Connection> {
    return new Promise((resolve, reject) => {
      this.admin[kafka.kGetBootstrapConnection]((error, connection) => {
        if (connection === undefined) reject(error ?? new Error('no connection'))
        else resolve(connection)
      })
    })
  }

  async #connectionTo(node: number): Promise<kafka.Connection | undefined> {
    return (await this.admin.connectToBrokers([node])).get(node)
  }

  /** An answer in which some parts are errors is thrown by the client, with the answer in it. */
  async #partial<Answer>(asked: Promise<Answer>): Promise<Answer> {
    try {
      return await asked
    } catch (error) {
      const response = everyError(error).map(each => (each as { response?: Answer }).response)
      const found = response.find(each => each !== undefined)
      if (found === undefined) throw error
      return found
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.close().catch(() => undefined)
  }
}

type Request = kafka.API<unknown[], unknown>

/** The client has each version of an API as an export of its own. */
function requestOf(api: string, version: number): Request | null {
  const name = `${api[0]!.toLowerCase()}${api.slice(1)}V${version}`
  const found = (kafka as unknown as Readonly<Record<string, { readonly api?: Request } | undefined>>)[name]
  return found?.api ?? null
}

function partitionFacts(partition: kafka.metadataV12.MetadataResponsePartition): PartitionFacts {
  return {
    partition: partition.partitionIndex,
    leader: partition.leaderId,
    leaderEpoch: partition.leaderEpoch,
    replicas: partition.replicaNodes,
    inSyncReplicas: partition.isrNodes,
  }
}

function requireLeader(leader: number, { topic, partition }: OffsetQuestion): number {
  if (leader >= 0) return leader
  throw new CliError(exitCodes.runtime, `partition ${partition} of ${topic} has no leader now; try again later`)
}

function unreachable(addresses: readonly Address[], error: unknown): CliError {
  const where = addresses.map(addressText).join(',')
  const codes = everyError(error).map(each => (each as { code?: unknown }).code)
  const hint = 'start one with tidelog start, or say where it is with --brokers HOST:PORT'
  if (codes.includes('ECONNREFUSED'))
    return new CliError(exitCodes.unreachable, `no broker listens at ${where}; ${hint}`)
  if (codes.includes('ENOTFOUND') || codes.includes('EAI_AGAIN')) {
    return new CliError(exitCodes.unreachable, `${where}: no such host; ${hint}`)
  }
  if (codes.some(code => typeof code === 'string' && /^PLT_KFK_(?:NETWORK|TIMEOUT)$/.test(code))) {
    return new CliError(
      exitCodes.unreachable,
      `what listens at ${where} does not answer as a Kafka broker does; ${hint}`,
    )
  }
  return failureOf(error, `broker ${where}`)
}
