/**
 * What may be seen of one partition, given what clients were told so far. An offset belongs to the record that was read there,
 * or that was acknowledged there with acks=all, and to no other ever after.
 */
import type { AnomalyKind } from './anomalies.ts'
import type { ProduceRequest, ReadAnswer, ReadRecord } from './client-door.ts'
import type { Destroyed, HistoryEvent } from './history.ts'

/** A batch, over all its attempts. */
export interface BatchFacts {
  readonly batch: ProduceRequest
  /** Attempts that may have been carried out: all but those refused for sure. */
  possible: number
  /** Where its first record lies or lay, in the order of being known. More than one for a plain producer's repeats. */
  readonly bases: number[]
  /** What was acknowledged with acks=all when it was first sent: it comes to lie behind that. */
  readonly floor: number
}

/** One attempt. */
export interface Sending {
  readonly facts: BatchFacts
  readonly node: number
  readonly atMs: number
}

/** An acknowledgement with acks=1: it holds unless the writer was lost. */
export interface WeakClaim {
  readonly facts: BatchFacts
  readonly base: number
  readonly leaderEpoch: number
}

/** What was known when a read was made; its answer may not fall behind that. */
export interface Asked {
  readonly log: LogOracle
  readonly node: number
  readonly from: number
  readonly recordsMax: number
  readonly isFinal: boolean
  readonly starts: number
  readonly losses: number
  readonly highWatermark: number
  readonly logStart: number
  readonly acknowledgedEnd: number
  readonly acknowledgedEpoch: number
}

/** The time of one leader epoch, as far as it was seen. */
interface Reign {
  readonly leaderEpoch: number
  readonly seenAtMs: number
  writer: number | null
  /** Every high watermark that its writer showed is at or above its base offset; so no earlier one may have shown more. */
  lowest: number
  highest: number
}

export type Drained = Extract<HistoryEvent, { type: 'drained' }>
type Report = (kind: AnomalyKind, text: string) => void

export class LogOracle {
  readonly partition: number
  /** By offset: the serial; undefined while not known. */
  readonly serials: (number | undefined)[] = []
  /** By offset: the leader epoch that it was read with; undefined until it was read. */
  readonly leaderEpochs: (number | undefined)[] = []
  /** By offset: the nodes that gave it in the last reading, a bit each. */
  readonly finalReads: (number | undefined)[] = []
  readonly weakClaims: WeakClaim[] = []
  readonly destroyed: Destroyed[] = []
  readonly drains: Drained[] = []
  acknowledgedEnd = 0
  #acknowledgedEpoch = -1
  /** The floors of batches hold no longer. */
  #hasLostAcknowledged = false
  trimmed = 0
  #mayStartAt = 0
  /** By leader epoch, the oldest first. */
  readonly #reigns: Reign[] = []
  readonly #highWatermarks = new Map<number, number>()
  readonly #logStarts = new Map<number, number>()
  readonly #batchOf: (serial: number) => BatchFacts | undefined
  readonly #leaseMs: number | null
  readonly #report: Report

  constructor(
    partition: number,
    leaseMs: number | null,
    batchOf: (serial: number) => BatchFacts | undefined,
    report: Report,
  ) {
    this.partition = partition
    this.#leaseMs = leaseMs
    this.#batchOf = batchOf
    this.#report = (kind, text) => report(kind, `p${partition}: ${text}`)
  }

  // ── writes

  acknowledged({ facts, node, atMs: sentAtMs }: Sending, base: number, leaderEpoch: number, nowMs: number): void {
    const { batch } = facts
    const end = base + batch.serials.length
    if (batch.acks !== 'all') {
      this.#reigned(leaderEpoch, node, Number.POSITIVE_INFINITY, 0, nowMs)
      this.#checkLease(leaderEpoch, node, sentAtMs)
      this.#claimWeakly(facts, base, leaderEpoch)
      return
    }
    if (this.isExcused(base, leaderEpoch)) return
    this.#reigned(leaderEpoch, node, Number.POSITIVE_INFINITY, end, nowMs)
    for (let i = 0; i < batch.serials.length; i++) this.#claim(base + i, batch.serials[i] as number, undefined)
    if (end <= this.acknowledgedEnd) return
    this.acknowledgedEnd = end
    this.#acknowledgedEpoch = leaderEpoch
  }

