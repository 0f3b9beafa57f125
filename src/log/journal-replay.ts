/**
 * Reading the journal after a start. Only the exact next group at its exact position counts. Where it is missing, one
 * question decides: does any later group exist? A later group is written only after the sync of the one before, so if one
 * exists, what is missing was durable: corruption, reported and stepped over. If none exists, the missing group is a torn
 * tail, was never acknowledged, and is cut.
 */
import { TidelogError } from '../base/errors.ts'
import { ropeOf } from '../base/rope.ts'
import type { Disk, DiskFile } from '../io/disk.ts'
import { batchCrcMatches, batchHeaderBytes, readBatchHeader } from '../wire/record-batch.ts'
import { type FoundFiles, type Identity, type JournalFile, journalFolder } from './journal-files.ts'
import {
  claimedFileSeq,
  decodeEntryHeader,
  decodeFileHeader,
  decodeGroupHeader,
  type EntryHeader,
  entryCrcMatches,
  entryHeaderBytes,
  entryKinds,
  type GroupHeader,
  groupHeaderBytes,
  sectorBytes,
  toSector,
  unusedFileSeq,
} from './journal-format.ts'
import { ReadWindow } from './read-window.ts'

/** Opens all journal files and puts them in order. `fromSeq`: the oldest life that is still needed. */
export async function findJournalFiles(disk: Disk, identity: Identity, fromSeq: number): Promise<FoundFiles> {
  const slots = (await disk.list(journalFolder)).filter(name => name.endsWith('.journal'))
  const found: JournalFile[] = []
  const spares: FoundFiles['spares'][number][] = []
  for (const slot of slots) {
    const name = `${journalFolder}/${slot}`
    const file = await disk.open(name, 'write')
    const bytes = await file.size()
    const header = await readFileHeader(file, name)
    if (header?.fileSeq === unusedFileSeq) {
      spares.push({ name, bytes: header.fileBytes, file })
      continue
    }
    const isOurs = header?.clusterId.equals(identity.clusterId) && header.diskId.equals(identity.diskId)
    if (header && !isOurs) {
      throw new TidelogError(
        'FORMAT',
        `the journal file ${name} belongs to another disk; move it away or restore the right folder`,
      )
    }
    await refuseDamaged(file, name, header, bytes, fromSeq)
    if (header && header.fileSeq >= fromSeq) {
      found.push({ seq: header.fileSeq, name, bytes: header.fileBytes, salt: header.salt, file, pins: 0 })
    } else if (header) spares.push({ name, bytes: header.fileBytes, file })
    // Never finished: the process that made it ended before the file was synced.
    else await file.close().then(() => disk.remove(name))
  }
  found.sort((a, b) => a.seq - b.seq)
  const live = newestRun(found, fromSeq)
  return { live, spares, slots, nextSeq: fromSeq + live.length }
}

/** Every life from `fromSeq` on must be there: a gap means that a file was taken away. */
function newestRun(found: readonly JournalFile[], fromSeq: number): JournalFile[] {
  found.forEach((file, index) => {
    const expected = fromSeq + index
    if (file.seq !== expected) {
      throw new TidelogError(
        'CORRUPT',
        `the journal file number ${expected} is missing (found number ${file.seq} in ${file.name})`,
      )
    }
  })
  return [...found]
}

/**
 * A file that is needed and cannot be read as it is must not pass for one that was never finished. A file is filled and
 * synced before it gets its first header, and a header is on its way to the disk before the group behind it: so a file that
 * is short, or has a group of a needed life and no header, was damaged.
 */
async function refuseDamaged(
  file: DiskFile,
  name: string,
  header: { readonly fileSeq: number; readonly fileBytes: number } | null,
  bytes: number,
  fromSeq: number,
): Promise<void> {
  if (header !== null) {
    if (header.fileSeq < fromSeq || bytes >= header.fileBytes) return
    throw new TidelogError(
      'CORRUPT',
      `the journal file ${name} is shorter than it was made (${bytes} of ${header.fileBytes} bytes); restore the data directory from a backup`,
    )
  }
  const sector = Buffer.alloc(groupHeaderBytes)
  await file.read(sector, sectorBytes)
  const fileSeq = claimedFileSeq(sector)
  if (fileSeq === null || fileSeq < fromSeq) return
  throw new TidelogError(
    'CORRUPT',
    `the header of the journal file ${name} is damaged, and it has records that are needed; restore the data directory from a backup`,
  )
}

