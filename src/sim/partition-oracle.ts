/** What may and must be true of one partition, given everything that was asked of it and answered so far. */
import { invariant } from '../base/invariant.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { StoredBatch } from './batches.ts'
import type { Surroundings } from './checker.ts'
import type { FoundOffset, HistoryEvent, Marks, PartitionKey, PartitionRules, SentBatch } from './history.ts'

/** What was known when a read was made; its answer may not fall behind that. */
export interface Reading {
  readonly from: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly acknowledgedEnd: number
}

interface Sent {
  readonly batch: SentBatch
  /** Requests that carried it and were not refused for sure. */
  possible: number
  /** The offset it was acknowledged at; null while it was not. */
  acknowledgedAt: number | null
}

interface Attempt {
  readonly sent: Sent
  readonly acks: 0 | 1 | -1
  readonly inOrder: boolean
}

type Read = Extract<HistoryEvent, { type: 'read' }>
type Drained = Extract<HistoryEvent, { type: 'drained' }>

const sequenceErrors: ReadonlySet<KafkaErrorName> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
  'UNKNOWN_PRODUCER_ID',
])
const sequenceCount = 2 ** 31

export class PartitionOracle {
  readonly #key: PartitionKey
  readonly #rules: PartitionRules
  readonly #around: Surroundings
  readonly #attempts = new Map<number, Attempt>()
  readonly #sent = new Map<string, Sent>()
  /** Which batch an offset belongs to, by an acknowledgement or a read. */
  #owners = new Map<number, { readonly base: number; readonly fingerprint: string }>()
  #highWatermark = 0
  #logStartOffset = 0
  #acknowledgedEnd = 0
  #trimmedBelow = 0
  #forgotten = false
  /** A power loss may have taken the newest records of a relaxed topic; the next marks say which. */
  #unsure = false
  /** It has lost records as it may, and sequences of producers with them. */
  #isForgetful = false
  #drained: Drained | null = null

  constructor(key: PartitionKey, rules: PartitionRules, around: Surroundings) {
    this.#key = key
    this.#rules = rules
    this.#around = around
  }

  /** It is being deleted: whatever happens to it now is fine. */
  forget(): void {
    this.#forgotten = true
  }

  powerLost(): void {
    this.#unsure = this.#rules.relaxed
    this.#isForgetful ||= this.#rules.relaxed
  }

  /** Damage took the end of the log, and an operator said to go on. */
  lossAccepted(): void {
    this.#unsure = true
  }

  // --- sends ---

  send(request: number, batch: SentBatch, acks: 0 | 1 | -1, inOrder: boolean): void {
    const sent = this.#sent.get(batch.fingerprint) ?? { batch, possible: 0, acknowledgedAt: null }
    this.#sent.set(batch.fingerprint, sent)
    sent.possible += 1
    this.#attempts.set(request, { sent, acks, inOrder })
  }