  #checkLease(leaderEpoch: number, node: number, sentAtMs: number): void {
    if (this.#leaseMs === null) return
    for (let i = this.#reigns.length - 1; i >= 0; i--) {
      const later = this.#reigns[i] as Reign
      if (later.leaderEpoch <= leaderEpoch) return
      if (later.seenAtMs + this.#leaseMs >= sentAtMs) continue
      const what = `what it was sent at ${sentAtMs.toFixed(0)}; epoch ${later.leaderEpoch} was seen at ${later.seenAtMs.toFixed(0)}`
      this.#report('lease ignored', `node ${node}, writer of ${leaderEpoch}, acknowledges alone ${what}`)
      return
    }
  }

  #claimWeakly(facts: BatchFacts, base: number, leaderEpoch: number): void {
    this.weakClaims.push({ facts, base, leaderEpoch })
    for (let i = 0; i < facts.batch.serials.length; i++) {
      const isOther = this.serials[base + i] !== facts.batch.serials[i]
      if (isOther && this.leaderEpochs[base + i] === leaderEpoch) {
        this.#report(
          'inconsistent offsets',
          `${this.#name(facts.batch.serials[i])} is acknowledged at ${base + i}, where leader epoch ${leaderEpoch} has ${this.#name(this.serials[base + i])}`,
        )
        return
      }
    }
  }

  /** A broker has vouched that an attempt was not carried out. */
  refused(facts: BatchFacts): void {
    facts.possible -= 1
    this.#checkCopies(facts)
  }

  // ── reads

  asked({ node, from, recordsMax, isFinal }: Extract<HistoryEvent, { type: 'asked' }>, starts: number): Asked {
    return {
      log: this,
      node,
      from,
      recordsMax,
      isFinal,
      starts,
      losses: this.destroyed.length,
      highWatermark: this.#highWatermarks.get(node) ?? 0,
      logStart: this.#logStarts.get(node) ?? 0,
      acknowledgedEnd: this.acknowledgedEnd,
      acknowledgedEpoch: this.#acknowledgedEpoch,
    }
  }

  read(asked: Asked, answer: ReadMarks, starts: number, nowMs: number): void {
    this.#checkRange(asked, answer)
    // What was known at the asking counts for the same run of the node only, and not across a loss.
    const isSameRun = asked.starts === starts
    if (asked.losses === this.destroyed.length) this.#checkMarks(asked, answer, isSameRun)
    const { node } = asked
    if (isSameRun) {
      this.#highWatermarks.set(node, Math.max(answer.highWatermark, this.#highWatermarks.get(node) ?? 0))
      this.#logStarts.set(node, Math.max(answer.logStart, this.#logStarts.get(node) ?? 0))
    }
    if (answer.logStart > this.#mayStartAt) {
      this.#report('early deletion', `node ${node} starts at ${answer.logStart}; trims went to ${this.#mayStartAt}`)
    }
    const { leaderEpoch, highWatermark, isWriter } = answer
    if (isWriter) this.#reigned(leaderEpoch, node, highWatermark, highWatermark, nowMs)
  }

  #checkRange({ node, from, recordsMax, isFinal }: Asked, { records, highWatermark }: ReadMarks): void {
    let next = from
    for (const record of records) {
      if (record.offset !== next) {
        this.#report('hole', `node ${node} gives ${record.offset} where ${next} comes next`)
      }
      next = record.offset + 1
      this.#checkRecord(record, node)
      if (isFinal) this.finalReads[record.offset] = (this.finalReads[record.offset] ?? 0) | (1 << node)
    }
    if (next > highWatermark && records.length > 0) {
      this.#report('read above the high watermark', `node ${node} gives ${next - 1}; its watermark is ${highWatermark}`)
    }
    if (records.length === 0 && recordsMax > 0 && from < highWatermark) {
      this.#report('hole', `node ${node} gives nothing at ${from}; its watermark is ${highWatermark}`)
    }
  }

  #checkRecord({ offset, serial, leaderEpoch }: ReadRecord, node: number): void {
    this.#claim(offset, serial, leaderEpoch)
    const before = this.leaderEpochs[offset - 1] ?? leaderEpoch
    const behind = this.leaderEpochs[offset + 1] ?? leaderEpoch
    if (before > leaderEpoch || behind < leaderEpoch) {
      this.#report('epoch regress', `node ${node}: leader epochs ${before}, ${leaderEpoch}, ${behind} around ${offset}`)
    }
  }

  #checkMarks(asked: Asked, answer: ReadMarks, isSameRun: boolean): void {
    const { node } = asked
    if (isSameRun && answer.highWatermark < asked.highWatermark) {
      const what = `node ${node} went back from ${asked.highWatermark} to ${answer.highWatermark}`
      this.#report('offset regress', `the high watermark of ${what}`)
    }
    if (isSameRun && answer.logStart < asked.logStart) {
      this.#report(
        'offset regress',
        `the log start of node ${node} went back from ${asked.logStart} to ${answer.logStart}`,
      )
    }
    const isLater = answer.isWriter && answer.leaderEpoch >= asked.acknowledgedEpoch
    if (isLater && answer.highWatermark < asked.acknowledgedEnd) {
      this.#report(
        'stale watermark',
        `acknowledged up to ${asked.acknowledgedEnd} in leader epoch ${asked.acknowledgedEpoch}; asked later, writer ${node} of ${answer.leaderEpoch} says ${answer.highWatermark}`,
      )
    }
  }

  /** `lowest` and `highest`: what this epoch has shown to be committed, at least and at most. */
  #reigned(leaderEpoch: number, writer: number, lowest: number, highest: number, nowMs: number): void {
    const reign = this.#reignOf(leaderEpoch, nowMs)
    if (reign.writer !== null && reign.writer !== writer) {
      this.#report('two writers', `nodes ${reign.writer} and ${writer} write in leader epoch ${leaderEpoch}`)
    }
    reign.writer = writer
    const isHigher = highest > reign.highest
    const isLower = lowest < reign.lowest
    if (isHigher) reign.highest = highest
    if (isLower) reign.lowest = lowest
    // From the newest on: mostly it is the newest that speaks, and it has only risen.
    for (let i = this.#reigns.length - 1; i >= 0; i--) {
      const other = this.#reigns[i] as Reign
      if (other.leaderEpoch > leaderEpoch) {
        if (isHigher) this.#checkReigns(reign, other)
      } else if (!isLower) break
      else if (other.leaderEpoch < leaderEpoch) this.#checkReigns(other, reign)
    }
  }

  #checkReigns(earlier: Reign, later: Reign): void {
    if (earlier.highest <= later.lowest) return
    this.#report(
      'watermark regress',
      `leader epoch ${earlier.leaderEpoch} showed ${earlier.highest}; epoch ${later.leaderEpoch} shows ${later.lowest}`,
    )
  }

  #reignOf(leaderEpoch: number, seenAtMs: number): Reign {
    let at = this.#reigns.length
    while (at > 0 && (this.#reigns[at - 1] as Reign).leaderEpoch > leaderEpoch) at -= 1
    const found = this.#reigns[at - 1]
    if (found?.leaderEpoch === leaderEpoch) return found
    const reign: Reign = { leaderEpoch, seenAtMs, writer: null, lowest: Number.POSITIVE_INFINITY, highest: 0 }
    this.#reigns.splice(at, 0, reign)
    return reign
  }

  // ── who an offset belongs to

  #claim(offset: number, serial: number, leaderEpoch: number | undefined): void {
    const known = this.serials[offset]
    const knownEpoch = this.leaderEpochs[offset]
    if (known === serial) {
      if (leaderEpoch === undefined || leaderEpoch === knownEpoch) return
      if (knownEpoch !== undefined) {
        const what = `${this.#name(serial)} at ${offset} was of leader epoch ${knownEpoch}, now of ${leaderEpoch}`
        this.#report('inconsistent offsets', what)
      }
      this.leaderEpochs[offset] = leaderEpoch
      return
    }
    if (known !== undefined) {
      this.#contradicted(offset, known, serial)
      return
    }
    this.serials[offset] = serial
    this.leaderEpochs[offset] = leaderEpoch
    this.#own(offset, serial)
  }

  #contradicted(offset: number, known: number, serial: number): void {
    const wasRead = this.leaderEpochs[offset] !== undefined
    this.#report(
      wasRead ? 'inconsistent offsets' : 'lost write',
      `${this.#name(known)} was ${wasRead ? 'read' : 'acknowledged'} at ${offset}, where now ${this.#name(serial)} is`,
    )
  }

  #own(offset: number, serial: number): void {
    const facts = this.#batchOf(serial)
    if (facts === undefined || facts.batch.partition !== this.partition) {
      this.#report('phantom', `nobody sent serial ${serial}, found at ${offset}, to this partition`)
      return
    }
    const index = serial - (facts.batch.serials[0] as number)
    const before = this.serials[offset - 1]
    if (index > 0 && before !== undefined && before !== serial - 1) {
      this.#report('torn batch', `${this.#name(serial)} at ${offset} lies behind ${this.#name(before)}`)
    }
    if (facts.bases.includes(offset - index)) return
    facts.bases.push(offset - index)
    this.#checkCopies(facts)
    if (offset - index < facts.floor && !this.#hasLostAcknowledged) {
      const what = `up to ${facts.floor} was acknowledged before it was first sent`
      this.#report('written in the past', `${this.#name(serial)} lies at ${offset}; ${what}`)
    }
  }

  #checkCopies({ batch, possible, bases }: BatchFacts): void {
    const allowed = batch.producerId < 0 ? possible : Math.min(possible, 1)
    if (bases.length <= allowed) return
    const kind = allowed === 0 ? 'refused write is visible' : 'duplicate'
    this.#report(kind, `${this.#name(batch.serials[0])} lies at ${bases.join(' and at ')}; it may ${allowed} times`)
  }

  #name(serial: number | undefined): string {
    const batch = serial === undefined ? undefined : this.#batchOf(serial)?.batch
    if (batch === undefined) return `serial ${serial}`
    const { producerId, producerEpoch, baseSequence, acks } = batch
    const writer = producerId < 0 ? `acks=${acks}` : `producer ${producerId}/${producerEpoch} from ${baseSequence} on`
    return `serial ${serial} (${writer})`
  }

  // ── what was done to it

  trim(offset: number): void {
    this.#mayStartAt = Math.max(this.#mayStartAt, offset)
  }

  /** The node has nothing but what its disk holds. */
  restarted(node: number): void {
    this.#highWatermarks.delete(node)
    this.#logStarts.delete(node)
  }

  /** Whether a record of that leader epoch may be gone from there, acknowledged with acks=all or not. */
  isExcused(offset: number, leaderEpoch: number): boolean {
    for (const loss of this.destroyed) {
      if (loss.what === 'everything' && isWithin(loss, offset) && leaderEpoch < loss.belowLeaderEpoch) return true
    }
    return false
  }

  lost(loss: Destroyed): void {
    this.destroyed.push(loss)
    if (loss.what === 'writer only') return
    this.#hasLostAcknowledged = true
    for (let offset = loss.from; offset < Math.min(loss.to, this.serials.length); offset++) this.#forget(offset, loss)
    // A sealed segment without copies is a hole in the middle; elsewhere the log ends where the loss begins.
    if (loss.belowLeaderEpoch === Number.POSITIVE_INFINITY) return
    this.acknowledgedEnd = Math.min(this.acknowledgedEnd, loss.from)
    this.#highWatermarks.clear()
    for (const reign of this.#reigns) {
      if (reign.leaderEpoch < loss.belowLeaderEpoch) reign.highest = Math.min(reign.highest, loss.from)
    }
  }

  #forget(offset: number, loss: Destroyed): void {
    const serial = this.serials[offset]
    if (serial === undefined || (this.leaderEpochs[offset] ?? -1) >= loss.belowLeaderEpoch) return
    if (loss.belowLeaderEpoch === Number.POSITIVE_INFINITY) return
    this.serials[offset] = undefined
    this.leaderEpochs[offset] = undefined
    const facts = this.#batchOf(serial)
    if (facts === undefined) return
    const at = facts.bases.indexOf(offset - (serial - (facts.batch.serials[0] as number)))
    if (at >= 0) facts.bases.splice(at, 1)
  }
}

type ReadMarks = Extract<ReadAnswer, { ok: true }>

export function isWithin(range: { readonly from: number; readonly to: number }, offset: number): boolean {
  return offset >= range.from && offset < range.to
}
