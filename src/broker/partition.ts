/**
 * One partition as requests see it: appends in order, rolls, look-ups, retention. Its log does the storing; the metadata
 * decides about the chain.
 *
 * Where the topic has rules for records (`record-rules.ts`) a batch is looked into first; batches behind it keep their order.
 * A batch that cannot be taken at once (a roll is under way, there is no room in memory or journal) waits in order behind
 * the others, for a second at most; then its producer is told to try again.
 */

import { isPassing, TidelogError } from '../base/errors.ts'
import type { LeaderEpoch, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { InvariantViolation } from '../base/invariant.ts'
import { emptyRope, type Rope } from '../base/rope.ts'
import { type Partition as PartitionRecord, unsealed } from '../chain/segment.ts'
import type { MetadataLog } from '../cluster/metadata-log.ts'
import { oneCopy } from '../cluster/one-copy.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { Compute } from '../io/compute.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ProducerBatch } from '../log/producers.ts'
import type { SegmentRead } from '../log/read.ts'
import { type RetentionRules, retainedFrom } from '../log/retention.ts'
import { type BatchHeader, logAppendTimeBit, readBatchHeaderOfRope, stampLogAppendTime } from '../wire/record-batch.ts'
import { InOrder } from './in-order.ts'
import { endOfEpoch, epochOf } from './leader-epochs.ts'
import type { LookGate } from './look-gate.ts'
import { MissedBatches } from './missed-batches.ts'
import { isQuickLook, type Looked, look, lookNow, mustBeLookedInto, type Refused } from './record-rules.ts'
import type {
  Acks,
  ActiveProducer,
  AppendOutcome,
  Batch,
  EpochEnd,
  FoundRecord,
  PartitionStore,
  ReadOutcome,
  ReadRequest,
  SegmentFacts,
} from './storage.ts'
import { findByTime, findMaxTimestamp } from './time-lookup.ts'
import type { TopicSettings } from './topic-settings.ts'

export interface PartitionParts {
  readonly clock: Clock
  readonly compute: Compute
  /** The node's, of all its partitions. */
  readonly gate: LookGate
  readonly metadata: MetadataLog
  readonly nodeId: NodeId
  readonly settings: () => TopicSettings
  /** The disk cannot be trusted any more, or an invariant is broken; the process must stop. */
  readonly fail: (error: unknown) => void
}

/** How long a batch may wait for a roll or for room. */
const waitMsMax = 1000
/** When files could not be removed, they are tried again after this. */
const deleteRetryMs = 1000

interface Waiting {
  readonly batch: Batch
  readonly acks: Acks
  readonly until: number
  readonly resolve: (outcome: AppendOutcome) => void
}

/** Batches that wait for one that is looked into. */
const looksBytesMax = 32 << 20

type RefusalError = Refused['error']

export class Partition implements PartitionStore {
  readonly topicId: TopicId
  readonly index: number
  readonly traffic = { recordsIn: 0, bytesIn: 0, bytesOut: 0 }
  readonly #log: PartitionLog
  readonly #parts: PartitionParts
  readonly #listeners = new Set<() => void>()
  readonly #jitter: number
  #waiting: Waiting[] = []
  #waitTimer: Timer | null = null
  #stopListening: (() => void) | null = null
  #rolling: Promise<void> | null = null
  /** Retries of batches that are not durable yet: answered when the original is. */
  #retries: (Pick<ProducerBatch, 'base' | 'end'> & { readonly resolve: (outcome: AppendOutcome) => void })[] = []
  readonly #missed = new MissedBatches()
  /** Batches that are looked into before they are taken, and those behind them. */
  readonly #looks = new InOrder<Looked>()
  #deleteTimers = new Set<Timer>()
  /** The newest segment whose deletion was begun. */
  #deletingThrough = 0
  #closed = false

  constructor(log: PartitionLog, parts: PartitionParts) {
    this.topicId = log.topicId
    this.index = log.index
    this.#log = log
    this.#parts = parts
    // Spreads the rolls of partitions that were created together; fixed per partition, so that a restart changes nothing.
    this.#jitter = ((Number.parseInt(log.topicId.slice(-6), 16) + log.index * 7919) % 1000) / 1000
  }

