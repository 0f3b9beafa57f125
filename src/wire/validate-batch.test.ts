/** What a broker turns away, one reason at a time, each told as Kafka tells it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { Prng } from '../base/prng.ts'
import { type Rope, ropeFrom, ropeOf } from '../base/rope.ts'
import { cutIntoChunks } from './arbitraries.test-kit.ts'
import { type BatchOptions, buildBatch, type RecordDraft, sealBatch } from './build-batch.ts'
import type { KafkaErrorName } from './kafka-errors.ts'
import { writeInt64 } from './record-batch.ts'
import { type BatchRules, validateBatch } from './validate-batch.ts'

const nowMs = 1_700_000_000_000
const hourMs = 3_600_000
const rules: BatchRules = {
  produceVersion: 9,
  nowMs,
  maxMessageBytes: 1_000_000,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: hourMs,
}
const records: readonly RecordDraft[] = [
  { key: 'a', value: 'first', timestampMs: nowMs },
  { value: 'second', timestampMs: nowMs + 1 },
]

function batchWith(options: BatchOptions = {}, drafts = records): Buffer {
  return buildBatch(drafts, options)
}

/** A batch whose header was changed by hand, with a right checksum. */
function changed(change: (batch: Buffer) => void): Buffer {
  const batch = batchWith()
  change(batch)
  return sealBatch(batch)
}

function verdict(batch: Rope | Buffer | null, overrides: Partial<BatchRules> = {}): KafkaErrorName {
  const rope = Buffer.isBuffer(batch) ? ropeOf(batch) : batch
  return validateBatch(rope, { ...rules, ...overrides }).error
}

describe('taken', () => {
  test('a plain batch, with its header and its very bytes', () => {
    const rope = ropeOf(batchWith())
    const result = validateBatch(rope, rules)
    assert.equal(result.error, 'NONE')
    assert.ok(result.error === 'NONE')
    assert.equal(result.bytes, rope)
    assert.equal(result.header.recordCount, 2)
    assert.equal(result.header.maxTimestamp, nowMs + 1)
  })

  test('however it is cut into chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 8 }), cuts => verdict(cutIntoChunks(batchWith(), cuts)) === 'NONE'),
    )
  })

  test('an idempotent producer, a transactional one, and every codec', () => {
    assert.equal(verdict(batchWith({ producerId: 5, producerEpoch: 0, baseSequence: 0 })), 'NONE')
    const transactional = { producerId: 5, producerEpoch: 0, baseSequence: 7, transactional: true }
    assert.equal(verdict(batchWith(transactional)), 'NONE')
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      assert.equal(verdict(batchWith({ compression: { codec, compress: gzipSync } })), 'NONE', codec)
    }
  })

  test('many small records in few compressed bytes', () => {
    const many = Array.from({ length: 50_000 }, () => ({}))
    assert.equal(verdict(batchWith({ compression: { codec: 'gzip', compress: gzipSync } }, many)), 'NONE')
  })

  test('a highest timestamp below the first one, as kafkajs sends when the last record is the oldest', () => {
    assert.equal(verdict(batchWith({ maxTimestamp: nowMs - 5 })), 'NONE')
  })
})

