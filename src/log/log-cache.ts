/**
 * One budget of memory per process for message bytes: what is not flushed yet, then what is recent. Batches are copied once,
 * out of the socket's chunks into slabs that are used again and again: so the budget is charged with what is really held,
 * and the garbage collector, which is slow to notice large buffers, has nothing to do with it.
 *
 * Bound: `bytesMax`, in slabs. Flushed batches make room, the longest flushed first, and what is kept beside their bytes
 * counts there, too; unflushed ones never leave. When those alone fill the budget, `makeRoom` says no and appends wait for the
 * flusher.
 */
import { invariant } from '../base/invariant.ts'
import { type Rope, ropeFrom } from '../base/rope.ts'

/** A stretch of memory that batches share. */
export interface Slab {
  readonly bytes: Buffer
  /** Batches in it that are still kept. */
  batches: number
  /** Reads whose bytes somebody may still look at. */
  readers: number
}

export interface CachedBytes {
  readonly rope: Rope
  readonly slabs: readonly Slab[]
}

/** A batch that may be let go once its segment file has it. */
export interface Evictable {
  readonly cached: CachedBytes
  /** Forgets the batch; its owner reads it from the segment file from now on. */
  evict(): void
}

const slabBytesMax = 1 << 20
const slabBytesMin = 4096
const slabsMin = 64
/** Short batches fill slabs of their own: they are often the thin runs that stay longest, and would keep others' slabs. */
const shortBatchBytes = 16 * 1024
/** What is kept of a batch besides its bytes (header, ropes, places), measured; of short ones that is most. */
const batchOverheadBytes = 640
/** Flushed batches go when the cache is this full, so that new ones need not wait for an eviction. */
const evictAbove = 0.75

/** Where the next batch of a kind goes. */
interface Filling {
  slab: Slab | null
  at: number
}

export class LogCache {
  readonly #bytesMax: number
  readonly #slabBytes: number
  readonly #short: Filling = { slab: null, at: 0 }
  readonly #long: Filling = { slab: null, at: 0 }
  /** Slabs that nothing is in; with those in use never more than the budget. */
  #free: Slab[] = []
  #slabsInUse = 0
  #batches = 0
  #unflushedBytes = 0
  #flushed: (Evictable | undefined)[] = []
  #flushedFrom = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#slabBytes = Math.min(slabBytesMax, Math.max(slabBytesMin, Math.floor(bytesMax / slabsMin / 4096) * 4096))
  }

  /** What is held, in whole slabs. */
  get bytes(): number {
    return this.#slabsInUse * this.#slabBytes
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  get unflushedBytes(): number {
    return this.#unflushedBytes
  }

  /** Whether a batch of `bytes` may come in; recent ones make room for it. One larger than the budget is admitted alone. */
  makeRoom(bytes: number): boolean {
    this.#trim(this.#bytesMax - bytes)
    return this.#unflushedBytes === 0 || this.bytes + bytes <= this.#bytesMax
  }

  /** How full of what cannot be let go the cache is, 0 to 1 and above. */
  get pressure(): number {
    const isAllUnflushed = this.#flushedFrom === this.#flushed.length
    return (
      (isAllUnflushed ? Math.max(this.bytes - 2 * this.#slabBytes, this.#unflushedBytes) : this.#unflushedBytes) /
      this.#bytesMax
    )
  }

  /** Takes a copy of a batch's bytes. */
  admit(rope: Rope): CachedBytes {
    const filling = rope.length <= shortBatchBytes ? this.#short : this.#long
    let chunks: Buffer[] | null = null
    let slabs: Slab[] | null = null
    let left = rope.length
    let chunkIndex = 0
    let chunkAt = 0
    while (left > 0) {
      const slab = this.#slabFor(filling, left)
      const count = Math.min(left, this.#slabBytes - filling.at)
      const target = slab.bytes.subarray(filling.at, filling.at + count)
      for (let at = 0; at < count; ) {
        const chunk = rope.chunks[chunkIndex] as Buffer
        const copied = chunk.copy(target, at, chunkAt, Math.min(chunk.length, chunkAt + count - at))
        at += copied
        chunkAt += copied
        if (chunkAt === chunk.length) {
          chunkIndex++
          chunkAt = 0
        }
      }
      slab.batches++
      // As literals, for nearly all have one: an array that was pushed to has room for sixteen more.
      if (slabs === null) slabs = [slab]
      else slabs.push(slab)
      if (chunks === null) chunks = [target]
      else chunks.push(target)
      filling.at += count
      left -= count
    }
    this.#batches++
    this.#unflushedBytes += rope.length
    this.#trim()
    return { rope: ropeFrom(chunks ?? []), slabs: slabs ?? [] }
  }

  /** The batch is in its segment file, synced: it is only kept because it is recent. */
  flushed(batch: Evictable): void {
    this.#unflushedBytes -= batch.cached.rope.length
    invariant(this.#unflushedBytes >= 0, 'no batch is flushed twice')
    this.#flushed.push(batch)
    this.#trim()
  }

  /** A batch that was never flushed is given up (its segment is deleted). */
  dropUnflushed(cached: CachedBytes): void {
    this.#unflushedBytes -= cached.rope.length
    this.#release(cached)
  }

  #trim(bytesTarget = this.#bytesMax * evictAbove): void {
    const isOver = () => this.bytes + this.#batches * batchOverheadBytes > bytesTarget
    while (isOver() && this.#flushedFrom < this.#flushed.length) {
      const oldest = this.#flushed[this.#flushedFrom]
      this.#flushed[this.#flushedFrom++] = undefined
      invariant(oldest !== undefined, 'a batch is evicted once')
      this.#release(oldest.cached)
      oldest.evict()
    }
    if (this.#flushedFrom > 1024 && this.#flushedFrom * 2 > this.#flushed.length) {
      this.#flushed = this.#flushed.slice(this.#flushedFrom)
      this.#flushedFrom = 0
    }
  }

  /** The slab that is being filled, or the next one. A batch that fits into one slab is not cut for the last few bytes. */
  #slabFor(filling: Filling, bytes: number): Slab {
    const room = this.#slabBytes - filling.at
    const isWorthCutting = room >= this.#slabBytes / 8 && bytes > this.#slabBytes / 8
    if (filling.slab !== null && room > 0 && (bytes <= room || isWorthCutting)) return filling.slab
    const full = filling.slab
    filling.slab = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(this.#slabBytes), batches: 0, readers: 0 }
    filling.at = 0
    this.#slabsInUse++
    if (full !== null && full.batches === 0) this.#recycle(full)
    return filling.slab
  }

  #release(cached: CachedBytes): void {
    this.#batches--
    for (const slab of cached.slabs) {
      slab.batches--
      invariant(slab.batches >= 0, 'only what is kept is let go')
      if (slab.batches === 0 && slab !== this.#short.slab && slab !== this.#long.slab) this.#recycle(slab)
    }
  }

  /** A slab that somebody still reads from is left to the garbage collector; any other is used again. */
  #recycle(slab: Slab): void {
    this.#slabsInUse--
    const isKept = slab.readers === 0 && (this.#free.length + this.#slabsInUse + 1) * this.#slabBytes <= this.#bytesMax
    if (isKept) this.#free.push(slab)
  }
}

/** Notes that bytes of these slabs are handed to a reader, who calls the returned function once it is done with them. */
export function lend(slabs: readonly Slab[]): () => void {
  for (const slab of slabs) slab.readers++
  let isLent = true
  return () => {
    invariant(isLent, 'bytes are given back once')
    isLent = false
    for (const slab of slabs) slab.readers--
  }
}