  get log(): PartitionLog {
    return this.#log
  }

  get leader(): NodeId {
    return this.#parts.nodeId
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#log.leaderEpoch
  }

  get replicas(): readonly NodeId[] {
    return [this.#parts.nodeId]
  }

  get inSyncReplicas(): readonly NodeId[] {
    return [this.#parts.nodeId]
  }

  get logStartOffset(): Offset {
    return this.#log.logStartOffset
  }

  get highWatermark(): Offset {
    return this.#log.highWatermark
  }

  get logEndOffset(): Offset {
    return this.#log.nextOffset
  }

  /** Segments below the log start are on their way out: Kafka does not count them either. */
  get storedBytes(): number {
    let bytes = 0
    for (const segment of this.#log.segments) {
      if (segment.end === null || segment.end > this.logStartOffset) bytes += segment.bytes
    }
    return bytes
  }

  endOfEpoch(epoch: number): EpochEnd {
    return endOfEpoch(this.#log, epoch)
  }

  epochOf(offset: Offset): LeaderEpoch | -1 {
    return epochOf(this.#log, offset)
  }

  producers(): readonly ActiveProducer[] {
    return [...this.#log.producers.all()].map(({ producerId, epoch, batches, seenAtMs }) => ({
      producerId,
      producerEpoch: epoch,
      lastSequence: batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: seenAtMs,
    }))
  }

  append(batch: Batch, acks: Acks): Promise<AppendOutcome> {
    const refusal = this.#refuses(acks)
    if (refusal !== null) return Promise.resolve(refusal)
    return new Promise(resolve => {
      const isAsItComes = this.#looks.isEmpty && !mustBeLookedInto(this.#parts.settings(), batch.header)
      if (isAsItComes) this.#admit(batch, acks, resolve)
      else this.#lookFirst(batch, acks, resolve)
    })
  }

  read(request: ReadRequest): Promise<ReadOutcome> | ReadOutcome {
    if (this.#closed) return this.#outcome('UNKNOWN_TOPIC_OR_PARTITION')
    if (request.from < this.logStartOffset || request.from > this.highWatermark)
      return this.#outcome('OFFSET_OUT_OF_RANGE')
    try {
      const read = this.#log.read(request)
      if (!(read instanceof Promise)) return this.#read(read, true)
      return read.then(
        done => this.#read(done, false),
        error => this.#unreadable(error),
      )
    } catch (error) {
      return this.#unreadable(error)
    }
  }

  segments(): readonly SegmentFacts[] {
    const open = this.#log.active
    return (this.#record()?.chain ?? []).map(segment => {
      const { id, base, end, state, writer, writeEpoch, createdAtMs, sealReason } = segment
      const { bytes, maxTimestamp } = segment.id === open.id ? open : segment
      return { id, base, end, state, writer, writeEpoch, bytes, maxTimestamp, createdAtMs, sealReason }
    })
  }

  /** By the header of its batch, so that of a batch the earliest is told. What cannot be read is not known. */
  async timeOf(offset: Offset): Promise<number | null> {
    if (this.#closed || offset < this.logStartOffset || offset >= this.highWatermark) return null
    try {
      const { error, records, release } = await this.#log.read({ from: offset, bytesMax: 1, minOne: true })
      const header = error === 'NONE' && records.length > 0 ? readBatchHeaderOfRope(records) : null
      release?.()
      if (header === null) return null
      const time = header.attributes & logAppendTimeBit ? header.maxTimestamp : header.baseTimestamp
      return time < 0 ? null : time
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      return null
    }
  }

  findByTime(timestampMs: number): Promise<FoundRecord | null> {
    return findByTime(this.#log, this.#parts.compute, timestampMs)
  }

  findMaxTimestamp(): Promise<FoundRecord | null> {
    return findMaxTimestamp(this.#log, this.#parts.compute)
  }

  async deleteRecords(before: Offset): ReturnType<PartitionStore['deleteRecords']> {
    const offset = before === -1 ? this.highWatermark : before
    if (offset > this.highWatermark) return { error: 'OFFSET_OUT_OF_RANGE', logStartOffset: this.logStartOffset }
    if (offset > this.logStartOffset) await this.#advanceStart(offset)
    if (this.#closed) return { error: 'UNKNOWN_TOPIC_OR_PARTITION', logStartOffset: -1 as Offset }
    return { error: 'NONE', logStartOffset: this.logStartOffset }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The log's high watermark has risen. */
  advanced(): void {
    if (this.#retries.length > 0) this.#settleRetries()
    for (const listener of this.#listeners) listener()
  }

  /** Ends the open segment where it is and opens the next. */
  async seal(): Promise<void> {
    if (!this.#closed && !this.#log.isSuspect) await this.#roll()
  }

  /** What time asks for: a roll of a segment that is old enough, and retention. */
  async tick(): Promise<void> {
    if (this.#closed) return
    const { segmentMs } = this.#parts.settings()
    const { retentionMs } = retentionRules(this.#parts.settings())
    const { active } = this.#log
    const now = this.#parts.clock.nowMs()
    const isAged = now - active.createdAtMs >= this.#segmentMs(segmentMs)
    const isExpired = retentionMs >= 0 && active.maxTimestamp >= 0 && now - active.maxTimestamp > retentionMs
    if (!active.isEmpty && !this.#log.isSuspect && (isAged || isExpired)) await this.#roll()
    await this.#retain(now)
    this.resumeDeletion()
  }

  /** Goes on with a deletion that the process before this one had begun, or that the seal of a segment has brought about. */
  resumeDeletion(): void {
    const chain = this.#record()?.chain ?? []
    const last = chain.findLast(segment => segment.state === 'deleting')
    if (last !== undefined && last.id > this.#deletingThrough) this.#deleteLater(last.id)
  }

  /** The topic has other settings: what waits on the old ones looks again. */
  settingsChanged(): void {
    this.#drain()
  }

  /** No request is served any more; those that wait are answered. Does not touch what is stored. */
  close(): void {
    this.#closed = true
    this.#log.stopWaiting()
    this.#waitTimer?.cancel()
    this.#stopListening?.()
    for (const timer of this.#deleteTimers) timer.cancel()
    this.#looks.end(gone)
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(gone)
    for (const retry of this.#retries.splice(0)) retry.resolve(gone)
    for (const listener of this.#listeners) listener()
  }

  #refuses(acks: Acks): AppendOutcome | null {
    if (this.#closed) return gone
    if (this.#log.isSuspect) {
      return refuse(
        'KAFKA_STORAGE_ERROR',
        'the end of this partition may be lost to corruption; it takes no records until the broker is started with --accept-data-loss',
      )
    }
    const { minInsyncReplicas } = this.#parts.settings()
    if (acks === -1 && minInsyncReplicas > this.inSyncReplicas.length) {
      return refuse('NOT_ENOUGH_REPLICAS', `min.insync.replicas is ${minInsyncReplicas} and there is one replica`)
    }
    return null
  }

  /** Batches behind one that is being looked into wait for it, whether they are looked into themselves or not. */
  #lookFirst(batch: Batch, acks: Acks, resolve: (outcome: AppendOutcome) => void): void {
    const bytes = batch.bytes.length
    const hasRoom = this.#looks.isEmpty || this.#looks.weight + bytes <= looksBytesMax
    this.#looks.add(bytes, hasRoom ? this.#look(batch) : tooManyLooks, looked => {
      if (looked.error === 'NONE') this.#admit(looked.batch, acks, resolve)
      else {
        if (looked.error === 'KAFKA_STORAGE_ERROR') this.#miss(batch)
        resolve(looked)
      }
    })
  }

  #look(batch: Batch): Looked | Promise<Looked> {
    const { clock, compute, gate } = this.#parts
    const settings = this.#parts.settings()
    if (!mustBeLookedInto(settings, batch.header)) return { error: 'NONE', batch }
    if (isQuickLook(settings, batch.header)) return lookNow(batch, settings, clock.nowMs())
    const looking = gate.pass(batch.bytes.length, async () =>
      this.#closed ? gone : look(batch, this.#parts.settings(), clock.nowMs(), compute),
    )
    return looking.then(
      looked => looked ?? tooManyLooks,
      error => {
        this.#parts.fail(error)
        return failedLook
      },
    )
  }

  /** Takes a batch whose contents are as the topic wants them. */
  #admit(batch: Batch, acks: Acks, resolve: (outcome: AppendOutcome) => void): void {
    if (this.#mustWait(batch)) this.#wait(batch, acks, resolve)
    else this.#take(batch, acks, resolve)
  }

  #miss(batch: Batch): void {
    this.#missed.note(batch.header, this.#parts.clock.monotonicMs())
  }

  #mustWait(batch: Batch): boolean {
    if (this.#waiting.length > 0 || this.#rolling !== null) return true
    if (!this.#log.store.hasRoom(batch.bytes.length)) return true
    if (!this.#isDueFor(batch)) return false
    this.#startRoll()
    return true
  }

  /** Whether the open segment is full for this batch. */
  #isDueFor(batch: Batch): boolean {
    const { active } = this.#log
    if (active.isEmpty) return false
    const settings = this.#parts.settings()
    const records = active.nextOffset - active.base
    return (
      active.bytes + batch.bytes.length > settings.segmentBytes ||
      (settings.segmentRecords > 0 && records >= settings.segmentRecords) ||
      records + batch.header.lastOffsetDelta > segmentOffsetsMax ||
      this.#parts.clock.nowMs() - active.createdAtMs >= this.#segmentMs(settings.segmentMs)
    )
  }

  #segmentMs(segmentMs: number): number {
    return segmentMs - Math.min(this.#parts.settings().segmentJitterMs * this.#jitter, segmentMs)
  }

  #take(batch: Batch, acks: Acks, resolve: (outcome: AppendOutcome) => void): void {
    // Where the log knows the producer, it finds gaps by itself.
    const isKnown = this.#log.producers.get(batch.header.producerId)?.epoch === batch.header.producerEpoch
    if (!isKnown && this.#missed.isAfterMissed(batch.header, this.#parts.clock.monotonicMs())) {
      resolve(refuse('OUT_OF_ORDER_SEQUENCE_NUMBER', 'an earlier batch of this producer was refused for lack of room'))
      return
    }
    const verdict = this.#log.check(batch.header)
    if (verdict.kind === 'refuse') resolve(refuse(verdict.error, verdict.message))
    else if (verdict.kind === 'duplicate') this.#answerRetry(verdict.of, resolve)
    else this.#store(batch, acks, resolve)
  }

  /** A retry is answered like its original: when that is durable. */
  #answerRetry({ base, end }: ProducerBatch, resolve: (outcome: AppendOutcome) => void): void {
    if (end <= this.highWatermark) resolve(this.#accepted(base, -1))
    else this.#retries.push({ base, end, resolve })
  }

  #store(batch: Batch, acks: Acks, resolve: (outcome: AppendOutcome) => void): void {
    const { header, appendTimeMs } = this.#timed(batch)
    this.traffic.recordsIn += header.recordCount
    this.traffic.bytesIn += batch.bytes.length
    this.#log.store.appended.records += header.recordCount
    this.#log.store.appended.bytes += batch.bytes.length
    const acknowledge = () => resolve(this.#accepted(appended.base, appendTimeMs))
    const appended = this.#log.append(header, batch.bytes, acks === 0 ? null : acknowledge)
    if (acks === 0) acknowledge()
  }

  /** Gives the batch this broker's time where the topic asks for it. These fields are under its checksum. */
  #timed({ header, bytes }: Batch): { header: BatchHeader; appendTimeMs: number } {
    if (this.#parts.settings().timestampType !== 'LogAppendTime') return { header, appendTimeMs: -1 }
    const now = this.#parts.clock.nowMs()
    return { header: stampLogAppendTime(bytes, header, now), appendTimeMs: now }
  }

  #accepted(baseOffset: Offset, logAppendTimeMs: number): AppendOutcome {
    return { error: 'NONE', baseOffset, logAppendTimeMs, logStartOffset: this.logStartOffset }
  }

  #wait(batch: Batch, acks: Acks, resolve: (outcome: AppendOutcome) => void): void {
    const now = this.#parts.clock.monotonicMs()
    if (this.#log.store.isDiskFull) {
      this.#miss(batch)
      resolve(refuse('KAFKA_STORAGE_ERROR', 'the disk is full'))
      return
    }
    this.#waiting.push({ batch, acks, until: now + waitMsMax, resolve })
    this.#stopListening ??= this.#log.store.onRoom(() => this.#drain())
    this.#armWaitTimer()
  }

  /** Takes waiting batches as far as there is room for them. */
  #drain(): void {
    while (this.#waiting.length > 0 && this.#rolling === null && !this.#closed) {
      const { batch, acks, resolve } = this.#waiting[0] as Waiting
      if (!this.#log.store.hasRoom(batch.bytes.length)) {
        if (this.#log.store.isDiskFull) this.#refuseWaiting(Number.POSITIVE_INFINITY, 'the disk is full')
        return
      }
      if (this.#isDueFor(batch)) {
        this.#startRoll()
        return
      }
      this.#waiting.shift()
      this.#take(batch, acks, resolve)
    }
    if (this.#waiting.length > 0) return
    this.#waitTimer?.cancel()
    this.#waitTimer = null
    this.#stopListening?.()
    this.#stopListening = null
  }

  #armWaitTimer(): void {
    const first = this.#waiting[0]
    if (first === undefined || this.#waitTimer !== null) return
    const delayMs = Math.max(first.until - this.#parts.clock.monotonicMs(), 0)
    this.#waitTimer = this.#parts.clock.setTimer(delayMs, () => {
      this.#waitTimer = null
      // There may be room by now that nobody told of.
      this.#drain()
      this.#refuseWaiting(this.#parts.clock.monotonicMs(), 'the disk does not keep up')
      this.#armWaitTimer()
    })
  }

  #refuseWaiting(until: number, message: string): void {
    for (let first = this.#waiting[0]; first !== undefined && first.until <= until; first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#miss(first.batch)
      first.resolve(refuse('KAFKA_STORAGE_ERROR', message))
    }
  }

  #startRoll(): void {
    this.#roll().catch(error => this.#parts.fail(error))
  }

  /** Seals the open segment where it ends and opens the next. Appends wait meanwhile. */
  #roll(): Promise<void> {
    this.#rolling ??= this.#sealAndOpen().finally(() => {
      this.#rolling = null
      this.#drain()
    })
    return this.#rolling
  }

  async #sealAndOpen(): Promise<void> {
    await this.#log.whenSettled()
    const record = this.#record()
    const open = record === undefined ? null : unsealed(record)
    const { active } = this.#log
    if (open === null || active.isEmpty || this.#closed) return
    const outcome = await this.#parts.metadata.propose({
      do: 'sealAndOpen',
      topicId: this.topicId,
      partition: this.index,
      segment: open.id,
      epoch: open.writeEpoch,
      end: active.nextOffset,
      bytes: active.bytes,
      maxTimestamp: active.maxTimestamp,
      checksum: 0,
      complete: [this.#parts.nodeId],
      reason: 'size',
      next: oneCopy(this.#parts.nodeId, this.#parts.metadata.metadata.nodes),
      nowMs: this.#parts.clock.nowMs(),
    })
    const opened = this.#record()?.chain.at(-1)
    if (outcome.ok && opened !== undefined && !this.#closed) this.#log.sealAndOpen(opened)
  }

  async #retain(nowMs: number): Promise<void> {
    const closed = this.#log.segments.filter(segment => segment.end !== null)
    const sealed = closed.map(({ base, end, bytes, maxTimestamp }) => ({
      base,
      end: end as Offset,
      bytes,
      maxTimestamp,
    }))
    const rules = retentionRules(this.#parts.settings())
    const start = retainedFrom(sealed, this.#log.active.bytes, this.logStartOffset, rules, nowMs)
    const hasDone = closed.some(segment => segment.end !== null && segment.end <= start && !segment.isDropped)
    if (start > this.logStartOffset || (hasDone && !this.#isDeleting())) await this.#advanceStart(start)
  }

  #isDeleting(): boolean {
    return this.#record()?.chain.some(segment => segment.state === 'deleting') ?? false
  }

  async #advanceStart(offset: Offset): Promise<void> {
    while (!this.#closed) {
      const record = this.#record()
      if (record === undefined) return
      const target = Math.max(offset, record.logStartOffset) as Offset
      const outcome = await this.#parts.metadata.propose({ do: 'advanceStart', ...this.#ref(record), offset: target })
      if (!outcome.ok) {
        if (outcome.error === 'STALE') continue
        return
      }
      if (this.#closed) return
      if (target > this.logStartOffset) this.#log.advanceStart(target)
      this.resumeDeletion()
      for (const listener of this.#listeners) listener()
      return
    }
  }

  /** Removes the oldest segments, up to and including `through`, after `file.delete.delay.ms`. */
  #deleteLater(through: SegmentId, delayMs = this.#parts.settings().fileDeleteDelayMs): void {
    this.#deletingThrough = Math.max(this.#deletingThrough, through)
    const timer = this.#parts.clock.setTimer(delayMs, () => {
      this.#deleteTimers.delete(timer)
      this.#deleteSegments(through).catch(error => {
        if (!isPassing(error)) this.#parts.fail(error)
        else if (!this.#closed) this.#deleteLater(through, deleteRetryMs)
      })
    })
    this.#deleteTimers.add(timer)
  }

  async #deleteSegments(through: SegmentId): Promise<void> {
    if (this.#closed) return
    const isDeleting = new Set(
      this.#record()
        ?.chain.filter(one => one.state === 'deleting')
        .map(one => one.id),
    )
    const count = this.#log.segments.findLastIndex(one => isDeleting.has(one.id) && one.id <= through) + 1
    await this.#log.removeSegments(count)
    for (;;) {
      const record = this.#record()
      if (record === undefined || this.#closed) return
      const outcome = await this.#parts.metadata.propose({ do: 'dropSegments', ...this.#ref(record), through })
      if (outcome.ok || outcome.error !== 'STALE') return
    }
  }

  #record(): PartitionRecord | undefined {
    return this.#parts.metadata.metadata.topics.get(this.topicId)?.partitions[this.index]
  }

  #ref(record: PartitionRecord) {
    return { topicId: this.topicId, partition: this.index, version: record.version }
  }

  #settleRetries(): void {
    const durable = this.#retries.filter(retry => retry.end <= this.highWatermark)
    this.#retries = this.#retries.filter(retry => retry.end > this.highWatermark)
    for (const { base, resolve } of durable) resolve(this.#accepted(base, -1))
  }

  #read({ error, records, release }: SegmentRead, isFromMemory: boolean): ReadOutcome {
    const { reads } = this.#log.store
    const bytes = records.length
    this.traffic.bytesOut += bytes
    if (isFromMemory) {
      reads.hits++
      reads.hitBytes += bytes
    } else {
      reads.misses++
      reads.missBytes += bytes
    }
    const outcome = this.#outcome(error, records)
    return release === undefined ? outcome : { ...outcome, release }
  }

  #outcome(error: ReadOutcome['error'], records: Rope = emptyRope): ReadOutcome {
    return { error, records, highWatermark: this.highWatermark, logStartOffset: this.logStartOffset }
  }

  /** The disk did not give what it holds. What was deleted while it was read is no error of the disk. */
  #unreadable(error: unknown): ReadOutcome {
    if (error instanceof InvariantViolation) throw error
    if (this.#closed) return this.#outcome('UNKNOWN_TOPIC_OR_PARTITION')
    const isCorrupt = error instanceof TidelogError && error.code === 'CORRUPT'
    return this.#outcome(isCorrupt ? 'CORRUPT_MESSAGE' : 'KAFKA_STORAGE_ERROR')
  }
}

/** Offsets of one segment, as Kafka bounds them. */
const segmentOffsetsMax = 0x7fff_ffff

const noLimits: RetentionRules = { retentionMs: -1, retentionBytes: -1 }

/** Only what `cleanup.policy` names as deleted grows too old or too large. */
function retentionRules(settings: TopicSettings): RetentionRules {
  return settings.deletesOld ? settings : noLimits
}

function refuse(error: RefusalError, message: string): Refused {
  return { error, message }
}

const gone = refuse('UNKNOWN_TOPIC_OR_PARTITION', 'the partition is gone')
const tooManyLooks = refuse('KAFKA_STORAGE_ERROR', 'more batches are to be unfolded than this node can do now')
const failedLook = refuse('UNKNOWN_SERVER_ERROR', 'the batch could not be looked into')
