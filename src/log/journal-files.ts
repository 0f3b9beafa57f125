/**
 * The journal's files: those that are live, in order, and the spares that the next ones come from. A file is filled with
 * zeros before its first use and used again afterwards, because overwriting costs a sync far less than growing.
 *
 * A file's name is only its slot; its header says which life it is in. Freeing a file therefore needs no rename: its header
 * is overwritten when it is taken again.
 *
 * Bound: all files together stay within `bytesMax`. At the bound, or on a full disk, batches wait; one spare is kept for what
 * must go through even then (Raft's entries, checkpoints, marks).
 */
import { isDiskFull, isPassing } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { Disk, DiskFile } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { encodeFileHeader, sectorBytes, toSector, unusedFileSeq } from './journal-format.ts'
import { syncFile, syncFolder } from './whole-file.ts'

export const journalFolder = 'journal'

export interface JournalSettings {
  /** Size of a file. */
  readonly fileBytes: number
  /** Size of the very first file and its spare: small, so that a first start need not write 64 MiB. */
  readonly firstFileBytes: number
  /** Bound of all files together. */
  readonly bytesMax: number
  readonly groupBytesMax: number
  /** How long the last group stays unproven when nothing follows it. */
  readonly markDelayMs: number
}

export interface Identity {
  readonly clusterId: Buffer
  readonly diskId: Buffer
}

/** A file in use. `pins` counts the entries in it that are not yet safe elsewhere. */
export interface JournalFile {
  readonly seq: number
  readonly name: string
  readonly bytes: number
  readonly salt: number
  readonly file: DiskFile
  pins: number
}

interface Spare {
  readonly name: string
  readonly bytes: number
  readonly file: DiskFile
}

/** The files that a start finds. */
export interface FoundFiles {
  /** Files of consecutive lives, the oldest first; the newest is where writing goes on. */
  readonly live: readonly JournalFile[]
  /** Files whose life is over. */
  readonly spares: readonly Spare[]
  readonly slots: readonly string[]
  /** The number of the next life. Higher than any that the checkpoint table speaks of, even when no file is live. */
  readonly nextSeq: number
}

const spareTarget = 2
/** Freed files kept for use again; more than that go back to the file system. */
const spareMax = 4
const zeros = Buffer.alloc(1 << 20)
const retryMs = 250

export class JournalFiles {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #random: Random
  readonly #identity: Identity
  readonly #settings: JournalSettings
  readonly #onRoom: () => void
  readonly #onTaken: () => void
  readonly #onFailure: (error: unknown) => void
  readonly #live: JournalFile[] = []
  readonly #spares: Spare[] = []
  #nextSlot = 1
  #nextSeq = 1
  #bytes = 0
  #preparing: Promise<void> | null = null
  #retry: Timer | null = null
  #diskFull = false
  #closed = false

  constructor(options: {
    disk: Disk
    clock: Clock
    random: Random
    identity: Identity
    settings: JournalSettings
    /** There is a spare more than before. */
    onRoom: () => void
    /** The journal has become a file longer. */
    onTaken?: () => void
    onFailure: (error: unknown) => void
  }) {
    this.#disk = options.disk
    this.#clock = options.clock
    this.#random = options.random
    this.#identity = options.identity
    this.#settings = options.settings
    this.#onRoom = options.onRoom
    this.#onTaken = options.onTaken ?? (() => {})
    this.#onFailure = options.onFailure
  }

