/**
 * All that the partitions of one disk share: the journal, the cache, the flusher, the descriptors, and the checkpoint table
 * that lets journal files go. Opening it reads the journal once; what it found is kept until each partition has taken its
 * part (`PartitionLog.recover`).
 */
import { isDiskFull, TidelogError } from '../base/errors.ts'
import type { Offset, Position, SegmentId } from '../base/ids.ts'
import type { Rope } from '../base/rope.ts'
import type { Clock } from '../io/clock.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import {
  type CheckpointRow,
  checkpointEntry,
  loadCheckpointTable,
  type Progress,
  saveCheckpointTable,
  toPoints,
  toProducers,
} from './checkpoint.ts'
import { Descriptors } from './descriptors.ts'
import { Flusher, type FlushSettings } from './flusher.ts'
import { Journal } from './journal.ts'
import { type Identity, type JournalFile, JournalFiles, type JournalSettings, journalFolder } from './journal-files.ts'
import { type EntryHeader, entryKinds } from './journal-format.ts'
import {
  findJournalFiles,
  type JournalDamage,
  type ReplayEnd,
  replayJournal,
  settleLastGroup,
} from './journal-replay.ts'
import { LogCache } from './log-cache.ts'
import type { PartitionLog } from './partition-log.ts'
import { topicsFolder } from './paths.ts'
import type { ProducerState } from './producers.ts'
import type { IndexPoint } from './segment-index.ts'
import { decodeSound, syncFolder } from './whole-file.ts'

export interface LogStoreSettings {
  readonly journal: JournalSettings
  readonly cacheBytes: number
  readonly flush: FlushSettings
  readonly openFilesMax: number
  readonly acceptDataLoss: boolean
}

/** What happens in the log that a person should hear of. */
export type LogEvent =
  | { readonly event: 'recovered'; readonly groups: number; readonly batches: number; readonly torn: boolean }
  | { readonly event: 'damage'; readonly what: string }
  | { readonly event: 'blocked'; readonly why: string }
  | { readonly event: 'unblocked' }

export interface LogStoreHooks {
  readonly report: (event: LogEvent) => void
  /** The disk cannot be trusted any more; the process must stop. */
  readonly fail: (error: TidelogError) => void
  /** Saves the metadata so that the journal no longer needs the entries of its Raft log. */
  readonly saveMetadata: () => Promise<void>
}

export interface LogIo {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
}

/** Where recovery found a batch that its segment file may lack. */
export interface FoundBatch {
  readonly base: Offset
  readonly end: Offset
  readonly length: number
  readonly file: JournalFile
  readonly position: number
}

/** What recovery found of one segment. */
export interface FoundSegment {
  progress: Progress | null
  points: readonly IndexPoint[]
  /** All producers as of a checkpoint table or of an entry that has them all; null when there is neither. */
  producersInTable: readonly ProducerState[] | null
  /** Producers of the runs flushed since then, in order. */
  producersSince: ProducerState[]
  batches: FoundBatch[]
  /** Offsets of batches that are known to be lost, in order. */
  lost: { readonly base: Offset; readonly end: Offset }[]
  /** The log was durable up to here at some time: what is missing below is lost. */
  knownEnd: Offset
  /** How much damage of unknown extent the journal had shown when this segment was last heard of. */
  damageSeen: number
}

/** An entry of the metadata's Raft log or its term and vote, in order. */
export interface FoundRaft {
  readonly kind: typeof entryKinds.raftEntry | typeof entryKinds.raftState
  readonly body: Buffer
  readonly file: JournalFile
}

/** The share of the journal's bound beyond which the oldest file is flushed free. */
const longJournalShare = 0.25
/** Files freed at once, so that a table is not written for each. */
const trimFilesMin = 2

export class LogStore {
  readonly io: LogIo
  readonly settings: LogStoreSettings
  readonly hooks: LogStoreHooks
  readonly cache: LogCache
  readonly descriptors: Descriptors
  readonly files: JournalFiles
  readonly flusher: Flusher
  readonly raft: FoundRaft[] = []
  /** What was appended since the start. */
  readonly appended = { records: 0, bytes: 0 }
  /** What readers got out of memory, and out of segment files. */
  readonly reads = { hits: 0, hitBytes: 0, misses: 0, missBytes: 0 }
  /** Stretches of the journal that are lost and of which nobody can say what was in them. */
  damage = 0
  /** Entries of Raft's may be among what is lost, and none came after it that would show a gap. */
  raftMayBeDamaged = false
  readonly #partitions = new Set<PartitionLog>()
  readonly #found = new Map<SegmentId, FoundSegment>()
  readonly #roomWaiters = new Set<() => void>()
  #journal: Journal | null = null
  #tableNumber = 0
  #wasBlocked = false
  #isRecovered = false

