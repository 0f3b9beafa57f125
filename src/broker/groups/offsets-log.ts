/**
 * One partition of `__consumer_offsets`: where what groups promise becomes durable.
 *
 *     replay → write … write → (rewritten when it has grown) → close
 *
 * One append is under way at a time; what is written meanwhile rides in the next batch. Whoever writes is told when it is
 * durable, or why it is not.
 *
 * The log is bounded without compaction. When it has become several times as long as what it still says, everything that
 * holds is written again, group by group, among the other writes; when the last of that is durable, the log start moves to
 * where the first lies. Each group's records are taken when nothing is under way, and reach the log before any later change
 * of it: so a replay that begins anywhere at or before the first comes to the same. A crash before the move leaves a log
 * that says some things twice.
 */
import { advance, type Offset } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import { type Rope, ropeOf, sliceRope } from '../../base/rope.ts'
import { type Clock, sleep } from '../../io/clock.ts'
import { buildBatch } from '../../wire/build-batch.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import {
  type BatchHeader,
  batchHeaderBytes,
  codecMask,
  controlBit,
  readBatchHeader,
  readBatchHeaderOfRope,
} from '../../wire/record-batch.ts'
import { readRecords } from '../../wire/records.ts'
import { within } from '../deadline.ts'
import type { AppendOutcome, PartitionStore, ReadOutcome } from '../storage.ts'
import type { GroupRecord } from './group-record.ts'
import { decodeGroupRecord, encodeGroupRecord, type KeyAndValue } from './offsets-format.ts'

export interface OffsetsLogParts {
  /** For people: `__consumer_offsets-7`. */
  readonly name: string
  readonly store: PartitionStore
  readonly clock: Clock
  /** `max.message.bytes` of the topic: what is written at once and does not fit is refused. */
  readonly batchBytesMax: () => number
  /** The log is never rewritten while it is shorter. */
  readonly rewriteBytesMin: number
  /** It is rewritten in batches of about this size, so that writes between them do not wait long. */
  readonly rewriteBatchBytes: number
  /** The groups that the log is about; for each, what holds of it when asked. */
  readonly live: () => Iterable<LiveRecords>
  /** Something is lost or odd; for people. */
  readonly report: (what: string) => void
  /** Something is broken that must not be: a bug, or a disk that failed. Nothing is written any more. */
  readonly fail: (error: unknown) => void
}

/** Everything durable that holds of a group at the moment. */
export type LiveRecords = () => readonly GroupRecord[]

/**
 * Told once: NONE when the write is durable, else why the partition did not take it; COORDINATOR_NOT_AVAILABLE when it was not
 * even asked. Never called within `write`.
 */
export type Written = (error: KafkaErrorName) => void

interface Write {
  readonly records: readonly KeyAndValue[]
  readonly bytes: number
  readonly done: Written
}

interface Rewrite {
  readonly left: Iterator<LiveRecords>
  /** How long the log was when it began. */
  readonly bytesBefore: number
  /** Where the first of it lies; null until it does. */
  from: Offset | null
  bytes: number
}

/** At these bounds a write is refused at once. */
const queuedBytesMax = 4 << 20
const queuedWritesMax = 20_000
/** The log is rewritten when it is so many times as long as what it says. */
const growthFactor = 4
/** When a rewrite was refused, the next is not tried before. */
const rewriteRetryMs = 10_000
const readBytesMax = 1 << 20
/** While reading through damage, others get a turn after so many offsets. */
const offsetsPerTurn = 1000
const retryReadMs = 1000
const closeMsMax = 2000
/** Length, attributes, deltas, lengths of key and value, and the count of headers, at their longest. */
const recordOverheadBytes = 32

export class OffsetsLog {
  readonly #parts: OffsetsLogParts
  #queue: Write[] = []
  #queuedBytes = 0
  /** Of everything from the log start on. */
  #bytes = 0
  /** What that would be if it said everything once. */
  #liveBytes = 0
  #rewrite: Rewrite | null = null
  #rewriteNotBeforeMs = 0
  /** The log start is on its way to where a rewrite began. */
  #movingStart = false
  #pumping: Promise<void> | null = null
  #closed = false