describe('refused', () => {
  const refused: readonly (readonly [string, KafkaErrorName, Rope | Buffer | null, Partial<BatchRules>?])[] = [
    ['null', 'INVALID_RECORD', null],
    ['nothing', 'INVALID_RECORD', ropeFrom([])],
    ['a message of magic 0', 'INVALID_RECORD', changed(batch => batch.writeInt8(0, 16))],
    ['a message of magic 1', 'INVALID_RECORD', changed(batch => batch.writeInt8(1, 16))],
    ['magic 9', 'INVALID_RECORD', changed(batch => batch.writeInt8(9, 16))],
    ['a short message of magic 1', 'INVALID_RECORD', batchWith().subarray(0, 30).fill(1, 16, 17)],
    ['two batches', 'INVALID_RECORD', Buffer.concat([batchWith(), batchWith()])],
    ['a batch and a byte', 'INVALID_RECORD', Buffer.concat([batchWith(), Buffer.alloc(1)])],
    ['a stump of 3 bytes', 'CORRUPT_MESSAGE', batchWith().subarray(0, 3)],
    ['a header without its last byte', 'CORRUPT_MESSAGE', batchWith().subarray(0, 60)],
    ['a batch without its last byte', 'CORRUPT_MESSAGE', batchWith().subarray(0, -1)],
    ['a length of 0', 'CORRUPT_MESSAGE', changed(batch => batch.writeInt32BE(0, 8))],
    ['a negative length', 'CORRUPT_MESSAGE', changed(batch => batch.writeInt32BE(-1, 8))],
    ['a length of 0x7fffffff', 'CORRUPT_MESSAGE', changed(batch => batch.writeInt32BE(0x7fff_ffff, 8))],
    ['a wrong checksum', 'CORRUPT_MESSAGE', batchWith().fill(0, 17, 21)],
    ['more bytes than max.message.bytes', 'MESSAGE_TOO_LARGE', batchWith(), { maxMessageBytes: 80 }],
    ['an unknown codec', 'UNSUPPORTED_COMPRESSION_TYPE', changed(batch => batch.writeInt16BE(5, 21))],
    [
      'zstd before Produce 7',
      'UNSUPPORTED_COMPRESSION_TYPE',
      batchWith({ compression: { codec: 'zstd', compress: bytes => bytes } }),
      { produceVersion: 6 },
    ],
    ['a base offset', 'INVALID_RECORD', batchWith({ baseOffset: 1 })],
    ['a base offset beyond 2^53', 'INVALID_RECORD', changed(batch => batch.fill(0x7f, 0, 8))],
    ['no records', 'INVALID_RECORD', batchWith({}, [])],
    ['a negative count', 'INVALID_RECORD', batchWith({ recordCount: -1 })],
    ['a count that its last offset belies', 'INVALID_RECORD', batchWith({ recordCount: 3 })],
    ['a last offset that its count belies', 'INVALID_RECORD', batchWith({ lastOffsetDelta: 5 })],
    ['more records than its bytes can hold', 'INVALID_RECORD', batchWith({ recordCount: 1000, lastOffsetDelta: 999 })],
    [
      'more records than any compression makes so small',
      'INVALID_RECORD',
      batchWith({
        recordCount: 0x7fff_ffff,
        lastOffsetDelta: 0x7fff_fffe,
        compression: { codec: 'gzip', compress: gzipSync },
      }),
    ],
    ['control records', 'INVALID_RECORD', batchWith({ control: true })],
    ['a delete horizon', 'INVALID_RECORD', changed(batch => batch.writeInt16BE(0x40, 21))],
    ['a producer id without a sequence', 'INVALID_RECORD', batchWith({ producerId: 5, producerEpoch: 0 })],
    ['a producer id without an epoch', 'INVALID_RECORD', batchWith({ producerId: 5, baseSequence: 0 })],
    ['a negative producer id', 'INVALID_RECORD', batchWith({ producerId: -2, producerEpoch: 0, baseSequence: 0 })],
    ['a producer id beyond 2^53', 'INVALID_RECORD', changed(batch => batch.fill(0x7f, 43, 51))],
    ['a transaction of nobody', 'INVALID_RECORD', batchWith({ transactional: true })],
    ["the broker's kind of timestamps", 'INVALID_TIMESTAMP', batchWith({ logAppendTime: true })],
    ['a timestamp too far ahead', 'INVALID_TIMESTAMP', batchWith({ maxTimestamp: nowMs + hourMs + 1 })],
    [
      'a timestamp too far back',
      'INVALID_TIMESTAMP',
      batchWith({ baseTimestamp: nowMs - hourMs - 1 }),
      { timestampBeforeMaxMs: hourMs },
    ],
    ['a timestamp beyond 2^53', 'INVALID_TIMESTAMP', changed(batch => batch.fill(0x7f, 35, 43))],
  ]
  for (const [what, error, batch, overrides] of refused) {
    test(`${what}: ${error}`, () => assert.equal(verdict(batch, overrides), error))
  }

  test('a reason is a sentence', () => {
    const result = validateBatch(ropeOf(batchWith()), { ...rules, maxMessageBytes: 80 })
    assert.ok(result.error !== 'NONE')
    assert.match(result.message, /max\.message\.bytes allows 80/)
  })
})

describe('timestamps', () => {
  test('none (-1) is taken whatever the bounds', () => {
    const batch = batchWith({}, [{ value: 'x', timestampMs: -1 }])
    assert.equal(verdict(batch, { timestampBeforeMaxMs: 1000 }), 'NONE')
  })

  test('the bounds themselves are taken', () => {
    const batch = batchWith({ baseTimestamp: nowMs - hourMs, maxTimestamp: nowMs + hourMs })
    assert.equal(verdict(batch, { timestampBeforeMaxMs: hourMs }), 'NONE')
  })

  test("are not looked at where the broker's own are used", () => {
    const batch = batchWith({ maxTimestamp: nowMs + 99 * hourMs })
    assert.equal(verdict(batch, { timestampType: 'LogAppendTime' }), 'NONE')
  })
})

test('a flipped bit anywhere behind the leader epoch is found, and never taken', () => {
  const whole = batchWith({ producerId: 5, producerEpoch: 0, baseSequence: 0 })
  for (let bit = 16 * 8; bit < whole.length * 8; bit++) {
    const batch = Buffer.from(whole)
    batch[bit >> 3]! ^= 1 << (bit & 7)
    assert.notEqual(verdict(batch), 'NONE', `bit ${bit}`)
  }
})

test('random changes, right checksum or not, give a verdict and never an exception', () => {
  const prng = new Prng(3)
  for (let i = 0; i < 20_000; i++) {
    const batch = Buffer.from(batchWith())
    for (let changes = prng.between(1, 4); changes > 0; changes--) batch[prng.between(0, 61)] = prng.uint32() & 0xff
    if (prng.chance(0.5)) writeInt64(batch, 0, 0)
    const sealed = prng.chance(0.7) ? sealBatch(batch) : batch
    const cut = sealed.subarray(0, prng.chance(0.2) ? prng.between(0, sealed.length) : sealed.length)
    verdict(cutIntoChunks(cut, [prng.uint32()]))
  }
})
