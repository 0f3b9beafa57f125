/**
 * One partition on this disk: the segments of its chain, the batches in flight, its producers. The door of this folder: what
 * lies above sees this and `LogStore`.
 *
 * Order of life: `recover` (once, after the journal was read), then `append`, `read` and the look-ups; `sealAndOpen` and
 * `advanceStart` when the metadata says so; `remove` at the end. The flusher calls `flushNext`.
 */
import type { LeaderEpoch, Offset, Position, TopicId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { emptyRope, type Rope, ropeOf } from '../base/rope.ts'
import { encodeRecord } from '../wire/on-disk.ts'
import { type BatchHeader, stampBatch } from '../wire/record-batch.ts'
import { type CheckpointEntry, type CheckpointRow, checkpointEntry, indexPointsMax } from './checkpoint.ts'
import type { JournalEntry } from './journal.ts'
import type { JournalFile } from './journal-files.ts'
import { entryKinds } from './journal-format.ts'
import { lend } from './log-cache.ts'
import type { LogStore } from './log-store.ts'
import { folderOfPartition, isSegmentFile, segmentPath, topicsFolder } from './paths.ts'
import { type ProducerState, Producers, type Verdict } from './producers.ts'
import { endOf, type Found, readBatchAt, readSegment, type SegmentRead, walkFile } from './read.ts'
import { recoverPartition } from './recovery.ts'
import { writeSealFile } from './seal-file.ts'
import { type BatchOwner, CachedBatch, Segment, type SegmentRecord } from './segment.ts'
import type { IndexPoint } from './segment-index.ts'
import { syncFolder, syncFolderIfThere } from './whole-file.ts'

export interface PartitionLogOptions {
  readonly store: LogStore
  readonly topicId: TopicId
  readonly index: number
  readonly indexIntervalBytes: () => number
  /** Acknowledge a batch when it is written, before its sync. */
  readonly isRelaxed: () => boolean
  /** The high watermark has risen. */
  readonly onAdvance: () => void
  /** Created just now: nothing of it is on disk yet. */
  readonly isNew?: boolean
}

export interface ReadRequest {
  readonly from: Offset
  readonly bytesMax: number
  readonly minOne: boolean
}

/** Coarse stretches of an index longer than this are filled before a segment is sealed. */
const sparseGapBytes = 64 * 1024
/** Batches that a look-up by time notes before it reads them. */
const lookupBatchesMax = 16

export class PartitionLog implements BatchOwner {
  readonly store: LogStore
  readonly topicId: TopicId
  readonly index: number
  readonly folder: string
  readonly options: PartitionLogOptions
  /** Producers as of the newest batch given offsets. */
  readonly producers: Producers
  /** Producers as of what the segment files hold: what checkpoints and seals save. */
  readonly #flushedProducers: Producers
  /** In order; the last one is open. */
  #segments: Segment[]
  #logStartOffset: Offset
  #highWatermark: Offset
  #folderIsDurable = false
  #removed = false
  #onSettled: (() => void)[] = []

  private constructor(
    options: PartitionLogOptions,
    recovered: { segments: Segment[]; flushedProducers: Producers; producers: Producers },
    logStartOffset: Offset,
  ) {
    this.store = options.store
    this.topicId = options.topicId
    this.index = options.index
    this.options = options
    this.folder = folderOfPartition(options.topicId, options.index)
    this.#segments = recovered.segments
    this.producers = recovered.producers
    this.#flushedProducers = recovered.flushedProducers
    this.#logStartOffset = logStartOffset
    this.#highWatermark = this.active.durableEnd
  }

  /** Makes the partition's log out of its chain and of what the disk and the journal hold. */
  static async recover(
    options: PartitionLogOptions,
    chain: readonly SegmentRecord[],
    logStartOffset: Offset,
  ): Promise<PartitionLog> {
    const recovered = await recoverPartition(options, chain, logStartOffset)
    const log = new PartitionLog(options, recovered, logStartOffset)
    options.store.register(log)
    await recovered.load(log)
    log.#highWatermark = log.active.durableEnd
    if (log.needsFlush) options.store.flusher.add(log)
    return log
  }

  get active(): Segment {
    const segment = this.#segments.at(-1)
    invariant(segment !== undefined, 'a partition has an open segment')
    return segment
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  get highWatermark(): Offset {
    return this.#highWatermark
  }

  get nextOffset(): Offset {
    return this.active.nextOffset
  }

  get leaderEpoch(): LeaderEpoch {
    return this.active.leaderEpoch
  }

  /** The tail may be lost to corruption; nothing may be appended behind it. */
  get isSuspect(): boolean {
    return this.active.progress.suspect
  }

  get isRemoved(): boolean {
    return this.#removed
  }

  /** Everything that was appended is durable. */
  get isSettled(): boolean {
    return this.active.nextOffset === this.active.durableEnd
  }

  /** Resolves when everything that was appended so far is durable, or when nobody waits for it any more. */
  async whenSettled(): Promise<void> {
    if (!this.isSettled) await new Promise<void>(resolve => this.#onSettled.push(resolve))
  }

  /** The partition closes: what waits for it goes on and finds that out. */
  stopWaiting(): void {
    for (const settled of this.#onSettled.splice(0)) settled()
  }

  check(header: BatchHeader): Verdict {
    return this.producers.check(header)
  }

  /**
   * Gives a batch its offsets and hands it to the journal. `onAcknowledged` runs when it is durable (or written, where the
   * topic is relaxed). The bytes belong to the log from here on.
   */
  append(header: BatchHeader, bytes: Rope, onAcknowledged: (() => void) | null): CachedBatch {
    invariant(!this.#removed && !this.isSuspect, 'only a sound log is appended to')
    const segment = this.active
    const base = segment.nextOffset
    stampBatch(bytes, base, segment.leaderEpoch)
    const batch = new CachedBatch(this, segment, header, base, this.store.cache.admit(bytes))
    batch.onAcknowledged = onAcknowledged
    segment.add(batch)
    this.producers.note(header, base, batch.end, this.store.io.clock.nowMs())
    this.store.journal.append(batch)
    return batch
  }

  batchWritten(batch: CachedBatch): void {
    if (this.options.isRelaxed()) this.#acknowledge(batch)
  }

  batchDurable(batch: CachedBatch): void {
    if (this.#removed) {
      batch.unpin()
      this.store.cache.dropUnflushed(batch.cached)
      // It was stored before its topic went; whoever waits must not wait for ever.
      batch.onAcknowledged?.()
      return
    }
    batch.segment.settle(batch)
    this.store.flusher.add(this)
    this.#acknowledge(batch)
    if (this.#onSettled.length > 0 && this.isSettled) {
      for (const settled of this.#onSettled.splice(0)) settled()
    }
  }

  /** Whole batches from `from` on; the caller has checked that it lies between the log start and the high watermark. */
  read(request: ReadRequest): SegmentRead | Promise<SegmentRead> {
    const segment = this.segmentAt(request.from)
    if (segment === null || request.from >= this.#highWatermark) return { error: 'NONE', records: emptyRope }
    const read = readSegment(segment, this.store.descriptors, { ...request, limit: this.#highWatermark })
    if (!(read instanceof Promise)) return read
    segment.readers++
    return read.finally(() => this.#unread(segment))
  }

  /** The segment that holds an offset. */
  segmentAt(offset: Offset): Segment | null {
    let low = 0
    let high = this.#segments.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle] as Segment).base <= offset) low = middle
      else high = middle
    }
    return this.#segments[low] ?? null
  }

  /**
   * Batches of one segment whose highest timestamp is at least `timestampMs`, in order, each read and checked. A batch that
   * does not match its checksum is left out.
   */
  async *batchesSince(segment: Segment, timestampMs: number): AsyncGenerator<{ header: BatchHeader; bytes: Rope }> {
    segment.readers++
    try {
      let { position, offset: from } = await segment.pointBeforeTime(timestampMs)
      // While one is looked at, others are flushed and leave the memory: where to go on is asked anew each time.
      for (;;) {
        if (from < segment.cachedFrom && position < segment.progress.flushedBytes) {
          const found: Found[] = []
          const start = position
          const range = { from: position, fromOffset: from, to: segment.progress.flushedBytes }
          await walkFile(segment, this.store.descriptors, range, one => {
            position = (one.position + one.header.bytes) as Position
            from = endOf(one.header)
            if (one.header.maxTimestamp >= timestampMs) found.push(one)
            return found.length < lookupBatchesMax
          })
          for (const one of found) {
            const bytes = await readBatchAt(segment, this.store.descriptors, one)
            if (bytes !== null) yield { header: one.header, bytes }
          }
          // Where headers make no sense the walk ends early; what lies behind is reached through memory, if at all.
          if (position === start) from = segment.cachedFrom
          continue
        }
        const [batch] = segment.cached(from)
        if (batch === undefined || batch.end > this.#highWatermark) return
        position = (batch.position + batch.body.length) as Position
        from = batch.end
        if (batch.header.maxTimestamp < timestampMs) continue
        const header = { ...batch.header, baseOffset: batch.base, leaderEpoch: segment.leaderEpoch }
        const release = lend(batch.cached.slabs)
        try {
          yield { header, bytes: batch.body }
        } finally {
          release()
        }
      }
    } finally {
      this.#unread(segment)
    }
  }

  /** The chain was extended: what was open ends where it is, and `record` is open. */
  sealAndOpen(record: SegmentRecord): void {
    const sealed = this.active
    invariant(this.isSettled && record.base === sealed.durableEnd, 'a planned roll drains the segment first')
    sealed.end = record.base
    this.#segments.push(this.newSegment(record))
    this.store.flusher.add(this)
  }

  newSegment(record: SegmentRecord): Segment {
    return new Segment({
      record,
      path: this.pathOf(record),
      descriptors: this.store.descriptors,
      indexIntervalBytes: this.options.indexIntervalBytes(),
    })
  }

  pathOf(record: { readonly id: number; readonly base: number }): string {
    return segmentPath(this.folder, record)
  }

  /** Moves the log start; nothing below it is served any more. */
  advanceStart(offset: Offset): void {
    invariant(
      offset >= this.#logStartOffset && offset <= this.#highWatermark,
      'the log start moves forward within the log',
    )
    this.#logStartOffset = offset
  }

  /**
   * Removes the files of the `count` oldest segments, which lie below the log start, once nobody reads them. May be called
   * again when the disk did not let it finish.
   */
  async removeSegments(count: number): Promise<void> {
    invariant(count < this.#segments.length, 'the open segment stays')
    const removed = this.#segments.slice(0, count)
    for (const segment of removed) this.#forget(segment)
    // The producers as of the last of them may be nowhere else.
    await this.#saveProducers()
    for (const segment of removed) {
      if (segment.readers > 0) await new Promise<void>(resolve => (segment.onUnread = resolve))
    }
    await this.#removeFiles(removed)
    this.#segments = this.#segments.filter(segment => !removed.includes(segment))
  }

  /** Makes all producers durable in the journal, which has room for it even when the disk is full. */
  async #saveProducers(): Promise<void> {
    const segment = this.#firstUnflushed()
    if (segment === null) return
    await new Promise<void>(resolve => {
      const producers = [...this.#flushedProducers.all()]
      this.store.journal.append(new CheckpointNote(segment, producers, { allProducers: true, durable: resolve }))
    })
  }

  /** Makes durable what recovery found out about a segment. */
  async saveProgress(segment: Segment): Promise<void> {
    const producers = [...this.#flushedProducers.all()]
    await new Promise<void>(durable => this.store.journal.append(new CheckpointNote(segment, producers, { durable })))
  }

  async #removeFiles(segments: readonly Segment[]): Promise<void> {
    const { disk } = this.store.io
    for (const segment of segments) {
      for (const path of [segment.logPath, segment.sealPath]) {
        await this.store.descriptors.forget(path)
        await disk.remove(path)
      }
    }
    // Also where nothing was left to remove: another process may have ended between its removals and this.
    await syncFolderIfThere(disk, this.folder)
  }

  /** The topic is gone: every file goes. */
  async remove(): Promise<void> {
    this.#removed = true
    this.store.unregister(this)
    for (const segment of this.#segments) this.#forget(segment)
    for (const segment of this.#segments) {
      if (segment.readers > 0) await new Promise<void>(resolve => (segment.onUnread = resolve))
    }
    await removePartitionFolder(this.store, this.folder)
  }

  get unflushedBytes(): number {
    let bytes = 0
    for (const segment of this.#unflushed()) bytes += segment.unflushedBytes
    return bytes
  }

  /** A sealed segment waits for the rest of its bytes and its seal file. */
  get awaitsSeal(): boolean {
    const first = this.#firstUnflushed()
    return first !== null && first.end !== null
  }

  get needsFlush(): boolean {
    return !this.#removed && (this.awaitsSeal || this.unflushedBytes > 0)
  }

  /** The oldest journal file that this partition needs. */
  oldestJournalFile(): JournalFile | null {
    for (const segment of this.#unflushed()) {
      const file = segment.oldestJournalFile()
      if (file !== null) return file
    }
    return null
  }

  holdsJournalFile(file: JournalFile | undefined): boolean {
    return file !== undefined && this.oldestJournalFile() === file
  }

  /**
   * Flushes the next run, in order of offsets, and seals a segment that is complete. Resolves to whether there was anything
   * to do; rejects with what the disk says.
   */
  async flushNext(bytesMax: number): Promise<boolean> {
    const segment = this.#firstUnflushed()
    if (segment === null || this.#removed) return false
    // Counts as a reader, so that the files are not removed under it.
    segment.readers++
    try {
      const run = segment.nextRun(bytesMax)
      if (run.length > 0) await this.#flushRun(segment, run)
      else if (segment.unflushedBytes === 0 && segment.progress.flushedEnd < segment.durableEnd) segment.skipToDurable()
      const isComplete = segment.end !== null && segment.progress.flushedEnd === segment.end
      const mustSeal = isComplete && !segment.isDropped
      if (mustSeal) await this.#seal(segment)
      return run.length > 0 || mustSeal
    } finally {
      this.#unread(segment)
    }
  }

  /** This partition's part of a checkpoint table. */
  checkpointRows(): CheckpointRow[] {
    const rows: CheckpointRow[] = []
    for (const segment of this.#unflushed()) {
      const { progress } = segment
      const isFirst = rows.length === 0
      if (!isFirst && progress.flushedBytes === 0 && !progress.suspect && progress.holes.length === 0) continue
      rows.push({
        ...progress,
        durableEnd: segment.durableEnd,
        // Flushing follows the order of segments, so that the state as of the flushed end is the first one's.
        producers: isFirst ? [...this.#flushedProducers.all()] : [],
        points: segment.index?.thinned(indexPointsMax).filter(point => point.position < progress.flushedBytes) ?? [],
      })
    }
    return rows
  }

  *#unflushed(): IterableIterator<Segment> {
    const from = this.#segments.findLastIndex(segment => segment.isFlushed) + 1
    for (let i = from; i < this.#segments.length; i++) {
      const segment = this.#segments[i] as Segment
      if (!segment.isDropped) yield segment
    }
  }

  #firstUnflushed(): Segment | null {
    for (const segment of this.#unflushed()) return segment
    return null
  }

  async #flushRun(segment: Segment, run: readonly CachedBatch[]): Promise<void> {
    await this.#makeFile(segment)
    if (segment.isDropped) return
    const chunks: Buffer[] = []
    for (const batch of run) chunks.push(...batch.body.chunks)
    // When the segment is dropped meanwhile, its batches are let go: their memory must not be used again under the write.
    const giveBack = lend(run.flatMap(batch => batch.cached.slabs))
    try {
      await this.store.descriptors.writeSynced(segment.logPath, chunks, segment.progress.flushedBytes)
    } finally {
      giveBack()
    }
    if (segment.isDropped) return
    segment.noteFlushed(run)
    const touched = this.#noteProducers(run)
    for (const batch of run) {
      batch.unpin()
      this.store.cache.flushed(batch)
    }
    this.store.journal.append(new CheckpointNote(segment, touched))
  }

  /** The file's name is durable before anything relies on what is in it. */
  async #makeFile(segment: Segment): Promise<void> {
    if (segment.hasFile) return
    const { disk } = this.store.io
    if (!this.#folderIsDurable) {
      await disk.makeDirectory(this.folder)
      await syncFolder(disk, topicsFolder)
      this.#folderIsDurable = true
    }
    await this.store.descriptors.use(segment.logPath, 'create', async () => {})
    await syncFolder(disk, this.folder)
    segment.hasFile = true
  }

  /** Brings the flushed producers up to a run; returns what the run changed. */
  #noteProducers(run: readonly CachedBatch[]): ProducerState[] {
    const touched = new Producers()
    const now = this.store.io.clock.nowMs()
    for (const batch of run) {
      this.#flushedProducers.note(batch.header, batch.base, batch.end, now)
      touched.note(batch.header, batch.base, batch.end, now)
    }
    return [...touched.all()]
  }

  async #seal(segment: Segment): Promise<void> {
    const { progress, index, end } = segment
    invariant(index !== null && end !== null, 'a segment is sealed once')
    await this.#makeFile(segment)
    await this.#fillIndex(segment)
    const summary = {
      ...progress,
      base: segment.base,
      end,
      bytes: progress.flushedBytes,
      leaderEpoch: segment.leaderEpoch,
      producers: [...this.#flushedProducers.all()],
    }
    await writeSealFile(this.store.io.disk, segment.sealPath, summary, index.points)
    if (!segment.isDropped) segment.becomeFlushed()
  }

  /** Walks what another process wrote of this segment, so that its seal gets a dense index. */
  async #fillIndex(segment: Segment): Promise<void> {
    const interval = Math.max(this.options.indexIntervalBytes(), 1)
    for (const gap of segment.index?.gaps(Math.max(sparseGapBytes, interval), segment.progress.flushedBytes) ?? []) {
      const points: IndexPoint[] = []
      let maxTimestampBefore = gap.from.maxTimestampBefore
      let last = gap.from.position
      await walkFile(
        segment,
        this.store.descriptors,
        { from: gap.from.position, fromOffset: gap.from.offset, to: gap.to },
        ({ header, position }) => {
          if (position - last >= interval) {
            points.push({ offset: header.baseOffset, position, maxTimestampBefore })
            last = position
          }
          maxTimestampBefore = Math.max(maxTimestampBefore, header.maxTimestamp)
          return true
        },
      )
      segment.index?.insert(points)
    }
  }

  #acknowledge(batch: CachedBatch): void {
    if (this.#removed) return
    const settle = batch.onAcknowledged
    batch.onAcknowledged = null
    if (batch.end > this.#highWatermark) {
      this.#highWatermark = batch.end
      batch.segment.noteReadable(batch)
      this.options.onAdvance()
    }
    settle?.()
  }

  #forget(segment: Segment): void {
    segment.isDropped = true
    for (const batch of segment.dropUnflushed()) {
      // What is still in flight is let go when the journal settles it.
      if (batch.end > segment.durableEnd) continue
      this.#flushedProducers.note(batch.header, batch.base, batch.end, this.store.io.clock.nowMs())
      batch.unpin()
      this.store.cache.dropUnflushed(batch.cached)
    }
  }

  #unread(segment: Segment): void {
    if (--segment.readers === 0) segment.onUnread?.()
  }
}

/** Removes what is left of a partition whose topic was deleted before this process started. */
export async function discardPartition(
  store: LogStore,
  topicId: TopicId,
  index: number,
  chain: readonly SegmentRecord[],
): Promise<void> {
  for (const segment of chain) store.discardFound(segment.id)
  await removePartitionFolder(store, folderOfPartition(topicId, index))
}

/** Files that are not ours stay, and so does their folder. */
async function removePartitionFolder(store: LogStore, folder: string): Promise<void> {
  const { disk } = store.io
  for (const name of await disk.list(folder)) {
    if (!isSegmentFile(name)) continue
    await store.descriptors.forget(`${folder}/${name}`)
    await disk.remove(`${folder}/${name}`)
  }
  await disk.removeDirectory(folder)
  await syncFolder(disk, topicsFolder)
}

/** A checkpoint on its way into the journal. */
class CheckpointNote implements JournalEntry {
  readonly kind = entryKinds.checkpoint
  readonly segmentId: number
  readonly base: number
  readonly end: number
  readonly #segment: Segment
  readonly #facts: Omit<CheckpointEntry, 'durableEnd'>
  #body: Rope = emptyRope
  #bodyEnd = -1

  readonly durable: () => void

  /** `producers`: those of the last run, or all that there are. */
  constructor(
    segment: Segment,
    producers: readonly ProducerState[],
    { allProducers = false, durable = () => {} }: { allProducers?: boolean; durable?: () => void } = {},
  ) {
    this.segmentId = segment.id
    this.base = segment.base
    this.end = segment.progress.flushedEnd
    this.#segment = segment
    this.#facts = { ...segment.progress, producers, allProducers }
    this.durable = durable
  }

  /**
   * Made when the entry is written, not when it is queued: it must vouch for every group before its own. Its length does not
   * depend on that.
   */
  get body(): Rope {
    const { durableEnd } = this.#segment
    if (durableEnd !== this.#bodyEnd) {
      this.#body = ropeOf(encodeRecord(checkpointEntry, { ...this.#facts, durableEnd }))
      this.#bodyEnd = durableEnd
    }
    return this.#body
  }

  placed(): void {}
  written(): void {}
}
