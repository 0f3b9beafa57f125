/**
 * Fetches that wait for more. A partition that changes wakes those that want it; each then counts only what is new in the
 * partitions that changed, once, however often it is woken. Nothing is held while waiting: the fetch reads again at the end.
 */
import { advance, type Offset } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { peekRope, type Rope } from '../base/rope.ts'
import type { Clock } from '../io/clock.ts'
import { batchHeaderBytes, readBatchHeader } from '../wire/record-batch.ts'
import type { Found, Wanted } from './fetch-read.ts'
import type { PartitionStore } from './storage.ts'

export interface WaitRequest {
  readonly wanted: readonly Wanted[]
  /** What was found just now. */
  readonly found: readonly Found[]
  /** How many more bytes are worth an answer. */
  readonly bytesMissing: number
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** How many partitions may be watched for waiting fetches: some 300 bytes each. */
const watchedMaxDefault = 500_000
/** At that bound a fetch watches nothing and looks again after so long. */
const unwatchedWaitMs = 500

export class FetchWaits {
  readonly #clock: Clock
  readonly #watchedMax: number
  #watched = 0

  constructor(clock: Clock, watchedMax = watchedMaxDefault) {
    this.#clock = clock
    this.#watchedMax = watchedMax
  }

  /** Partitions being watched now. */
  get watched(): number {
    return this.#watched
  }

  /**
   * Resolves when there is enough, when something else happened that the client should know, or when the time is over;
   * with the places of the partitions that changed.
   */
  async until(request: WaitRequest): Promise<ReadonlySet<number>> {
    const { wanted, found, signal } = request
    const crowded = this.#watched + wanted.length > this.#watchedMax
    const wait = new FetchWait(request.bytesMissing)
    const end = () => wait.end()
    const timer = this.#clock.setTimer(crowded ? Math.min(request.waitMs, unwatchedWaitMs) : request.waitMs, end)
    signal.addEventListener('abort', end, { once: true })
    const watching = crowded ? 0 : wanted.length
    this.#watched += watching
    try {
      if (signal.aborted) wait.end()
      if (!crowded) wait.watch(wanted, found)
      return await wait.ended
    } finally {
      this.#watched -= watching
      timer.cancel()
      signal.removeEventListener('abort', end)
      wait.unwatch()
    }
  }
}

interface Watch {
  readonly place: number
  readonly partition: PartitionStore
  /** Bytes below are counted. */
  countedTo: Offset
  queued: boolean
}

class FetchWait {
  readonly ended: Promise<ReadonlySet<number>>
  readonly #resolve: (changed: ReadonlySet<number>) => void
  readonly #reject: (error: unknown) => void
  readonly #unsubscribers: (() => void)[] = []
  readonly #changed = new Set<number>()
  readonly #queue: Watch[] = []
  #bytesMissing: number
  #counting = false

  constructor(bytesMissing: number) {
    this.#bytesMissing = bytesMissing
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlySet<number>>()
    this.ended = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  watch(wanted: readonly Wanted[], found: readonly Found[]): void {
    for (let place = 0; place < wanted.length; place++) {
      const { partition, from } = wanted[place]!
      if (partition === null) continue
      const seen = found[place]!.highWatermark as Offset
      const watch: Watch = { place, partition, countedTo: Math.max(from, seen) as Offset, queued: false }
      this.#unsubscribers.push(partition.onChange(() => this.#onChange(watch)))
      // It may have changed since it was read.
      if (partition.highWatermark !== seen) this.#onChange(watch)
    }
  }

  unwatch(): void {
    for (const unsubscribe of this.#unsubscribers) unsubscribe()
    this.#unsubscribers.length = 0
  }

  end(): void {
    this.#resolve(this.#changed)
  }

  #onChange(watch: Watch): void {
    this.#changed.add(watch.place)
    if (watch.queued) return
    watch.queued = true
    this.#queue.push(watch)
    if (this.#counting) return
    this.#counting = true
    // What else changes in this turn is counted together.
    queueMicrotask(() => void this.#count())
  }

  async #count(): Promise<void> {
    try {
      for (let watch = this.#queue.pop(); watch !== undefined; watch = this.#queue.pop()) {
        watch.queued = false
        if (await this.#isEnough(watch)) this.end()
      }
    } catch (error) {
      this.#reject(error)
    }
    this.#counting = false
  }

  /** Counts on from where it stopped, so that a batch that did not fit into one read is counted by the next. */
  async #isEnough(watch: Watch): Promise<boolean> {
    const { partition } = watch
    if (this.#bytesMissing <= 1 && partition.highWatermark > watch.countedTo) return true
    // Read at least once: that the partition is gone, or its start has moved, shows there.
    do {
      const { records, error, release } = await partition.read({
        from: watch.countedTo,
        bytesMax: this.#bytesMissing,
        minOne: true,
      })
      release?.()
      if (error !== 'NONE') return true
      const counted = endOfRecords(records)
      if (counted === null || counted <= watch.countedTo) break
      this.#bytesMissing -= records.length
      watch.countedTo = counted
    } while (this.#bytesMissing > 0 && watch.countedTo < partition.highWatermark)
    return this.#bytesMissing <= 0
  }
}

/** The offset after the last batch; null when there is none. */
function endOfRecords(records: Rope): Offset | null {
  let end: Offset | null = null
  for (let at = 0; at + batchHeaderBytes <= records.length; ) {
    const header = readBatchHeader(peekRope(records, at, at + batchHeaderBytes))
    invariant(header.bytes >= batchHeaderBytes, 'a partition gives whole batches')
    end = advance(header.baseOffset, header.lastOffsetDelta + 1)
    at += header.bytes
  }
  return end
}
