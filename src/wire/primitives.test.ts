/** The reader and the writer of primitive types: ends of ranges, chunk borders, and everything that must be refused. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { TopicId } from '../base/ids.ts'
import { InvariantViolation } from '../base/invariant.ts'
import { flattenRope, type Rope, ropeFrom, ropeOf } from '../base/rope.ts'
import { cutIntoChunks } from './arbitraries.test-kit.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireReader } from './reader.ts'
import { uvarintBytes, WireWriter } from './writer.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

function readerOf(text: string): WireReader {
  return new WireReader(ropeOf(hex(text)))
}

function written(write: (to: WireWriter) => void): string {
  const to = new WireWriter()
  write(to)
  return flattenRope(to.finish()).toString('hex')
}

/** One byte per chunk, with empty chunks between: the hardest way to receive something. */
function crumbs(bytes: Buffer): Rope {
  return ropeFrom([...bytes].flatMap(byte => [Buffer.alloc(0), Buffer.from([byte])]))
}

describe('numbers', () => {
  const cases: readonly (readonly [method: NumberMethod, bytes: string, value: number])[] = [
    ['int8', '7f', 127],
    ['int8', '80', -128],
    ['int16', '7fff', 32767],
    ['int16', '8000', -32768],
    ['uint16', 'ffff', 65535],
    ['int32', '7fffffff', 0x7fff_ffff],
    ['int32', '80000000', -0x8000_0000],
    ['uint32', 'ffffffff', 0xffff_ffff],
    ['int64', '001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['int64', 'ffe0000000000001', Number.MIN_SAFE_INTEGER],
    ['int64', 'ffffffffffffffff', -1],
    ['int64', '00000000ffffffff', 0xffff_ffff],
    ['int64', 'ffffffff00000000', -0x1_0000_0000],
    ['int64Saturating', '7fffffffffffffff', Number.MAX_SAFE_INTEGER],
    ['int64Saturating', '8000000000000000', Number.MIN_SAFE_INTEGER],
    ['int64Saturating', 'fffffffffffffffe', -2],
    ['float64', '3ff8000000000000', 1.5],
    ['uvarint', '00', 0],
    ['uvarint', '7f', 127],
    ['uvarint', '8001', 128],
    ['uvarint', 'ac02', 300],
    ['uvarint', 'ffffffff0f', 0xffff_ffff],
    ['varint', '01', -1],
    ['varint', '02', 1],
    ['varint', 'feffffff0f', 0x7fff_ffff],
    ['varint', 'ffffffff0f', -0x8000_0000],
    ['varlong', '01', -1],
    ['varlong', '80808080808001', 2 ** 41],
    ['varlong', 'feffffffffffff1f', Number.MAX_SAFE_INTEGER],
    ['varlong', 'fdffffffffffff1f', Number.MIN_SAFE_INTEGER],
  ]
  type NumberMethod =
    | 'int8'
    | 'int16'
    | 'uint16'
    | 'int32'
    | 'uint32'
    | 'int64'
    | 'int64Saturating'
    | 'float64'
    | 'uvarint'
    | 'varint'
    | 'varlong'

  for (const [method, bytes, value] of cases) {
    test(`${method} ${value} is ${bytes}`, () => {
      assert.equal(readerOf(bytes)[method](), value)
      assert.equal(new WireReader(crumbs(hex(bytes)))[method](), value)
      assert.equal(
        written(to => to[method](value)),
        bytes,
      )
    })
  }

  test('a saturating int64 beyond 2^53 reads as the nearest number that is exact', () => {
    assert.equal(readerOf('0020000000000000').int64Saturating(), Number.MAX_SAFE_INTEGER)
    assert.equal(readerOf('ffdfffffffffffff').int64Saturating(), Number.MIN_SAFE_INTEGER)
  })

  test('any byte but 0 is true, as Kafka reads it', () => {
    const from = readerOf('00 01 ff')
    assert.deepEqual([from.bool(), from.bool(), from.bool()], [false, true, true])
  })

  test('a varint may have zeros at its end', () => {
    assert.equal(readerOf('8000').uvarint(), 0)
    assert.equal(readerOf('ff8000').uvarint(), 127)
  })

  test('varints of random values come back, and are as long as stated', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.integer(), fc.maxSafeInteger(), (unsigned, signed, long) => {
        const to = new WireWriter()
        to.uvarint(unsigned)
        assert.equal(to.length, uvarintBytes(unsigned))
        to.varint(signed)
        to.varlong(long)
        const from = new WireReader(to.finish())
        assert.deepEqual([from.uvarint(), from.varint(), from.varlong()], [unsigned, signed, long])
        from.finish()
      }),
    )
  })
})

