/**
 * What the clients of one run share: the numbers they draw from, what is still waited for, and what has been seen of each
 * partition. All of it is the clients' own knowledge; nothing comes from inside the cluster.
 */
import type { Prng } from '../../base/prng.ts'
import type { ClientDoor, ReadAnswer } from './client-door.ts'
import type { History } from './history.ts'

/** What the clients did and met, for the report of a run. */
export type Tally =
  | 'batches'
  | 'attempts'
  | 'acknowledged batches'
  | 'definite refusals'
  | 'indefinite refusals'
  | 'timeouts'
  | 'batches given up'
  | 'new producer epochs'
  | 'new producer ids'
  | 'reads'
  | 'failed reads'
  | 'records read'
  | 'trims'

/** What clients have seen of a partition. */
export interface Seen {
  highWatermark: number
  /** Below it records may be gone: a trim was asked for, or the log was seen to start here. */
  logStart: number
  /** When a batch was last acknowledged with acks=all. */
  lastAcknowledgedAtMs: number
}

export class Workload {
  readonly door: ClientDoor
  readonly history: History
  readonly prng: Prng
  readonly seen: readonly Seen[]
  /** No new requests any more; open ones are waited for. */
  isStopping = false
  /** Requests that are waited for. */
  waiting = 0
  acknowledgedRecords = 0
  readonly tallies: Record<Tally, number> = {
    batches: 0,
    attempts: 0,
    'acknowledged batches': 0,
    'definite refusals': 0,
    'indefinite refusals': 0,
    timeouts: 0,
    'batches given up': 0,
    'new producer epochs': 0,
    'new producer ids': 0,
    reads: 0,
    'failed reads': 0,
    'records read': 0,
    trims: 0,
  }
  #serials = 0
  #producerIds = 1000

  constructor(door: ClientDoor, history: History) {
    this.door = door
    this.history = history
    this.prng = door.prng.fork()
    const untouched = () => ({ highWatermark: 0, logStart: 0, lastAcknowledgedAtMs: door.nowMs })
    this.seen = Array.from({ length: door.partitions }, untouched)
  }

  seenOf(partition: number): Seen {
    return this.seen[partition] as Seen
  }

  /** Serials in a row, that nobody else gets. */
  takeSerials(count: number): number[] {
    const serials = new Array<number>(count)
    for (let i = 0; i < count; i++) serials[i] = this.#serials++
    return serials
  }

  takeProducerId(): number {
    this.tallies['new producer ids'] += 1
    return this.#producerIds++
  }

  count(tally: Tally): void {
    this.tallies[tally] += 1
  }

  /** Asks and notes both; the caller counts it as waited for until it answers or is given up. */
  read(
    node: number,
    partition: number,
    from: number,
    recordsMax: number,
    isFinal: boolean,
    onAnswer: (answer: ReadAnswer) => void,
  ): void {
    const { door, history } = this
    const request = history.nextRequest()
    history.note({ type: 'asked', atMs: door.nowMs, request, node, partition, from, recordsMax, isFinal })
    this.count('reads')
    door.read(node, partition, from, recordsMax, answer => {
      history.note({ type: 'read', atMs: door.nowMs, request, answer })
      if (answer.ok) this.#see(partition, answer)
      else this.count('failed reads')
      onAnswer(answer)
    })
  }

  #see(partition: number, answer: Extract<ReadAnswer, { ok: true }>): void {
    const seen = this.seenOf(partition)
    if (answer.highWatermark > seen.highWatermark) seen.highWatermark = answer.highWatermark
    if (answer.logStart > seen.logStart) seen.logStart = answer.logStart
    this.tallies['records read'] += answer.records.length
  }
}

/**
 * One alarm for all that a client waits for: it rings at the earliest of the times it was set to. Timers of the door cannot be
 * taken back, so one that became needless stands in for later ones instead of each of them having its own.
 */
export class Alarm {
  readonly #door: ClientDoor
  readonly #ring: () => void
  readonly #onTimer = () => this.#timer()
  #dueMs = Number.POSITIVE_INFINITY
  /** When timers come, the earliest last. */
  readonly #timers: number[] = []

  constructor(door: ClientDoor, ring: () => void) {
    this.#door = door
    this.#ring = ring
  }

  /** Does nothing when it rings earlier anyway: whoever hears it sets it anew. */
  set(dueMs: number): void {
    if (dueMs >= this.#dueMs) return
    this.#dueMs = dueMs
    this.#cover()
  }

  #cover(): void {
    const earliest = this.#timers.at(-1)
    if (this.#dueMs === Number.POSITIVE_INFINITY || (earliest !== undefined && earliest <= this.#dueMs)) return
    this.#timers.push(this.#dueMs)
    this.#door.after(Math.max(this.#dueMs - this.#door.nowMs, 0), this.#onTimer)
  }

  #timer(): void {
    this.#timers.pop()
    if (this.#door.nowMs + roundingMs < this.#dueMs) this.#cover()
    else {
      this.#dueMs = Number.POSITIVE_INFINITY
      this.#ring()
    }
  }
}

/** Sums of fractions of milliseconds are off by less than this. */
export const roundingMs = 0.001