  private constructor(io: LogIo, identity: Identity, settings: LogStoreSettings, hooks: LogStoreHooks) {
    this.io = io
    this.settings = settings
    this.hooks = hooks
    this.cache = new LogCache(settings.cacheBytes)
    this.descriptors = new Descriptors(io.disk, settings.openFilesMax)
    this.files = new JournalFiles({
      ...io,
      identity,
      settings: settings.journal,
      onRoom: () => this.#journal?.onRoom(),
      // Where only metadata is written nothing else would make the journal shorter.
      onTaken: () => this.flusher.kick(),
      onFailure: error => this.#fail(error),
    })
    this.flusher = new Flusher({
      clock: io.clock,
      settings: settings.flush,
      journal: {
        isLong: () => this.#isJournalLong(),
        holdsOldest: log => log.oldestJournalFile() === this.files.live[0],
        trim: () => this.#trim(),
      },
      pressure: () => this.cache.pressure,
      onProgress: () => this.#progressed(),
      onFailure: error => this.#fail(error),
      onBlocked: error => this.#blocked(error),
    })
  }

  /** Opens the disk's log and reads its journal. */
  static async open(
    io: LogIo,
    identity: Identity,
    settings: LogStoreSettings,
    hooks: LogStoreHooks,
  ): Promise<LogStore> {
    const store = new LogStore(io, identity, settings, hooks)
    await store.#recover(identity)
    return store
  }

