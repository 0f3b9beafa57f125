/**
 * From what the disk holds to a partition that serves: sealed segments with a seal file are taken as they are; for the rest,
 * the file is cut to its checkpoint and the journal supplies what comes after. Only unsealed tails are looked at.
 *
 * What was durable and cannot be found is never passed over in silence: it becomes a hole, which readers are told of, or,
 * where nobody can say how much is missing, the partition takes no appends until an operator accepts the loss.
 */

import { crc32c } from '../base/crc32c.ts'
import { isPassing } from '../base/errors.ts'
import type { Offset, Position } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { peekRope } from '../base/rope.ts'
import { type BatchHeader, batchUnsummedBytes, readBatchHeaderOfRope } from '../wire/record-batch.ts'
import { type Progress, toProducers } from './checkpoint.ts'
import type { FoundBatch, FoundSegment, LogStore } from './log-store.ts'
import type { PartitionLog, PartitionLogOptions } from './partition-log.ts'
import { folderOfPartition, segmentPath } from './paths.ts'
import { Producers } from './producers.ts'
import { endOf, type Found, readBatchAt, walkFile } from './read.ts'
import { CachedBatch, Segment, type SegmentRecord } from './segment.ts'
import { syncFolder } from './whole-file.ts'

/** Loading what the journal has goes hand in hand with flushing, so that a start needs no more memory than running does. */
const loadPressureMax = 0.9
const flushBytes = 8 << 20

/** The progress of an empty file. */
const emptyFile = {
  flushedBytes: 0 as Position,
  checksum: 0,
  maxTimestamp: -1,
  maxTimestampBase: -1 as Offset,
  records: 0,
}

export interface RecoveredPartition {
  readonly segments: Segment[]
  readonly producers: Producers
  readonly flushedProducers: Producers
  /** Takes the batches that only the journal has into memory. */
  load(log: PartitionLog): Promise<void>
}

export async function recoverPartition(
  options: PartitionLogOptions,
  chain: readonly SegmentRecord[],
  logStartOffset: Offset,
): Promise<RecoveredPartition> {
  invariant(chain.length > 0 && chain.at(-1)?.end === null, 'a chain ends with its open segment')
  return new Recovery(options, chain, logStartOffset).run()
}

class Recovery {
  readonly #options: PartitionLogOptions
  readonly #chain: readonly SegmentRecord[]
  readonly #logStartOffset: Offset
  readonly #folder: string
  readonly #store: LogStore
  readonly #segments: Segment[] = []
  readonly #found = new Map<Segment, FoundSegment>()
  readonly #salvaged: Segment[] = []
  readonly #flushedProducers = new Producers()

  constructor(options: PartitionLogOptions, chain: readonly SegmentRecord[], logStartOffset: Offset) {
    this.#logStartOffset = logStartOffset
    this.#options = options
    this.#chain = chain
    this.#store = options.store
    this.#folder = folderOfPartition(options.topicId, options.index)
  }

