/**
 * A disk in memory behind `io/disk.ts`, as one process sees it. Alone it is a plain disk for unit tests
 * (`new MemoryDisk()`); with a scheduler and a fault plan it is the disk of a simulated run.
 *
 * An operation is issued, takes its time, takes effect, and resolves. When the process or the machine ends, everything the
 * dead one had under way never resolves; what it had not finished may have been done in part. `kill` and `losePower` return
 * the disk that the next process sees.
 *
 * The disk also watches its user: a descriptor used after its close, bytes that change while they are being written, a sync
 * retried after a failed one are `violations`; what is legal but worth knowing is in `remarks`.
 */
import { crc32c } from '../base/crc32c.ts'
import { Prng } from '../base/prng.ts'
import type { Disk, DiskFile, DiskSpace, OpenMode } from '../io/disk.ts'
import { type FileNode, FileSystem, type PowerLossReport, systemError } from './file-system.ts'

export const operationKinds = [
  'open',
  'list',
  'makeDirectory',
  'rename',
  'remove',
  'removeDirectory',
  'syncDirectory',
  'space',
  'read',
  'write',
  'sync',
  'truncate',
  'size',
  'close',
] as const
export type OperationKind = (typeof operationKinds)[number]

export interface Operation {
  /** Counts from 1 over the life of one process. */
  readonly number: number
  readonly kind: OperationKind
  readonly path: string
  readonly position: number
  readonly bytes: number
}

/** What happens to an operation instead of, or on top of, its normal course. */
export interface Fault {
  /** Rejects with this code; a write may have been done in part, a failed sync leaves pages clean that never reached the disk. */
  readonly error?: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EMFILE' | 'EROFS' | 'EACCES'
  /** Takes so much longer. */
  readonly stallMs?: number
  /** Resolves as if it were done, and is not: a disk that lies. For planted bugs. */
  readonly lie?: boolean
}

export interface MemoryDiskOptions {
  /** What is on the disk; empty when left out. */
  readonly files?: FileSystem
  /** Chance for what is done in part; seeded with 1 when left out. */
  readonly prng?: Prng
  /** Decides when an operation takes effect; on the next turn of the event loop, in order, when left out. */
  readonly schedule?: (operation: Operation, stallMs: number, task: () => void) => void
  readonly fault?: (operation: Operation) => Fault | null
  /** A fault takes effect now. */
  readonly onFault?: (operation: Operation, fault: Fault) => void
  /** Open descriptors beyond this fail with `EMFILE`. */
  readonly descriptorsMax?: number
  /** Writes that a concurrent reader may see half done, 0 to 1. */
  readonly splitWrites?: number
}

/** What an operation does, once it has been issued. */
interface Effect<T> {
  /** Takes effect; may throw a system error. */
  readonly apply: () => T
  /** Takes effect in part: it was under way when its process ended, or it fails. Left out: nothing is done. */
  readonly applySome?: () => void
  /** It fails by an injected fault, with this in place of `applySome`. */
  readonly fail?: () => void
  /** Is done in two steps, with time in between. */
  readonly split?: () => void
}

type Run = <T>(kind: OperationKind, path: string, position: number, bytes: number, begin: () => Effect<T>) => Promise<T>

export class MemoryDisk implements Disk {
  readonly files: FileSystem
  /** What no correct program does. */
  readonly violations: string[] = []
  /** What is legal but worth knowing, and how often. */
  readonly remarks = new Map<string, number>()
  readonly #options: MemoryDiskOptions
  readonly #prng: Prng
  readonly #underWay = new Set<Effect<unknown>>()
  readonly #watch: Watch
  #alive = true
  #operations = 0

