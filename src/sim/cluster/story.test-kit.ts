/** Histories as the tests of the oracle write them. */
import type { ProduceRequest, ReadRecord } from './client-door.ts'
import { type Destroyed, History, type HistoryEvent } from './history.ts'
import { Oracle } from './oracle.ts'

type Draft = HistoryEvent extends infer E ? (E extends unknown ? Omit<E, 'atMs'> : never) : never

interface Marks {
  readonly node?: number
  readonly epoch?: number
  readonly isWriter?: boolean
  readonly logStart?: number
}

/** Writes a history of partition 0, a millisecond per line. Node 1 is the writer unless said otherwise. */
export class Story {
  readonly history = new History()
  #serials = 0

  note(event: Draft): this {
    this.history.note({ ...event, atMs: this.history.events.length } as HistoryEvent)
    return this
  }

  batch(count = 1, more: Partial<ProduceRequest> = {}): ProduceRequest {
    const serials = Array.from({ length: count }, () => this.#serials++)
    return { partition: 0, acks: 'all', producerId: -1, producerEpoch: -1, baseSequence: -1, serials, ...more }
  }

  send(batch: ProduceRequest, node = 1): number {
    const request = this.history.nextRequest()
    this.note({ type: 'send', request, node, batch })
    return request
  }

  ok(batch: ProduceRequest, base: number, leaderEpoch = 1, node = 1): this {
    return this.note({ type: 'acknowledged', request: this.send(batch, node), base, leaderEpoch })
  }

  unknown(...batches: ProduceRequest[]): this {
    for (const batch of batches) this.send(batch)
    return this
  }

  refused(batch: ProduceRequest, error = 'NOT_LEADER_OR_FOLLOWER', isDefinite = true): this {
    return this.note({ type: 'refused', request: this.send(batch), error, isDefinite })
  }

  ask(from: number, node = 1, isFinal = false): number {
    const request = this.history.nextRequest()
    this.note({ type: 'asked', request, node, partition: 0, from, recordsMax: 100, isFinal })
    return request
  }

  answer(request: number, records: readonly ReadRecord[], highWatermark: number, marks: Marks = {}): this {
    const { epoch: leaderEpoch = 1, node = 1, logStart = 0 } = marks
    const isWriter = marks.isWriter ?? node === 1
    const answer = { ok: true, records, highWatermark, logStart, leaderEpoch, isWriter } as const
    return this.note({ type: 'read', request, answer })
  }

  read(from: number, records: readonly ReadRecord[], highWatermark = from + records.length, marks: Marks = {}): this {
    return this.answer(this.ask(from, marks.node), records, highWatermark, marks)
  }

  destroyed(loss: Partial<Destroyed>): this {
    const all = { partition: 0, from: 0, to: 0, belowLeaderEpoch: 2, what: 'everything' } as const
    return this.note({ type: 'destroyed', ...all, ...loss })
  }

  trim(offset: number): this {
    return this.note({ type: 'trim', partition: 0, offset })
  }

  /** All of it at each of these nodes, as one answer each. */
  drained(records: readonly ReadRecord[], marks: Omit<Marks, 'node'> = {}, nodes = [1, 2, 3]): this {
    const { epoch: leaderEpoch = 1, logStart = records[0]?.offset ?? 0 } = marks
    const highWatermark = (records.at(-1)?.offset ?? logStart - 1) + 1
    for (const node of nodes) {
      this.answer(this.ask(logStart, node, true), records, highWatermark, { epoch: leaderEpoch, ...marks, node })
      this.note({ type: 'drained', node, partition: 0, logStart, highWatermark, leaderEpoch, unreadable: [] })
    }
    return this
  }
}

/** Batches as they lie in the log, one behind the other. */
export function log(base: number, ...batches: (readonly [ProduceRequest, epoch?: number])[]): ReadRecord[] {
  const records: ReadRecord[] = []
  for (const [{ serials }, leaderEpoch = 1] of batches) {
    for (const serial of serials) records.push({ offset: base + records.length, serial, leaderEpoch })
  }
  return records
}

/** Of an idempotent producer. */
export const by = (baseSequence: number, producerEpoch = 0, producerId = 9) => ({
  producerId,
  producerEpoch,
  baseSequence,
})

export function kinds(story: Story, tellsWriterLosses = false): string[] {
  const oracle = new Oracle({ copiesMin: 3, tellsWriterLosses, leaseMs: 5 })
  for (const event of story.history.events) oracle.take(event)
  oracle.finish()
  return oracle.anomalies.map(anomaly => anomaly.kind)
}