  sent(request: number, baseOffset: number): void {
    const { sent, acks } = this.#attempt(request)
    if (acks === 0 || this.#forgotten) return
    const { batch } = sent
    if (this.#around.syncFailed) {
      this.#report('ack after failed sync', `batch ${batch.id} is acknowledged at ${baseOffset} after a sync failed`)
    }
    const isAgain = sent.acknowledgedAt !== null && sent.acknowledgedAt !== baseOffset && batch.producer !== null
    if (isAgain && !this.#around.damageReported) {
      this.#report('duplicate', `batch ${batch.id} is acknowledged at ${sent.acknowledgedAt} and at ${baseOffset}`)
    }
    sent.acknowledgedAt = baseOffset
    const end = baseOffset + batch.timestampsMs.length
    this.#claim(baseOffset, end, batch.fingerprint)
    this.#acknowledgedEnd = Math.max(this.#acknowledgedEnd, end)
  }

  refused(request: number, error: KafkaErrorName): void {
    const { sent, inOrder } = this.#attempt(request)
    sent.possible -= 1
    if (this.#forgotten) return
    const isForgetful = this.#isForgetful || this.#around.damageReported
    if (inOrder && !isForgetful && sequenceErrors.has(error)) {
      this.#report('unjustified refusal', `batch ${sent.batch.id} follows an acknowledged one and gets ${error}`)
    }
    if (error === 'UNKNOWN_TOPIC_OR_PARTITION') this.#report('unjustified error', 'a topic nobody deleted is unknown')
  }

  #attempt(request: number): Attempt {
    const attempt = this.#attempts.get(request)
    invariant(attempt !== undefined, 'an answer has a request')
    return attempt
  }

  // --- reads ---

  reading(from: number): Reading {
    return {
      from,
      highWatermark: this.#highWatermark,
      logStartOffset: this.#logStartOffset,
      acknowledgedEnd: this.#acknowledgedEnd,
    }
  }

  read(asked: Reading, read: Read): void {
    if (this.#forgotten) return
    switch (read.error) {
      case 'NONE':
        this.#observe(read.marks, asked)
        this.#checkRange(asked.from, read)
        break
      case 'OFFSET_OUT_OF_RANGE': {
        this.#observe(read.marks, asked)
        const { logStartOffset, highWatermark } = read.marks
        if (asked.from >= logStartOffset && asked.from <= highWatermark) {
          this.#report('unjustified error', `${asked.from} is said to be outside ${logStartOffset} to ${highWatermark}`)
        }
        break
      }
      case 'CORRUPT_MESSAGE':
        if (!this.#around.rotten) this.#report('false corruption', `at ${asked.from}, though nothing was damaged`)
        break
      case 'KAFKA_STORAGE_ERROR':
        break
      default:
        this.#report('unjustified error', `a read from ${asked.from} gets ${read.error}`)
    }
  }

  /** An answer holds whole batches, without a gap, from the one that contains what was asked for, below the watermark. */
  #checkRange(from: number, read: Read): void {
    const { batches, marks } = read
    if (typeof batches === 'string') {
      this.#report('garbled read', `from ${from}: ${batches}`)
      return
    }
    const [first] = batches
    if (first === undefined) {
      const owed = read.minOne && from < marks.highWatermark
      if (owed) this.#report('wrong range', `nothing from ${from}, though the watermark is ${marks.highWatermark}`)
      return
    }
    if (from < first.base || from >= first.end) {
      this.#report('wrong range', `asked for ${from}, got [${first.base}, ${first.end}) first`)
    }
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
    if (bytes > read.bytesMax && (batches.length > 1 || !read.minOne)) {
      this.#report('wrong range', `${bytes} bytes where ${read.bytesMax} were asked for`)
    }
    let end = first.base
    for (const batch of batches) {
      if (batch.base !== end) this.#report('hole', `a read jumps from ${end} to ${batch.base}`)
      end = batch.end
      this.#checkStored(batch)
    }
    if (end > marks.highWatermark) {
      this.#report('read above the high watermark', `up to ${end}; the watermark is ${marks.highWatermark}`)
    }
  }

  /** What is stored was sent to this very partition, and its offsets never held anything else. */
  #checkStored(batch: StoredBatch): void {
    const sent = this.#sent.get(batch.fingerprint)
    if (sent === undefined) {
      this.#report('invented', `nobody sent what lies at ${batch.base} (${batch.fingerprint})`)
      return
    }
    if (sent.batch.timestampsMs.length !== batch.end - batch.base) {
      this.#report('invented', `batch ${sent.batch.id} at ${batch.base} has ${batch.end - batch.base} records`)
    }
    this.#claim(batch.base, batch.end, batch.fingerprint)
  }

  #claim(base: number, end: number, fingerprint: string): void {
    const known = this.#owners.get(base)
    if (known?.base === base && known.fingerprint === fingerprint && this.#owners.get(end - 1)?.base === base) return
    for (let offset = base; offset < end; offset++) {
      const owner = this.#owners.get(offset)
      if (owner !== undefined && (owner.base !== base || owner.fingerprint !== fingerprint)) {
        this.#report(
          'inconsistent offsets',
          `offset ${offset} belonged to ${this.#name(owner.fingerprint)} at ${owner.base}, now to ${this.#name(fingerprint)} at ${base}`,
        )
        return
      }
      this.#owners.set(offset, { base, fingerprint })
    }
  }

  // --- high watermark and log start ---