  constructor(options: MemoryDiskOptions = {}) {
    this.files = options.files ?? new FileSystem()
    this.#options = options
    this.#prng = options.prng ?? new Prng(1)
    this.#watch = {
      open: new Map(),
      writes: new Map(),
      distrusted: new Set(),
      violate: sentence => void this.violations.push(sentence),
      remark: sentence => void this.remarks.set(sentence, (this.remarks.get(sentence) ?? 0) + 1),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  /** How many operations this process has issued. */
  get operations(): number {
    return this.#operations
  }

  /** The paths of open files, one for each descriptor. */
  get openPaths(): readonly string[] {
    return [...this.#watch.open.values()]
  }

  /** SIGKILL: what was written stays as it is, what was being written may be there in part. The disk as the next process sees it. */
  kill(options: MemoryDiskOptions = this.#options): MemoryDisk {
    this.#end()
    this.files.closeAll()
    return new MemoryDisk({ ...options, files: this.files, prng: this.#prng })
  }

  /** The machine goes off: only what was synced is sure. */
  losePower(options: MemoryDiskOptions = this.#options): { readonly disk: MemoryDisk; readonly loss: PowerLossReport } {
    this.#end()
    const loss = this.files.losePower(this.#prng)
    return { disk: new MemoryDisk({ ...options, files: this.files, prng: this.#prng }), loss }
  }

  #end(): void {
    this.#alive = false
    for (const effect of this.#underWay) effect.applySome?.()
    this.#underWay.clear()
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    const find = () => (mode === 'create' ? this.files.create(path) : this.files.file(path))
    return this.#run('open', path, 0, 0, () => ({
      apply: () => {
        if (this.#watch.open.size >= (this.#options.descriptorsMax ?? Number.MAX_SAFE_INTEGER)) {
          throw systemError('EMFILE', path)
        }
        const node = find()
        this.files.acquire(node)
        const file = new OpenFile(this.#door, node, path, mode !== 'read')
        this.#watch.open.set(file, path)
        return file
      },
      applySome: () => this.#prng.chance(0.5) && ignoreErrors(find),
    }))
  }

  list(path: string): Promise<string[]> {
    return this.#run('list', path, 0, 0, () => ({ apply: () => this.files.list(path) }))
  }

  makeDirectory(path: string): Promise<void> {
    return this.#run('makeDirectory', path, 0, 0, () => this.#perhaps(() => this.files.makeFolder(path)))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run('rename', from, 0, 0, () =>
      this.#perhaps(() => {
        if (this.files.exists(to)) this.#watch.remark('a rename replaces a file')
        this.files.rename(from, to)
      }),
    )
  }

  remove(path: string): Promise<void> {
    return this.#run('remove', path, 0, 0, () => this.#perhaps(() => this.files.remove(path)))
  }

  removeDirectory(path: string): Promise<void> {
    return this.#run('removeDirectory', path, 0, 0, () => this.#perhaps(() => this.files.removeFolder(path)))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run('syncDirectory', path, 0, 0, () => {
      const mark = this.files.folderMark(path)
      return this.#perhaps(() => this.files.syncFolder(mark))
    })
  }

  space(): Promise<DiskSpace> {
    return this.#run('space', '', 0, 0, () => ({
      apply: () => ({ path: 'memory', totalBytes: this.files.capacityBytes, freeBytes: this.files.freeBytes }),
    }))
  }

  /** An effect that a process's end leaves either done or not. */
  #perhaps<T>(apply: () => T): Effect<T> {
    return { apply, applySome: () => this.#prng.chance(0.5) && ignoreErrors(apply) }
  }

  get #door(): Door {
    return {
      run: this.#run,
      files: this.files,
      prng: this.#prng,
      watch: this.#watch,
      splitWrites: this.#options.splitWrites ?? 0,
    }
  }

  readonly #run: Run = <T>(
    kind: OperationKind,
    path: string,
    position: number,
    bytes: number,
    begin: () => Effect<T>,
  ) => {
    // A dead process does nothing more, and nobody waits for it.
    if (!this.#alive) return new Promise<T>(() => {})
    this.#operations += 1
    const operation = { number: this.#operations, kind, path, position, bytes }
    const fault = this.#options.fault?.(operation) ?? null
    return new Promise<T>((resolve, reject) => {
      let effect: Effect<T> | null = null
      let refusal: unknown
      try {
        effect = begin()
        this.#underWay.add(effect)
      } catch (error) {
        refusal = error
      }
      const finish = () => {
        if (!this.#alive) return
        if (effect === null) return reject(refusal as Error)
        this.#underWay.delete(effect)
        if (fault !== null) this.#options.onFault?.(operation, fault)
        if (fault?.lie === true) return resolve(undefined as T)
        if (fault?.error !== undefined) {
          ;(effect.fail ?? effect.applySome)?.()
          return reject(systemError(fault.error, `${kind} ${path}`))
        }
        try {
          resolve(effect.apply())
        } catch (error) {
          reject(error as Error)
        }
      }
      const split = effect?.split
      const stallMs = fault?.stallMs ?? 0
      if (split === undefined) return this.#schedule(operation, stallMs, finish)
      this.#schedule(operation, stallMs, () => {
        if (!this.#alive) return
        split()
        this.#schedule(operation, 0, finish)
      })
    })
  }

  #schedule(operation: Operation, stallMs: number, task: () => void): void {
    if (this.#options.schedule === undefined) setImmediate(task)
    else this.#options.schedule(operation, stallMs, task)
  }
}

/** What one process's files share. */
interface Door {
  readonly run: Run
  readonly files: FileSystem
  readonly prng: Prng
  readonly watch: Watch
  readonly splitWrites: number
}

interface Watch {
  readonly open: Map<DiskFile, string>
  /** Writes and truncations under way, to find those that meet. */
  readonly writes: Map<FileNode, Span[]>
  /** Files whose sync has failed. */
  readonly distrusted: Set<FileNode>
  violate(sentence: string): void
  remark(sentence: string): void
}

interface Span {
  readonly from: number
  readonly to: number
}

class OpenFile implements DiskFile {
  readonly #door: Door
  readonly #node: FileNode
  readonly #path: string
  readonly #writable: boolean
  #closed = false
  #underWay = 0

  constructor(door: Door, node: FileNode, path: string, writable: boolean) {
    this.#door = door
    this.#node = node
    this.#path = path
    this.#writable = writable
  }

  read(target: Buffer, position: number): Promise<number> {
    const { files, watch } = this.#door
    return this.#run('read', position, target.length, () => ({
      apply: () => {
        if (position > this.#node.size) watch.remark('a read begins beyond the end')
        return files.read(this.#node, target, position)
      },
    }))
  }

  write(chunks: readonly Buffer[], position: number): Promise<void> {
    const { files, prng } = this.#door
    const listed = [...chunks]
    const length = listed.reduce((sum, chunk) => sum + chunk.length, 0)
    return this.#change('write', position, length, () => {
      const crc = listed.reduce((sum, chunk) => crc32c(chunk, sum), 0)
      let done = 0
      const writeTo = (end: number) => {
        const data = Buffer.concat(listed, length)
        if (crc32c(data) !== crc) this.#door.watch.violate(`${this.#path}: bytes changed while they were being written`)
        const room = files.room(this.#node, position, length)
        const stop = Math.min(end, room)
        if (stop > done) files.write(this.#node, data.subarray(done, stop), position + done)
        done = Math.max(done, stop)
        return room
      }
      const effect = {
        apply: () => {
          if (writeTo(length) < length) throw systemError('ENOSPC', this.#path)
        },
        applySome: () => void writeTo(prng.pick([0, prng.between(0, length + 1), length])),
      }
      const splits = length > 1 && prng.chance(this.#door.splitWrites)
      return splits ? { ...effect, split: () => void writeTo(prng.between(1, length)) } : effect
    })
  }

  sync(): Promise<void> {
    const { files, watch, prng } = this.#door
    if (watch.distrusted.has(this.#node)) watch.violate(`${this.#path}: a sync after one that failed`)
    return this.#run('sync', 0, 0, () => {
      const mark = files.fileMark(this.#node)
      return {
        apply: () => files.syncFile(mark),
        applySome: () => void (prng.chance(0.5) && files.syncFile(mark)),
        fail: () => {
          files.abandon(mark)
          watch.distrusted.add(this.#node)
        },
      }
    })
  }

  truncate(size: number): Promise<void> {
    const { files, prng } = this.#door
    return this.#change('truncate', size, Number.MAX_SAFE_INTEGER - size, () => ({
      apply: () => files.truncate(this.#node, size),
      applySome: () => void (prng.chance(0.5) && ignoreErrors(() => files.truncate(this.#node, size))),
    }))
  }

  size(): Promise<number> {
    return this.#run('size', 0, 0, () => ({ apply: () => this.#node.size }))
  }

  close(): Promise<void> {
    const { files, watch } = this.#door
    if (!this.#closed && this.#underWay > 0) watch.violate(`${this.#path}: closed with operations under way`)
    if (files.isDirty(this.#node) && this.#node.links > 0) watch.remark('a file is closed with unsynced changes')
    const apply = () => {
      files.release(this.#node)
      watch.open.delete(this)
    }
    // A close that fails has closed nevertheless.
    const closing = this.#run('close', 0, 0, () => ({ apply, fail: apply }))
    this.#closed = true
    return closing
  }

  /** An operation that changes bytes: it must be allowed to, and must not meet another. */
  #change<T>(kind: 'write' | 'truncate', position: number, length: number, begin: () => Effect<T>): Promise<T> {
    const { watch } = this.#door
    if (!this.#writable) {
      watch.violate(`${this.#path}: ${kind} to a file opened for reading`)
      return Promise.reject(systemError('EBADF', this.#path))
    }
    const spans = watch.writes.get(this.#node) ?? []
    watch.writes.set(this.#node, spans)
    const span = { from: position, to: position + length }
    if (spans.some(other => other.from < span.to && span.from < other.to)) {
      watch.violate(`${this.#path}: a ${kind} at ${position} meets another under way`)
    }
    spans.push(span)
    const running = this.#run(kind, position, kind === 'write' ? length : 0, begin)
    const settle = () => void spans.splice(spans.indexOf(span), 1)
    running.then(settle, settle)
    return running
  }

  #run<T>(kind: OperationKind, position: number, bytes: number, begin: () => Effect<T>): Promise<T> {
    if (this.#closed) {
      this.#door.watch.violate(`${this.#path}: ${kind} after close`)
      return Promise.reject(systemError('EBADF', this.#path))
    }
    this.#underWay += 1
    const running = this.#door.run(kind, this.#path, position, bytes, begin)
    const settle = () => {
      this.#underWay -= 1
    }
    running.then(settle, settle)
    return running
  }
}

function ignoreErrors(task: () => unknown): void {
  try {
    task()
  } catch {
    // What a dying process could not do does not matter to anybody.
  }
}
