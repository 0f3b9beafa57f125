/** Records inside a batch: built, walked, found by time; and the header that stands before them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { LeaderEpoch, Offset } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { flattenRope, type Rope, ropeFrom, ropeOf, sliceRope } from '../base/rope.ts'
import { cutIntoChunks } from './arbitraries.test-kit.ts'
import { buildBatch, type RecordDraft } from './build-batch.ts'
import { ProtocolError } from './protocol-error.ts'
import {
  type BatchHeader,
  batchCrcMatches,
  batchHeaderBytes,
  codecOfBatch,
  readBatchHeaderOfRope,
  readInt64,
  stampBatch,
  stampLogAppendTime,
  writeInt64,
} from './record-batch.ts'
import { checkRecords, findMaxTimestampRecord, findRecordByTime, readRecords, walkRecords } from './records.ts'

function parts(batch: Rope): { header: BatchHeader; records: Rope } {
  const header = readBatchHeaderOfRope(batch)
  assert.ok(header !== null)
  return { header, records: sliceRope(batch, batchHeaderBytes, batch.length) }
}

/** A batch derived by hand: offset 100, two records, the second a tombstone with a header. */
const byHand = Buffer.from(
  [
    '0000000000000064 00000047 00000003 02 00000000',
    '0000 00000001 00000000000003e8 00000000000003ed ffffffffffffffff ffff ffffffff 00000002',
    // length 9: attributes, delta 0, offset 0, key "k", value "v1", no headers
    '12 00 00 00 02 6b 04 7631 00',
    // length 11: attributes, delta 5, offset 1, key null, value null, one header "h" = "hi"
    '16 00 0a 02 01 01 02 02 68 04 6869',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
)

describe('a batch derived by hand', () => {
  const { header, records } = parts(ropeOf(byHand))

  test('has these fields', () => {
    assert.deepEqual(
      [header.baseOffset, header.leaderEpoch, header.magic, header.lastOffsetDelta, header.recordCount],
      [100, 3, 2, 1, 2],
    )
    assert.deepEqual([header.baseTimestamp, header.maxTimestamp, header.producerId], [1000, 1005, -1])
  })

  test('has these records', () => {
    assert.equal(header.bytes, byHand.length)
    assert.deepEqual(readRecords(header, records), [
      { offset: 100, timestampMs: 1000, key: Buffer.from('k'), value: Buffer.from('v1'), headers: [] },
      { offset: 101, timestampMs: 1005, key: null, value: null, headers: [{ key: 'h', value: Buffer.from('hi') }] },
    ])
  })
})

const bytes = fc.option(fc.uint8Array({ maxLength: 20 }).map(array => Buffer.from(array)))
const drafts = fc.array(
  fc.record({
    key: bytes,
    value: bytes,
    timestampMs: fc.integer({ min: -1, max: 2000 }),
    headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), bytes), { maxLength: 2 }),
  }),
  { minLength: 1, maxLength: 8 },
)
const cuts = fc.array(fc.nat(), { maxLength: 6 })

describe('any records', () => {
  test('come back as they were, wherever the chunks end', () => {
    fc.assert(
      fc.property(drafts, cuts, (given, places) => {
        const { header, records } = parts(cutIntoChunks(buildBatch(given, { baseOffset: 7 }), places))
        const wanted = given.map(({ key, value, timestampMs, headers }, i) => ({
          offset: 7 + i,
          timestampMs,
          key,
          value,
          headers: headers.map(([name, content]) => ({ key: name, value: content })),
        }))
        assert.deepEqual(readRecords(header, records), wanted)
        const checked: unknown[] = []
        checkRecords(header, records, (...record) => checked.push(record))
        assert.deepEqual(
          checked,
          given.map(({ key, timestampMs }, i) => [i, timestampMs, key !== null]),
        )
      }),
    )
  })

  test('are found by time, and by the highest time', () => {
    fc.assert(
      fc.property(drafts, cuts, fc.integer({ min: -5, max: 2005 }), (given, places, timestampMs) => {
        const { header, records } = parts(cutIntoChunks(buildBatch(given, { baseOffset: 7 }), places))
        const times = given.map(record => record.timestampMs)
        const first = times.findIndex(time => time >= timestampMs)
        const max = times.indexOf(Math.max(...times))
        const wanted = (i: number) => (i < 0 ? null : { offset: 7 + i, timestampMs: times[i] })
        assert.deepEqual(findRecordByTime(header, records, timestampMs), wanted(first))
        assert.deepEqual(findMaxTimestampRecord(header, records), wanted(max))
      }),
    )
  })
})

test("where the broker's time was stamped on, every record has it", () => {
  const batch = ropeOf(buildBatch([{ timestampMs: 5 }, { timestampMs: 9 }]))
  const stamped = stampLogAppendTime(batch, parts(batch).header, 777)
  const { header, records } = parts(batch)
  assert.deepEqual(stamped, header)
  assert.ok(batchCrcMatches(batch, header))
  assert.deepEqual(findRecordByTime(header, records, 700), { offset: 0, timestampMs: 777 })
  assert.deepEqual(findMaxTimestampRecord(header, records), { offset: 0, timestampMs: 777 })
  assert.equal(findRecordByTime(header, records, 778), null)
})

