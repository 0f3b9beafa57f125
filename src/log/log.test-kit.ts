/**
 * A partition's log for tests, on a simulated disk, with a stand-in for the metadata that decides about its chain: what a
 * test tells it is durable at once.
 */
import assert from 'node:assert/strict'
import type { LeaderEpoch, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { flattenRope, ropeOf } from '../base/rope.ts'
import { ManualClock } from '../sim/clock.ts'
import { MemoryDisk, type MemoryDiskOptions } from '../sim/disk.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { type BatchHeader, readBatchHeader } from '../wire/record-batch.ts'
import { identity, seededRandom, turn, until } from './journal.test-kit.ts'
import { type LogEvent, LogStore, type LogStoreSettings } from './log-store.ts'
import { PartitionLog } from './partition-log.ts'
import type { Verdict } from './producers.ts'
import type { CachedBatch, SegmentRecord } from './segment.ts'

export const topicId = '11112222333344445555666677778888' as TopicId

export const smallStore: LogStoreSettings = {
  journal: { fileBytes: 16_384, firstFileBytes: 16_384, bytesMax: 16 * 16_384, groupBytesMax: 8192, markDelayMs: 25 },
  cacheBytes: 1 << 20,
  // Nothing is flushed unless a test says so.
  flush: { runBytes: 1 << 20, runBytesMax: 1 << 20, thinBytes: 1 << 20, idleMs: 1 << 30 },
  openFilesMax: 100,
  acceptDataLoss: false,
}

/** What the metadata knows of a partition. */
export class Chain {
  records: SegmentRecord[] = [openRecord(1, 0)]
  logStartOffset = 0 as Offset
  #nextId = 2

  /** Ends the open segment and opens the next. */
  roll(active: { nextOffset: Offset; bytes: number; maxTimestamp: number }): SegmentRecord {
    const { nextOffset: end, bytes, maxTimestamp } = active
    const sealed = { ...(this.records.at(-1) as SegmentRecord), end, state: 'sealed' as const, bytes, maxTimestamp }
    const next = openRecord(this.#nextId++, end)
    this.records = [...this.records.slice(0, -1), sealed, next]
    return next
  }

  advance(offset: Offset): void {
    this.logStartOffset = offset
    this.records = this.records.map(record =>
      record.end !== null && record.end <= offset ? { ...record, state: 'deleting' } : record,
    )
  }

  get deletingCount(): number {
    return this.records.filter(record => record.state === 'deleting').length
  }

  /** The files of segments below the log start are gone. */
  drop(): void {
    this.records = this.records.filter(record => record.state !== 'deleting')
  }
}

function openRecord(id: number, base: number): SegmentRecord {
  return {
    id: id as SegmentId,
    base: base as Offset,
    end: null,
    state: 'open',
    leaderEpoch: 0 as LeaderEpoch,
    createdAtMs: 0,
    bytes: 0,
    maxTimestamp: -1,
  }
}

export interface TestBatch {
  readonly header: BatchHeader
  readonly bytes: Buffer
}

export interface BatchDraft {
  readonly records?: number
  readonly fill?: number
  readonly timestampMs?: number
  readonly producerId?: number
  readonly sequence?: number
  readonly text?: string
}

export function testBatch(draft: BatchDraft = {}): TestBatch {
  const { records = 1, fill = 100, timestampMs = 1000, producerId = -1, sequence = -1, text = 'v' } = draft
  const values = Array.from({ length: records }, (_, i) => ({ value: text + '.'.repeat(fill) + i, timestampMs }))
  const bytes = buildBatch(values, { producerId, producerEpoch: producerId < 0 ? -1 : 0, baseSequence: sequence })
  return { header: readBatchHeader(bytes), bytes }
}

export interface StoreOptions {
  readonly clock?: ManualClock
  readonly settings?: Partial<LogStoreSettings>
  readonly isRelaxed?: boolean
  readonly indexIntervalBytes?: number
  readonly seed?: number
}

export class TestPartition {
  readonly disk: MemoryDisk
  readonly clock: ManualClock
  readonly store: LogStore
  readonly chain: Chain
  readonly log: PartitionLog
  readonly reports: LogEvent[]
  readonly failures: Error[]
  readonly #kick: () => void

  private constructor(parts: {
    disk: MemoryDisk
    clock: ManualClock
    store: LogStore
    chain: Chain
    log: PartitionLog
    reports: LogEvent[]
    failures: Error[]
    kick: () => void
  }) {
    this.disk = parts.disk
    this.clock = parts.clock
    this.store = parts.store
    this.chain = parts.chain
    this.log = parts.log
    this.reports = parts.reports
    this.failures = parts.failures
    this.#kick = parts.kick
  }

  static async open(disk: MemoryDisk, chain = new Chain(), options: StoreOptions = {}): Promise<TestPartition> {
    const clock = options.clock ?? new ManualClock()
    const reports: LogEvent[] = []
    const failures: Error[] = []
    const io = { disk, clock, random: seededRandom(options.seed ?? 1) }
    const store = await LogStore.open(
      io,
      identity,
      { ...smallStore, ...options.settings },
      {
        report: event => void reports.push(event),
        fail: error => void failures.push(error),
        saveMetadata: async () => {},
      },
    )
    // Two would be in each other's way: a test flushes by itself, or lets the flusher do it.
    const kick = store.flusher.kick.bind(store.flusher)
    store.flusher.kick = () => {}
    const log = await PartitionLog.recover(
      {
        store,
        topicId,
        index: 0,
        indexIntervalBytes: () => options.indexIntervalBytes ?? 300,
        isRelaxed: () => options.isRelaxed ?? false,
        onAdvance: () => {},
      },
      chain.records,
      chain.logStartOffset,
    )
    store.endRecovery()
    return new TestPartition({ disk, clock, store, chain, log, reports, failures, kick })
  }

  static fresh(options: StoreOptions = {}, disk: MemoryDiskOptions = {}): Promise<TestPartition> {
    return TestPartition.open(new MemoryDisk(disk), new Chain(), options)
  }

  get damage(): string[] {
    return this.reports.flatMap(event => (event.event === 'damage' ? [event.what] : []))
  }

  /** Appends without waiting. */
  append({ header, bytes }: TestBatch, onAcknowledged: (() => void) | null = null): CachedBatch {
    return this.log.append(header, ropeOf(Buffer.from(bytes)), onAcknowledged)
  }

  /** Appends and waits for the acknowledgement. */
  async acknowledged(batch: TestBatch): Promise<CachedBatch> {
    const done = Promise.withResolvers<void>()
    const appended = this.append(batch, done.resolve)
    await done.promise
    return appended
  }

  check(batch: TestBatch): Verdict {
    return this.log.check(batch.header)
  }

  /** Flushes all that is durable, and seals what is complete. */
  async flush(): Promise<void> {
    for (let left = 100; this.log.needsFlush && left > 0; left--) await this.log.flushNext(1 << 20)
    assert.ok(!this.log.needsFlush, 'everything is flushed')
    await this.settled()
  }

  /** Lets the flusher do what it finds to do: seals, runs that are long enough, the journal's old files. */
  async letFlusherRun(): Promise<void> {
    const { flusher } = this.store
    const manual = flusher.kick
    flusher.kick = this.#kick
    flusher.kick()
    for (let i = 0; i < 60; i++) await turn()
    flusher.kick = manual
  }

  /** Checkpoints are on their way into the journal after a flush. */
  async settled(): Promise<void> {
    const { journal } = this.store
    await until(() => journal.durableThrough === journal.nextGroupSeq - 1, 'the journal at rest')
    for (let i = 0; i < 10; i++) await turn()
  }

  async roll(): Promise<void> {
    await this.log.whenSettled()
    this.log.sealAndOpen(this.chain.roll(this.log.active))
  }

  /** Moves the log start and removes what lies below it, step by step as the broker does. */
  async trim(offset: number): Promise<void> {
    this.chain.advance(offset as Offset)
    this.log.advanceStart(offset as Offset)
    if (this.chain.deletingCount > 0) await this.log.removeSegments(this.chain.deletingCount)
    this.chain.drop()
  }

  async close(): Promise<void> {
    await this.store.close()
  }

  /** The next process, after a kill with nothing in flight. */
  async restart(options: StoreOptions = {}): Promise<TestPartition> {
    await this.settled()
    return TestPartition.open(this.disk.kill({}), this.chain, options)
  }

  /** All batches from the log start on, with where reads said that something is lost. */
  async readAll(): Promise<{ batches: { base: number; end: number; bytes: Buffer }[]; lost: number[] }> {
    return readAll(this.log)
  }
}

export async function readAll(log: PartitionLog) {
  const batches: { base: number; end: number; bytes: Buffer }[] = []
  const lost: number[] = []
  for (let from = log.logStartOffset as number; from < log.highWatermark; ) {
    const read = await log.read({ from: from as Offset, bytesMax: 1 << 20, minOne: true })
    if (read.error === 'CORRUPT_MESSAGE') {
      lost.push(from++)
      continue
    }
    const bytes = flattenRope(read.records)
    assert.ok(bytes.length > 0, `nothing at ${from}, below the high watermark ${log.highWatermark}`)
    for (let at = 0; at < bytes.length; ) {
      const header = readBatchHeader(bytes, at)
      const end = header.baseOffset + header.lastOffsetDelta + 1
      assert.ok(end > from, `a read at ${from} gives a batch that ends at ${end}`)
      batches.push({ base: header.baseOffset, end, bytes: Buffer.from(bytes.subarray(at, at + header.bytes)) })
      from = end
      at += header.bytes
    }
    read.release?.()
  }
  return { batches, lost }
}

/** A batch as it is stored: with its offset and the epoch. */
export function storedAt(base: number, { bytes }: TestBatch): Buffer {
  const stored = Buffer.from(bytes)
  stored.writeBigInt64BE(BigInt(base), 0)
  stored.writeInt32BE(0, 12)
  return stored
}