describe('numbers that are refused', () => {
  const refused: readonly (readonly [what: string, bytes: string, read: (from: WireReader) => unknown])[] = [
    ['an int64 above 2^53', '0020000000000000', from => from.int64()],
    ['an int64 below -2^53', 'ffdfffffffffffff', from => from.int64()],
    ['a varint of more than 32 bits', 'ffffffff10', from => from.uvarint()],
    ['a varint of 6 bytes', '808080808000', from => from.uvarint()],
    ['a varint that does not end', 'ffff', from => from.uvarint()],
    ['a varlong above 2^53', '8080808080808020', from => from.varlong()],
    ['a varlong of 11 bytes', '8080808080808080808000', from => from.varlong()],
    ['a truncated int16', '00', from => from.int16()],
    ['a truncated int32', '000000', from => from.int32()],
    ['a truncated int64', '00000000000000', from => from.int64()],
    ['a truncated uuid', '00'.repeat(15), from => from.uuid()],
    ['a byte after the end', '', from => from.int8()],
  ]
  for (const [what, bytes, read] of refused) {
    test(what, () => {
      assert.throws(() => read(readerOf(bytes)), ProtocolError)
      assert.throws(() => read(new WireReader(crumbs(hex(bytes)))), ProtocolError)
    })
  }

  test('a number that does not fit is not written', () => {
    const to = new WireWriter()
    for (const write of [
      () => to.int8(128),
      () => to.int16(-32769),
      () => to.uint16(65536),
      () => to.int32(0x8000_0000),
      () => to.int32(1.5),
      () => to.uint32(-1),
      () => to.int64(2 ** 53),
      () => to.int64(Number.NaN),
    ]) {
      assert.throws(write, InvariantViolation)
    }
  })
})

describe('lengths', () => {
  test('-1 is null, in compact form 0', () => {
    assert.equal(readerOf('ffff').length16(), -1)
    assert.equal(readerOf('ffffffff').length32(), -1)
    assert.equal(readerOf('00').lengthCompact(), -1)
  })

  test('other negative lengths, and lengths beyond the end, are refused', () => {
    for (const read of [
      () => readerOf('fffe').length16(),
      () => readerOf('8000').length16(),
      () => readerOf('fffffffe').length32(),
      () => readerOf('0002 00').length16(),
      () => readerOf('7fffffff 00').length32(),
      () => readerOf('03 00').lengthCompact(),
      () => readerOf('ffffffff0f').lengthCompact(),
    ]) {
      assert.throws(read, ProtocolError)
    }
  })

  test('elements must have room, and there is a bound for all of a message', () => {
    readerOf('00000000').claimElements(2, 2)
    assert.throws(() => readerOf('00000000').claimElements(2, 3), ProtocolError)
    const from = new WireReader(ropeOf(Buffer.alloc(100)), 10)
    from.claimElements(6, 1)
    from.claimElements(4, 1)
    assert.throws(() => from.claimElements(1, 1), ProtocolError)
  })
})