  constructor(parts: OffsetsLogParts) {
    this.#parts = parts
  }

  /**
   * Hands over every record from the log start to the end, in order. Where bytes are lost it says so and goes on behind them;
   * what is not known here is passed over, and said. While the disk does not answer it tries again, until it is closed.
   */
  async replay(apply: (record: GroupRecord) => void): Promise<void> {
    const { store } = this.#parts
    const end = store.highWatermark
    const odd = new Odd()
    let lostFrom: Offset | null = null
    for (let at = store.logStartOffset; at < end && !this.#closed; ) {
      const outcome = await this.#read(at)
      if (outcome.error === 'CORRUPT_MESSAGE') {
        lostFrom ??= at
        at = advance(at, 1)
        if ((at - lostFrom) % offsetsPerTurn === 0) await sleep(this.#parts.clock, 0)
        continue
      }
      if (lostFrom !== null) this.#reportLoss(lostFrom, at)
      lostFrom = null
      if (outcome.error === 'UNKNOWN_TOPIC_OR_PARTITION') return
      if (outcome.error !== 'NONE') {
        at = advance(store.logStartOffset, Math.max(0, at - store.logStartOffset))
        odd.note(`a read ended with ${outcome.error}`)
        await sleep(this.#parts.clock, retryReadMs)
        continue
      }
      at = this.#replayBatches(outcome.records, at, apply, odd)
      outcome.release?.()
      // A long log must not keep others from the event loop.
      await sleep(this.#parts.clock, 0)
    }
    if (lostFrom !== null) this.#reportLoss(lostFrom, end)
    for (const sentence of odd.sentences()) this.#parts.report(`${this.#parts.name}: ${sentence}`)
    this.#liveBytes = this.#measure()
  }

  /**
   * Appends records behind everything written before: in one batch, or in several when they do not fit into one. Of a write
   * that was refused some may be found by the next replay, as of one that was cut off.
   */
  write(records: readonly GroupRecord[], done: Written): void {
    const encoded = encodeAll(records)
    const bytes = sizeOf(encoded ?? [])
    const refusal = this.#refuses(encoded, bytes)
    if (encoded === null || refusal !== null) {
      queueMicrotask(() => done(refusal ?? 'MESSAGE_TOO_LARGE'))
      return
    }
    this.#queue.push({ records: encoded, bytes, done })
    this.#queuedBytes += bytes
    this.#pumping ??= this.#pump()
  }

  /** Refuses what waits, and waits for what is under way as far as the log answers. */
  async close(): Promise<void> {
    this.#closed = true
    this.#refuseQueue('COORDINATOR_NOT_AVAILABLE')
    if (this.#pumping === null) return
    const idle = this.#pumping.then(() => 'idle')
    await within(this.#parts.clock, closeMsMax, idle)
  }

  #refuses(records: readonly KeyAndValue[] | null, bytes: number): KafkaErrorName | null {
    if (this.#closed) return 'COORDINATOR_NOT_AVAILABLE'
    const bytesMax = this.#recordsBytesMax()
    if (records === null || records.some(record => sizeOf([record]) > bytesMax)) return 'MESSAGE_TOO_LARGE'
    const isFull = this.#queue.length >= queuedWritesMax || this.#queuedBytes + bytes > queuedBytesMax
    return isFull && this.#queue.length > 0 ? 'COORDINATOR_NOT_AVAILABLE' : null
  }

  async #pump(): Promise<void> {
    try {
      // What is asked for in the same turn rides together.
      await null
      while (!this.#closed && (this.#queue.length > 0 || this.#rewrite !== null)) {
        if (this.#queue.length > 0) await this.#appendWrites(this.#takeWrites())
        if (!this.#closed) await this.#rewriteWhenDue()
      }
    } catch (error) {
      this.#end(error)
    } finally {
      this.#pumping = null
    }
  }

  /** Whatever the storage throws is the end: it has answers for all that passes. */
  #end(error: unknown): void {
    this.#closed = true
    this.#refuseQueue('COORDINATOR_NOT_AVAILABLE')
    this.#parts.fail(error)
  }

  #recordsBytesMax(): number {
    return this.#parts.batchBytesMax() - batchHeaderBytes
  }

  /** As many as a batch holds; one that is larger comes alone. */
  #takeWrites(): Write[] {
    const bytesMax = this.#recordsBytesMax()
    let bytes = 0
    let count = 0
    for (const write of this.#queue) {
      if (count > 0 && bytes + write.bytes > bytesMax) break
      bytes += write.bytes
      count++
    }
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, count)
  }

  async #appendWrites(writes: readonly Write[]): Promise<void> {
    let error: KafkaErrorName = 'COORDINATOR_NOT_AVAILABLE'
    try {
      error = await this.#appendAll(
        inBatches(
          writes.flatMap(write => write.records),
          this.#recordsBytesMax(),
        ),
      )
    } finally {
      // Told before anything else happens: the next look at what holds must see it.
      for (const write of writes) write.done(error)
    }
  }

