/**
 * A disk in memory, for brokers that live as long as their program: nothing is written anywhere, and what it holds can be kept
 * aside and put back in no time.
 *
 * A file is a table of pages; pages of zeros, of which the journal is full before its first use, are not there at all. Pages
 * that a snapshot shares are copied when they are first written to.
 */
import { invariant } from '../base/invariant.ts'
import type { Disk, DiskFile, DiskSpace, OpenMode } from '../io/disk.ts'

const pageBytes = 64 * 1024
const zeros = Buffer.alloc(pageBytes)

interface Page {
  readonly bytes: Buffer
  /** The disk that may write to it; any other copies it first. */
  readonly owner: symbol
}

interface File {
  pages: Map<number, Page>
  size: number
  /** It has no name any more, and what it takes up is not counted: somebody may still have it open. */
  isRemoved: boolean
}

/** What a disk holds at one moment; never changes. */
export interface DiskImage {
  readonly files: ReadonlyMap<string, Readonly<File>>
  readonly folders: ReadonlySet<string>
  readonly usedBytes: number
}

export class MemoryDisk implements Disk {
  readonly #bytesMax: number
  readonly #files = new Map<string, File>()
  readonly #folders: Set<string>
  /** Changes with each snapshot: what it had is shared from then on. */
  #owner = Symbol('disk')
  #usedBytes: number

  /** Files beyond `bytesMax` together are refused with ENOSPC, as by a disk that is full. */
  constructor(bytesMax: number, image: DiskImage = { files: new Map(), folders: new Set(['']), usedBytes: 0 }) {
    this.#bytesMax = bytesMax
    this.#folders = new Set(image.folders)
    this.#usedBytes = image.usedBytes
    for (const [path, file] of image.files) this.#files.set(path, copyOf(file))
  }

  /** What the disk holds now, as it would be found after the process ended at this moment. */
  snapshot(): DiskImage {
    this.#owner = Symbol('disk')
    const files = new Map([...this.#files].map(([path, file]) => [path, copyOf(file)]))
    return { files, folders: new Set(this.#folders), usedBytes: this.#usedBytes }
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const found = this.#files.get(path)
    if (found !== undefined) return new MemoryFile(found, this.#pages)
    if (mode !== 'create' || !this.#folders.has(parentOf(path))) throw systemError('ENOENT', path)
    const made: File = { pages: new Map(), size: 0, isRemoved: false }
    this.#files.set(path, made)
    return new MemoryFile(made, this.#pages)
  }

  async list(path: string): Promise<string[]> {
    const prefix = path === '' || path === '.' ? '' : `${path}/`
    const names = new Set<string>()
    for (const name of [...this.#files.keys(), ...this.#folders]) {
      if (name === '' || !name.startsWith(prefix)) continue
      names.add(name.slice(prefix.length).split('/', 1)[0] as string)
    }
    return [...names].sort()
  }

  async makeDirectory(path: string): Promise<void> {
    for (let folder = path; !this.#folders.has(folder); folder = parentOf(folder)) this.#folders.add(folder)
  }

  async rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from)
    if (file === undefined || !this.#folders.has(parentOf(to))) throw systemError('ENOENT', from)
    if (from === to) return
    await this.remove(to)
    this.#files.delete(from)
    this.#files.set(to, file)
  }

  async remove(path: string): Promise<void> {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    file.isRemoved = true
    this.#usedBytes -= file.pages.size * pageBytes
  }

  async removeDirectory(path: string): Promise<void> {
    if ((await this.list(path)).length === 0) this.#folders.delete(path)
  }

  async syncDirectory(): Promise<void> {}

  async space(): Promise<DiskSpace> {
    return { path: 'memory', totalBytes: this.#bytesMax, freeBytes: Math.max(0, this.#bytesMax - this.#usedBytes) }
  }

  readonly #pages: Pages = {
    /** A page that may be written to. */
    writable: (file, index) => {
      const page = file.pages.get(index)
      if (page?.owner === this.#owner) return page.bytes
      if (page === undefined && !file.isRemoved) this.#take(pageBytes)
      const bytes = page === undefined ? Buffer.alloc(pageBytes) : Buffer.from(page.bytes)
      file.pages.set(index, { bytes, owner: this.#owner })
      return bytes
    },
    drop: (file, index) => {
      if (file.pages.delete(index) && !file.isRemoved) this.#usedBytes -= pageBytes
    },
  }

  #take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#bytesMax) throw systemError('ENOSPC', 'memory')
    this.#usedBytes += bytes
  }
}

interface Pages {
  readonly writable: (file: File, index: number) => Buffer
  readonly drop: (file: File, index: number) => void
}

class MemoryFile implements DiskFile {
  readonly #file: File
  readonly #pages: Pages
  #closed = false

  constructor(file: File, pages: Pages) {
    this.#file = file
    this.#pages = pages
  }

  async read(target: Buffer, position: number): Promise<number> {
    const file = this.#opened()
    const count = Math.max(0, Math.min(target.length, file.size - position))
    eachPage(position, count, (index, from, length, done) => {
      const page = file.pages.get(index)
      if (page === undefined) target.fill(0, done, done + length)
      else page.bytes.copy(target, done, from, from + length)
    })
    return count
  }

  async write(chunks: readonly Buffer[], position: number): Promise<void> {
    const file = this.#opened()
    let at = position
    for (const chunk of chunks) {
      eachPage(at, chunk.length, (index, from, length, done) => this.#writePage(index, from, chunk, done, length))
      at += chunk.length
      if (chunk.length > 0) file.size = Math.max(file.size, at)
    }
  }

  /** A turn of the event loop: what is written meanwhile shares the next sync, as on a real disk. */
  sync(): Promise<void> {
    this.#opened()
    return new Promise(resolve => setImmediate(resolve))
  }

  async truncate(size: number): Promise<void> {
    const file = this.#opened()
    if (size < file.size) {
      const last = Math.ceil(size / pageBytes)
      for (const index of [...file.pages.keys()]) if (index >= last) this.#pages.drop(file, index)
      const within = size % pageBytes
      if (within > 0 && file.pages.has(last - 1)) this.#pages.writable(file, last - 1).fill(0, within)
    }
    file.size = size
  }

  async size(): Promise<number> {
    return this.#opened().size
  }

  async close(): Promise<void> {
    this.#opened()
    this.#closed = true
  }

  #writePage(index: number, from: number, chunk: Buffer, done: number, length: number): void {
    const part = chunk.subarray(done, done + length)
    if (!this.#file.pages.has(index) && part.equals(zeros.subarray(0, length))) return
    part.copy(this.#pages.writable(this.#file, index), from)
  }

  #opened(): File {
    invariant(!this.#closed, 'a closed file is not used')
    return this.#file
  }
}

/** Visits the parts of a range that lie in one page each. */
function eachPage(
  position: number,
  count: number,
  visit: (index: number, from: number, length: number, done: number) => void,
): void {
  for (let done = 0; done < count; ) {
    const at = position + done
    const from = at % pageBytes
    const length = Math.min(pageBytes - from, count - done)
    visit((at - from) / pageBytes, from, length, done)
    done += length
  }
}

function copyOf({ pages, size }: Readonly<File>): File {
  return { pages: new Map(pages), size, isRemoved: false }
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

function systemError(code: 'ENOENT' | 'ENOSPC', path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
