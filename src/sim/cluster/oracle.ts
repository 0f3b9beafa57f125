/**
 * Reads a history and says what must never happen but did. It shares no code with the cores and knows nothing of the inside of
 * the cluster: only what clients were told, what they read, and which losses the faults of the run excuse.
 *
 * What can be judged as it happens is judged by `take`, so that a run can stop at the event that broke it; what needs
 * the whole log, by `finish`, after the last reading.
 */
import { invariant } from '../../base/invariant.ts'
import type { Anomaly, AnomalyKind } from './anomalies.ts'
import type { ProduceRequest, Serial } from './client-door.ts'
import type { History, HistoryEvent } from './history.ts'
import { lookLast, type Promised } from './last-look.ts'
import { type Asked, type BatchFacts, LogOracle, type Sending } from './log-oracle.ts'

/** Bound of what one history reports: the first ones tell the story. */
const anomaliesMax = 20

export const leastPromised: Promised = { copiesMin: 1, tellsWriterLosses: false, leaseMs: null }

/** Judges a whole history. */
export function judge(history: History, promised: Partial<Promised> = {}): readonly Anomaly[] {
  const oracle = new Oracle(promised)
  for (const event of history.events) oracle.take(event)
  oracle.finish()
  return oracle.anomalies
}

export class Oracle {
  readonly anomalies: Anomaly[] = []
  readonly #promised: Promised
  readonly #logs = new Map<number, LogOracle>()
  /** By request number. */
  readonly #sendings: (Sending | undefined)[] = []
  readonly #askings: (Asked | undefined)[] = []
  readonly #batches = new Map<ProduceRequest, BatchFacts>()
  readonly #batchBySerial: (BatchFacts | undefined)[] = []
  /** How often each node has started again. */
  readonly #starts = new Map<number, number>()
  /** The newest epoch that each producer id has used. */
  readonly #producerEpochs = new Map<number, number>()
  #nowMs = 0

  constructor(promised: Partial<Promised> = {}) {
    this.#promised = { ...leastPromised, ...promised }
  }

  take(event: HistoryEvent): void {
    this.#nowMs = event.atMs
    switch (event.type) {
      case 'send':
        this.#send(event.request, event.node, event.batch)
        break
      case 'acknowledged': {
        const sending = this.#sendingOf(event.request)
        const log = this.#logOf(sending.facts.batch.partition)
        log.acknowledged(sending, event.base, event.leaderEpoch, event.atMs)
        break
      }
      case 'refused':
        if (event.isDefinite) this.#refused(this.#sendingOf(event.request).facts, event.error)
        break
      case 'asked':
        this.#askings[event.request] = this.#logOf(event.partition).asked(event, this.#startsOf(event.node))
        break
      case 'read': {
        const asked = this.#askings[event.request]
        invariant(asked !== undefined, 'an answer has a request, and a request one answer')
        this.#askings[event.request] = undefined
        if (event.answer.ok) asked.log.read(asked, event.answer, this.#startsOf(asked.node), event.atMs)
        break
      }
      case 'trim':
        this.#logOf(event.partition).trim(event.offset)
        break
      case 'trimmed':
        this.#logOf(event.partition).trimmed = Math.max(this.#logOf(event.partition).trimmed, event.offset)
        break
      case 'restarted':
        this.#starts.set(event.node, this.#startsOf(event.node) + 1)
        for (const log of this.#logs.values()) log.restarted(event.node)
        break
      case 'destroyed':
        this.#logOf(event.partition).lost(event)
        break
      case 'drained':
        this.#logOf(event.partition).drains.push(event)
        break
    }
  }

  /** Judges what was read last; to be called once, behind the last reading. Without one there is nothing to add. */
  finish(): void {
    const batches = [...this.#batches.values()]
    for (const log of this.#logs.values()) {
      if (log.drains.length > 0) lookLast(log, batches, this.#promised, this.#report)
    }
  }

  #send(request: number, node: number, batch: ProduceRequest): void {
    const facts = this.#batches.get(batch) ?? this.#meet(batch)
    facts.possible += 1
    this.#sendings[request] = { facts, node, atMs: this.#nowMs }
  }

  #meet(batch: ProduceRequest): BatchFacts {
    const floor = this.#logOf(batch.partition).acknowledgedEnd
    const facts: BatchFacts = { batch, possible: 0, bases: [], floor }
    this.#batches.set(batch, facts)
    for (const serial of batch.serials) this.#batchBySerial[serial] = facts
    const { producerId, producerEpoch } = batch
    if (producerId >= 0) {
      this.#producerEpochs.set(producerId, Math.max(producerEpoch, this.#producerEpochs.get(producerId) ?? 0))
    }
    return facts
  }

  #refused(facts: BatchFacts, error: string): void {
    const { partition, producerId, producerEpoch } = facts.batch
    this.#logOf(partition).refused(facts)
    if (error !== 'INVALID_PRODUCER_EPOCH' || this.#producerEpochs.get(producerId) !== producerEpoch) return
    const what = `epoch ${producerEpoch} of producer ${producerId} is refused as an old one; there is none newer`
    this.#report('unjustified refusal', `p${partition}: ${what}`)
  }

  #sendingOf(request: number): Sending {
    const sending = this.#sendings[request]
    invariant(sending !== undefined, 'an answer has a request')
    return sending
  }

  #startsOf(node: number): number {
    return this.#starts.get(node) ?? 0
  }

  #logOf(partition: number): LogOracle {
    const known = this.#logs.get(partition)
    if (known !== undefined) return known
    const log = new LogOracle(partition, this.#promised.leaseMs, this.#batchOf, this.#report)
    this.#logs.set(partition, log)
    return log
  }

  readonly #batchOf = (serial: Serial): BatchFacts | undefined => this.#batchBySerial[serial]

  readonly #report = (kind: AnomalyKind, text: string): void => {
    if (this.anomalies.length < anomaliesMax) this.anomalies.push({ kind, text, atMs: this.#nowMs })
  }
}