  async #appendAll(batches: Iterable<readonly KeyAndValue[]>): Promise<KafkaErrorName> {
    for (const records of batches) {
      const { error } = await this.#append(records)
      if (error !== 'NONE') return error
    }
    return 'NONE'
  }

  async #append(records: readonly KeyAndValue[]): Promise<AppendOutcome> {
    const { store, clock } = this.#parts
    const bytes = buildBatch(records, { baseTimestamp: clock.nowMs() })
    const outcome = await store.append({ header: readBatchHeader(bytes), bytes: ropeOf(bytes) }, -1)
    if (outcome.error === 'NONE') this.#bytes += bytes.length
    return outcome
  }

  async #rewriteWhenDue(): Promise<void> {
    if (this.#rewrite === null) {
      if (!this.#isRewriteDue()) return
      const left = this.#parts.live()[Symbol.iterator]()
      this.#rewrite = { left, bytesBefore: this.#bytes, from: null, bytes: 0 }
    }
    const progress = await this.#rewriteSome(this.#rewrite)
    if (progress === 'more') return
    if (progress === 'refused') this.#rewriteLater()
    else this.#moveStart(this.#rewrite).catch(error => this.#end(error))
    this.#rewrite = null
  }

  #isRewriteDue(): boolean {
    if (this.#movingStart || this.#parts.clock.monotonicMs() < this.#rewriteNotBeforeMs) return false
    return this.#bytes > Math.max(this.#parts.rewriteBytesMin, growthFactor * this.#liveBytes)
  }

  /** Writes the next groups again, in one batch, or in several for a group that is large. */
  async #rewriteSome(rewrite: Rewrite): Promise<'more' | 'done' | 'refused'> {
    const { rewriteBatchBytes } = this.#parts
    const records: KeyAndValue[] = []
    let isDone = false
    for (let bytes = 0; bytes < rewriteBatchBytes / 2 && !isDone; ) {
      const next = rewrite.left.next()
      isDone = next.done === true
      if (next.done === true) break
      const some = next.value().map(encodeGroupRecord)
      records.push(...some)
      bytes += sizeOf(some)
    }
    for (const some of inBatches(records, rewriteBatchBytes)) {
      const outcome = await this.#append(some)
      if (outcome.error !== 'NONE') return 'refused'
      rewrite.from ??= outcome.baseOffset
      rewrite.bytes += sizeOf(some)
    }
    return isDone ? 'done' : 'more'
  }

  /** A rewrite makes the log longer until it has come to its end. */
  #rewriteLater(): void {
    this.#rewriteNotBeforeMs = this.#parts.clock.monotonicMs() + rewriteRetryMs
  }

  /** All of it is durable: what lies before is not needed any more. Where nothing holds, the log begins at its end. */
  async #moveStart({ from, bytesBefore, bytes }: Rewrite): Promise<void> {
    const { store } = this.#parts
    const start = from ?? store.highWatermark
    this.#movingStart = true
    try {
      const { logStartOffset } = await store.deleteRecords(start)
      if (logStartOffset < start) {
        this.#rewriteLater()
        return
      }
      this.#bytes -= bytesBefore
      this.#liveBytes = bytes
    } finally {
      this.#movingStart = false
    }
  }

  #refuseQueue(error: KafkaErrorName): void {
    this.#queuedBytes = 0
    for (const write of this.#queue.splice(0)) queueMicrotask(() => write.done(error))
  }

  async #read(from: Offset): Promise<ReadOutcome> {
    return this.#parts.store.read({ from, bytesMax: readBytesMax, minOne: true })
  }

  /** Applies whole batches; returns the offset behind them. */
  #replayBatches(records: Rope, from: Offset, apply: (record: GroupRecord) => void, odd: Odd): Offset {
    let next = from
    for (let at = 0; at < records.length; ) {
      const header = readBatchHeaderOfRope(sliceRope(records, at, records.length))
      invariant(header !== null && at + header.bytes <= records.length, 'the log gives whole batches')
      const body = sliceRope(records, at + batchHeaderBytes, at + header.bytes)
      this.#replayBatch(header, body, from, apply, odd)
      this.#bytes += header.bytes
      at += header.bytes
      next = advance(header.baseOffset, header.lastOffsetDelta + 1)
    }
    invariant(next > from, 'a read below the high watermark gives a batch')
    return next
  }

  #replayBatch(header: BatchHeader, body: Rope, from: Offset, apply: (record: GroupRecord) => void, odd: Odd): void {
    if ((header.attributes & controlBit) !== 0) return
    if ((header.attributes & codecMask) !== 0) {
      odd.note('a batch is compressed, as none is that was written here')
      return
    }
    try {
      for (const { offset, key, value } of readRecords(header, body)) {
        if (offset < from) continue
        const record = decodeGroupRecord(key, value)
        if (record.of === 'unknown') odd.note(record.why)
        else apply(record)
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      odd.note(error.message)
    }
  }

  #reportLoss(from: Offset, to: Offset): void {
    const { name } = this.#parts
    this.#parts.report(
      `${name}: offsets ${from} to ${to - 1} are lost: groups may have older positions than they committed`,
    )
  }

  #measure(): number {
    let bytes = 0
    for (const live of this.#parts.live()) bytes += sizeOf(live().map(encodeGroupRecord))
    return bytes
  }
}

