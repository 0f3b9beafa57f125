/** Ropes against the same operations on joined bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import { InvariantViolation } from './invariant.ts'
import {
  concatRopes,
  crc32cOfRope,
  emptyRope,
  flattenRope,
  peekRope,
  type Rope,
  ropeFrom,
  ropeOf,
  sliceRope,
  writeIntoRope,
} from './rope.ts'

const chunk = fc.uint8Array({ maxLength: 30 }).map(bytes => Buffer.from(bytes))
const ropes = fc.array(chunk, { maxLength: 6 }).map(chunks => ropeFrom(chunks))

/** A rope and a range inside it. */
const ranges = fc.tuple(ropes, fc.nat(), fc.nat()).map(([rope, a, b]) => {
  const [from, to] = [a % (rope.length + 1), b % (rope.length + 1)].sort((x, y) => x - y)
  return { rope, from: from!, to: to! }
})

function joined(rope: Rope): Buffer {
  return Buffer.concat(rope.chunks as Buffer[])
}

test('the length of a rope is that of its bytes', () => {
  assert.equal(emptyRope.length, 0)
  assert.equal(ropeOf(Buffer.from('ab'), Buffer.from('c')).length, 3)
  fc.assert(fc.property(ropes, rope => rope.length === joined(rope).length))
})

test('flattening joins', () => {
  fc.assert(fc.property(ropes, rope => flattenRope(rope).equals(joined(rope))))
})

test('flattening one chunk copies nothing', () => {
  const only = Buffer.from('only')
  assert.equal(flattenRope(ropeOf(only)), only)
})

test('a slice has the bytes of the range', () => {
  fc.assert(
    fc.property(ranges, ({ rope, from, to }) => {
      const slice = sliceRope(rope, from, to)
      assert.equal(slice.length, to - from)
      assert.deepEqual(joined(slice), joined(rope).subarray(from, to))
    }),
  )
})

test('a slice is a view: a write through it shows in the rope', () => {
  const rope = ropeOf(Buffer.from('abc'), Buffer.from('def'))
  writeIntoRope(sliceRope(rope, 2, 5), 0, Buffer.from('XYZ'))
  assert.equal(joined(rope).toString(), 'abXYZf')
})

test('a peek has the bytes of the range', () => {
  fc.assert(
    fc.property(ranges, ({ rope, from, to }) => peekRope(rope, from, to).equals(joined(rope).subarray(from, to))),
  )
})

test('joining ropes joins their bytes', () => {
  fc.assert(
    fc.property(fc.array(ropes, { maxLength: 5 }), list => {
      const all = concatRopes(list)
      assert.deepEqual(joined(all), Buffer.concat(list.map(joined)))
      assert.equal(all.length, joined(all).length)
    }),
  )
})

test('a stamp overwrites its range and nothing else', () => {
  fc.assert(
    fc.property(ranges, fc.nat(255), ({ rope, from, to }, fill) => {
      const own = ropeFrom(rope.chunks.map(bytes => Buffer.from(bytes)))
      const wanted = Buffer.from(joined(own)).fill(fill, from, to)
      writeIntoRope(own, from, Buffer.alloc(to - from, fill))
      assert.deepEqual(joined(own), wanted)
    }),
  )
})

test('the checksum of a range is that of its bytes, and goes on from the one before', () => {
  fc.assert(
    fc.property(ranges, ({ rope, from, to }) => {
      const bytes = joined(rope)
      assert.equal(crc32cOfRope(rope, from, to), crc32c(bytes.subarray(from, to)))
      assert.equal(crc32cOfRope(rope, from, to, crc32c(bytes.subarray(0, from))), crc32c(bytes.subarray(0, to)))
    }),
  )
})

test('a range outside the rope is a fault of the program', () => {
  const rope = ropeOf(Buffer.from('abc'))
  for (const [from, to] of [
    [-1, 2],
    [2, 1],
    [0, 4],
  ] as const) {
    assert.throws(() => sliceRope(rope, from, to), InvariantViolation)
    assert.throws(() => crc32cOfRope(rope, from, to), InvariantViolation)
  }
  assert.throws(() => writeIntoRope(rope, 2, Buffer.from('xy')), InvariantViolation)
})