async function readFileHeader(file: DiskFile, name: string) {
  const sector = Buffer.alloc(sectorBytes)
  const count = await file.read(sector, 0)
  const header = decodeFileHeader(sector.subarray(0, count))
  if (header && 'unknownVersion' in header) {
    throw new TidelogError(
      'FORMAT',
      `the journal file ${name} has version ${header.unknownVersion}, which this program does not know`,
    )
  }
  return header
}

/**
 * Writes the last group again in its place and syncs it. It may have come from the page cache alone: a process that was
 * killed before its sync, or that died of a failed one, after which the system takes the pages for clean and no later sync
 * brings them to the disk. Nothing of it may be served before this.
 */
export async function settleLastGroup({ last }: ReplayEnd): Promise<void> {
  if (last === null) return
  // The file header went out with the first group of its file.
  const from = last.position === sectorBytes ? 0 : last.position
  const bytes = Buffer.allocUnsafe(last.position + last.bytes - from)
  await last.file.file.read(bytes, from)
  await last.file.file.write([bytes], from)
  try {
    await last.file.file.sync()
  } catch (error) {
    throw new TidelogError('DISK_FAILED', `the sync of the journal file ${last.file.name} failed`, error)
  }
}

export interface ReplayVisitor {
  /** One intact entry, in the order of writing. `body` is a view that is overwritten after the call. */
  entry(header: EntryHeader, body: Buffer, place: { file: JournalFile; position: number; groupSeq: number }): void
  /** What was durable and is not readable any more. Segments without a later entry may have lost their tail. */
  damage(damage: JournalDamage): void
}

export interface JournalDamage {
  readonly file: string
  readonly fromGroup: number
  /** The first group after the damage. */
  readonly toGroup: number
  /** Batches that are lost for certain, and what they held. */
  readonly lost: readonly LostBatch[]
  /** `lost` is all that is lost: every other entry of the damaged group is sound. */
  readonly isComplete: boolean
}

export interface LostBatch {
  readonly segmentId: number
  readonly base: number
  readonly end: number
}

export interface ReplayEnd {
  readonly position: number
  readonly nextGroupSeq: number
  readonly nextSequence: number
  /** A group that was begun and not finished was cut. */
  readonly torn: boolean
  /** The last whole group: the only one of which nothing proves that its sync succeeded. */
  readonly last: { readonly file: JournalFile; readonly position: number; readonly bytes: number } | null
}

/**
 * Reads all live files in order. `provenThrough`: groups up to this number are known durable from elsewhere (a checkpoint
 * table), so that losing them is corruption even when nothing follows.
 */
export async function replayJournal(
  live: readonly JournalFile[],
  provenThrough: number,
  visitor: ReplayVisitor,
): Promise<ReplayEnd> {
  return new Replay(live, provenThrough, visitor).run()
}

class Replay {
  readonly #live: readonly JournalFile[]
  readonly #visitor: ReplayVisitor
  readonly #provenThrough: number
  #expected: number | null = null
  #nextSequence = 1
  #torn = false
  #last: ReplayEnd['last'] = null

  constructor(live: readonly JournalFile[], provenThrough: number, visitor: ReplayVisitor) {
    this.#live = live
    this.#provenThrough = provenThrough
    this.#visitor = visitor
  }

