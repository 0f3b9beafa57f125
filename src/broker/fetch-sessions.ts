/**
 * Fetch sessions (KIP-227): the broker remembers which partitions a consumer follows, so that a request says only what
 * changed and a response only what is new.
 *
 * A cache: at its bounds a new session is refused, which clients take for a full fetch each time. A session that was not
 * used for two minutes makes room. What a session was told is remembered with it; a client that missed an answer sends the
 * wrong epoch next, is told so and starts over, so that nothing is ever left out for it.
 */
import type { TopicId } from '../base/ids.ts'
import type { Clock } from '../io/clock.ts'
import type { Random } from '../io/random.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'

/** What a consumer wants of one partition. */
export interface FetchPartition {
  /** Empty where the request names topics by id. */
  readonly topic: string
  readonly topicId: TopicId
  readonly partition: number
  fetchOffset: number
  bytesMax: number
  currentLeaderEpoch: number
  /** What the session's last answer said; -1 forces the next one to say it. */
  toldHighWatermark: number
  toldLogStart: number
}

export interface FetchSession {
  readonly id: number
  readonly principal: string
  /** Whether its partitions are named by topic id; a client that changes its mind must start over. */
  readonly byTopicId: boolean
  /** By `partitionKey`, in the order in which they are read. */
  readonly partitions: Map<string, FetchPartition>
  /** What the next request must say. */
  epoch: number
  usedMs: number
}

/** Epochs with a meaning of their own. */
export const sessionEpochs = { initial: 0, final: -1 } as const

/** How long a session may rest before another may take its place. Kafka's figure. */
const evictableAfterMs = 120_000
/** How many partitions all sessions may remember together: some 200 bytes each. */
const partitionsMaxDefault = 500_000

export class FetchSessions {
  readonly #clock: Clock
  readonly #random: Random
  readonly #sessionsMax: number
  readonly #partitionsMax: number
  /** In order of last use. */
  readonly #sessions = new Map<number, FetchSession>()
  #partitions = 0

  constructor(clock: Clock, random: Random, sessionsMax: number, partitionsMax = partitionsMaxDefault) {
    this.#clock = clock
    this.#random = random
    this.#sessionsMax = sessionsMax
    this.#partitionsMax = partitionsMax
  }

  get size(): number {
    return this.#sessions.size
  }

  /** A new session; null at a bound. */
  open(principal: string, byTopicId: boolean, partitions: Map<string, FetchPartition>): FetchSession | null {
    if (!this.#makeRoom(partitions.size)) return null
    const session: FetchSession = {
      id: this.#freeId(),
      principal,
      byTopicId,
      partitions,
      epoch: 1,
      usedMs: this.#clock.monotonicMs(),
    }
    this.#sessions.set(session.id, session)
    this.#partitions += partitions.size
    return session
  }

  /** The session that a request goes on with; its epoch moves on. A session is found only by whom it belongs to. */
  resume(id: number, epoch: number, principal: string, byTopicId: boolean): FetchSession | KafkaErrorName {
    const session = this.#sessions.get(id)
    if (session === undefined || session.principal !== principal) return 'FETCH_SESSION_ID_NOT_FOUND'
    if (session.epoch !== epoch) return 'INVALID_FETCH_SESSION_EPOCH'
    if (session.byTopicId !== byTopicId) return 'FETCH_SESSION_TOPIC_ID_ERROR'
    session.epoch = epoch === 0x7fff_ffff ? 1 : epoch + 1
    session.usedMs = this.#clock.monotonicMs()
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    return session
  }

  /** Adds partitions to a session and takes others out. False at the bound: the session is closed then. */
  update(session: FetchSession, wanted: readonly FetchPartition[], forgotten: readonly string[]): boolean {
    const before = session.partitions.size
    for (const partition of wanted) remember(session.partitions, partition)
    for (const key of forgotten) session.partitions.delete(key)
    this.#partitions += session.partitions.size - before
    if (this.#partitions <= this.#partitionsMax) return true
    this.#drop(session)
    return false
  }

  close(id: number, principal: string): void {
    const session = this.#sessions.get(id)
    if (session !== undefined && session.principal === principal) this.#drop(session)
  }

  #makeRoom(partitions: number): boolean {
    for (const oldest of this.#sessions.values()) {
      if (this.#fits(partitions)) return true
      if (this.#clock.monotonicMs() - oldest.usedMs < evictableAfterMs) return false
      this.#drop(oldest)
    }
    return this.#fits(partitions)
  }

  #fits(partitions: number): boolean {
    return this.#sessions.size < this.#sessionsMax && this.#partitions + partitions <= this.#partitionsMax
  }

  #drop(session: FetchSession): void {
    if (this.#sessions.delete(session.id)) this.#partitions -= session.partitions.size
  }

  /** Drawn, so that nobody comes upon another's session by counting. */
  #freeId(): number {
    for (;;) {
      const id = this.#random.bytes(4).readUInt32BE(0) & 0x7fff_ffff
      if (id !== 0 && !this.#sessions.has(id)) return id
    }
  }
}

export function partitionKey(topic: string, topicId: TopicId, partition: number): string {
  return `${topic === '' ? topicId : topic}/${partition}`
}

/** Partitions as a session keeps them. The last mention of a partition counts, at the place of the first. */
export function partitionsByKey(partitions: readonly FetchPartition[]): Map<string, FetchPartition> {
  const byKey = new Map<string, FetchPartition>()
  for (const partition of partitions) remember(byKey, partition)
  return byKey
}

function remember(byKey: Map<string, FetchPartition>, wanted: FetchPartition): void {
  const key = partitionKey(wanted.topic, wanted.topicId, wanted.partition)
  const known = byKey.get(key)
  if (known === undefined) {
    byKey.set(key, wanted)
    return
  }
  known.fetchOffset = wanted.fetchOffset
  known.bytesMax = wanted.bytesMax
  known.currentLeaderEpoch = wanted.currentLeaderEpoch
}