/** Null when something is too long for its field, such as a member id with a client's id of the greatest length. */
function encodeAll(records: readonly GroupRecord[]): readonly KeyAndValue[] | null {
  try {
    return records.map(encodeGroupRecord)
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}

/** An upper bound of what the records take in a batch. */
function sizeOf(records: readonly KeyAndValue[]): number {
  return records.reduce(
    (sum, { key, value }) => sum + recordOverheadBytes + key.length + (value === null ? 0 : value.length),
    0,
  )
}

/** In pieces of at most so many bytes; a record that is larger has a piece of its own. */
function* inBatches(records: readonly KeyAndValue[], bytesMax: number): Generator<readonly KeyAndValue[]> {
  let from = 0
  let bytes = 0
  for (const [i, record] of records.entries()) {
    const size = sizeOf([record])
    if (i > from && bytes + size > bytesMax) {
      yield records.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < records.length) yield records.slice(from)
}

/** What was passed over, counted, so that a foreign log does not fill ours. */
class Odd {
  readonly #counts = new Map<string, number>()

  note(why: string): void {
    const key = this.#counts.size < reasonsMax ? why : 'other records are not understood'
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  *sentences(): Generator<string> {
    for (const [why, count] of this.#counts) yield `${why} (${count} times)`
  }
}

const reasonsMax = 10
