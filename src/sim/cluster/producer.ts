/**
 * A client that produces to one partition. Plain ones retry and so may write a batch twice, or in another order; idempotent
 * ones number their batches, keep up to five of them open, and repeat them under the same numbers until each is acknowledged.
 *
 * An idempotent producer that cannot go on (its first open batch is refused for its sequence, or has been tried for too long)
 * does as Kafka's clients do: it gives up all open batches, whose fate stays unknown for ever, and begins a new epoch or with
 * a new id at sequence 0. What is still on its way under the old epoch must not be written behind what the new one writes.
 *
 * All times and counts are drawn once per client, so that patient and hasty ones meet in one run.
 */
import type { Prng } from '../../base/prng.ts'
import type { ProduceAnswer, ProduceRequest } from './client-door.ts'
import { KnownWriter } from './known-writer.ts'
import { Alarm, type Workload } from './workload.ts'

export interface ProducerStyle {
  readonly acks: 0 | 1 | 'all'
  readonly isIdempotent: boolean
  readonly openMax: number
  readonly recordsMax: number
  /** Mean time between new batches. */
  readonly pauseMs: number
  readonly timeoutMs: number
  readonly backoffMs: number
  /** Attempts after which a batch is given up. */
  readonly attemptsMax: number
  /** Repeats only the first open batch at a time, as the Java client does; else all of them in order, as librdkafka does. */
  readonly repeatsOneByOne: boolean
  /** How often it does not hear an acknowledgement, and so repeats what is in the log. */
  readonly deafness: number
}

/** The longest that a producer waits on its own account before it tries again: for bounds of liveness. */
export const producerPatienceMsMax = 3000

/** `pauseMs` is the mean over all producers; each one's own is drawn around it. */
export function drawStyle(prng: Prng, pauseMs: number): ProducerStyle {
  const isIdempotent = prng.chance(0.6)
  return {
    acks: isIdempotent ? 'all' : prng.pick([0, 1, 'all', 'all'] as const),
    isIdempotent,
    openMax: isIdempotent ? prng.pick([1, 2, 5, 5]) : prng.pick([1, 1, 3]),
    recordsMax: prng.pick([1, 3, 8, 20]),
    pauseMs: pauseMs * prng.pick([0.3, 1, 1, 2]),
    timeoutMs: prng.pick([300, 1000, 2000]),
    backoffMs: prng.pick([10, 50, 150]),
    attemptsMax: prng.pick([4, 15, 1000]),
    repeatsOneByOne: prng.chance(0.5),
    deafness: prng.pick([0, 0.01, 0.05]),
  }
}

/** One that every partition has: patient and sure, so that a partition that can be written is seen to be written. */
export function steadyStyle(prng: Prng, pauseMs: number): ProducerStyle {
  return {
    ...drawStyle(prng, pauseMs),
    acks: 'all',
    isIdempotent: prng.chance(0.7),
    pauseMs,
    timeoutMs: 1000,
    attemptsMax: 1000,
  }
}

interface OpenBatch {
  readonly batch: ProduceRequest
  attempts: number
  /** The attempt under way; -1 while it waits for its next one. */
  request: number
  /** When to give up the attempt, or to begin the next one. */
  dueMs: number
  /** Settled or given up: answers that still come are no longer of interest. */
  isClosed: boolean
}

export class Producer {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #style: ProducerStyle
  readonly #partition: number
  readonly #writer: KnownWriter
  readonly #alarm: Alarm
  /** In the order of their sequences. */
  #open: OpenBatch[] = []
  #nextBatchAtMs: number
  #producerId = -1
  #producerEpoch = -1
  #sequence = 0
  /** This producer id has an acknowledged batch: the partition knows it, and batches may follow each other at once. */
  #isIntroduced = true
  /** How often the first open batch was refused for its sequence. */
  #strikes = 0