  async run(): Promise<RecoveredPartition> {
    const names = new Set(this.#options.isNew === true ? [] : await this.#listFolder())
    const hasSeal = (record: SegmentRecord) => record.end !== null && names.has(this.#name(record, 'seal'))
    const flushedCount = this.#chain.findLastIndex(hasSeal) + 1
    const sealed = this.#chain.slice(0, flushedCount).map(record => this.#takeFlushed(record, names))
    // What the journal still has of a sealed segment may go now. A killed process may have left its seal's name unsynced.
    if (sealed.some(wasInJournal => wasInJournal)) await syncFolder(this.#store.io.disk, this.#folder)
    await this.#takeProducersOfSeal()
    for (const record of this.#chain.slice(flushedCount)) await this.#takeUnflushed(record, names)
    const active = this.#segments.at(-1) as Segment
    // Before anything is flushed: checkpoints that are written meanwhile must say so, too.
    active.suspect(this.#isSuspect(active))
    return {
      segments: this.#segments,
      flushedProducers: this.#flushedProducers,
      producers: new Producers(this.#flushedProducers.all()),
      load: log => this.#load(log),
    }
  }

  /** The files' names; what a replacement that was cut off left is removed. */
  async #listFolder(): Promise<string[]> {
    const { disk } = this.#store.io
    const names = await disk.list(this.#folder)
    for (const name of names) if (name.endsWith('.seal.tmp')) await disk.remove(`${this.#folder}/${name}`)
    return names
  }

  #name(record: SegmentRecord, ending: string): string {
    return `${segmentPath('', record).slice(1)}.${ending}`
  }

  #path(record: SegmentRecord): string {
    return segmentPath(this.#folder, record)
  }

  /** Returns whether the journal had something of it. */
  #takeFlushed(record: SegmentRecord, names: ReadonlySet<string>): boolean {
    const wasInJournal = this.#store.discardFound(record.id)
    const { descriptors } = this.#store
    const segment = Segment.flushed({ record, path: this.#path(record), descriptors, seal: null })
    this.#segments.push(segment)
    if (record.state === 'deleting' || record.end === null) return wasInJournal
    if (!names.has(this.#name(record, 'log'))) this.#hole(segment, record.end, record.base)
    else if (!names.has(this.#name(record, 'seal'))) {
      this.#report(`${segment.sealPath} is missing; its index is made anew when it is needed`)
    }
    return wasInJournal
  }

  /** Producers as of the last sealed segment. */
  async #takeProducersOfSeal(): Promise<void> {
    const last = this.#segments.at(-1)
    if (last === undefined) return
    try {
      const seal = await last.seal()
      for (const state of toProducers(seal.body.producers)) this.#flushedProducers.put(state)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#report(`${why}; retries of producers that wrote before it may be stored twice`)
    }
  }

  async #takeUnflushed(record: SegmentRecord, names: ReadonlySet<string>): Promise<void> {
    const found = this.#store.takeFound(record.id)
    const hasFile = names.has(this.#name(record, 'log'))
    const segment = new Segment({
      record,
      path: this.#path(record),
      descriptors: this.#store.descriptors,
      indexIntervalBytes: this.#options.indexIntervalBytes(),
      ...(found.progress === null ? {} : { progress: found.progress, points: found.points }),
    })
    // A row that is not the partition's first has no producers of its own: what is known already stays.
    for (const state of found.producersInTable ?? []) this.#flushedProducers.put(state)
    for (const state of found.producersSince) this.#flushedProducers.merge(state)
    if (record.state === 'deleting' && !hasFile) {
      await this.#takeRemoved(segment, found)
      return
    }
    segment.hasFile = hasFile && segment.progress.flushedBytes > 0
    const salvaged = await this.#checkFile(segment, hasFile, found)
    if (salvaged !== null) this.#salvaged.push(salvaged)
    this.#segments.push(salvaged ?? segment)
    this.#found.set(salvaged ?? segment, found)
  }

  /** Its removal had begun, or it never had a file: of what the journal has of it only the producers matter. */
  async #takeRemoved(segment: Segment, found: FoundSegment): Promise<void> {
    for (const batch of found.batches) {
      const header = readBatchHeaderOfRope(await this.#store.readFound(batch))
      if (header !== null) this.#noteFlushed(header, batch)
      batch.file.pins--
    }
    segment.isDropped = true
    this.#segments.push(segment)
  }

  #noteFlushed(header: BatchHeader, { base, end }: { readonly base: Offset; readonly end: Offset }): void {
    this.#flushedProducers.note(header, base, end, this.#store.io.clock.nowMs())
  }

  /**
   * Cuts what the checkpoint does not vouch for, as the journal has it. Where the journal has not (it was damaged, or a seal
   * file is lost), or where the file is too short, returns a segment of what is sound in the file instead.
   */
  async #checkFile(segment: Segment, hasFile: boolean, found: FoundSegment): Promise<Segment | null> {
    const { flushedBytes, flushedEnd } = segment.progress
    const nothing = { ...segment.progress, ...emptyFile, flushedEnd: segment.base }
    if (!hasFile) return flushedBytes > 0 ? this.#salvage(segment, nothing, false) : null
    const { descriptors } = this.#store
    const size = await descriptors.use(segment.logPath, 'read', file => file.size())
    if (size < flushedBytes) return this.#salvage(segment, await this.#sound(segment, nothing, size), true)
    const isInJournal = found.batches.some(batch => batch.base === flushedEnd)
    if (size > flushedBytes && !isInJournal) {
      const kept = await this.#sound(segment, segment.progress, size)
      if (kept.flushedEnd > flushedEnd) return this.#salvage(segment, kept, true)
    }
    if (size > flushedBytes) await descriptors.use(segment.logPath, 'read', file => file.truncate(flushedBytes))
    return null
  }

  /** The segment with what was kept of its file; what its checkpoint says beyond that is a hole. */
  #salvage(segment: Segment, kept: Progress, hasFile: boolean): Segment {
    const { progress } = segment
    // What lies below the log start was being removed.
    if ((segment.end ?? progress.flushedEnd) > this.#logStartOffset) this.#reportSalvage(segment, kept)
    const salvaged = new Segment({
      record: { ...segment, state: segment.end === null ? 'open' : 'sealed', bytes: 0, maxTimestamp: -1 },
      path: segment.logPath.slice(0, -'.log'.length),
      descriptors: this.#store.descriptors,
      indexIntervalBytes: this.#options.indexIntervalBytes(),
      progress: kept,
      points: segment.index?.points.filter(point => point.position < kept.flushedBytes) ?? [],
    })
    salvaged.hasFile = hasFile
    if (kept.flushedEnd < progress.flushedEnd) {
      salvaged.noteHole({ from: kept.flushedEnd, to: progress.flushedEnd })
      salvaged.skipToDurable()
    }
    return salvaged
  }

  #reportSalvage({ logPath, progress }: Segment, kept: Progress): void {
    this.#report(
      kept.flushedEnd < progress.flushedEnd
        ? `${logPath} is shorter than what was synced: offsets ${kept.flushedEnd} to ${progress.flushedEnd - 1} are lost`
        : `nothing else knows of what is in ${logPath} from offset ${progress.flushedEnd} on: what is sound is kept, up to offset ${kept.flushedEnd - 1}`,
    )
  }

  /** How far a file of `size` bytes is sound, from where `known` ends. */
  async #sound(segment: Segment, known: Progress, size: number): Promise<Progress> {
    const { descriptors } = this.#store
    const found: Found[] = []
    const range = { from: known.flushedBytes, fromOffset: known.flushedEnd, to: size as Position }
    await walkFile(segment, descriptors, range, one => {
      found.push(one)
      return true
    })
    let kept = known
    for (const one of found) {
      const bytes = one.position === kept.flushedBytes ? await readBatchAt(segment, descriptors, one) : null
      if (bytes === null) break
      this.#noteFlushed(one.header, { base: one.header.baseOffset, end: endOf(one.header) })
      const isNewest = one.header.maxTimestamp > kept.maxTimestamp
      kept = {
        ...kept,
        flushedEnd: endOf(one.header),
        flushedBytes: (one.position + one.header.bytes) as Position,
        checksum: crc32c(peekRope(bytes, 0, batchUnsummedBytes), kept.checksum),
        maxTimestamp: isNewest ? one.header.maxTimestamp : kept.maxTimestamp,
        maxTimestampBase: isNewest ? one.header.baseOffset : kept.maxTimestampBase,
        records: kept.records + one.header.recordCount,
      }
    }
    return kept
  }

  async #load(log: PartitionLog): Promise<void> {
    // Before the file is written on: a checkpoint of a longer file must not pass for one of this.
    for (const segment of this.#salvaged) await log.saveProgress(segment)
    for (const [segment, found] of this.#found) {
      const lost = [...found.lost]
      for (const batch of found.batches) {
        while (lost[0] !== undefined && lost[0].base <= batch.base) this.#lose(segment, lost.shift())
        await this.#loadBatch(log, segment, batch)
      }
      for (const batch of lost) this.#lose(segment, batch)
      if (segment.nextOffset < found.knownEnd) this.#hole(segment, found.knownEnd)
      if (segment.end !== null && segment.nextOffset < segment.end) this.#hole(segment, segment.end)
    }
    if (log.active.nextOffset < this.#logStartOffset) this.#hole(log.active, this.#logStartOffset)
    await this.#judge(log)
  }

  async #loadBatch(log: PartitionLog, segment: Segment, batch: FoundBatch): Promise<void> {
    if (batch.end <= segment.nextOffset) {
      batch.file.pins--
      return
    }
    if (batch.base > segment.nextOffset) this.#hole(segment, batch.base)
    const bytes = await this.#store.readFound(batch)
    const header = readBatchHeaderOfRope(bytes)
    invariant(header !== null && header.baseOffset === batch.base, 'the journal was checked when it was read')
    const cached = new CachedBatch(log, segment, header, batch.base, this.#store.cache.admit(bytes))
    // Replay has pinned the file for it.
    cached.file = batch.file
    segment.add(cached)
    segment.settle(cached)
    segment.noteReadable(cached)
    log.producers.note(header, cached.base, cached.end, this.#store.io.clock.nowMs())
    await this.#makeRoom(log)
  }

  /** A batch that is known to be lost: what follows keeps its offsets. */
  #lose(segment: Segment, lost: FoundSegment['lost'][number] | undefined): void {
    if (lost === undefined || lost.end <= segment.nextOffset) return
    this.#hole(segment, lost.end)
  }

  async #makeRoom(log: PartitionLog): Promise<void> {
    try {
      while (this.#store.cache.pressure > loadPressureMax && (await log.flushNext(flushBytes)));
    } catch (error) {
      // A full disk: what waits for it was within the bound before the restart, so it fits.
      if (!isPassing(error) || this.#store.cache.pressure > 1) throw error
    }
  }

  #hole(segment: Segment, to: Offset, from = segment.nextOffset): void {
    // Below the log start nobody misses it: it was to be deleted.
    if (to > this.#logStartOffset) {
      this.#report(`offsets ${from} to ${to - 1} of ${segment.logPath} are lost; reads there answer CORRUPT_MESSAGE`)
    }
    segment.noteHole({ from, to })
  }

  /** Whether the open segment may have lost a tail that nobody can measure. */
  #isSuspect(active: Segment): boolean {
    const missedDamage = (this.#found.get(active)?.damageSeen ?? 0) < this.#store.damage
    return active.progress.suspect || missedDamage
  }

  /** Reports a suspect partition. That its loss was accepted is remembered: the next start needs no telling. */
  async #judge(log: PartitionLog): Promise<void> {
    const { active } = log
    if (!active.progress.suspect) return
    const accepted = this.#store.settings.acceptDataLoss
    if (accepted) {
      active.suspect(false)
      await log.saveProgress(active)
    }
    this.#report(
      accepted
        ? `${active.logPath} may have lost records from offset ${active.nextOffset} on; the loss was accepted, writing goes on there`
        : `${active.logPath} may have lost records from offset ${active.nextOffset} on; it takes no appends until a start with --accept-data-loss`,
    )
  }

  #report(what: string): void {
    this.#store.hooks.report({ event: 'damage', what })
  }
}
