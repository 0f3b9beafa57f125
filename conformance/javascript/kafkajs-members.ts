/** Members of groups with kafkajs: they poll in the background and keep what they receive until it is asked for. */
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import kafkajs from 'kafkajs'
import type { Fields, Ok, ReceivedRecord } from '../harness/protocol.ts'
import { rangeAssigner } from './kafkajs-range.ts'
import { CannotDo, CodedError } from './serve.ts'

const rebalanceTimeoutMs = 10_000
const heartbeatMsMax = 300

interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export class Member {
  readonly #topics: readonly string[]
  readonly #commit: boolean
  readonly #consumer: Consumer
  #received: ReceivedRecord[] = []
  #partitions: string[] = []
  #rebalances = 0
  #isLeaving = false
  /** One past what was received last, by topic and partition. */
  readonly #positions = new Map<string, Position>()
  #ended: Error | null = null

  private constructor(kafka: Kafka, { group, topics, sessionTimeoutMs, assignor, commit }: Fields<'join'>) {
    this.#topics = topics
    this.#commit = commit
    this.#consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      heartbeatInterval: Math.min(heartbeatMsMax, sessionTimeoutMs / 3),
      maxWaitTimeInMs: 200,
      partitionAssigners: [assignor === 'range' ? rangeAssigner : kafkajs.PartitionAssigners.roundRobin],
      retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 30, restartOnFailure: async () => true },
    })
    this.#watch()
  }

  /** Answers as soon as the member is on its way. */
  static join(kafka: Kafka, fields: Fields<'join'>): Member {
    if (fields.assignor === 'cooperative-sticky') throw new CannotDo('kafkajs has no cooperative rebalancing')
    if (fields.instanceId != null) throw new CannotDo('kafkajs has no static membership')
    const member = new Member(kafka, fields)
    void member.#run().catch((error: Error) => {
      member.#ended = error
    })
    return member
  }

  assignment(): Ok<'assignment'> {
    this.#assertGoing()
    return { partitions: this.#partitions, rebalances: this.#rebalances }
  }

  received(): Ok<'received'> {
    if (this.#received.length === 0) this.#assertGoing()
    return { records: this.#received.splice(0) }
  }

  seek(topic: string, partition: number, offset: number): void {
    if (!this.#partitions.includes(`${topic}-${partition}`))
      throw new CodedError('CLIENT', 'the partition is not assigned')
    // What is on its way already came from before the seek.
    this.#positions.set(`${topic}-${partition}`, { topic, partition, offset })
    this.#consumer.seek({ topic, partition, offset: `${offset}` })
  }

  /** What arrives from now on is nobody's any more: the next owner gets it. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    const held = [...this.#positions]
      .filter(([name]) => this.#partitions.includes(name))
      .map(([, position]) => position)
    if (held.length > 0) await this.#commitAll(held).catch(complain('commit'))
    await this.#consumer.disconnect()
    this.#partitions = []
  }

  #watch(): void {
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#rebalances++
      this.#partitions = Object.entries(payload.memberAssignment)
        .flatMap(([topic, partitions]) => partitions.map(partition => `${topic}-${partition}`))
        .sort()
    })
    this.#consumer.on(events.REBALANCING, () => {
      this.#partitions = []
    })
    this.#consumer.on(events.CRASH, ({ payload: { error, restart } }) => {
      process.stderr.write(`member: ${error.message} (restart: ${restart})\n`)
      if (!restart) this.#ended = error
    })
  }

  async #run(): Promise<void> {
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topics: [...this.#topics], fromBeginning: true })
    await this.#consumer.run({ autoCommit: false, eachBatch: payload => this.#onBatch(payload) })
  }

  async #onBatch({ batch, isStale }: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = batch
    const last = messages.at(-1)
    if (last === undefined || isStale() || this.#isLeaving) return
    for (const { offset, value } of messages) {
      this.#received.push({ topic, partition, offset: Number(offset), value: value?.toString() ?? null })
    }
    const next = { topic, partition, offset: Number(last.offset) + 1 }
    this.#positions.set(`${topic}-${partition}`, next)
    if (!this.#commit) return
    // Where it fails, the heartbeat tells kafkajs what to do about it; the next commit covers this one.
    await this.#commitAll([next]).catch(complain('commit'))
  }

  #commitAll(positions: readonly Position[]): Promise<void> {
    return this.#consumer.commitOffsets(positions.map(position => ({ ...position, offset: `${position.offset}` })))
  }

  #assertGoing(): void {
    if (this.#ended !== null) throw this.#ended
  }
}

const complain = (what: string) => (error: unknown) => {
  process.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n`)
}
