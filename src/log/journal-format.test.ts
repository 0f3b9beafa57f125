import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ropeOf } from '../base/rope.ts'
import { batchOfBytes } from './journal.test-kit.ts'
import {
  decodeEntryHeader,
  decodeFileHeader,
  decodeGroupHeader,
  type EntryHeader,
  encodeEntryHeader,
  encodeFileHeader,
  encodeGroupHeader,
  entryCrcMatches,
  entryHeaderBytes,
  entryKinds,
  fileHeaderBytes,
  groupHeaderBytes,
  sectorBytes,
  toSector,
} from './journal-format.ts'

const plain = { noNullPrototype: true }
const count = fc.maxSafeNat()
const uint32 = fc.nat({ max: 0xffff_ffff })
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes))

describe('a file header', () => {
  it('reads back as it was written, from one sector', () => {
    fc.assert(
      fc.property(
        fc.record({ clusterId: id, diskId: id, fileSeq: count, fileBytes: count, salt: uint32 }, plain),
        header => {
          const sector = encodeFileHeader(header)
          assert.equal(sector.length, sectorBytes)
          assert.deepEqual(decodeFileHeader(sector), header)
        },
      ),
    )
  })

  it('with any bit flipped, or cut short, is none', () => {
    const sector = encodeFileHeader({
      clusterId: Buffer.alloc(16, 3),
      diskId: Buffer.alloc(16, 4),
      fileSeq: 5,
      fileBytes: 1 << 26,
      salt: 0xdead_beef,
    })
    for (let bit = 0; bit < fileHeaderBytes * 8; bit++) {
      const copy = Buffer.from(sector)
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.equal(decodeFileHeader(copy), null, `bit ${bit}`)
    }
    for (let length = 0; length < fileHeaderBytes; length++)
      assert.equal(decodeFileHeader(sector.subarray(0, length)), null)
  })
})

describe('a group header', () => {
  const arbitrary = fc.record(
    {
      fileSeq: count,
      groupSeq: count,
      durableThrough: count,
      position: uint32,
      bytes: uint32,
      entries: uint32,
    },
    plain,
  )

  it('reads back with its salt, and with no other', () => {
    fc.assert(
      fc.property(arbitrary, uint32, uint32, fc.nat(100), (header, salt, other, at) => {
        const bytes = Buffer.alloc(at + groupHeaderBytes)
        encodeGroupHeader(bytes, at, header, salt)
        assert.deepEqual(decodeGroupHeader(bytes, at, salt), header)
        if (other !== salt) assert.equal(decodeGroupHeader(bytes, at, other), null)
      }),
    )
  })

  it('with any bit flipped is none', () => {
    const bytes = Buffer.alloc(groupHeaderBytes)
    encodeGroupHeader(
      bytes,
      0,
      { fileSeq: 3, groupSeq: 4, durableThrough: 3, position: 512, bytes: 900, entries: 2 },
      9,
    )
    for (let bit = 0; bit < groupHeaderBytes * 8; bit++) {
      const copy = Buffer.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.equal(decodeGroupHeader(copy, 0, 9), null, `bit ${bit}`)
    }
    assert.equal(decodeGroupHeader(bytes.subarray(0, groupHeaderBytes - 1), 0, 9), null)
  })
})

describe('an entry header', () => {
  const header = (kind: EntryHeader['kind'], length: number): EntryHeader => ({
    kind,
    segmentId: 7,
    base: 100,
    end: 101,
    sequence: 12_345,
    length,
  })

  function flipped(
    kind: EntryHeader['kind'],
    body: Buffer,
    at: number,
  ): { header: EntryHeader | null; matches: boolean } {
    const bytes = Buffer.alloc(entryHeaderBytes + body.length)
    encodeEntryHeader(bytes, 0, header(kind, body.length), ropeOf(body))
    body.copy(bytes, entryHeaderBytes)
    if (at >= 0) bytes[at] = (bytes[at] as number) ^ 0x20
    const read = decodeEntryHeader(bytes, 0)
    const matches = read !== null && entryCrcMatches(bytes, 0, read, ropeOf(bytes.subarray(entryHeaderBytes)))
    return { header: read, matches }
  }

  it('reads back as it was written, for each kind', () => {
    for (const kind of Object.values(entryKinds)) {
      const body = kind === entryKinds.batch ? batchOfBytes(200) : Buffer.from('anything')
      const { header: read, matches } = flipped(kind, body, -1)
      assert.deepEqual([read, matches], [header(kind, body.length), true])
    }
  })

  it('covers itself and the whole body, of a batch the bytes that the batch does not cover itself', () => {
    const batch = batchOfBytes(200)
    for (let at = 0; at < entryHeaderBytes + 21; at++)
      assert.ok(!flipped(entryKinds.batch, batch, at).matches, `byte ${at}`)
    const body = Buffer.alloc(100, 'b')
    for (const kind of [entryKinds.checkpoint, entryKinds.raftEntry, entryKinds.raftState]) {
      for (let at = 0; at < entryHeaderBytes + body.length; at++)
        assert.ok(!flipped(kind, body, at).matches, `byte ${at}`)
    }
  })

  it('of an unknown kind is none', () => {
    const bytes = Buffer.alloc(entryHeaderBytes)
    for (const kind of [0, 5, 16, 255]) {
      bytes[0] = kind
      assert.equal(decodeEntryHeader(bytes, 0), null)
    }
    bytes[0] = entryKinds.batch
    assert.equal(decodeEntryHeader(bytes.subarray(0, entryHeaderBytes - 1), 0), null)
  })
})

it('lengths are rounded up to whole sectors', () => {
  for (const [bytes, rounded] of [
    [0, 0],
    [1, 512],
    [512, 512],
    [513, 1024],
  ] as const) {
    assert.equal(toSector(bytes), rounded)
  }
})
