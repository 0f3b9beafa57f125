/**
 * The journal: one stream of entries per disk, shared by all partitions, by the metadata's Raft log and by marks. Its promise
 * is the product's: an entry's `durable` runs only after the sync that covers it has returned.
 *
 * There is at most one sync in flight and no timer in front of it: what arrives meanwhile is the next group. No group is
 * written before the sync of the one before has returned, so any valid byte of group N+1 proves N durable. When nothing
 * follows, a mark (a group without entries) proves the last one.
 *
 * After a failed sync nothing is acknowledged ever again: `onFailure` ends the process. A full disk is no failure: the same
 * group is tried again, and whoever wants to append meanwhile can see `stalled`.
 */
import { isDiskFull, isPassing, TidelogError } from '../base/errors.ts'
import { Histogram, latencyBoundsMs } from '../base/histogram.ts'
import type { Rope } from '../base/rope.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { JournalFile, JournalFiles, JournalSettings } from './journal-files.ts'
import {
  type EntryKind,
  encodeEntryHeader,
  encodeGroupHeader,
  entryHeaderBytes,
  entryKinds,
  groupHeaderBytes,
  sectorBytes,
  toSector,
} from './journal-format.ts'

/** Something to be written. The journal calls back in order: `placed`, then `written`, then `durable`. */
export interface JournalEntry {
  readonly kind: EntryKind
  readonly segmentId: number
  readonly base: number
  readonly end: number
  readonly body: Rope
  /** The entry's place is known; whoever needs the file kept pins it now. */
  placed(file: JournalFile): void
  /** The group is written, not yet synced. */
  written(): void
  /** The group is synced. */
  durable(): void
}

/** Where the next group goes. */
export interface JournalPosition {
  readonly file: JournalFile | null
  readonly position: number
  readonly groupSeq: number
  readonly sequence: number
}

export interface JournalStats {
  groups: number
  entries: number
  bytes: number
  stalls: number
  readonly syncMs: Histogram
}

/** Chunks shorter than this are copied next to their entry header: fewer, longer pieces make a cheaper write. */
const copyBelowBytes = 2048
const fullDiskRetryMs = 100
const padding = Buffer.alloc(sectorBytes)

export class Journal {
  readonly stats: JournalStats = {
    groups: 0,
    entries: 0,
    bytes: 0,
    stalls: 0,
    syncMs: new Histogram(latencyBoundsMs),
  }
  readonly #clock: Clock
  readonly #files: JournalFiles
  readonly #settings: JournalSettings
  readonly #onFailure: (error: TidelogError) => void
  #critical: JournalEntry[] = []
  #batches: JournalEntry[] = []
  #batchesFrom = 0
  #file: JournalFile | null
  #position: number
  #groupSeq: number
  #sequence: number
  /** Every group below this one is synced. */
  #durableBefore: number
  /** The newest group that a later group, or a mark, has proven. */
  #provenBefore: number
  #running: Promise<void> | null = null
  #markTimer: Timer | null = null
  #markWanted = false
  #stalled = false
  #failed = false
  #closing = false
  #wake: (() => void) | null = null
  #scratch = Buffer.allocUnsafe(64 * 1024)

  constructor(options: {
    clock: Clock
    files: JournalFiles
    settings: JournalSettings
    at: JournalPosition
    onFailure: (error: TidelogError) => void
  }) {
    this.#clock = options.clock
    this.#files = options.files
    this.#settings = options.settings
    this.#onFailure = options.onFailure
    this.#file = options.at.file
    this.#position = options.at.position
    this.#groupSeq = options.at.groupSeq
    this.#durableBefore = options.at.groupSeq
    this.#provenBefore = options.at.groupSeq
    this.#sequence = options.at.sequence
  }

  /** Batches wait for a file: the bound is reached or the disk is full. */
  get stalled(): boolean {
    return this.#stalled
  }

  /** The number that the next group gets: all that a checkpoint table needs to know about groups. */
  get nextGroupSeq(): number {
    return this.#groupSeq
  }

  get durableThrough(): number {
    return this.#durableBefore - 1
  }

