import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c as nativeCrc32c } from '@node-rs/crc32'
import { crc32c, crc32cShort } from './crc32c.ts'
import { Prng } from './prng.ts'

test('the check value of the algorithm', () => {
  const digits = Buffer.from('123456789')
  assert.equal(crc32c(digits), 0xe3069283)
  assert.equal(crc32cShort(digits), 0xe3069283)
  assert.equal(nativeCrc32c(digits), 0xe3069283)
})

test('known values: nothing, zeros, ones, counting up (RFC 3720, B.4)', () => {
  assert.equal(crc32c(Buffer.alloc(0)), 0)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e)
})

test('the native and the portable routine agree at every length, on both sides of the border between them', () => {
  const prng = new Prng(1)
  for (let length = 0; length <= 700; length++) {
    const bytes = prng.bytes(length)
    const wanted = nativeCrc32c(bytes, 0)
    assert.equal(crc32cShort(bytes), wanted, `${length} bytes`)
    assert.equal(crc32c(bytes), wanted, `${length} bytes`)
  }
})

test('a sum may be taken in parts, and of unaligned views', () => {
  const prng = new Prng(2)
  const bytes = prng.bytes(5000)
  const whole = nativeCrc32c(bytes, 0)
  for (let i = 0; i < 500; i++) {
    const cut = prng.between(0, bytes.length + 1)
    const first = prng.chance(0.5) ? crc32cShort : crc32c
    const second = prng.chance(0.5) ? crc32cShort : crc32c
    assert.equal(second(bytes.subarray(cut), first(bytes.subarray(0, cut))), whole, `cut at ${cut}`)
  }
})

test('a flipped bit changes the sum', () => {
  const prng = new Prng(3)
  const bytes = prng.bytes(200)
  const sum = crc32c(bytes)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.notEqual(crc32c(flipped), sum, `bit ${bit}`)
  }
})