describe('strings', () => {
  test('UTF-8 of every kind, wherever the chunks end', () => {
    const texts = fc.string({ unit: 'binary', maxLength: 40 })
    const places = fc.array(fc.nat(), { maxLength: 6 })
    fc.assert(
      fc.property(texts, places, fc.boolean(), (text, cuts, compact) => {
        const bytes = hex(written(to => to.string(text, compact)))
        const from = new WireReader(cutIntoChunks(bytes, cuts))
        assert.equal(from.string(compact ? from.lengthCompact() : from.length16()), text)
        from.finish()
      }),
    )
  })

  test('a byte order mark is kept', () => {
    assert.equal(readerOf('efbbbf61').string(4), '\uFEFFa')
  })

  test('what is not UTF-8 is refused', () => {
    for (const bytes of ['ff', 'c3', 'c080', 'eda080', 'f8888080', '61ff']) {
      assert.throws(() => readerOf(bytes).string(bytes.length / 2), ProtocolError, bytes)
    }
  })

  test('more than 32767 bytes are refused on both sides', () => {
    const long = Buffer.alloc(0x8000, 'a')
    assert.throws(() => new WireReader(ropeOf(long)).string(0x8000), ProtocolError)
    assert.equal(new WireReader(ropeOf(long)).string(0x7fff).length, 0x7fff)
    for (const compact of [true, false]) {
      assert.throws(() => new WireWriter().string(long.toString(), compact), ProtocolError)
    }
  })

  test('null and empty are told apart', () => {
    const parts = [null, ''].flatMap(text => [false, true].map(compact => written(to => to.string(text, compact))))
    assert.deepEqual(parts, ['ffff', '00', '0000', '01'])
  })
})

describe('topic ids', () => {
  const id = '0123456789abcdef0123456789abcdef' as TopicId

  test('are 16 raw bytes on the wire', () => {
    assert.equal(
      written(to => to.uuid(id)),
      id,
    )
    assert.equal(readerOf(id).uuid(), id)
    assert.equal(new WireReader(crumbs(hex(id))).uuid(), id)
  })

  test('are written from 32 hex digits only', () => {
    for (const bad of ['', 'abc', `${id}00`, 'g'.repeat(32)]) {
      assert.throws(() => new WireWriter().uuid(bad as TopicId), InvariantViolation)
    }
  })
})

describe('tagged fields', () => {
  const unknown = (): boolean => false

  test('unknown ones are skipped', () => {
    const from = readerOf('02 05 01 aa 8001 02 bbbb')
    from.taggedFields(unknown)
    from.finish()
  })

  test('a size beyond the end, a count beyond the end, and a field of another size are refused', () => {
    assert.throws(() => readerOf('01 00 05 aa').taggedFields(unknown), ProtocolError)
    assert.throws(() => readerOf('01 00 ffffffff0f').taggedFields(unknown), ProtocolError)
    assert.throws(() => readerOf('ffffffff0f 00 00').taggedFields(unknown), ProtocolError)
    for (const size of ['03', '05']) {
      const from = readerOf(`01 00 ${size} 00000001 00`)
      const readInt32 = () => {
        from.int32()
        return true
      }
      assert.throws(() => from.taggedFields(readInt32), ProtocolError)
    }
  })

  test('a size of 128 bytes or more, nested twice, is put right afterwards', () => {
    const inner = 'x'.repeat(127)
    const to = new WireWriter(64)
    to.int8(1)
    to.sized(() => {
      to.sized(() => to.bytes(Buffer.from(inner)))
      to.sized(() => to.bytes(Buffer.from(inner.repeat(200))))
    })
    to.int8(2)
    const from = new WireReader(to.finish())
    assert.equal(from.int8(), 1)
    assert.equal(from.uvarint(), 128 + 3 + 127 * 200)
    assert.equal(from.bytes(from.uvarint()).toString(), inner)
    assert.equal(from.bytes(from.uvarint()).toString(), inner.repeat(200))
    assert.equal(from.int8(), 2)
    from.finish()
  })
})

describe('positions', () => {
  test('are the same however the bytes are cut', () => {
    const bytes = Buffer.from(Array.from({ length: 64 }, (_, i) => i))
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 10 }), fc.array(fc.nat(12), { maxLength: 10 }), (cuts, steps) => {
        const from = new WireReader(cutIntoChunks(bytes, cuts))
        let at = 0
        for (const [i, step] of steps.entries()) {
          if (at + step > bytes.length) {
            assert.throws(() => from.skip(step), ProtocolError)
            continue
          }
          if (i % 3 === 0) from.skip(step)
          else if (i % 3 === 1) assert.deepEqual(from.bytes(step), bytes.subarray(at, at + step))
          else assert.deepEqual(flattenRope(from.rope(step)), bytes.subarray(at, at + step))
          at += step
          assert.equal(from.position, at)
          assert.equal(from.remaining, bytes.length - at)
        }
      }),
    )
  })

  test('bytes left over at the end are refused', () => {
    assert.throws(() => readerOf('00').finish(), ProtocolError)
  })
})