  /**
   * Writes a mark where writing goes on. After a crash this comes first: it overwrites a torn group in its place, which must
   * not be found again behind groups that went to another file.
   */
  async open(): Promise<void> {
    if (this.#file !== null && this.#position + sectorBytes > this.#file.bytes) return
    this.#markWanted = true
    this.#start()
    await this.#running
  }

  /** Queues an entry. Batches keep their order among themselves, and so do all other kinds; the latter go first. */
  append(entry: JournalEntry): void {
    // Whoever comes too late is not answered, as after a failure: it has no acknowledgement to wait for.
    if (this.#failed || this.#closing) return
    if (entry.kind === entryKinds.batch) this.#batches.push(entry)
    else this.#critical.push(entry)
    this.#start()
  }

  /** There may be a file now where there was none. */
  onRoom(): void {
    this.#wake?.()
  }

  /** Writes and syncs what is queued, proves it with a mark, and stops. */
  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#markTimer?.cancel()
    this.#wake?.()
    await this.#running
    if (!this.#failed && this.#provenBefore < this.#durableBefore) {
      this.#markWanted = true
      await this.#run()
    }
  }

  #start(): void {
    if (this.#running !== null) {
      if (this.#stalled) this.#wake?.()
      return
    }
    this.#running = this.#run().finally(() => {
      this.#running = null
      if (this.#failed) return
      // What was queued between the last look and now.
      if (this.#queued() > 0 && !this.#closing) this.#start()
      else this.#scheduleMark()
    })
  }

  #queued(): number {
    return this.#critical.length + this.#batches.length - this.#batchesFrom
  }