test('a walk stops where it is told to, and looks no further', () => {
  const batch = buildBatch([{ value: 'a' }, { value: 'b' }, { value: 'c' }])
  batch.fill(0xff, batch.length - 5)
  const { header, records } = parts(ropeOf(batch))
  const seen: number[] = []
  walkRecords(header, records, offset => seen.push(offset) < 2)
  assert.deepEqual(seen, [0, 1])
  assert.throws(() => walkRecords(header, records, () => true), ProtocolError)
})

describe('records that lie are protocol errors', () => {
  const one: readonly RecordDraft[] = [{ key: 'k', value: 'v', headers: [['h', 'x']] }]

  function refused(batch: Buffer): void {
    const { header, records } = parts(ropeOf(batch))
    assert.throws(() => readRecords(header, records), ProtocolError)
    assert.throws(() => checkRecords(header, records, () => {}), ProtocolError)
  }

  test('offsets that leave one out, come twice or go back, where they are checked', () => {
    for (const second of [0, 2, 3]) {
      const { header, records } = parts(ropeOf(buildBatch([{}, { offsetDelta: second }, {}], { lastOffsetDelta: 5 })))
      assert.throws(() => checkRecords(header, records, () => {}), ProtocolError)
    }
  })

  test('more or fewer of them than the header says', () => {
    refused(buildBatch(one, { recordCount: 2, lastOffsetDelta: 1 }))
    refused(buildBatch([...one, ...one], { recordCount: 1, lastOffsetDelta: 0 }))
  })

  test('an offset beyond the last one', () => refused(buildBatch([{ offsetDelta: 5 }], { lastOffsetDelta: 0 })))

  test('lengths that are negative or run over the end', () => {
    for (const [at, value] of [
      [0, 0x01],
      [0, 0x7e],
      [4, 0x03],
      [4, 0x7e],
      [6, 0x05],
      [8, 0x01],
      [8, 0x7e],
      [9, 0x01],
    ] as const) {
      const batch = buildBatch(one)
      batch[batchHeaderBytes + at] = value
      refused(batch)
    }
  })

  test('mutations of any kind', () => {
    const prng = new Prng(1)
    const whole = buildBatch([...one, ...one, ...one])
    let failed = 0
    for (let i = 0; i < 20_000; i++) {
      const batch = Buffer.from(whole)
      for (let changes = prng.between(1, 3); changes > 0; changes--) {
        batch[prng.between(batchHeaderBytes, batch.length)] = prng.uint32() & 0xff
      }
      const cut = prng.chance(0.2) ? prng.between(batchHeaderBytes, batch.length) : batch.length
      const { header, records } = parts(ropeOf(batch.subarray(0, cut)))
      try {
        const areInOrder = readRecords(header, records).every(({ offset }, at) => offset === at)
        findMaxTimestampRecord(header, records)
        if (areInOrder) checkRecords(header, records, () => {})
        else assert.throws(() => checkRecords(header, records, () => {}), ProtocolError)
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${error}`)
        failed++
      }
    }
    assert.ok(failed > 1000)
  })
})

describe('stamps', () => {
  test('base offset and leader epoch change in place, the checksum stays right, wherever the chunks end', () => {
    fc.assert(
      fc.property(cuts, fc.maxSafeInteger().map(Math.abs), fc.nat(), (places, offset, epoch) => {
        const batch = cutIntoChunks(buildBatch([{ value: 'x' }]), places)
        const before = flattenRope(batch).subarray(16).toString('hex')
        stampBatch(batch, offset as Offset, epoch as LeaderEpoch)
        const { header } = parts(batch)
        assert.deepEqual([header.baseOffset, header.leaderEpoch], [offset, epoch])
        assert.ok(batchCrcMatches(batch, header))
        assert.equal(flattenRope(batch).subarray(16).toString('hex'), before)
      }),
    )
  })

  test('a rope of fewer bytes than a header has none', () => {
    assert.equal(readBatchHeaderOfRope(ropeFrom([Buffer.alloc(30), Buffer.alloc(30)])), null)
  })

  test('the codec is told by its name, and null for one that nobody knows', () => {
    const codecs = [0, 1, 2, 3, 4, 5, 7].map(bits => {
      const batch = buildBatch([{}])
      batch.writeInt16BE(bits, 21)
      return codecOfBatch(parts(ropeOf(batch)).header)
    })
    assert.deepEqual(codecs, ['none', 'gzip', 'snappy', 'lz4', 'zstd', null, null])
  })
})

test('an int64 as a number comes back, and is NaN where no number holds it', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), value => {
      const buffer = Buffer.alloc(10)
      writeInt64(buffer, value, 1)
      assert.equal(buffer.readBigInt64BE(1), BigInt(value))
      assert.equal(readInt64(buffer, 1), value)
    }),
  )
  assert.ok(Number.isNaN(readInt64(Buffer.from('7fffffffffffffff', 'hex'), 0)))
})