  get live(): readonly JournalFile[] {
    return this.#live
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The file system had no room for another file at the last attempt. */
  get diskFull(): boolean {
    return this.#diskFull
  }

  /** Takes over what recovery found. */
  adopt({ live, spares, slots, nextSeq }: FoundFiles): void {
    invariant(this.#live.length === 0, 'files are adopted once')
    this.#live.push(...live)
    this.#spares.push(...spares)
    for (const file of [...live, ...spares]) this.#bytes += file.bytes
    for (const slot of slots) this.#nextSlot = Math.max(this.#nextSlot, Number.parseInt(slot, 10) + 1 || 1)
    this.#nextSeq = nextSeq
  }

  /** Makes the first file of a new journal and its spare. On a full disk a journal that exists starts without a spare. */
  async start(): Promise<void> {
    const wanted = this.#live.length === 0 ? spareTarget : 1
    await this.#dropExcess()
    try {
      while (this.#spares.length < wanted) this.#spares.push(await this.#create(this.#settings.firstFileBytes))
    } catch (error) {
      if (this.#live.length === 0 || !isDiskFull(error)) throw error
      this.#diskFull = true
    }
  }

  /**
   * The next file in order, its header still to be written (`headerOf`) together with its first group. Null when there is
   * none: `onRoom` tells when to ask again. `critical` may take the last spare.
   */
  take(bytesNeeded: number, critical: boolean): JournalFile | null {
    const at = this.#spares.findIndex(spare => spare.bytes - sectorBytes >= bytesNeeded)
    if (at < 0 || (!critical && this.#spares.length < 2)) {
      this.prepare()
      return null
    }
    const [spare] = this.#spares.splice(at, 1)
    invariant(spare !== undefined, 'the spare is there')
    const file = this.#enlist(spare)
    this.prepare()
    return file
  }

  /** A file of its own for an entry that no ordinary file holds; it is not used again. */
  async takeOversize(bytesNeeded: number): Promise<JournalFile> {
    return this.#enlist(await this.#create(toSector(bytesNeeded) + sectorBytes))
  }

  fitsOrdinary(bytesNeeded: number): boolean {
    return bytesNeeded <= this.#settings.fileBytes - sectorBytes
  }

  headerOf(file: JournalFile): Buffer {
    return this.#header(file.seq, file.bytes, file.salt)
  }

  /** How many of the oldest files hold nothing that is still needed; the newest is always needed. */
  freeable(): number {
    let count = 0
    while (count < this.#live.length - 1 && this.#live[count]?.pins === 0) count++
    return count
  }

  /** Ends the life of the `count` oldest files. The caller has made durable what says that they are not needed. */
  async free(count: number): Promise<void> {
    const freed = this.#live.splice(0, count)
    for (const file of freed) {
      invariant(file.pins === 0, 'no file is freed while an entry in it is needed')
      const isNeeded = this.#spares.length < spareTarget || this.#bytes <= this.#settings.bytesMax
      const keep = file.bytes === this.#settings.fileBytes && this.#spares.length < spareMax && isNeeded
      if (keep) this.#spares.push({ name: file.name, bytes: file.bytes, file: file.file })
      else await this.#discard(file)
    }
    this.#onRoom()
  }

  /** Sees to it that there are spares, in the background. */
  prepare(): void {
    if (this.#closed || this.#preparing !== null || this.#retry !== null || !this.#wantsSpare()) return
    this.#preparing = this.#prepareOne().finally(() => {
      this.#preparing = null
      this.prepare()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#retry?.cancel()
    await this.#preparing
    for (const file of [...this.#live, ...this.#spares]) await file.file.close()
  }

  #wantsSpare(): boolean {
    const ordinary = this.#spares.filter(spare => spare.bytes >= this.#settings.fileBytes).length
    const isRoom = this.#bytes + this.#settings.fileBytes <= this.#settings.bytesMax
    return ordinary < spareTarget && (isRoom || this.#spares.length === 0)
  }

  async #prepareOne(): Promise<void> {
    try {
      this.#spares.push(await this.#create(this.#settings.fileBytes))
      this.#diskFull = false
      this.#onRoom()
    } catch (error) {
      if (!isPassing(error)) return this.#onFailure(error)
      this.#diskFull = isDiskFull(error)
      this.#retry = this.#clock.setTimer(retryMs, () => {
        this.#retry = null
        this.prepare()
      })
    }
  }

  #enlist(spare: Spare): JournalFile {
    const salt = this.#random.bytes(4).readUInt32BE(0)
    const file: JournalFile = { ...spare, seq: this.#nextSeq++, salt, pins: 0 }
    this.#live.push(file)
    this.#onTaken()
    return file
  }

  #header(fileSeq: number, fileBytes: number, salt: number): Buffer {
    return encodeFileHeader({ ...this.#identity, fileSeq, fileBytes, salt })
  }

  /**
   * A new file full of zeros, durable by content and by name. Its header comes last: a file that has one was synced before,
   * whatever became of the process that made it.
   */
  async #create(bytes: number): Promise<Spare> {
    const name = `${journalFolder}/${String(this.#nextSlot++).padStart(6, '0')}.journal`
    const file = await this.#disk.open(name, 'create')
    try {
      for (let at = 0; at < bytes; at += zeros.length) {
        await file.write([zeros.subarray(0, Math.min(zeros.length, bytes - at))], at)
      }
      await syncFile(file, name)
      await file.write([this.#header(unusedFileSeq, bytes, 0)], 0)
    } catch (error) {
      if (!isPassing(error)) throw error
      await file.close()
      await this.#disk.remove(name).catch(() => {})
      throw error
    }
    await syncFile(file, name)
    await syncFolder(this.#disk, journalFolder)
    this.#bytes += bytes
    return { name, bytes, file }
  }

  /** A power loss brings back files that were removed before it. */
  async #dropExcess(): Promise<void> {
    const isExcess = () => this.#spares.length > spareMax || this.#bytes > this.#settings.bytesMax
    while (this.#spares.length > spareTarget && isExcess()) await this.#discard(this.#spares.pop() as Spare)
  }

  /** Gives a file back to the file system. One that cannot be removed now is one too many that the next start meets. */
  async #discard(file: Spare): Promise<void> {
    this.#bytes -= file.bytes
    await file.file.close().catch(unlessPassing)
    await this.#disk.remove(file.name).catch(unlessPassing)
  }
}

function unlessPassing(error: unknown): void {
  if (!isPassing(error)) throw error
}
