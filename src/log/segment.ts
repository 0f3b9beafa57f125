/**
 * One segment on this disk: a stretch of one partition's offsets with its file, its index and those of its batches that are in
 * memory. Batches in memory are the segment's tail: first those already in the file (recent), then those that are not.
 *
 *     base ............ flushedEnd ............ durableEnd ............ nextOffset
 *       in the file       in the journal          being written
 *              |<------------ batches in memory ----------------->|
 *
 * States: active (it takes appends), sealed (its end is recorded in the chain), flushed (its seal file exists; the journal no
 * longer matters to it).
 */
import { crc32c } from '../base/crc32c.ts'
import { systemCode, TidelogError } from '../base/errors.ts'
import type { LeaderEpoch, Offset, Position, SegmentId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { peekRope, type Rope } from '../base/rope.ts'
import { type BatchHeader, batchUnsummedBytes } from '../wire/record-batch.ts'
import type { Hole, Progress } from './checkpoint.ts'
import type { Descriptors } from './descriptors.ts'
import type { JournalEntry } from './journal.ts'
import type { JournalFile } from './journal-files.ts'
import { entryKinds } from './journal-format.ts'
import type { CachedBytes, Evictable } from './log-cache.ts'
import { walkFile } from './read.ts'
import { SealFile } from './seal-file.ts'
import { type IndexPoint, SegmentIndex } from './segment-index.ts'

/** A segment as the partition's chain records it. */
export interface SegmentRecord {
  readonly id: SegmentId
  readonly base: Offset
  /** Null while it is open. */
  readonly end: Offset | null
  /** `deleting`: it lies below the log start, and its files may be gone. */
  readonly state: 'open' | 'sealing' | 'sealed' | 'deleting'
  readonly leaderEpoch: LeaderEpoch
  readonly createdAtMs: number
  /** Of a sealed segment; 0 and -1 while it is open. */
  readonly bytes: number
  readonly maxTimestamp: number
}

/** Told when a batch is written, and when it is synced. */
export interface BatchOwner {
  batchWritten(batch: CachedBatch): void
  batchDurable(batch: CachedBatch): void
}

/** A batch in memory. It is its own journal entry. */
export class CachedBatch implements JournalEntry, Evictable {
  readonly kind = entryKinds.batch
  readonly owner: BatchOwner
  readonly segment: Segment
  readonly header: BatchHeader
  readonly base: Offset
  readonly end: Offset
  readonly position: Position
  readonly cached: CachedBytes
  /** The journal file that must be kept until the segment file has the batch. */
  file: JournalFile | null = null
  /** Runs when the batch is acknowledged. */
  onAcknowledged: (() => void) | null = null

  constructor(owner: BatchOwner, segment: Segment, header: BatchHeader, base: Offset, cached: CachedBytes) {
    this.owner = owner
    this.segment = segment
    this.header = header
    this.base = base
    this.end = (base + header.lastOffsetDelta + 1) as Offset
    this.position = segment.bytes
    this.cached = cached
  }

  get body(): Rope {
    return this.cached.rope
  }

  get segmentId(): number {
    return this.segment.id
  }

  placed(file: JournalFile): void {
    this.file = file
    file.pins++
  }

  /** The journal is no longer needed for this batch. */
  unpin(): void {
    if (this.file !== null) this.file.pins--
    this.file = null
  }

  written(): void {
    this.owner.batchWritten(this)
  }

  durable(): void {
    this.owner.batchDurable(this)
  }

  evict(): void {
    this.segment.evicted(this)
  }
}

const none = -1 as Offset
/** Of an index that replaces a lost one. */
const indexAnewIntervalBytes = 4096

export class Segment {
  readonly id: SegmentId
  readonly base: Offset
  readonly leaderEpoch: LeaderEpoch
  readonly createdAtMs: number
  /** Path without the ending. */
  readonly #path: string
  readonly #descriptors: Descriptors
  /** Null while the segment is open. */
  end: Offset | null
  nextOffset: Offset
  /** Length of the segment with all that it was given. */
  bytes: Position = 0 as Position
  durableEnd: Offset
  durableBytes: Position = 0 as Position
  maxTimestamp = -1
  maxTimestampBase: Offset = none
  /** Highest timestamp of all that it was given, durable or not. */
  #maxTimestampGiven = -1
  /** What the segment file holds, synced. */
  progress: Progress
  /** The folder knows the file's name, durably. */
  hasFile = false
  isFlushed = false
  /** The segment is being removed; nothing is written to it any more. */
  isDropped = false
  /** Readers at work; a deleted segment's files go when there is none. */
  readers = 0
  onUnread: (() => void) | null = null
  #index: SegmentIndex | null
  #seal: Promise<SealFile> | null = null
  /** What the seal file sums up is known: read from there, or written there by this process. */
  #knowsSummary = false
  #batches: CachedBatch[] = []
  #batchesFrom = 0
  /** How many of the batches in memory are in the file. */
  #flushedCount = 0

  constructor(options: {
    record: SegmentRecord
    path: string
    descriptors: Descriptors
    indexIntervalBytes: number
    progress?: Progress
    points?: readonly IndexPoint[]
  }) {
    const { record, progress } = options
    this.id = record.id
    this.base = record.base
    this.end = record.end
    this.leaderEpoch = record.leaderEpoch
    this.createdAtMs = record.createdAtMs
    this.#path = options.path
    this.#descriptors = options.descriptors
    this.progress = progress ?? emptyProgress(record)
    this.nextOffset = this.progress.flushedEnd
    this.durableEnd = this.progress.flushedEnd
    this.bytes = this.progress.flushedBytes
    this.durableBytes = this.progress.flushedBytes
    this.maxTimestamp = this.progress.maxTimestamp
    this.maxTimestampBase = this.progress.maxTimestampBase
    this.#maxTimestampGiven = this.progress.maxTimestamp
    this.#index = new SegmentIndex(record.base, options.indexIntervalBytes, options.points)
    if (this.progress.flushedBytes > 0) this.#noteBorder(this.progress.flushedEnd)
  }

  /** A segment whose seal file exists: everything else is read from there on demand. */
  static flushed(options: {
    record: SegmentRecord
    path: string
    descriptors: Descriptors
    seal: SealFile | null
  }): Segment {
    const segment = new Segment({ ...options, indexIntervalBytes: 0 })
    invariant(segment.end !== null, 'only a sealed segment has a seal file')
    segment.hasFile = true
    segment.isFlushed = true
    segment.#index = null
    segment.nextOffset = segment.end
    segment.durableEnd = segment.end
    segment.bytes = options.record.bytes as Position
    segment.durableBytes = segment.bytes
    segment.maxTimestamp = options.record.maxTimestamp
    segment.progress = { ...segment.progress, flushedEnd: segment.end, flushedBytes: segment.bytes }
    if (options.seal !== null) segment.#adoptSeal(options.seal)
    return segment
  }

  get logPath(): string {
    return `${this.#path}.log`
  }

  get sealPath(): string {
    return `${this.#path}.seal`
  }

  get isEmpty(): boolean {
    return this.nextOffset === this.base
  }

  /** Bytes that are durable in the journal and not yet in the file. */
  get unflushedBytes(): number {
    return this.durableBytes - this.progress.flushedBytes
  }

  /** The index in memory; null once the seal file has it. */
  get index(): SegmentIndex | null {
    return this.#index
  }

  get holes(): readonly Hole[] {
    return this.progress.holes
  }

  /** Takes a batch as its newest; it is not durable yet. */
  add(batch: CachedBatch): void {
    invariant(batch.base >= this.nextOffset, 'offsets rise within a segment')
    invariant(this.end === null || batch.end <= this.end, 'a sealed segment takes nothing behind its end')
    this.#noteBorder(batch.base)
    this.#batches.push(batch)
    this.nextOffset = batch.end
    this.bytes = (this.bytes + batch.body.length) as Position
    this.#maxTimestampGiven = Math.max(this.#maxTimestampGiven, batch.header.maxTimestamp)
  }

  /** A batch, the oldest that was not, is durable. */
  settle(batch: CachedBatch): void {
    invariant(batch.base >= this.durableEnd, 'batches become durable in order')
    this.durableEnd = batch.end
    this.durableBytes = (batch.position + batch.body.length) as Position
  }

  /** A batch may be read from now on; where the topic is relaxed, that is before it is durable. */
  noteReadable(batch: CachedBatch): void {
    if (batch.header.maxTimestamp > this.maxTimestamp) {
      this.maxTimestamp = batch.header.maxTimestamp
      this.maxTimestampBase = batch.base
    }
  }

  /** Durable batches that the file lacks, oldest first; at least one if there is any, then up to `bytesMax`. */
  nextRun(bytesMax: number): CachedBatch[] {
    const run: CachedBatch[] = []
    let bytes = 0
    for (let i = this.#batchesFrom + this.#flushedCount; i < this.#batches.length; i++) {
      const batch = this.#batches[i] as CachedBatch
      bytes += batch.body.length
      if (batch.end > this.durableEnd || (run.length > 0 && bytes > bytesMax)) break
      run.push(batch)
    }
    return run
  }

  /** A run is in the file, synced. The caller tells the cache and lets go of the journal. */
  noteFlushed(run: readonly CachedBatch[]): void {
    let { checksum, maxTimestamp, maxTimestampBase, records, flushedBytes, flushedEnd } = this.progress
    for (const batch of run) {
      invariant(batch.position === flushedBytes, 'runs follow each other in the file')
      checksum = crc32c(peekRope(batch.body, 0, batchUnsummedBytes), checksum)
      if (batch.header.maxTimestamp > maxTimestamp) {
        maxTimestamp = batch.header.maxTimestamp
        maxTimestampBase = batch.base
      }
      records += batch.end - batch.base
      flushedBytes = (flushedBytes + batch.body.length) as Position
      flushedEnd = batch.end
    }
    this.#flushedCount += run.length
    this.progress = { ...this.progress, checksum, maxTimestamp, maxTimestampBase, records, flushedBytes, flushedEnd }
  }

  /** Offsets `[from, to)` are lost. Whoever reads there is told. */
  noteHole(hole: Hole): void {
    invariant(hole.from >= this.base && hole.from < hole.to, 'a hole lies in its segment')
    const { holes } = this.progress
    const last = holes.at(-1)
    // Holes that touch are one: a reader expects the next batch at the end of the hole that it meets.
    const joined = last?.to === hole.from ? [...holes.slice(0, -1), { from: last.from, to: hole.to }] : [...holes, hole]
    this.progress = { ...this.progress, holes: joined }
    this.nextOffset = hole.to
    this.durableEnd = hole.to
  }

  /** Nothing lies between the flushed end and a hole's end: the file is as far as it will come. */
  skipToDurable(): void {
    invariant(this.unflushedBytes === 0, 'only what has no bytes is skipped')
    this.progress = { ...this.progress, flushedEnd: this.durableEnd }
  }

  suspect(suspect: boolean): void {
    this.progress = { ...this.progress, suspect }
  }

  /** The oldest journal file that a batch of this segment needs. */
  oldestJournalFile(): JournalFile | null {
    return this.#batches[this.#batchesFrom + this.#flushedCount]?.file ?? null
  }

  /** The cache lets the oldest batch go. */
  evicted(batch: CachedBatch): void {
    invariant(
      this.#batches[this.#batchesFrom] === batch && this.#flushedCount > 0,
      'the oldest flushed batch goes first',
    )
    this.#batchesFrom++
    this.#flushedCount--
    if (this.#batchesFrom > 256 && this.#batchesFrom * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#batchesFrom)
      this.#batchesFrom = 0
    }
  }

  /** Batches in memory that were never flushed, for a segment that is deleted. Afterwards it has none of those. */
  dropUnflushed(): CachedBatch[] {
    return this.#batches.splice(this.#batchesFrom + this.#flushedCount)
  }

  /** The first offset that is in memory. */
  get cachedFrom(): Offset {
    return this.#batches[this.#batchesFrom]?.base ?? this.nextOffset
  }

  /** Batches in memory from the one that holds `offset` (or the first after it) on. Only valid from `cachedFrom` on. */
  *cached(offset: Offset): IterableIterator<CachedBatch> {
    let low = this.#batchesFrom
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle] as CachedBatch).end <= offset) low = middle + 1
      else high = middle
    }
    for (let i = low; i < this.#batches.length; i++) yield this.#batches[i] as CachedBatch
  }

  async pointAtOffset(offset: Offset): Promise<IndexPoint> {
    return (await this.#lookup()).atOffset(offset)
  }

  async pointBeforeTime(timestampMs: number): Promise<IndexPoint> {
    return (await this.#lookup()).beforeTime(timestampMs)
  }

  /** The first index point behind a position. */
  async pointBehind(position: Position): Promise<IndexPoint | null> {
    return (await this.#lookup()).behind(position)
  }

  /** The index in memory, else the seal file; where that is lost, an index made anew out of the segment file. */
  async #lookup(): Promise<SegmentIndex | SealFile> {
    if (this.#index !== null) return this.#index
    try {
      return await this.seal()
    } catch (error) {
      const isLost = systemCode(error) === 'ENOENT' || (error instanceof TidelogError && error.code === 'CORRUPT')
      if (!isLost) throw error
      this.#index ??= await this.#indexAnew()
      return this.#index
    }
  }

  async #indexAnew(): Promise<SegmentIndex> {
    const index = new SegmentIndex(this.base, indexAnewIntervalBytes)
    // Look-ups of the walk itself begin at the origin.
    this.#index = new SegmentIndex(this.base, indexAnewIntervalBytes)
    let maxTimestampBefore = -1
    const range = { from: 0 as Position, fromOffset: this.base, to: this.progress.flushedBytes }
    await walkFile(this, this.#descriptors, range, ({ header, position }) => {
      index.note({ offset: header.baseOffset, position, maxTimestampBefore })
      maxTimestampBefore = Math.max(maxTimestampBefore, header.maxTimestamp)
      return true
    })
    this.#index = null
    return index
  }

  /** The seal file, opened at the first use. */
  async seal(): Promise<SealFile> {
    invariant(this.isFlushed, 'only a flushed segment has a seal file')
    this.#seal ??= SealFile.open(this.sealPath, this.#descriptors)
    try {
      const seal = await this.#seal
      const { segmentId, base, end } = seal.body
      if (segmentId !== this.id || base !== this.base || end !== this.end)
        throw new TidelogError('CORRUPT', `${this.sealPath} is the seal of another segment`)
      if (!this.#knowsSummary) this.#adoptSeal(seal)
      return seal
    } catch (error) {
      this.#seal = null
      throw error
    }
  }

  /** The seal file exists: the index in memory is let go. */
  becomeFlushed(): void {
    invariant(this.end === this.progress.flushedEnd, 'a sealed segment is flushed when its file reaches its end')
    this.isFlushed = true
    this.#knowsSummary = true
    this.#index = null
  }

  #adoptSeal(seal: SealFile): void {
    const { body } = seal
    this.#knowsSummary = true
    this.#seal ??= Promise.resolve(seal)
    this.bytes = body.bytes as Position
    this.durableBytes = this.bytes
    this.maxTimestamp = body.maxTimestamp
    this.maxTimestampBase = body.maxTimestampBase as Offset
    this.progress = {
      segmentId: this.id,
      flushedEnd: body.end as Offset,
      flushedBytes: this.bytes,
      checksum: body.checksum,
      maxTimestamp: body.maxTimestamp,
      maxTimestampBase: this.maxTimestampBase,
      records: body.records,
      suspect: false,
      holes: [
        ...this.progress.holes,
        ...body.holes.map(hole => ({ from: hole.from as Offset, to: hole.to as Offset })),
      ],
    }
  }

  #noteBorder(offset: Offset): void {
    this.#index?.note({ offset, position: this.bytes, maxTimestampBefore: this.#maxTimestampGiven })
  }
}

function emptyProgress(record: SegmentRecord): Progress {
  return {
    segmentId: record.id,
    flushedEnd: record.base,
    flushedBytes: 0 as Position,
    checksum: 0,
    maxTimestamp: -1,
    maxTimestampBase: none,
    records: 0,
    suspect: false,
    holes: [],
  }
}