  async run(): Promise<ReplayEnd> {
    let position = sectorBytes
    const longest = this.#live.reduce((bytes, file) => Math.max(bytes, file.bytes), 0)
    const memory = Buffer.allocUnsafeSlow(Math.min(longest, windowBytes))
    for (let index = 0; index < this.#live.length; index++) {
      const reader = new GroupReader(this.#live[index] as JournalFile, memory)
      position = await this.#file(index, reader)
    }
    const proven = this.#provenThrough + 1
    if (this.#expected !== null && this.#expected < proven) this.#reportGap(this.#live.at(-1) as JournalFile, proven)
    return {
      position,
      nextGroupSeq: this.#expected ?? proven,
      nextSequence: this.#nextSequence,
      torn: this.#torn,
      last: this.#last,
    }
  }

  /** Replays one file; returns the position behind its last good group. */
  async #file(index: number, reader: GroupReader): Promise<number> {
    let position = sectorBytes
    for (;;) {
      const group = await reader.at(position)
      if (group !== null && (this.#expected === null || group.groupSeq === this.#expected)) {
        const intact = await this.#group(index, reader, group)
        if (!intact) return position
        position += toSector(group.bytes)
        continue
      }
      const later = await reader.next(position, this.#expected ?? 0)
      if (later === null) {
        await this.#endOfFile(index)
        return position
      }
      this.#reportGap(reader.file, later.groupSeq)
      position = later.position
    }
  }

  /** False when the group was torn and the journal ends here. */
  async #group(index: number, reader: GroupReader, group: GroupHeader): Promise<boolean> {
    const bytes = await reader.load(group.position, group.bytes)
    const outcome =
      bytes === null ? { intact: false, lost: [], isComplete: false } : this.#entries(reader.file, group, bytes)
    if (!outcome.intact) {
      const laterGroup = await this.#laterGroup(index, reader, group)
      if (laterGroup === null) {
        this.#torn = true
        this.#expected = group.groupSeq
        return false
      }
      // Looking for later groups has used the memory for other bytes.
      const again = await reader.load(group.position, group.bytes)
      if (again !== null)
        this.#deliver(reader.file, group, again, entry => isIntact(again, entry.at, entry.header, entry.body))
      this.#visitor.damage({
        file: reader.file.name,
        fromGroup: group.groupSeq,
        toGroup: laterGroup,
        lost: outcome.lost,
        isComplete: outcome.isComplete,
      })
    } else if (bytes !== null) this.#deliver(reader.file, group, bytes, () => true)
    this.#expected = group.groupSeq + 1
    this.#last = { file: reader.file, position: group.position, bytes: toSector(group.bytes) }
    return true
  }

  /** Checks every entry of a group before any is delivered: a torn group counts for nothing. */
  #entries(
    file: JournalFile,
    group: GroupHeader,
    bytes: Buffer,
  ): { intact: boolean; lost: LostBatch[]; isComplete: boolean } {
    const lost: LostBatch[] = []
    let damaged = 0
    const walked = walkEntries(bytes, (header, at, body) => {
      if (isIntact(bytes, at, header, body)) return
      damaged++
      if (header.kind === entryKinds.batch) {
        lost.push({ segmentId: header.segmentId, base: header.base, end: header.end })
      }
    })
    const isWalked = walked === group.entries && file.seq === group.fileSeq
    return { intact: damaged === 0 && isWalked, lost, isComplete: isWalked && lost.length === damaged }
  }

  #deliver(file: JournalFile, group: GroupHeader, bytes: Buffer, isSound: (entry: WalkedEntry) => boolean): void {
    walkEntries(bytes, (header, at, body) => {
      if (!isSound({ header, at, body })) return
      this.#nextSequence = Math.max(this.#nextSequence, header.sequence + 1)
      const position = group.position + at + entryHeaderBytes
      this.#visitor.entry(header, body, { file, position, groupSeq: group.groupSeq })
    })
  }

  /** Proof that this group was durable: a later group, a later file (made only after it), or what a table says. */
  async #laterGroup(index: number, reader: GroupReader, group: GroupHeader): Promise<number | null> {
    const inFile = await reader.next(group.position + sectorBytes, group.groupSeq + 1)
    if (inFile !== null) return inFile.groupSeq
    const after = await this.#firstGroupAfter(index, group.groupSeq + 1)
    if (after !== null) return after.groupSeq
    return index < this.#live.length - 1 || group.groupSeq <= this.#provenThrough ? group.groupSeq + 1 : null
  }

  /** The next file's first group must be the expected one; if a later one shows up, what lies between is lost. */
  async #endOfFile(index: number): Promise<void> {
    const next = await this.#firstGroupAfter(index, this.#expected ?? 0)
    if (next !== null) this.#reportGap(this.#live[index] as JournalFile, next.groupSeq)
  }

  async #firstGroupAfter(index: number, groupSeqMin: number): Promise<GroupHeader | null> {
    for (const file of this.#live.slice(index + 1)) {
      const group = await new GroupReader(file, null).next(sectorBytes, groupSeqMin)
      if (group !== null) return group
    }
    return null
  }

  #reportGap(file: JournalFile, toGroup: number): void {
    // Where the oldest file begins with damage, nothing says how many groups there were: one at least.
    const fromGroup = this.#expected ?? toGroup - 1
    this.#expected = toGroup
    if (fromGroup < toGroup) {
      this.#visitor.damage({ file: file.name, fromGroup, toGroup, lost: [], isComplete: false })
    }
  }
}

