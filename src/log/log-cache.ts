/**
 * One budget of memory per process for message bytes: what is not flushed yet, then what is recent. It is charged by the
 * backing store that is kept alive, not by the slice: a 100-byte batch in a 64 KiB socket chunk costs 64 KiB until it is let
 * go, so a chunk of which little is kept is copied into a pool first.
 *
 * Bound: `bytesMax`. Flushed batches make room, the longest flushed first; unflushed ones never leave. When those alone fill
 * the budget, `makeRoom` says no and appends wait for the flusher.
 */
import { invariant } from '../base/invariant.ts'
import { type Rope, ropeFrom } from '../base/rope.ts'

/** A batch that may be let go once its segment file has it. */
export interface Evictable {
  readonly body: Rope
  /** Forgets the batch; its owner reads it from the segment file from now on. */
  evict(): void
}

/** A chunk less than a quarter full is copied. */
const sparseFactor = 4
const poolSlabBytes = 64 * 1024
/** Flushed batches go when the cache is this full, so that new ones need not wait for an eviction. */
const evictAbove = 0.75

export class LogCache {
  readonly #bytesMax: number
  readonly #holders = new Map<ArrayBufferLike, number>()
  #bytes = 0
  #unflushedBytes = 0
  #flushed: (Evictable | undefined)[] = []
  #flushedFrom = 0
  #slab = Buffer.alloc(0)

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
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
    return this.#unflushedBytes === 0 || this.#bytes + bytes <= this.#bytesMax
  }

  /** How full of what cannot be let go the cache is, 0 to 1 and above. */
  get pressure(): number {
    const isAllUnflushed = this.#flushedFrom === this.#flushed.length
    return (isAllUnflushed ? this.#bytes : this.#unflushedBytes) / this.#bytesMax
  }

  /** Takes a batch's bytes in: charges what they keep alive and returns the rope to keep. */
  admit(rope: Rope): Rope {
    const kept = this.#compact(rope)
    for (const chunk of kept.chunks) this.#hold(chunk.buffer)
    this.#unflushedBytes += kept.length
    this.#trim()
    return kept
  }

  /** The batch is in its segment file, synced: it is only kept because it is recent. */
  flushed(batch: Evictable): void {
    this.#unflushedBytes -= batch.body.length
    invariant(this.#unflushedBytes >= 0, 'no batch is flushed twice')
    this.#flushed.push(batch)
    this.#trim()
  }

  /** A batch that was never flushed is given up (its segment is deleted). */
  dropUnflushed(rope: Rope): void {
    this.#unflushedBytes -= rope.length
    this.#release(rope)
  }

  #trim(bytesTarget = this.#bytesMax * evictAbove): void {
    while (this.#bytes > bytesTarget && this.#flushedFrom < this.#flushed.length) {
      const oldest = this.#flushed[this.#flushedFrom]
      this.#flushed[this.#flushedFrom++] = undefined
      invariant(oldest !== undefined, 'a batch is evicted once')
      this.#release(oldest.body)
      oldest.evict()
    }
    if (this.#flushedFrom > 1024 && this.#flushedFrom * 2 > this.#flushed.length) {
      this.#flushed = this.#flushed.slice(this.#flushedFrom)
      this.#flushedFrom = 0
    }
  }

  #compact(rope: Rope): Rope {
    const isSparse = (chunk: Buffer) => chunk.length * sparseFactor < chunk.buffer.byteLength
    if (!rope.chunks.some(isSparse)) return rope
    return ropeFrom(rope.chunks.map(chunk => (isSparse(chunk) ? this.#copyToPool(chunk) : chunk)))
  }

  #copyToPool(chunk: Buffer): Buffer {
    if (chunk.length * sparseFactor > poolSlabBytes)
      return Buffer.from(Buffer.allocUnsafeSlow(chunk.length).fill(chunk))
    if (this.#slab.length < chunk.length) this.#slab = Buffer.allocUnsafeSlow(poolSlabBytes)
    const copy = this.#slab.subarray(0, chunk.length)
    chunk.copy(copy)
    this.#slab = this.#slab.subarray(chunk.length)
    return copy
  }

  #hold(store: ArrayBufferLike): void {
    const holders = this.#holders.get(store) ?? 0
    if (holders === 0) this.#bytes += store.byteLength
    this.#holders.set(store, holders + 1)
  }

  #release(rope: Rope): void {
    for (const chunk of rope.chunks) {
      const holders = this.#holders.get(chunk.buffer)
      invariant(holders !== undefined, 'only what was charged is released')
      if (holders > 1) this.#holders.set(chunk.buffer, holders - 1)
      else {
        this.#holders.delete(chunk.buffer)
        this.#bytes -= chunk.buffer.byteLength
      }
    }
  }
}
