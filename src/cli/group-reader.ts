/**
 * Reads a topic as a member of a consumer group. What was printed is committed, and nothing else: after a Ctrl-C or `-n` the
 * next member goes on exactly behind the last record that came out; of a piece that a closed pipe did not take whole, nothing
 * counts. Unless it follows, it leaves the group where each of its partitions ended when it got them.
 */

import { Consumer, type GroupPartitionsAssigner, type Message, type MessagesStream } from '@platformatic/kafka'
import { type Cluster, offsetAt, type TopicFacts } from './connection.ts'
import type { Printer } from './consume-run.ts'
import { attempt } from './failure.ts'
import type { ConsumedRecord } from './format.ts'

export interface MemberOptions {
  readonly group: string
  readonly fallback: 'earliest' | 'latest'
  readonly follow: boolean
  readonly signal: AbortSignal
  readonly print: Printer
}

type Stream = MessagesStream<Buffer, Buffer, Buffer, Buffer>

const piecesMax = 5_000
const commitEveryMs = 1_000
const lookEveryMs = 100

export async function readAsMember(cluster: Cluster, topic: TopicFacts, options: MemberOptions): Promise<void> {
  const consumer = new Consumer({
    ...cluster.clientOptions,
    groupId: options.group,
    autocommit: false,
    maxWaitTime: 500,
    protocols: [{ name: 'range', version: 1 }],
    partitionAssigner: rangeAssigner,
  })
  const member = new Member(cluster, topic, consumer, options)
  try {
    await member.run()
  } finally {
    await member.leave()
  }
}

class Member {
  readonly #cluster: Cluster
  readonly #topic: TopicFacts
  readonly #consumer: Consumer
  readonly #options: MemberOptions
  #stream: Stream | null = null
  readonly #pending: ConsumedRecord[] = []
  /** What to commit: one behind what was printed, by partition. */
  readonly #printed = new Map<number, number>()
  #committedMs = performance.now()
  #failure: Error | null = null
  #wake: () => void = () => undefined
  /** Ends of the partitions that it has, as they were when it got them; null while that is not known. */
  #ends: ReadonlyMap<number, number> | null = null

  constructor(cluster: Cluster, topic: TopicFacts, consumer: Consumer, options: MemberOptions) {
    this.#cluster = cluster
    this.#topic = topic
    this.#consumer = consumer
    this.#options = options
  }

  async run(): Promise<void> {
    const { group, fallback, signal } = this.#options
    this.#consumer.on('consumer:group:join', () => {
      this.#ends = null
    })
    this.#stream = await attempt(`join group ${group}`, () =>
      this.#consumer.consume({
        topics: [this.#topic.name],
        mode: 'committed',
        fallbackMode: fallback,
        autocommit: false,
      }),
    )
    this.#stream.on('error', error => {
      this.#failure = error
    })
    this.#stream.on('data', message => this.#receive(message))
    while (!signal.aborted) {
      if (this.#failure !== null) throw this.#failure
      if (!(await this.#printPending())) return
      if (!this.#options.follow && this.#pending.length === 0 && (await this.#isAtEnd())) return
      if (performance.now() - this.#committedMs > commitEveryMs) await this.#commit()
      if (this.#pending.length === 0) await this.#arrival()
    }
  }

  /** Commits what was printed, and leaves in order. */
  async leave(): Promise<void> {
    this.#stream?.removeAllListeners('data')
    await this.#stream?.close().catch(() => undefined)
    try {
      if (this.#failure === null) await this.#commit()
    } finally {
      await this.#consumer.close(true).catch(() => undefined)
    }
  }

  /** Something came, or a moment has passed. */
  #arrival(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, lookEveryMs)
      this.#wake = () => {
        clearTimeout(timer)
        // The rest of what was fetched comes in the same turn.
        setImmediate(resolve)
      }
    })
  }

  #receive({ partition, offset, timestamp, key, value, headerEntries }: Message): void {
    this.#pending.push({
      topic: this.#topic.name,
      partition,
      offset: Number(offset),
      timestampMs: Number(timestamp),
      key: key ?? null,
      value: value ?? null,
      headers: headerEntries.map(([name, each]) => ({ key: name.toString(), value: each ?? null })),
    })
    if (this.#pending.length >= piecesMax) this.#stream?.pause()
    this.#wake()
  }

  /** False when nothing more is wanted. */
  async #printPending(): Promise<boolean> {
    const records = this.#pending.splice(0)
    if (records.length === 0) return true
    const { count, goesOn } = await this.#options.print(records)
    for (const { partition, offset } of records.slice(0, count)) this.#printed.set(partition, offset + 1)
    if (this.#stream?.isPaused() === true) this.#stream.resume()
    return goesOn
  }

  /** By what the stream asks for next, which also counts what is in the log and no record. */
  async #isAtEnd(): Promise<boolean> {
    const { assignments } = this.#consumer
    if (assignments == null || this.#stream === null) return false
    // With more members than partitions there may be none for this one.
    const assigned = assignments.find(({ topic }) => topic === this.#topic.name)?.partitions ?? []
    this.#ends ??= await this.#endsOf(assigned)
    const next = this.#stream.offsetsToFetch
    const hasAll = [...this.#ends].every(([partition, end]) => {
      const position = next.get(`${this.#topic.name}:${partition}`)
      return position !== undefined && Number(position) >= end
    })
    // What was fetched may not have been handed over yet.
    return hasAll && this.#stream.readableLength === 0 && this.#pending.length === 0
  }

  async #endsOf(partitions: readonly number[]): Promise<Map<number, number>> {
    const leaders = this.#topic.partitions.filter(({ partition }) => partitions.includes(partition))
    const questions = leaders.map(({ partition, leader }) => ({
      topic: this.#topic.name,
      partition,
      leader,
      at: offsetAt.end,
    }))
    const ends = await this.#cluster.offsets(questions)
    return new Map(ends.map(({ partition, offset }) => [partition, offset]))
  }

  async #commit(): Promise<void> {
    this.#committedMs = performance.now()
    if (this.#printed.size === 0) return
    const offsets = [...this.#printed].map(([partition, offset]) => ({
      topic: this.#topic.name,
      partition,
      offset: BigInt(offset),
      leaderEpoch: -1,
    }))
    this.#printed.clear()
    await attempt(`commit the position of group ${this.#options.group}`, () => this.#consumer.commit({ offsets }))
  }
}

/** In stretches, the first members one more where it does not divide: as other clients do it under the name `range`. */
const rangeAssigner: GroupPartitionsAssigner = (_current, members, topics, metadata) => {
  const ids = [...members.keys()].sort()
  const shares = new Map(ids.map(id => [id, new Map<string, { topic: string; partitions: number[] }>()]))
  for (const topic of topics) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0
    const takers = ids.filter(id => members.get(id)?.topics?.includes(topic))
    takers.forEach((id, i) => {
      const size = Math.floor(count / takers.length) + (i < count % takers.length ? 1 : 0)
      const start = i * Math.floor(count / takers.length) + Math.min(i, count % takers.length)
      if (size > 0)
        shares.get(id)!.set(topic, { topic, partitions: Array.from({ length: size }, (_, at) => start + at) })
    })
  }
  return [...shares].map(([memberId, assignments]) => ({ memberId, assignments }))
}
