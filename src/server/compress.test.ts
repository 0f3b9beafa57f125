import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { codecs } from '../io/compute.ts'
import { compress } from './compress.ts'
import { decompress } from './decompress.ts'

const plain = Buffer.alloc(200_000, Buffer.from('the tide comes and the tide goes, '))

for (const codec of codecs) {
  test(`what ${codec} compresses is what it decompresses to`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 300 }), (piece, times) => {
        const bytes = Buffer.concat(Array<Uint8Array>(times).fill(piece))
        assert.ok(decompress(codec, compress(codec, null, bytes), bytes.length).equals(bytes))
      }),
      { numRuns: 30 },
    )
  })
}

test('gzip and zstd take the levels that Kafka has', () => {
  for (const level of [-1, 1, 6, 9])
    assert.ok(decompress('gzip', compress('gzip', level, plain), plain.length).equals(plain))
  for (const level of [-131072, -5, 1, 3, 22]) {
    assert.ok(decompress('zstd', compress('zstd', level, plain), plain.length).equals(plain), `${level}`)
  }
  const bytesAt = (level: number) =>
    compress('zstd', level, Buffer.from(plain.map((byte, i) => byte ^ (i >>> 8)))).length
  assert.ok(bytesAt(-1000) > bytesAt(19))
})

test('lz4 is a frame of independent blocks without a dictionary, snappy has the framing of Java clients', () => {
  const frame = compress('lz4', null, plain)
  assert.equal(frame.readUInt32LE(0), 0x184d2204)
  assert.equal((frame[4] as number) & 0xe1, 0x60)
  const framed = compress('snappy', null, plain)
  assert.deepEqual(framed.subarray(0, 16), Buffer.from('82534e41505059000000000100000001', 'hex'))
  let blocks = 0
  for (let at = 16; at < framed.length; at += 4 + framed.readInt32BE(at)) blocks++
  assert.equal(blocks, Math.ceil(plain.length / 32768))
})
