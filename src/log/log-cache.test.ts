import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { flattenRope, ropeFrom, ropeOf } from '../base/rope.ts'
import { type CachedBytes, type Evictable, LogCache, lend } from './log-cache.ts'

const kib = 1024

class Batch implements Evictable {
  readonly cached: CachedBytes
  readonly original: Buffer
  isEvicted = false
  readonly diary: Batch[]

  constructor(cache: LogCache, bytes: number, diary: Batch[] = [], fill = 1) {
    this.original = Buffer.alloc(bytes, fill % 251)
    this.cached = cache.admit(ropeOf(this.original))
    this.diary = diary
  }

  evict(): void {
    this.isEvicted = true
    this.diary.push(this)
  }
}

/** Every slab that one of these batches lies in, once. */
function slabsOf(batches: readonly Batch[]): number {
  return new Set(batches.flatMap(batch => batch.cached.slabs)).size
}

describe('the log cache', () => {
  it('keeps a copy of its own: what becomes of the chunks that a batch came in does not matter to it', () => {
    const cache = new LogCache(1024 * kib)
    const chunks = [Buffer.from('abc'), Buffer.from('d'), Buffer.alloc(40 * kib, 'e'), Buffer.from('fg')]
    const expected = Buffer.concat(chunks)
    const { rope } = cache.admit(ropeFrom(chunks))
    for (const chunk of chunks) chunk.fill(0)
    assert.ok(flattenRope(rope).equals(expected))
    assert.equal(rope.length, expected.length)
  })

  it('evicts the longest flushed first, and never what is not flushed', () => {
    const cache = new LogCache(256 * kib)
    const diary: Batch[] = []
    const batches = Array.from({ length: 20 }, (_, i) => new Batch(cache, 20 * kib, diary, i))
    assert.deepEqual(diary, [], 'nothing is flushed, nothing goes, though the budget is exceeded')
    const order = [3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    for (const i of order) cache.flushed(batches[i] as Batch)
    assert.ok(diary.length > 0)
    assert.deepEqual(
      diary,
      order.slice(0, diary.length).map(i => batches[i]),
    )
    assert.ok(batches.slice(16).every(batch => !batch.isEvicted))
  })

  it('makes room for a batch at the cost of recent ones, and says no when what is not flushed fills it', () => {
    const cache = new LogCache(256 * kib)
    const flushed = Array.from({ length: 6 }, () => new Batch(cache, 20 * kib))
    for (const batch of flushed) cache.flushed(batch)
    const kept = new Batch(cache, 40 * kib)
    assert.ok(cache.makeRoom(180 * kib), 'a large batch is let in beside a short one that waits for its flush')
    assert.ok(flushed[3]?.isEvicted)
    assert.equal(kept.isEvicted, false)
    assert.equal(cache.makeRoom(230 * kib), false)
    cache.flushed(kept)
    assert.ok(cache.makeRoom(1 << 30), 'alone, one that is larger than everything is admitted')
  })

  it('keeps no more short batches than there is room for with all that is kept beside their bytes', () => {
    const cache = new LogCache(1024 * kib)
    const batches = Array.from({ length: 5000 }, () => new Batch(cache, 100))
    for (const batch of batches) cache.flushed(batch)
    const kept = batches.filter(batch => !batch.isEvicted).length
    assert.ok(kept > 500 && kept < 1500, `${kept} are kept`)
  })

  it('gives up what a deleted segment had, flushed or not', () => {
    const cache = new LogCache(256 * kib)
    const batches = Array.from({ length: 10 }, () => new Batch(cache, 20 * kib))
    for (const batch of batches) cache.dropUnflushed(batch.cached)
    assert.equal(cache.unflushedBytes, 0)
    assert.ok(cache.bytes <= 2 * 4096, 'but for the slabs that are being filled')
  })

  it('leaves alone the memory that a reader was lent, until it is given back', () => {
    const cache = new LogCache(256 * kib)
    const first = new Batch(cache, 20 * kib, [], 7)
    const release = lend(first.cached.slabs)
    cache.flushed(first)
    const more: Batch[] = []
    for (let i = 0; i < 100; i++) {
      const batch = new Batch(cache, 20 * kib, [], 100 + i)
      cache.flushed(batch)
      more.push(batch)
    }
    assert.ok(first.isEvicted)
    assert.ok(flattenRope(first.cached.rope).equals(first.original), 'evicted, and still what it was for its reader')
    release()
    assert.throws(release, /given back once/)
  })

  it('is charged with exactly the slabs that batches lie in, whatever comes and goes, and never mixes up bytes', () => {
    const action = fc.record({
      do: fc.constantFrom(
        'admit' as const,
        'admit' as const,
        'admit' as const,
        'flush' as const,
        'drop' as const,
        'room' as const,
      ),
      bytes: fc.oneof(fc.integer({ min: 61, max: 900 }), fc.integer({ min: 61, max: 60_000 })),
      which: fc.nat(),
    })
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 120 }),
        fc.constantFrom(64 * kib, 300 * kib, 1024 * kib),
        (actions, budget) => {
          const cache = new LogCache(budget)
          const slabBytes = Math.max(4096, Math.floor(budget / 64 / 4096) * 4096)
          const unflushed: Batch[] = []
          const flushed: Batch[] = []
          let fill = 0
          for (const { do: what, bytes, which } of actions) {
            if (what === 'admit') unflushed.push(new Batch(cache, bytes, [], fill++))
            const [picked] =
              what === 'flush' || what === 'drop' ? unflushed.splice(which % (unflushed.length || 1), 1) : []
            if (what === 'flush' && picked !== undefined) {
              flushed.push(picked)
              cache.flushed(picked)
            }
            if (what === 'drop' && picked !== undefined) cache.dropUnflushed(picked.cached)
            if (what === 'room') {
              const mayCome = cache.makeRoom(bytes)
              assert.equal(mayCome, unflushed.length === 0 || cache.bytes + bytes <= budget)
            }
            const kept = [...unflushed, ...flushed.filter(batch => !batch.isEvicted)]
            assert.equal(
              cache.unflushedBytes,
              unflushed.reduce((sum, batch) => sum + batch.original.length, 0),
            )
            const held = slabsOf(kept) * slabBytes
            assert.ok(
              cache.bytes >= held && cache.bytes <= held + 2 * slabBytes,
              `${cache.bytes} charged, ${held} held`,
            )
            const evicted = flushed.findLastIndex(batch => batch.isEvicted)
            assert.ok(
              flushed.slice(0, evicted + 1).every(batch => batch.isEvicted),
              'in order',
            )
            for (const batch of kept)
              assert.ok(flattenRope(batch.cached.rope).equals(batch.original), 'bytes are their own')
          }
          for (const batch of unflushed) cache.flushed(batch)
          assert.ok(cache.bytes <= budget * 0.75 + 2 * slabBytes)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('says that it is urgent before it is full, when nothing in it can go', () => {
    const cache = new LogCache(1024 * kib)
    let pressureAt75 = 0
    for (let i = 0; i < 50; i++) {
      new Batch(cache, 20 * kib)
      if (cache.bytes >= 1024 * kib * 0.8 && pressureAt75 === 0) pressureAt75 = cache.pressure
    }
    assert.ok(pressureAt75 >= 0.74, `${pressureAt75}`)
    assert.ok(cache.pressure > 0.9)
  })
})