interface WalkedEntry {
  readonly header: EntryHeader
  readonly at: number
  readonly body: Buffer
}

function isIntact(bytes: Buffer, at: number, header: EntryHeader, body: Buffer): boolean {
  const rope = ropeOf(body)
  if (!entryCrcMatches(bytes, at, header, rope)) return false
  if (header.kind !== entryKinds.batch) return true
  if (body.length < batchHeaderBytes) return false
  const batch = readBatchHeader(body)
  return batch.bytes === body.length && batchCrcMatches(rope, batch)
}

/** Calls `visit` for every entry up to a damaged header; returns how many there were. */
function walkEntries(bytes: Buffer, visit: (header: EntryHeader, at: number, body: Buffer) => void): number {
  let at = groupHeaderBytes
  let count = 0
  while (at + entryHeaderBytes <= bytes.length) {
    const header = decodeEntryHeader(bytes, at)
    if (header === null || at + entryHeaderBytes + header.length > bytes.length) break
    visit(header, at, bytes.subarray(at + entryHeaderBytes, at + entryHeaderBytes + header.length))
    at += entryHeaderBytes + header.length
    count++
  }
  return count
}

/** Several of the largest ordinary groups, so that few are read twice for lying across two stretches. */
const windowBytes = 16 << 20
/** For a look at a file that is not being replayed. */
const scanBytes = 4 << 20

/** One journal file, read through a window. */
class GroupReader {
  readonly file: JournalFile
  readonly #window: ReadWindow
  readonly #stretchBytes: number

  constructor(file: JournalFile, memory: Buffer | null) {
    this.file = file
    this.#stretchBytes = memory?.length ?? scanBytes
    this.#window = new ReadWindow(file.file, file.bytes, this.#stretchBytes, memory)
  }

  load(position: number, length: number): Promise<Buffer | null> {
    return this.#window.load(position, length)
  }

  /** The group that starts at `position` in this life of the file, or null. */
  async at(position: number): Promise<GroupHeader | null> {
    const bytes = await this.load(position, groupHeaderBytes)
    return bytes === null ? null : this.#decode(bytes, 0, position)
  }

  /** The first group at or after `position` with at least the number `groupSeqMin`. */
  async next(position: number, groupSeqMin: number): Promise<GroupHeader | null> {
    let from = position
    while (from + groupHeaderBytes <= this.file.bytes) {
      const bytes = await this.load(from, Math.min(this.#stretchBytes, this.file.bytes - from))
      if (bytes === null) return null
      for (let at = 0; at + groupHeaderBytes <= bytes.length; at += sectorBytes) {
        const group = this.#decode(bytes, at, from + at)
        if (group !== null && group.groupSeq >= groupSeqMin) return group
      }
      from += bytes.length
    }
    return null
  }

  #decode(bytes: Buffer, at: number, position: number): GroupHeader | null {
    const group = decodeGroupHeader(bytes, at, this.file.salt)
    if (group === null || group.fileSeq !== this.file.seq || group.position !== position) return null
    return group.bytes >= groupHeaderBytes && position + group.bytes <= this.file.bytes ? group : null
  }
}
