/**
 * Moves what is durable in the journal into the segment files, in the background, so that memory and journal can be let go.
 * One run at a time: write, sync, checkpoint. Which partition is next:
 *
 *   1. those that keep the oldest journal file, when the journal is longer than it should be or has no room;
 *   2. sealed segments, which wait for their seal file;
 *   3. the largest run, when it is worth a sync or memory is short;
 *   4. anything of some size that has been waiting for a while.
 *
 * A full disk blocks it, never fails it: it tries again, and `blocked` tells appends not to wait for memory. A failed sync
 * ends the process.
 */
import { isPassing, TidelogError } from '../base/errors.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { PartitionLog } from './partition-log.ts'

export interface FlushSettings {
  /** A run this long is worth a sync of its own. */
  readonly runBytes: number
  /** At most so much is written before a sync. */
  readonly runBytesMax: number
  /** Shorter runs wait until memory or the journal asks for them. */
  readonly thinBytes: number
  /** How long a run that is not thin may wait. */
  readonly idleMs: number
}

export interface FlushJournal {
  /** The journal is longer than it should be, or appends wait for room in it. */
  isLong(): boolean
  /** Whether this partition keeps the oldest journal file. */
  holdsOldest(log: PartitionLog): boolean
  /** Lets go of what nothing needs any more. True when something was freed. */
  trim(): Promise<boolean>
}

const retryMs = 250
const tickMs = 500
/** Above this share of the cache everything is flushed, the largest first. */
const urgentPressure = 0.75

export class Flusher {
  readonly #clock: Clock
  readonly #settings: FlushSettings
  readonly #journal: FlushJournal
  readonly #pressure: () => number
  readonly #onProgress: () => void
  readonly #onFailure: (error: TidelogError) => void
  readonly #onBlocked: (error: unknown) => void
  /** Partitions with something to flush or to seal, and since when. */
  readonly #dirty = new Map<PartitionLog, number>()
  #running: Promise<void> | null = null
  #timer: Timer | null = null
  #again = false
  #blocked = false
  #hurried = false
  #stopped = false

  constructor(options: {
    clock: Clock
    settings: FlushSettings
    journal: FlushJournal
    pressure: () => number
    onProgress: () => void
    onFailure: (error: TidelogError) => void
    onBlocked: (error: unknown) => void
  }) {
    this.#clock = options.clock
    this.#settings = options.settings
    this.#journal = options.journal
    this.#pressure = options.pressure
    this.#onProgress = options.onProgress
    this.#onFailure = options.onFailure
    this.#onBlocked = options.onBlocked
  }

  /** The last attempt found the disk full, or could not open a file. */
  get blocked(): boolean {
    return this.#blocked
  }

  /** There is something new to flush or to seal in this partition. */
  add(log: PartitionLog): void {
    if (!this.#dirty.has(log)) this.#dirty.set(log, this.#clock.monotonicMs())
    const isDue = log.awaitsSeal || log.unflushedBytes >= this.#settings.runBytes
    if (isDue || this.#hurried || this.#pressure() >= urgentPressure || this.#journal.isLong()) this.kick()
    else this.#schedule(tickMs)
  }

  remove(log: PartitionLog): void {
    this.#dirty.delete(log)
  }

  /** Looks again: memory, the journal or a segment's state has changed. */
  kick(): void {
    if (this.#stopped || this.#blocked) return
    if (this.#running !== null) {
      this.#again = true
      return
    }
    this.#running = this.#run().finally(() => {
      this.#running = null
      const again = this.#again
      this.#again = false
      if (this.#blocked) this.#schedule(retryMs)
      else if (again) this.kick()
      else if (this.#dirty.size > 0) this.#schedule(tickMs)
    })
  }

  /** Somebody waits for room: everything is worth flushing until nothing is left. */
  hurry(): void {
    this.#hurried = true
    this.kick()
  }

  /** Finishes the run it is at, and stops. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#running
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#stopped) return
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = null
      this.#blocked = false
      this.kick()
    })
  }

  async #run(): Promise<void> {
    try {
      for (let log = this.#pick(); !this.#stopped; log = this.#pick()) {
        if (log !== null) {
          await this.#flushOne(log)
          if (this.#dirty.size === 0) this.#hurried = false
        }
        const trimmed = await this.#journal.trim()
        if (log === null && !trimmed) return
        this.#onProgress()
      }
    } catch (error) {
      this.#refused(error)
    }
  }

  async #flushOne(log: PartitionLog): Promise<void> {
    const didSomething = await log.flushNext(this.#settings.runBytesMax)
    // What made no progress is not picked again until something changes there.
    if (didSomething && log.needsFlush) this.#dirty.set(log, this.#clock.monotonicMs())
    else this.#dirty.delete(log)
  }

  /** Full disks and missing descriptors pass; anything else does not. */
  #refused(error: unknown): void {
    if (isPassing(error)) {
      if (!this.#blocked) this.#onBlocked(error)
      this.#blocked = true
      this.#onProgress()
      return
    }
    this.#stopped = true
    this.#onFailure(error instanceof TidelogError ? error : new TidelogError('DISK_FAILED', 'flushing failed', error))
  }

  #pick(): PartitionLog | null {
    const long = this.#journal.isLong()
    const urgent = this.#hurried || this.#pressure() >= urgentPressure
    const waitingBefore = this.#clock.monotonicMs() - this.#settings.idleMs
    let best: PartitionLog | null = null
    let bestScore = 0
    for (const [log, since] of this.#dirty) {
      if (!log.needsFlush) continue
      const bytes = log.unflushedBytes
      const score =
        long && this.#journal.holdsOldest(log)
          ? 4e15
          : log.awaitsSeal
            ? 3e15
            : urgent ||
                bytes >= this.#settings.runBytes ||
                (bytes >= this.#settings.thinBytes && since <= waitingBefore)
              ? bytes
              : 0
      if (score > bestScore) {
        best = log
        bestScore = score
      }
    }
    return best
  }
}
