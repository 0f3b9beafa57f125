import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from './prng.ts'

function draws(prng: Prng, count: number): number[] {
  return Array.from({ length: count }, () => prng.uint32())
}

test('a seed twice gives the same run', () => {
  assert.deepEqual(draws(new Prng(42), 1000), draws(new Prng(42), 1000))
  assert.deepEqual(new Prng(42).bytes(100), new Prng(42).bytes(100))
})

test('neighbouring seeds, and seeds that differ only above 32 bits, give different runs', () => {
  const runs = [0, 1, 2, 0x1_0000_0000, 0x1_0000_0001].map(seed => draws(new Prng(seed), 8).join())
  assert.equal(new Set(runs).size, runs.length)
})

test('the same values on every machine and for ever, as recorded seeds depend on them', () => {
  assert.deepEqual(draws(new Prng(7), 4), [100587536, 2849664703, 2976894644, 2427842431])
})

test('draws stay in their range and reach both ends', () => {
  const prng = new Prng(5)
  const seen = new Set<number>()
  for (let i = 0; i < 2000; i++) {
    seen.add(prng.between(3, 9))
    const float = prng.float()
    assert.ok(float >= 0 && float < 1)
  }
  assert.deepEqual([...seen].sort(), [3, 4, 5, 6, 7, 8])
})

test('chances and bits come out even', () => {
  const prng = new Prng(6)
  const count = 100_000
  let hits = 0
  const ones = new Array<number>(32).fill(0)
  for (let i = 0; i < count; i++) {
    if (prng.chance(0.25)) hits++
    const value = prng.uint32()
    for (let bit = 0; bit < 32; bit++) ones[bit]! += (value >>> bit) & 1
  }
  assert.ok(Math.abs(hits / count - 0.25) < 0.01, `a quarter, but ${hits / count}`)
  for (const [bit, sum] of ones.entries()) assert.ok(Math.abs(sum / count - 0.5) < 0.01, `bit ${bit}: ${sum / count}`)
})

test('a fork is a stream of its own: draws from it do not shift its parent', () => {
  const one = new Prng(8)
  const other = new Prng(8)
  const fork = one.fork()
  other.fork()
  const taken = draws(fork, 100)
  const parent = draws(one, 100)
  assert.deepEqual(parent, draws(other, 100))
  assert.notDeepEqual(parent, taken)
})

test('picking needs something to pick from', () => {
  assert.throws(() => new Prng(1).pick([]), RangeError)
  assert.equal(new Prng(1).pick(['only']), 'only')
})