  marks(marks: Marks): void {
    if (this.#forgotten) return
    if (this.#unsure) this.#cut(marks.highWatermark)
    if (this.#around.rotten && this.#around.damageReported) this.#lower(marks.highWatermark)
    this.#observe(marks, this.reading(0))
  }

  /** A relaxed topic came back shorter, as it may. */
  #cut(end: number): void {
    this.#unsure = false
    this.#highWatermark = Math.min(this.#highWatermark, end)
    this.#acknowledgedEnd = Math.min(this.#acknowledgedEnd, end)
    this.#logStartOffset = Math.min(this.#logStartOffset, end)
    for (const offset of [...this.#owners.keys()]) if (offset >= end) this.#owners.delete(offset)
    for (const sent of this.#sent.values()) {
      if (sent.acknowledgedAt !== null && sent.acknowledgedAt >= end) sent.acknowledgedAt = null
    }
  }

  /** The end was lost to damage that was reported. Its offsets stay taken. */
  #lower(end: number): void {
    this.#highWatermark = Math.min(this.#highWatermark, end)
    this.#acknowledgedEnd = Math.min(this.#acknowledgedEnd, end)
  }

  #observe(marks: Marks, known: Reading): void {
    const { highWatermark, logStartOffset } = marks
    if (highWatermark < known.highWatermark) {
      this.#report('offset regress', `the high watermark went from ${known.highWatermark} to ${highWatermark}`)
    } else if (highWatermark < known.acknowledgedEnd) {
      this.#report(
        'acknowledged but not readable',
        `acknowledged up to ${known.acknowledgedEnd}, the watermark is ${highWatermark}`,
      )
    }
    if (logStartOffset < known.logStartOffset) {
      this.#report('offset regress', `the log start went from ${known.logStartOffset} to ${logStartOffset}`)
    }
    if (logStartOffset > this.#logStartOffset) this.#checkDeletion(logStartOffset)
    this.#highWatermark = Math.max(this.#highWatermark, highWatermark)
    this.#logStartOffset = Math.max(this.#logStartOffset, logStartOffset)
  }

  trim(before: number): void {
    this.#trimmedBelow = Math.max(this.#trimmedBelow, before)
  }

  trimmed(before: number, logStartOffset: number): void {
    if (this.#forgotten) return
    if (logStartOffset < before) {
      this.#report('unjustified error', `records below ${before} were to go, but the log starts at ${logStartOffset}`)
    }
    const highWatermark = Math.max(this.#highWatermark, this.#acknowledgedEnd)
    this.#observe({ highWatermark, logStartOffset }, this.reading(0))
  }

  /** What went must have been trimmed, or have been old enough, or have had enough behind it. */
  #checkDeletion(logStartOffset: number): void {
    const { retentionMs, retentionBytes, stampsAppendTime } = this.#rules
    const deadlineMs = retentionMs < 0 ? Number.NEGATIVE_INFINITY : this.#around.maxWallMs - retentionMs
    for (let offset = Math.max(this.#logStartOffset, this.#trimmedBelow); offset < logStartOffset; ) {
      const owner = this.#owners.get(offset)
      const sent = owner === undefined ? undefined : this.#sent.get(owner.fingerprint)
      if (owner === undefined || sent === undefined) {
        offset += 1
        continue
      }
      const end = owner.base + sent.batch.timestampsMs.length
      const isOld = stampsAppendTime || Math.max(...sent.batch.timestampsMs) <= deadlineMs
      const isTooMuch = retentionBytes >= 0 && this.#bytesFrom(end) >= retentionBytes
      if (!isOld && !isTooMuch) {
        const what = `the log starts at ${logStartOffset}, but batch ${sent.batch.id} at ${owner.base} was not due`
        this.#report('early deletion', what)
        return
      }
      offset = end
    }
  }

  /** No less than the bytes that may lie at and behind an offset. */
  #bytesFrom(offset: number): number {
    const below = new Set<string>()
    for (const [at, owner] of this.#owners) if (at < offset) below.add(owner.fingerprint)
    let bytes = 0
    for (const [print, sent] of this.#sent) if (!below.has(print)) bytes += sent.batch.bytes * sent.possible
    return bytes
  }

  // --- everything at once ---

  drained(drained: Drained): void {
    if (this.#forgotten) return
    this.#drained = drained
    this.#checkDense(drained)
    this.#checkAcknowledged(drained)
    this.#checkProducers(drained)
    this.#checkCopies(drained)
  }

  #checkDense({ marks, batches, damaged }: Drained): void {
    let end = marks.logStartOffset
    for (const batch of batches) {
      if (batch.base > end && !isCovered(damaged, end, batch.base)) {
        this.#report('hole', `nothing lies between ${end} and ${batch.base}`)
      }
      end = batch.end
    }
    if (end < marks.highWatermark && !isCovered(damaged, end, marks.highWatermark)) {
      this.#report('hole', `nothing lies between ${end} and the high watermark ${marks.highWatermark}`)
    }
  }

  #checkAcknowledged({ marks, batches, damaged }: Drained): void {
    const found = new Map(batches.map(batch => [batch.base, batch.fingerprint]))
    for (const { batch, acknowledgedAt } of this.#sent.values()) {
      if (acknowledgedAt === null) continue
      const end = acknowledgedAt + batch.timestampsMs.length
      const isLostEnd = this.#around.damageReported && acknowledgedAt >= marks.highWatermark
      if (end <= marks.logStartOffset || isLostEnd || found.get(acknowledgedAt) === batch.fingerprint) continue
      if (isCovered(damaged, Math.max(acknowledgedAt, marks.logStartOffset), end)) continue
      this.#report('lost write', `batch ${batch.id}, acknowledged at ${acknowledgedAt}, is not there`)
    }
  }

  /** Idempotent producers: every sequence once, in order, without a gap, newer epochs behind older ones. */
  #checkProducers({ batches, damaged }: Drained): void {
    const latest = new Map<number, SentBatch>()
    for (const stored of batches) {
      const batch = this.#sent.get(stored.fingerprint)?.batch
      if (batch?.producer == null) continue
      const { id, epoch, sequence } = batch.producer
      const before = latest.get(id)
      latest.set(id, batch)
      if (before?.producer == null) continue
      const expected = (before.producer.sequence + before.timestampsMs.length) % sequenceCount
      if (before === batch) this.#report('duplicate', `batch ${batch.id} is there again at ${stored.base}`)
      else if (epoch < before.producer.epoch) {
        this.#report('zombie write', `producer ${id} wrote at ${stored.base} with epoch ${epoch} behind a newer one`)
      } else if (epoch > before.producer.epoch) {
        if (sequence !== 0 && damaged.length === 0)
          this.#report('out of order', `epoch ${epoch} of producer ${id} begins with ${sequence}`)
      } else if (sequence !== expected && damaged.length === 0) {
        const ahead = (sequence - expected + sequenceCount) % sequenceCount
        this.#report(
          ahead < sequenceCount / 2 ? 'out of order' : 'duplicate',
          `producer ${id} has sequence ${sequence} at ${stored.base} where ${expected} comes next`,
        )
      }
    }
  }

  /** Nothing is there more often than it was sent. */
  #checkCopies({ batches }: Drained): void {
    const copies = new Map<string, number>()
    for (const { fingerprint, base } of batches) {
      const sent = this.#sent.get(fingerprint)
      if (sent === undefined) continue
      const count = (copies.get(fingerprint) ?? 0) + 1
      copies.set(fingerprint, count)
      const allowed = sent.batch.producer === null ? sent.possible : Math.min(sent.possible, 1)
      if (count <= allowed) continue
      const kind = allowed === 0 ? 'refused write is visible' : 'duplicate'
      this.#report(kind, `batch ${sent.batch.id} is at ${base}; it may be there ${allowed} times`)
    }
  }

  end(): void {
    if (this.#forgotten || this.#drained === null) return
    // Refusals may have come after what was read.
    this.#checkCopies(this.#drained)
  }

  // --- by time ---

  foundByTime(timestampMs: number, found: FoundOffset | null): void {
    if (this.#forgotten) return
    const expected = this.#records().find(record => record.timestampMs >= timestampMs) ?? null
    this.#compare(`the first record from ${timestampMs} on`, expected, found)
  }

  foundLatest(found: FoundOffset | null): void {
    if (this.#forgotten) return
    let expected: FoundOffset | null = null
    for (const record of this.#records()) {
      if (expected === null || record.timestampMs > expected.timestampMs) expected = record
    }
    this.#compare('the record with the largest timestamp', expected, found)
  }

  #records(): FoundOffset[] {
    invariant(this.#drained !== null, 'a search by time follows a drain')
    const { batches, marks } = this.#drained
    const records: FoundOffset[] = []
    for (const stored of batches) {
      const sent = this.#sent.get(stored.fingerprint)
      for (const [index, sentMs] of (sent?.batch.timestampsMs ?? []).entries()) {
        const offset = stored.base + index
        const timestampMs = this.#rules.stampsAppendTime ? stored.maxTimestampMs : sentMs
        if (offset >= marks.logStartOffset) records.push({ offset, timestampMs })
      }
    }
    return records
  }

  #compare(what: string, expected: FoundOffset | null, found: FoundOffset | null): void {
    if (expected?.offset === found?.offset && expected?.timestampMs === found?.timestampMs) return
    const say = (record: FoundOffset | null) => (record === null ? 'none' : `${record.offset} (${record.timestampMs})`)
    this.#report('wrong answer by time', `${what} is ${say(expected)}, but the answer was ${say(found)}`)
  }

  #name(fingerprint: string): string {
    const sent = this.#sent.get(fingerprint)
    return sent === undefined ? fingerprint : `batch ${sent.batch.id}`
  }

  #report(kind: Parameters<Surroundings['report']>[0], text: string): void {
    this.#around.report(kind, `${this.#key}: ${text}`)
  }
}

function isCovered(ranges: readonly (readonly [number, number])[], from: number, to: number): boolean {
  let at = from
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (start > at) break
    at = Math.max(at, end)
  }
  return at >= to
}