  constructor(workload: Workload, prng: Prng, partition: number, style: ProducerStyle) {
    this.#workload = workload
    this.#prng = prng
    this.#style = style
    this.#partition = partition
    const goOn = () => this.#goOn()
    this.#writer = new KnownWriter(workload, prng, partition, goOn)
    this.#alarm = new Alarm(workload.door, goOn)
    this.#nextBatchAtMs = workload.door.nowMs + style.pauseMs * prng.float()
    if (style.isIdempotent) this.#introduce()
    this.#alarm.set(this.#nextBatchAtMs)
  }

  /** Does what is due, whatever it was that woke it, and sees to being woken again. */
  #goOn(): void {
    const { nowMs } = this.#workload.door
    this.#timeOut(nowMs)
    if (this.#workload.isStopping) {
      this.#finish()
      return
    }
    if (this.#writer.node === null) this.#alarm.set(this.#writer.ask())
    else {
      this.#repeat(nowMs, this.#writer.node)
      this.#begin(nowMs, this.#writer.node)
    }
    // What is overdue waits for one before it, not for time.
    for (const entry of this.#open) if (entry.dueMs > nowMs) this.#alarm.set(entry.dueMs)
  }

  /** Waits for what is under way and begins nothing. */
  #finish(): void {
    this.#writer.stop()
    for (const entry of this.#open) entry.isClosed ||= entry.request < 0
    this.#open = this.#open.filter(entry => !entry.isClosed)
    for (const entry of this.#open) this.#alarm.set(entry.dueMs)
  }

  #timeOut(nowMs: number): void {
    for (const entry of this.#open) {
      if (entry.request < 0 || entry.dueMs > nowMs || entry.isClosed) continue
      this.#workload.count('timeouts')
      this.#attemptEnded(entry)
      if (this.#prng.chance(0.7)) this.#writer.forget()
    }
  }

  /** Sends again what waits for it, the oldest first; nothing overtakes what is not due yet. */
  #repeat(nowMs: number, writer: number): void {
    for (const entry of this.#open) {
      if (entry.request < 0) {
        if (entry.dueMs > nowMs) return
        this.#send(entry, writer)
      }
      if (this.#style.isIdempotent && this.#style.repeatsOneByOne && entry.attempts > 1) return
    }
  }

  #begin(nowMs: number, writer: number): void {
    const { openMax, pauseMs, isIdempotent } = this.#style
    while (nowMs >= this.#nextBatchAtMs && this.#open.length < (this.#isIntroduced ? openMax : 1)) {
      if (this.#open.some(entry => entry.request < 0)) return
      const entry = this.#make()
      this.#open.push(entry)
      this.#send(entry, writer)
      const pace = this.#prng.chance(0.2) ? 0 : this.#prng.chance(0.02) ? 10 : 2.2
      this.#nextBatchAtMs = nowMs + pauseMs * pace * this.#prng.float()
      if (isIdempotent && this.#prng.chance(0.003)) this.#startOver()
    }
    if (this.#nextBatchAtMs > nowMs) this.#alarm.set(this.#nextBatchAtMs)
  }

  #make(): OpenBatch {
    const { isIdempotent, recordsMax } = this.#style
    const count = this.#prng.between(1, recordsMax + 1)
    const batch: ProduceRequest = {
      partition: this.#partition,
      acks: this.#style.acks,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence: isIdempotent ? this.#sequence : -1,
      serials: this.#workload.takeSerials(count),
    }
    if (isIdempotent) this.#sequence = (this.#sequence + count) % sequenceCount
    this.#workload.count('batches')
    return { batch, attempts: 0, request: -1, dueMs: 0, isClosed: false }
  }

  #send(entry: OpenBatch, node: number): void {
    const { door, history } = this.#workload
    const { batch } = entry
    const request = history.nextRequest()
    entry.attempts += 1
    this.#workload.count('attempts')
    history.note({ type: 'send', atMs: door.nowMs, request, node, batch })
    if (batch.acks === 0) {
      this.#close(entry)
      door.produce(node, batch, () => {})
      return
    }
    entry.request = request
    entry.dueMs = door.nowMs + this.#style.timeoutMs
    this.#workload.waiting += 1
    door.produce(node, batch, answer => {
      this.#note(request, answer)
      if (!entry.isClosed) this.#answered(entry, request, answer)
    })
  }

  #note(request: number, answer: ProduceAnswer): void {
    const { door, history } = this.#workload
    if (answer.ok) {
      const { base, leaderEpoch } = answer
      history.note({ type: 'acknowledged', atMs: door.nowMs, request, base, leaderEpoch })
    } else {
      const { error, isDefinite } = answer
      history.note({ type: 'refused', atMs: door.nowMs, request, error, isDefinite })
      this.#workload.count(isDefinite ? 'definite refusals' : 'indefinite refusals')
    }
  }

  #answered(entry: OpenBatch, request: number, answer: ProduceAnswer): void {
    if (answer.ok && !this.#prng.chance(this.#style.deafness)) this.#acknowledged(entry)
    else if (entry.request === request) {
      this.#attemptEnded(entry)
      if (!answer.ok) this.#heed(entry, answer.error)
    } else return
    this.#goOn()
  }

  #acknowledged(entry: OpenBatch): void {
    const workload = this.#workload
    this.#close(entry)
    workload.count('acknowledged batches')
    workload.acknowledgedRecords += entry.batch.serials.length
    if (entry.batch.acks === 'all') workload.seenOf(this.#partition).lastAcknowledgedAtMs = workload.door.nowMs
    this.#isIntroduced = true
    this.#strikes = 0
  }

  /** It came to nothing, as far as can be told: the batch waits for its next attempt, or has had enough of them. */
  #attemptEnded(entry: OpenBatch): void {
    this.#workload.waiting -= 1
    entry.request = -1
    const backoffMs = Math.min(this.#style.backoffMs * entry.attempts, backoffMsMax)
    entry.dueMs = this.#workload.door.nowMs + backoffMs * (0.5 + this.#prng.float())
    if (entry.attempts < this.#style.attemptsMax || entry.isClosed) return
    if (this.#style.isIdempotent) this.#startOver()
    else {
      this.#workload.count('batches given up')
      this.#close(entry)
    }
  }

  #heed(entry: OpenBatch, error: string): void {
    switch (error) {
      case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
        // Behind an open one it may be right. The first of all may have met a writer of the past, so it asks again, but not for ever.
        if (entry !== this.#open[0]) break
        this.#writer.forget()
        this.#strikes += 1
        if (this.#strikes > strikesMax) this.#startOver()
        break
      case 'DUPLICATE_SEQUENCE_NUMBER':
      case 'INVALID_PRODUCER_EPOCH':
        if (this.#style.isIdempotent && !entry.isClosed) this.#startOver()
        break
      case 'NOT_ENOUGH_REPLICAS':
      case 'NOT_ENOUGH_REPLICAS_AFTER_APPEND':
      case 'THROTTLED':
        break
      default:
        this.#writer.forget()
    }
  }

  #close(entry: OpenBatch): void {
    if (entry.request >= 0) this.#workload.waiting -= 1
    entry.isClosed = true
    this.#open = this.#open.filter(other => other !== entry)
  }

  #startOver(): void {
    for (const entry of this.#open) {
      this.#close(entry)
      this.#workload.count('batches given up')
    }
    this.#strikes = 0
    if (this.#prng.chance(0.3)) this.#introduce()
    else {
      this.#producerEpoch += 1
      this.#sequence = 0
      this.#workload.count('new producer epochs')
    }
  }

  #introduce(): void {
    this.#producerId = this.#workload.takeProducerId()
    this.#producerEpoch = 0
    // A partition takes any first sequence of a producer that it does not know; so the end of the range is soon reached. And
    // for the same reason nothing may follow the first batch before it is known to be there.
    this.#sequence = this.#prng.chance(0.1) ? sequenceCount - this.#prng.between(1, 30) : 0
    this.#isIntroduced = false
  }
}

const backoffMsMax = 600
const strikesMax = 3
/** Sequences run from 0 to 2^31-1 and start over. */
const sequenceCount = 0x8000_0000
