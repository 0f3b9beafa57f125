/**
 * Open segment files, the least recently used closed first. A file that was written is closed only after a successful sync:
 * a file opened again could miss the error of a write-back that failed in between.
 */
import { TidelogError } from '../base/errors.ts'
import type { Disk, DiskFile, OpenMode } from '../io/disk.ts'

interface Held {
  readonly opening: Promise<DiskFile>
  users: number
  dirty: boolean
  onUnused: (() => void) | null
}

export class Descriptors {
  readonly #disk: Disk
  readonly #limit: number
  /** In order of use, the longest unused first. */
  readonly #held = new Map<string, Held>()
  readonly #closing = new Set<Promise<void>>()
  #closed = false

  constructor(disk: Disk, limit: number) {
    this.#disk = disk
    this.#limit = limit
  }

  /** Runs `task` with the file at `path`, which stays open at least until the task ends. */
  async use<T>(path: string, mode: OpenMode, task: (file: DiskFile) => Promise<T>): Promise<T> {
    if (this.#closed) throw new TidelogError('CLOSED', 'the log is closed')
    const held = this.#hold(path, mode)
    held.users++
    try {
      return await task(await held.opening)
    } catch (error) {
      // A file that could not be opened is asked for again next time.
      if (
        await held.opening.then(
          () => false,
          () => true,
        )
      ) {
        if (this.#held.get(path) === held) this.#held.delete(path)
      }
      throw error
    } finally {
      held.users--
      if (held.users === 0) held.onUnused?.()
      this.#shrink()
    }
  }

  /** Writes and syncs; after a failed sync the node must stop. */
  async writeSynced(path: string, chunks: readonly Buffer[], position: number): Promise<void> {
    await this.use(path, 'create', async file => {
      const held = this.#held.get(path)
      if (held !== undefined) held.dirty = true
      await file.write(chunks, position)
      try {
        await file.sync()
      } catch (error) {
        throw new TidelogError('DISK_FAILED', `the sync of ${path} failed`, error)
      }
      if (held !== undefined) held.dirty = false
    })
  }

  /** Closes the file at `path` if it is open; its users must be gone. */
  async forget(path: string): Promise<void> {
    const held = this.#held.get(path)
    this.#held.delete(path)
    if (held === undefined) return
    const closing = held.opening
      .then(file => file.close())
      .catch(() => {})
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
    await closing
  }

  /** Closes everything once its users are done; nothing is opened any more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const [path, held] of [...this.#held]) {
      if (held.users > 0) await new Promise<void>(resolve => (held.onUnused = resolve))
      await this.forget(path)
    }
    await Promise.all(this.#closing)
  }

  #hold(path: string, mode: OpenMode): Held {
    const known = this.#held.get(path)
    if (known !== undefined) {
      this.#held.delete(path)
      this.#held.set(path, known)
      return known
    }
    const held: Held = {
      opening: this.#disk.open(path, mode === 'read' ? 'write' : mode),
      users: 0,
      dirty: false,
      onUnused: null,
    }
    held.opening.catch(() => {})
    this.#held.set(path, held)
    return held
  }

  #shrink(): void {
    if (this.#held.size <= this.#limit) return
    for (const [path, held] of this.#held) {
      if (held.users > 0 || held.dirty) continue
      void this.forget(path)
      if (this.#held.size <= this.#limit) return
    }
  }
}