  get journal(): Journal {
    if (this.#journal === null) throw new TidelogError('CLOSED', 'the journal is not open')
    return this.#journal
  }

  /** What recovery found of a segment; taken once. */
  takeFound(id: SegmentId): FoundSegment {
    const found = this.#found.get(id) ?? newFound()
    this.#found.delete(id)
    return found
  }

  /** Segments that the journal speaks of and nobody has taken. */
  untaken(): SegmentId[] {
    return [...this.#found].filter(([, found]) => found.batches.length > 0).map(([id]) => id)
  }

  register(log: PartitionLog): void {
    this.#partitions.add(log)
  }

  unregister(log: PartitionLog): void {
    this.#partitions.delete(log)
    this.flusher.remove(log)
  }

  /** Whether a batch of `bytes` may come in now. If not, the flusher is told to hurry; `onRoom` says when to ask again. */
  hasRoom(bytes: number): boolean {
    if (this.cache.makeRoom(bytes) && !this.journal.stalled) return true
    this.flusher.hurry()
    return false
  }

  /** No use in waiting for room: the disk is full. */
  get isDiskFull(): boolean {
    return this.flusher.blocked || (this.journal.stalled && this.files.diskFull)
  }

  /** Calls back when there may be room again. */
  onRoom(waiter: () => void): () => void {
    this.#roomWaiters.add(waiter)
    return () => this.#roomWaiters.delete(waiter)
  }

  /** Reads a batch's bytes back from the journal. */
  async readFound(batch: FoundBatch): Promise<Rope> {
    const bytes = Buffer.allocUnsafeSlow(batch.length)
    const count = await batch.file.file.read(bytes, batch.position)
    if (count < batch.length)
      throw new TidelogError('CORRUPT', `the journal file ${batch.file.name} became shorter while it was read`)
    return { chunks: [bytes], length: bytes.length }
  }

  /** Every partition has taken its part; what is left belongs to segments that were deleted. */
  endRecovery(): void {
    for (const id of [...this.#found.keys()]) this.discardFound(id)
    this.#isRecovered = true
    this.flusher.kick()
  }

  /** Lets go of what the journal has of a segment that is not needed any more; false when there was nothing. */
  discardFound(id: SegmentId): boolean {
    const { progress, batches } = this.takeFound(id)
    for (const batch of batches) batch.file.pins--
    return progress !== null || batches.length > 0
  }

  /** What is in flight becomes durable; then everything is closed. */
  async close(): Promise<void> {
    await this.flusher.stop()
    await this.#journal?.close()
    await this.files.close()
    await this.descriptors.close()
  }

  async #recover(identity: Identity): Promise<void> {
    const { disk } = this.io
    await disk.makeDirectory(journalFolder)
    await disk.makeDirectory(topicsFolder)
    for (const name of await disk.list('.')) if (name.endsWith('.tmp')) await disk.remove(name)
    await syncFolder(disk, '.')
    const { number, table } = await loadCheckpointTable(disk)
    this.#tableNumber = number
    for (const row of table?.segments ?? []) this.#foundOf(row.segmentId as SegmentId, found => takeRow(found, row))
    const found = await findJournalFiles(disk, identity, table?.fromFileSeq ?? 1)
    if (table !== null && found.slots.length === 0 && !this.settings.acceptDataLoss) {
      throw new TidelogError(
        'CORRUPT',
        'the journal is gone; restore it, or start with --accept-data-loss to go on without it',
      )
    }
    // A name that a killed process left may not be durable yet, and what goes into the file from now on must be.
    await syncFolder(disk, journalFolder)
    const end = await this.#replay(found.live, table?.durableThrough ?? 0)
    await settleLastGroup(end)
    this.files.adopt(found)
    await this.files.start()
    this.#journal = new Journal({
      clock: this.io.clock,
      files: this.files,
      settings: this.settings.journal,
      at: {
        file: found.live.at(-1) ?? null,
        position: end.position,
        groupSeq: end.nextGroupSeq,
        sequence: end.nextSequence,
      },
      onFailure: error => this.#fail(error),
    })
    await this.#journal.open()
    this.files.prepare()
  }

  async #replay(live: readonly JournalFile[], durableThrough: number): Promise<ReplayEnd> {
    let groups = 0
    let batches = 0
    const end = await replayJournal(live, durableThrough, {
      entry: (header, body, place) => {
        groups++
        if (header.kind === entryKinds.batch) {
          batches++
          this.#foundBatch(header, place)
        } else if (header.kind === entryKinds.checkpoint)
          this.#foundCheckpoint(header, body, place.groupSeq > durableThrough)
        else {
          this.raftMayBeDamaged = false
          place.file.pins++
          this.raft.push({ kind: header.kind, body: Buffer.from(body), file: place.file })
        }
      },
      damage: damage => {
        if (!damage.isComplete) {
          this.damage++
          this.raftMayBeDamaged = true
        }
        for (const { segmentId, base, end } of damage.lost) {
          this.#foundOf(segmentId as SegmentId, found => {
            found.lost.push({ base: base as Offset, end: end as Offset })
            found.damageSeen = this.damage
          })
        }
        this.hooks.report({ event: 'damage', what: describeDamage(damage) })
      },
    })
    if (live.length > 0) this.hooks.report({ event: 'recovered', groups, batches, torn: end.torn })
    return end
  }

  #foundBatch(header: EntryHeader, place: { file: JournalFile; position: number }): void {
    this.#foundOf(header.segmentId as SegmentId, found => {
      found.damageSeen = this.damage
      if (found.progress !== null && header.end <= found.progress.flushedEnd) return
      place.file.pins++
      found.batches.push({
        base: header.base as Offset,
        end: header.end as Offset,
        length: header.length,
        file: place.file,
        position: place.position,
      })
    })
  }

  /** `isNews`: written after the checkpoint table. */
  #foundCheckpoint(header: EntryHeader, body: Buffer, isNews: boolean): void {
    const entry = decodeSound(checkpointEntry, body, 'a checkpoint entry of the journal')
    this.#foundOf(header.segmentId as SegmentId, found => {
      found.damageSeen = this.damage
      found.knownEnd = Math.max(found.knownEnd, entry.durableEnd) as Offset
      const known = found.progress?.flushedEnd ?? -1
      if (entry.allProducers && entry.flushedEnd >= known) {
        found.producersInTable = toProducers(entry.producers)
        found.producersSince = []
      }
      // One that goes no further may still tell what became of the segment: a loss that was accepted, a file that was cut.
      if (entry.flushedEnd < known || (entry.flushedEnd === known && !isNews)) return
      const progress = toProgress(entry)
      if (entry.flushedEnd > known) found.points = [...found.points, pointOf(progress)]
      found.progress = progress
      if (!entry.allProducers) found.producersSince.push(...toProducers(entry.producers))
      for (const batch of found.batches) if (batch.end <= progress.flushedEnd) batch.file.pins--
      found.batches = found.batches.filter(batch => batch.end > progress.flushedEnd)
    })
  }

  #foundOf(id: SegmentId, change: (found: FoundSegment) => void): void {
    let found = this.#found.get(id)
    if (found === undefined) {
      found = newFound()
      found.damageSeen = this.damage
      this.#found.set(id, found)
    }
    change(found)
  }

  #isJournalLong(): boolean {
    if (this.journal.stalled) return true
    let bytes = 0
    for (const file of this.files.live) bytes += file.bytes
    return bytes > this.settings.journal.bytesMax * longJournalShare && this.files.live.length > 1
  }

  /** Frees journal files at the old end, once a table that does without them is durable. */
  async #trim(): Promise<boolean> {
    // A table written now would leave out what partitions have not taken yet.
    if (!this.#isRecovered) return false
    if (this.files.freeable() === 0 && this.#isJournalLong() && !this.#oldestIsHeldByBatches())
      await this.hooks.saveMetadata()
    const count = this.files.freeable()
    if (count < trimFilesMin && !(count > 0 && this.#isJournalLong())) return false
    await saveCheckpointTable(this.io.disk, ++this.#tableNumber, {
      fromFileSeq: this.files.live[count]?.seq ?? 0,
      durableThrough: this.journal.durableThrough,
      segments: [...this.#partitions].flatMap(log => log.checkpointRows()),
    })
    await this.files.free(count)
    return true
  }

  #oldestIsHeldByBatches(): boolean {
    const oldest = this.files.live[0]
    for (const log of this.#partitions) if (log.holdsJournalFile(oldest)) return true
    return false
  }

  #progressed(): void {
    if (this.#wasBlocked && !this.flusher.blocked) {
      this.#wasBlocked = false
      this.hooks.report({ event: 'unblocked' })
    }
    for (const waiter of [...this.#roomWaiters]) waiter()
  }

  #blocked(error: unknown): void {
    if (this.#wasBlocked) return
    this.#wasBlocked = true
    const why = error instanceof Error ? error.message : String(error)
    this.hooks.report({ event: 'blocked', why: isDiskFull(error) ? `the disk is full (${why})` : why })
  }

  #fail(error: unknown): void {
    void this.flusher.stop()
    this.hooks.fail(error instanceof TidelogError ? error : new TidelogError('DISK_FAILED', 'the log failed', error))
  }
}

function newFound(): FoundSegment {
  return {
    progress: null,
    points: [],
    producersInTable: null,
    producersSince: [],
    batches: [],
    lost: [],
    knownEnd: 0 as Offset,
    damageSeen: 0,
  }
}

function takeRow(found: FoundSegment, row: CheckpointRow): void {
  found.progress = toProgress(row)
  found.knownEnd = row.durableEnd as Offset
  found.points = [...toPoints(row.points), pointOf(found.progress)]
  found.producersInTable = toProducers(row.producers)
}

function pointOf(progress: Progress): IndexPoint {
  return { offset: progress.flushedEnd, position: progress.flushedBytes, maxTimestampBefore: progress.maxTimestamp }
}

function toProgress(row: Omit<CheckpointRow, 'points' | 'producers'>): Progress {
  return {
    segmentId: row.segmentId as SegmentId,
    flushedEnd: row.flushedEnd as Offset,
    flushedBytes: row.flushedBytes as Position,
    checksum: row.checksum,
    maxTimestamp: row.maxTimestamp,
    maxTimestampBase: row.maxTimestampBase as Offset,
    records: row.records,
    suspect: row.suspect,
    holes: row.holes.map(hole => ({ from: hole.from as Offset, to: hole.to as Offset })),
  }
}

function describeDamage(damage: JournalDamage): string {
  const lost = damage.lost
    .map(batch => `segment ${batch.segmentId} offsets ${batch.base} to ${batch.end - 1}`)
    .join(', ')
  return `groups ${damage.fromGroup} to ${damage.toGroup - 1} of ${damage.file} are corrupt${lost === '' ? '' : `: ${lost}`}`
}
