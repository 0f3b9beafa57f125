/**
 * A cluster for the tests of its clients: one log per partition that all nodes show, an honest broker in front of it, and a
 * network that delays and loses. What is broken about it is switched on by a test.
 */
import { Prng } from '../../base/prng.ts'
import type { ClientDoor, ProduceAnswer, ProduceRequest, ReadAnswer, ReadRecord } from './client-door.ts'

export interface Manners {
  /** Of requests, and again of answers. */
  readonly loss: number
  readonly delayMs: number
  /** Chance that the writer moves on to the next node, at each batch. */
  readonly failover: number
  /** Chance that an error comes instead of being written. */
  readonly refusal: number
  /** Planted bugs: chances per batch. */
  readonly losesAcknowledged: number
  readonly writesTwice: number
  readonly writesRefused: number
}

export const goodManners: Manners = {
  loss: 0,
  delayMs: 5,
  failover: 0,
  refusal: 0,
  losesAcknowledged: 0,
  writesTwice: 0,
  writesRefused: 0,
}

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly run: () => void
}

interface ProducerFacts {
  epoch: number
  readonly batches: { readonly first: number; readonly count: number; readonly base: number }[]
}

interface PartitionFacts {
  readonly log: ReadRecord[]
  readonly producers: Map<number, ProducerFacts>
  writer: number
  leaderEpoch: number
  logStart: number
}

const sequenceCount = 2 ** 31

export class FakeCluster implements ClientDoor {
  readonly prng: Prng
  readonly partitions: number
  readonly nodes = [1, 2, 3]
  nowMs = 0
  manners: Manners
  requests = 0
  readonly facts: PartitionFacts[]
  readonly #chance: Prng
  #timers: Timer[] = []
  #order = 0

  constructor(seed: number, manners: Partial<Manners> = {}, partitions = 2) {
    this.prng = new Prng(seed)
    this.#chance = this.prng.fork()
    this.manners = { ...goodManners, ...manners }
    this.partitions = partitions
    const fresh = () => ({ log: [], producers: new Map(), writer: 1, leaderEpoch: 1, logStart: 0 })
    this.facts = Array.from({ length: partitions }, fresh)
  }

  run(forMs: number, isDone: () => boolean = () => false): void {
    const untilMs = this.nowMs + forMs
    while (!isDone()) {
      const index = this.#earliest()
      const timer = this.#timers[index]
      if (timer === undefined || timer.dueMs > untilMs) break
      this.#timers[index] = this.#timers.at(-1) as Timer
      this.#timers.pop()
      this.nowMs = timer.dueMs
      timer.run()
    }
    if (!isDone()) this.nowMs = untilMs
  }

  /** Few are open at a time. */
  #earliest(): number {
    let found = -1
    for (const [index, timer] of this.#timers.entries()) {
      const best = this.#timers[found]
      if (best === undefined || timer.dueMs < best.dueMs || (timer.dueMs === best.dueMs && timer.order < best.order)) {
        found = index
      }
    }
    return found
  }

  after(delayMs: number, run: () => void): void {
    this.#timers.push({ dueMs: this.nowMs + delayMs, order: this.#order++, run })
  }

  #travel(run: () => void): void {
    if (this.#chance.chance(this.manners.loss)) return
    this.after(this.manners.delayMs * 2 * this.#chance.float(), run)
  }

  #of(partition: number): PartitionFacts {
    return this.facts[partition] as PartitionFacts
  }

  findWriter(_node: number, partition: number, onAnswer: (writer: number | null) => void): void {
    this.requests += 1
    const isKnown = !this.#chance.chance(this.manners.loss)
    this.after(this.manners.delayMs, () => onAnswer(isKnown ? this.#of(partition).writer : null))
  }

  produce(node: number, request: ProduceRequest, onAnswer: (answer: ProduceAnswer) => void): void {
    this.requests += 1
    this.#travel(() => {
      const answer = this.#produceNow(node, request)
      if (request.acks !== 0) this.#travel(() => onAnswer(answer))
    })
  }

  #produceNow(node: number, request: ProduceRequest): ProduceAnswer {
    const facts = this.#of(request.partition)
    if (this.#chance.chance(this.manners.failover)) {
      facts.writer = (facts.writer % this.nodes.length) + 1
      facts.leaderEpoch += 1
    }
    const refused = (error: string): ProduceAnswer => ({ ok: false, error, isDefinite: true })
    if (node !== facts.writer) return refused('NOT_LEADER_OR_FOLLOWER')
    if (this.#chance.chance(this.manners.refusal)) {
      if (this.#chance.chance(this.manners.writesRefused)) this.#append(facts, request)
      return refused('NOT_ENOUGH_REPLICAS')
    }
    const verdict = request.producerId < 0 ? null : judge(facts, request)
    if (typeof verdict === 'string') return refused(verdict)
    const base = verdict ?? this.#append(facts, request)
    if (this.#chance.chance(this.manners.writesTwice)) this.#append(facts, request)
    if (this.#chance.chance(this.manners.losesAcknowledged)) facts.log.length -= request.serials.length
    return { ok: true, base, leaderEpoch: facts.leaderEpoch }
  }

  #append(facts: PartitionFacts, request: ProduceRequest): number {
    const { leaderEpoch } = facts
    const base = facts.log.length
    for (const serial of request.serials) facts.log.push({ offset: facts.log.length, serial, leaderEpoch })
    if (request.producerId < 0) return base
    const known = facts.producers.get(request.producerId)
    const batches = known?.epoch === request.producerEpoch ? known.batches.slice(-4) : []
    batches.push({ first: request.baseSequence, count: request.serials.length, base })
    facts.producers.set(request.producerId, { epoch: request.producerEpoch, batches })
    return base
  }

  read(
    node: number,
    partition: number,
    from: number,
    recordsMax: number,
    onAnswer: (answer: ReadAnswer) => void,
  ): void {
    this.requests += 1
    this.#travel(() => {
      const { log, logStart, leaderEpoch, writer } = this.#of(partition)
      const isInside = from >= logStart && from <= log.length
      const records = log.slice(from, from + recordsMax)
      const marks = { highWatermark: log.length, logStart, leaderEpoch, isWriter: node === writer }
      this.#travel(() =>
        onAnswer(isInside ? { ok: true, records, ...marks } : { ok: false, error: 'OFFSET_OUT_OF_RANGE' }),
      )
    })
  }

  advanceStart(partition: number, offset: number, onAnswer: (isDone: boolean) => void): void {
    this.#travel(() => {
      this.#of(partition).logStart = Math.max(this.#of(partition).logStart, offset)
      this.#travel(() => onAnswer(true))
    })
  }
}

/** The offset of the original, an error, or null for a batch to append. */
function judge({ producers }: PartitionFacts, request: ProduceRequest): number | string | null {
  const known = producers.get(request.producerId)
  if (known === undefined) return null
  if (request.producerEpoch < known.epoch) return 'INVALID_PRODUCER_EPOCH'
  if (request.producerEpoch > known.epoch) return request.baseSequence === 0 ? null : 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  const original = known.batches.find(batch => batch.first === request.baseSequence)
  if (original !== undefined) return original.base
  const last = known.batches.at(-1)
  const ahead = last === undefined ? 0 : (request.baseSequence - last.first - last.count) % sequenceCount
  if (ahead === 0) return null
  return (ahead + sequenceCount) % sequenceCount < sequenceCount / 2
    ? 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    : 'DUPLICATE_SEQUENCE_NUMBER'
}
