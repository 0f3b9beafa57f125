import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import snappy from 'snappy'
import { TidelogError } from '../base/errors.ts'
import { type Codec, codecs } from '../io/compute.ts'
import { compress } from './compress.ts'
import { decompress } from './decompress.ts'

const mebibyte = 1024 * 1024

const compressors: Record<string, { codec: Codec; compress: (plain: Buffer<ArrayBuffer>) => Buffer }> = {
  none: { codec: 'none', compress: plain => plain },
  gzip: { codec: 'gzip', compress: plain => gzipSync(plain) },
  'bare snappy': { codec: 'snappy', compress: plain => snappy.compressSync(plain) },
  'xerial snappy': { codec: 'snappy', compress: plain => xerial(plain) },
  lz4: { codec: 'lz4', compress: plain => compressFrameSync(plain) },
  'lz4 with checksums': {
    codec: 'lz4',
    compress: plain => compressFrameSync(plain, { contentChecksum: true, blockChecksums: true }),
  },
  zstd: { codec: 'zstd', compress: plain => zstdCompressSync(plain) },
}

const xerial = (plain: Buffer) => compress('snappy', null, plain)

/** Bytes that compress in parts: repeats, noise, and long runs, so that every kind of token appears. */
const plainBytes = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 4000 })), { maxLength: 6 })
  .map(parts => Buffer.concat(parts.flatMap(([piece, repeats]) => Array<Uint8Array>(repeats).fill(piece))))

for (const [name, { codec, compress }] of Object.entries(compressors)) {
  describe(`decompress ${name}`, () => {
    it('gives back what was compressed', () => {
      fc.assert(
        fc.property(plainBytes, plain => {
          assert.ok(decompress(codec, compress(plain), Math.max(plain.length, 1)).equals(plain))
        }),
        { numRuns: 40 },
      )
    })

    it('takes an output of exactly the cap and refuses one byte more', () => {
      const plain = Buffer.alloc(100_000, 'tide')
      assert.equal(decompress(codec, compress(plain), plain.length).length, plain.length)
      assert.throws(() => decompress(codec, compress(plain), plain.length - 1), { code: 'TOO_LARGE' })
    })

    if (codec !== 'none') {
      it('refuses a bomb without allocating what it unpacks to', () => {
        const bomb = compress(Buffer.alloc(64 * mebibyte))
        const before = process.memoryUsage.rss()
        for (let i = 0; i < 20; i++) {
          assert.throws(() => decompress(codec, bomb, mebibyte), { code: 'TOO_LARGE' })
        }
        const grownBytes = process.memoryUsage.rss() - before
        assert.ok(grownBytes < 56 * mebibyte, `resident memory grew by ${grownBytes} bytes`)
      })

      it('answers damaged input with CORRUPT or OVERLOADED or some output below the cap, never otherwise', () => {
        const whole = compress(Buffer.from('a tide of records, a tide of records; '.repeat(200)))
        fc.assert(
          fc.property(
            fc.integer({ min: 0, max: whole.length }),
            fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
            (length, changes) => {
              const damaged = Buffer.from(whole.subarray(0, length))
              for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte
              assertAnswered(codec, damaged)
            },
          ),
          { numRuns: 400 },
        )
      })
    }
  })
}

describe('decompress hostile input', () => {
  it('answers noise in every codec', () => {
    fc.assert(
      fc.property(fc.constantFrom(...codecs), fc.uint8Array({ maxLength: 200 }), (codec, noise) => {
        assertAnswered(codec, Buffer.from(noise))
      }),
      { numRuns: 500 },
    )
  })

  it('refuses snappy that declares 4 GiB in five bytes', () => {
    const block = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00])
    assert.throws(() => decompress('snappy', block, mebibyte), { code: 'TOO_LARGE' })
  })

  for (const length of [-1, 0, 0x7fff_ffff]) {
    it(`refuses a xerial block of ${length} bytes`, () => {
      const frame = Buffer.concat([xerial(Buffer.alloc(0)), Buffer.alloc(24)])
      frame.writeInt32BE(length, 16)
      assert.throws(() => decompress('snappy', frame, mebibyte), { code: 'CORRUPT' })
    })
  }

  it('counts the blocks of a xerial frame together', () => {
    const frame = xerial(Buffer.alloc(3 * 32_768))
    assert.throws(() => decompress('snappy', frame, 2 * 32_768), { code: 'TOO_LARGE' })
  })

  it('refuses an lz4 frame that declares more than the cap', () => {
    const frame = Buffer.alloc(19)
    frame.writeUInt32LE(0x184d2204)
    frame[4] = 0x68
    frame[5] = 0x40
    frame.writeUInt32LE(0x7fff_ffff, 6)
    assert.throws(() => decompress('lz4', frame, mebibyte), { code: 'TOO_LARGE' })
  })

  it('reads the first of two lz4 frames, so that a second one hides nothing from the cap', () => {
    const first = compressFrameSync(Buffer.from('first'))
    const second = compressFrameSync(Buffer.alloc(8 * mebibyte))
    assert.equal(decompress('lz4', Buffer.concat([first, second]), 100).toString(), 'first')
  })
})

function assertAnswered(codec: Codec, input: Buffer): void {
  try {
    assert.ok(decompress(codec, input, mebibyte).length <= mebibyte)
  } catch (error) {
    assert.ok(error instanceof TidelogError, `${codec} threw ${error}`)
    assert.ok(error.code === 'CORRUPT' || error.code === 'TOO_LARGE', error.code)
  }
}
