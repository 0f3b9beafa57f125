/**
 * Members of groups with @platformatic/kafka. A stream that ends by an error, as it does when the broker is away for long, is
 * opened again, as any program that wants to go on would do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BaseOptions,
  Consumer,
  cooperativeStickyAssigner,
  type GroupPartitionsAssigner,
  type Message,
  type MessagesStream,
  roundRobinAssigner,
} from '@platformatic/kafka'
import type { Assignor, Fields, Ok, ReceivedRecord } from '../harness/protocol.ts'
import { CodedError } from './serve.ts'

const rebalanceTimeoutMs = 10_000
const heartbeatMsMax = 500

/** In stretches, topic by topic, the first ones longer by one: as Java's. */
export const rangeAssigner: GroupPartitionsAssigner = (_current, members, topics, metadata) => {
  const given = new Map(
    [...members.keys()].map(memberId => [memberId, new Map<string, { topic: string; partitions: number[] }>()]),
  )
  for (const topic of topics) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0
    const takers = [...members].filter(([, member]) => member.topics?.includes(topic)).map(([memberId]) => memberId)
    let from = 0
    for (const [i, taker] of takers.sort().entries()) {
      const size = Math.floor(count / takers.length) + (i < count % takers.length ? 1 : 0)
      const partitions = Array.from({ length: size }, (_, at) => from + at)
      if (size > 0) given.get(taker)!.set(topic, { topic, partitions })
      from += size
    }
  }
  return [...given].map(([memberId, assignments]) => ({ memberId, assignments }))
}

const assigners: { readonly [A in Assignor]: GroupPartitionsAssigner } = {
  range: rangeAssigner,
  roundrobin: roundRobinAssigner,
  'cooperative-sticky': cooperativeStickyAssigner,
}

interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly leaderEpoch: number
}

type Stream = MessagesStream<Buffer, Buffer, Buffer, Buffer>

export class Member {
  readonly #consumer: Consumer
  readonly #topics: string[]
  readonly #commit: boolean
  #stream: Stream | null = null
  #received: ReceivedRecord[] = []
  #rebalances = 0
  /** Of the group: none of the partitions can be counted on between two assignments. */
  #isBetween = true
  #isLeaving = false
  #isCommitting = false
  /** Where a seek goes, for the stream that comes next. */
  #target: Position | null = null
  /** One past what was received last, by `topic-partition`. */
  readonly #positions = new Map<string, Position>()
  /** Those of them that are not committed yet. */
  readonly #uncommitted = new Map<string, Position>()

  private constructor(base: BaseOptions, fields: Fields<'join'>) {
    const { group, topics, sessionTimeoutMs, instanceId, assignor, commit } = fields
    this.#topics = [...topics]
    this.#commit = commit
    this.#consumer = new Consumer({
      ...base,
      groupId: group,
      autocommit: false,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: Math.max(rebalanceTimeoutMs, sessionTimeoutMs),
      heartbeatInterval: Math.min(heartbeatMsMax, Math.floor(sessionTimeoutMs / 3)),
      maxWaitTime: 200,
      protocols: [{ name: assignor, version: 1 }],
      partitionAssigner: assigners[assignor],
      ...(instanceId == null ? {} : { groupInstanceId: instanceId }),
    })
    this.#consumer.on('consumer:group:join', () => {
      this.#rebalances++
      this.#isBetween = false
    })
    this.#consumer.on('consumer:group:rebalance', () => {
      this.#isBetween = true
    })
  }

  static join(base: BaseOptions, fields: Fields<'join'>): Member {
    const member = new Member(base, fields)
    void member.#keepReading()
    return member
  }

  assignment(): Ok<'assignment'> {
    const held = this.#isBetween || this.#isLeaving ? [] : (this.#consumer.assignments ?? [])
    const partitions = held.flatMap(({ topic, partitions }) => partitions.map(partition => `${topic}-${partition}`))
    return { partitions: partitions.sort(), rebalances: this.#rebalances }
  }

  received(): Ok<'received'> {
    return { records: this.#received.splice(0) }
  }

  /** A stream cannot be moved: the next one begins there. */
  async seek(topic: string, partition: number, offset: number): Promise<void> {
    if (!this.assignment().partitions.includes(`${topic}-${partition}`)) {
      throw new CodedError('CLIENT', 'the partition is not assigned')
    }
    this.#target = { topic, partition, offset: BigInt(offset), leaderEpoch: -1 }
    await this.#stream?.close()
  }

  async leave(): Promise<void> {
    this.#isLeaving = true
    await this.#stream?.close()
    const held = (this.#consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
      partitions.flatMap(partition => this.#positions.get(`${topic}-${partition}`) ?? []),
    )
    if (held.length > 0) await this.#consumer.commit({ offsets: held }).catch(complain('commit'))
    await this.#consumer.close(true)
  }

  async #keepReading(): Promise<void> {
    while (!this.#isLeaving) {
      try {
        this.#stream = await this.#open()
        await this.#read(this.#stream)
      } catch (error) {
        complain('stream')(error)
        if (!this.#isLeaving) await sleep(300)
      }
    }
  }

  async #open(): Promise<Stream> {
    const target = this.#target
    this.#target = null
    if (target === null) {
      return this.#consumer.consume({
        topics: this.#topics,
        mode: 'committed',
        fallbackMode: 'earliest',
        autocommit: false,
      })
    }
    const others = [...this.#positions.values()].filter(
      ({ topic, partition }) => topic !== target.topic || partition !== target.partition,
    )
    const offsets = [target, ...others].map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    return this.#consumer.consume({
      topics: this.#topics,
      mode: 'manual',
      offsets,
      fallbackMode: 'earliest',
      autocommit: false,
    })
  }

  #read(stream: Stream): Promise<void> {
    stream.on('data', message => this.#onMessage(message))
    return new Promise((resolve, reject) => {
      stream.on('error', reject)
      stream.on('close', resolve)
    })
  }

  #onMessage({ topic, partition, offset, value, leaderEpoch }: Message<Buffer, Buffer>): void {
    if (this.#isLeaving || this.#target !== null) return
    this.#received.push({ topic, partition, offset: Number(offset), value: value?.toString() ?? null })
    const position = { topic, partition, offset: offset + 1n, leaderEpoch }
    this.#positions.set(`${topic}-${partition}`, position)
    if (!this.#commit) return
    this.#uncommitted.set(`${topic}-${partition}`, position)
    if (!this.#isCommitting) void this.#commitWhatCame()
  }

  /** One commit at a time, of what is left of the batch when the one before is done. */
  async #commitWhatCame(): Promise<void> {
    this.#isCommitting = true
    // The batch comes message by message: the rest of it is here in a moment.
    await sleep(10)
    while (this.#uncommitted.size > 0 && !this.#isLeaving) {
      const offsets = [...this.#uncommitted.values()]
      this.#uncommitted.clear()
      await this.#consumer.commit({ offsets }).catch(complain('commit'))
    }
    this.#isCommitting = false
  }
}

const complain = (what: string) => (error: unknown) => {
  process.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n`)
}
