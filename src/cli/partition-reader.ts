/**
 * Reads partitions without a group: each leader is asked for its partitions, over and over, from where the last answer ended.
 * Unless it follows, it ends where the log ended when it began.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { fetchV17, KafkaRecord, RecordsBatch } from '@platformatic/kafka'
import type { Cluster, TopicFacts } from './connection.ts'
import type { Printer } from './consume-run.ts'
import { everyError, kafkaErrorName } from './failure.ts'
import type { ConsumedRecord } from './format.ts'
import { note } from './output.ts'
import { offsetsOf } from './places.ts'
import type { Place } from './values.ts'

export interface ReadOptions {
  readonly from: Place
  readonly follow: boolean
  readonly signal: AbortSignal
  readonly print: Printer
}

interface Position {
  readonly partition: number
  leader: number
  next: number
  /** Where to stop; infinite for who follows. */
  readonly end: number
}

const waitMs = 500
const partitionBytesMax = 1 << 20
const answerBytesMax = 8 << 20
const retriesMax = 20
/** Who follows waits for a broker that is started again, however long that takes within reason. */
const followRetriesMax = 1_000
const retryMs = 250

export async function readPartitions(cluster: Cluster, topic: TopicFacts, options: ReadOptions): Promise<void> {
  const ranges = await cluster.ranges(topic)
  const starts = await offsetsOf(cluster, topic, ranges, options.from)
  const positions: Position[] = topic.partitions.map(({ partition, leader }) => ({
    partition,
    leader,
    next: starts.get(partition)!,
    end: options.follow ? Number.POSITIVE_INFINITY : ranges.get(partition)!.end,
  }))
  const reader = new PartitionReader(cluster, topic, positions, options)
  await reader.run()
}

class PartitionReader {
  readonly #cluster: Cluster
  readonly #topic: TopicFacts
  readonly #positions: readonly Position[]
  readonly #options: ReadOptions
  readonly #namesTopics: boolean
  /** Answers come in any order, and are printed one after the other. */
  #printing: Promise<boolean> = Promise.resolve(true)
  #isOver = false

  constructor(cluster: Cluster, topic: TopicFacts, positions: readonly Position[], options: ReadOptions) {
    this.#cluster = cluster
    this.#topic = topic
    this.#positions = positions
    this.#options = options
    this.#namesTopics = cluster.versionOf('Fetch') <= lastFetchByName
  }

  async run(): Promise<void> {
    let failures = 0
    while (!this.#isOver && !this.#options.signal.aborted) {
      const open = this.#positions.filter(({ next, end }) => next < end)
      if (open.length === 0) return
      try {
        const byLeader = [...Map.groupBy(open, ({ leader }) => leader)]
        await Promise.all(byLeader.map(([leader, positions]) => this.#turn(leader, positions)))
        failures = 0
      } catch (error) {
        if (kafkaErrorName(error) === 'OFFSET_OUT_OF_RANGE' && (await this.#stepOverDeleted())) continue
        if (!isPassing(error) || ++failures > (this.#options.follow ? followRetriesMax : retriesMax)) throw error
        await sleep(retryMs)
        // As long as nobody answers, the leaders are who they were.
        await Promise.race([this.#findLeaders().catch(() => undefined), this.#aborted()])
      }
    }
  }

  async #turn(leader: number, positions: readonly Position[]): Promise<void> {
    const answer = await Promise.race([this.#fetch(leader, positions), this.#aborted()])
    if (answer === null) return
    for (const { partitionIndex, records } of answer.responses.flatMap(({ partitions }) => partitions)) {
      const position = positions.find(({ partition }) => partition === partitionIndex)
      if (position !== undefined && records != null) await this.#take(position, records)
    }
  }

  async #take(position: Position, batches: readonly RecordsBatch[]): Promise<void> {
    const records: ConsumedRecord[] = []
    for (const batch of batches) {
      for (const record of recordsOf(batch, this.#topic.name, position.partition)) {
        if (record.offset >= position.next && record.offset < position.end) records.push(record)
      }
      position.next = Math.max(position.next, Number(batch.firstOffset) + batch.lastOffsetDelta + 1)
    }
    this.#printing = this.#printing.then(async goesOn => goesOn && (await this.#options.print(records)).goesOn)
    if (!(await this.#printing)) this.#isOver = true
  }

  #fetch(leader: number, positions: readonly Position[]): Promise<fetchV17.FetchResponse> {
    const partitions = positions.map(({ partition, next }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(next),
      lastFetchedEpoch: -1,
      partitionMaxBytes: partitionBytesMax,
    }))
    const { id, name } = this.#topic
    const topics = [{ topicId: this.#namesTopics || id === null ? name : id, partitions }]
    // No session: id 0 and epoch -1.
    return this.#cluster.call('Fetch', leader, waitMs, 1, answerBytesMax, 0, 0, -1, topics, [], '')
  }

  /** What retention took away meanwhile is passed over, and told. False where nothing explains the broker's refusal. */
  async #stepOverDeleted(): Promise<boolean> {
    const ranges = await this.#cluster.ranges(this.#topic)
    let hasMoved = false
    for (const position of this.#positions) {
      const start = ranges.get(position.partition)?.start ?? 0
      if (position.next >= start) continue
      note(
        `${this.#topic.name} [${position.partition}]: offsets ${position.next} to ${start - 1} were deleted meanwhile`,
      )
      position.next = start
      hasMoved = true
    }
    return hasMoved
  }

  #aborted(): Promise<null> {
    const { signal } = this.#options
    if (signal.aborted) return Promise.resolve(null)
    return new Promise(resolve => signal.addEventListener('abort', () => resolve(null), { once: true }))
  }

  async #findLeaders(): Promise<void> {
    const { partitions } = await this.#cluster.topic(this.#topic.name)
    for (const position of this.#positions) {
      position.leader = partitions.find(({ partition }) => partition === position.partition)?.leader ?? position.leader
    }
  }
}

/** From the next version on, Fetch asks by the topic's id. */
const lastFetchByName = 12
const controlBit = 0x20
const logAppendTimeBit = 0x08

export function recordsOf(batch: RecordsBatch, topic: string, partition: number): ConsumedRecord[] {
  if (batch.attributes & controlBit) return []
  const isAppendTime = (batch.attributes & logAppendTimeBit) !== 0
  return batch.records.map(({ offsetDelta, timestampDelta, key, value, headers }: KafkaRecord) => ({
    topic,
    partition,
    offset: Number(batch.firstOffset) + offsetDelta,
    timestampMs: Number(isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta),
    key,
    value,
    headers: headers.map(([name, each]) => ({ key: name?.toString() ?? '', value: each })),
  }))
}

const passing = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_TOPIC_ID',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
])

/** Worth another try after a look at who leads now. */
function isPassing(error: unknown): boolean {
  const name = kafkaErrorName(error)
  if (name !== null) return passing.has(name)
  return everyError(error).some(each =>
    /^(?:PLT_KFK_(?:NETWORK|TIMEOUT)|E[A-Z]+)$/.test(String((each as { code?: unknown }).code)),
  )
}