  async #run(): Promise<void> {
    try {
      while ((this.#queued() > 0 || this.#markWanted) && !this.#failed) await this.#commitGroup()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #commitGroup(): Promise<void> {
    const first = this.#peek()
    const firstBytes = groupHeaderBytes + (first === null ? 0 : entryHeaderBytes + first.body.length)
    if (!(await this.#haveFile(firstBytes, first?.kind !== entryKinds.batch))) return
    const file = this.#file as JournalFile
    const entries = this.#gather(first, file.bytes - this.#position)
    const { chunks, bytes } = this.#encode(file, entries)
    const isFirst = this.#position === sectorBytes
    if (isFirst) chunks.unshift(this.#files.headerOf(file))
    if (!(await this.#write(file, chunks, isFirst ? 0 : this.#position))) return
    this.stats.groups++
    this.stats.entries += entries.length
    this.stats.bytes += bytes
    for (const entry of entries) entry.written()
    await this.#sync(file)
    if (this.#failed) return
    this.#position += bytes
    this.#provenBefore = this.#groupSeq
    this.#groupSeq++
    this.#durableBefore = this.#groupSeq
    if (entries.length === 0) this.#provenBefore = this.#groupSeq
    for (const entry of entries) entry.durable()
  }

  #peek(): JournalEntry | null {
    return this.#critical[0] ?? this.#batches[this.#batchesFrom] ?? null
  }

  /** Makes sure that the current file takes a group of `bytes`; false when it must be asked again later. */
  async #haveFile(bytes: number, critical: boolean): Promise<boolean> {
    if (this.#file !== null && this.#position + toSector(bytes) <= this.#file.bytes) return true
    const next = this.#files.fitsOrdinary(toSector(bytes))
      ? this.#files.take(toSector(bytes), critical)
      : await this.#files.takeOversize(toSector(bytes)).catch(error => {
          if (isPassing(error)) return null
          throw error
        })
    if (next === null) {
      if (this.#closing) this.#giveUp()
      else await this.#stall(critical)
      return false
    }
    this.#file = next
    this.#position = sectorBytes
    return true
  }

  /** Waits until there may be a file, or something critical has come that may take the last spare. */
  async #stall(critical: boolean): Promise<void> {
    if (!critical) this.#stalled = true
    this.stats.stalls++
    await new Promise<void>(resolve => {
      const timer = this.#clock.setTimer(fullDiskRetryMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#wake = null
    this.#stalled = false
  }

  /** Closing while there is no room: what could not be written was never acknowledged. */
  #giveUp(): void {
    this.#critical = []
    this.#batches = []
    this.#batchesFrom = 0
    this.#markWanted = false
  }

  /**
   * Takes whole entries off the queues, up to the bound of a group and the room in the file. `first` is the one that room was
   * made for: it goes in whatever has come since, and only of it is it known that it fits.
   */
  #gather(first: JournalEntry | null, roomBytes: number): JournalEntry[] {
    this.#markWanted = false
    const bytesMax = Math.min(this.#settings.groupBytesMax, roomBytes)
    const entries: JournalEntry[] = []
    let bytes = groupHeaderBytes
    const fits = (entry: JournalEntry) => {
      bytes += entryHeaderBytes + entry.body.length
      return entry === first || bytes <= bytesMax
    }
    if (first !== null && first.kind === entryKinds.batch && fits(first)) {
      entries.push(first)
      this.#batchesFrom++
    }
    let taken = 0
    while (taken < this.#critical.length && fits(this.#critical[taken] as JournalEntry)) {
      entries.push(this.#critical[taken++] as JournalEntry)
    }
    const allCritical = taken === this.#critical.length
    this.#critical = allCritical ? [] : this.#critical.slice(taken)
    while (
      allCritical &&
      this.#batchesFrom < this.#batches.length &&
      fits(this.#batches[this.#batchesFrom] as JournalEntry)
    ) {
      entries.push(this.#batches[this.#batchesFrom++] as JournalEntry)
    }
    if (this.#batchesFrom === this.#batches.length) {
      this.#batches = []
      this.#batchesFrom = 0
    } else if (this.#batchesFrom > 4096) {
      this.#batches = this.#batches.slice(this.#batchesFrom)
      this.#batchesFrom = 0
    }
    return entries
  }

  /** The group's bytes: headers and short bodies in the scratch buffer, long chunks by reference. */
  #encode(file: JournalFile, entries: readonly JournalEntry[]): { chunks: Buffer[]; bytes: number } {
    let bytes = groupHeaderBytes
    let scratchBytes = groupHeaderBytes
    for (const entry of entries) {
      bytes += entryHeaderBytes + entry.body.length
      scratchBytes += entryHeaderBytes
      for (const chunk of entry.body.chunks) if (chunk.length < copyBelowBytes) scratchBytes += chunk.length
    }
    if (this.#scratch.length < scratchBytes) this.#scratch = Buffer.allocUnsafe(scratchBytes * 2)
    const scratch = this.#scratch
    encodeGroupHeader(
      scratch,
      0,
      {
        fileSeq: file.seq,
        groupSeq: this.#groupSeq,
        durableThrough: this.#durableBefore - 1,
        position: this.#position,
        bytes,
        entries: entries.length,
      },
      file.salt,
    )
    const chunks: Buffer[] = []
    let from = 0
    let at = groupHeaderBytes
    for (const entry of entries) {
      encodeEntryHeader(
        scratch,
        at,
        {
          kind: entry.kind,
          segmentId: entry.segmentId,
          base: entry.base,
          end: entry.end,
          sequence: this.#sequence++,
          length: entry.body.length,
        },
        entry.body,
      )
      entry.placed(file)
      at += entryHeaderBytes
      for (const chunk of entry.body.chunks) {
        if (chunk.length < copyBelowBytes) {
          at += chunk.copy(scratch, at)
        } else {
          chunks.push(scratch.subarray(from, at), chunk)
          from = at
        }
      }
    }
    if (from < at) chunks.push(scratch.subarray(from, at))
    const padded = toSector(bytes)
    if (padded > bytes) chunks.push(padding.subarray(0, padded - bytes))
    return { chunks, bytes: padded }
  }

  /** False when there is no room and the journal is being closed. */
  async #write(file: JournalFile, chunks: readonly Buffer[], position: number): Promise<boolean> {
    for (;;) {
      try {
        await file.file.write(chunks, position)
        return true
      } catch (error) {
        if (!isDiskFull(error))
          throw new TidelogError('DISK_FAILED', `cannot write the journal file ${file.name}`, error)
        // Only a file system that copies on write gets here: the file was filled with zeros. Nothing of this group is
        // acknowledged, so writing it again at the same place is safe.
        if (this.#closing) {
          this.#giveUp()
          return false
        }
        this.#stalled = true
        await new Promise<void>(resolve => this.#clock.setTimer(fullDiskRetryMs, resolve))
        this.#stalled = false
      }
    }
  }

  async #sync(file: JournalFile): Promise<void> {
    const beganMs = this.#clock.monotonicMs()
    try {
      await file.file.sync()
    } catch (error) {
      throw new TidelogError('DISK_FAILED', `the sync of the journal file ${file.name} failed`, error)
    }
    this.stats.syncMs.record(this.#clock.monotonicMs() - beganMs)
  }

  #scheduleMark(): void {
    if (this.#closing || this.#provenBefore === this.#durableBefore) return
    this.#markTimer?.cancel()
    this.#markTimer = this.#clock.setTimer(this.#settings.markDelayMs, () => {
      this.#markTimer = null
      if (this.#running !== null || this.#closing || this.#failed) return
      this.#markWanted = true
      this.#start()
    })
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#critical = []
    this.#batches = []
    this.#onFailure(
      error instanceof TidelogError ? error : new TidelogError('DISK_FAILED', 'the journal failed', error),
    )
  }
}
