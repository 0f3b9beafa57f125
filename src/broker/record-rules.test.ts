import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { TidelogError } from '../base/errors.ts'
import { flattenRope, ropeOf, sliceRope } from '../base/rope.ts'
import type { Codec, Compute } from '../io/compute.ts'
import { type BatchOptions, buildBatch, type RecordDraft } from '../wire/build-batch.ts'
import { batchCrcMatches, batchHeaderBytes, codecOfBatch, readBatchHeader } from '../wire/record-batch.ts'
import { readRecords } from '../wire/records.ts'
import { brokerConfigs, topicSettings } from './configs.ts'
import { isQuickLook, type Looked, look, lookNow, mustBeLookedInto } from './record-rules.ts'
import type { Batch } from './storage.ts'

const now = Date.UTC(2026, 0, 1)
const configs = brokerConfigs()
const settings = (given: Record<string, string>) => topicSettings(configs, new Map(Object.entries(given)))

const packers = { gzip: gzipSync, zstd: zstdCompressSync } as const
type Packed = keyof typeof packers

/** In place; what it packs says with which level. */
const compute: Compute & { levels: (number | null)[] } = {
  levels: [],
  async decompress(codec, bytes, bytesMax) {
    const unpack = codec === 'gzip' ? gunzipSync : zstdDecompressSync
    let unpacked: Buffer
    try {
      unpacked = unpack(flattenRope(bytes))
    } catch (error) {
      throw new TidelogError('CORRUPT', 'it does not unfold', error)
    }
    if (unpacked.length > bytesMax) throw new TidelogError('TOO_LARGE', 'it unfolds to too much')
    return unpacked
  },
  async compress(codec, level, bytes) {
    this.levels.push(level)
    return packers[codec as Packed](flattenRope(bytes))
  },
}

function batchOf(records: readonly RecordDraft[], options: BatchOptions = {}): Batch {
  const bytes = buildBatch(records, { baseTimestamp: now, ...options })
  // In pieces, as from a socket.
  return { header: readBatchHeader(bytes), bytes: ropeOf(bytes.subarray(0, 30), bytes.subarray(30)) }
}

const packedAs = (codec: Packed) => ({ compression: { codec, compress: packers[codec] } })
const three: readonly RecordDraft[] = ['a', 'b', 'c'].map(key => ({ key, value: `the value of ${key}`.repeat(20) }))

const done = (looked: Looked): Batch => {
  assert.equal(looked.error, 'NONE')
  return (looked as { batch: Batch }).batch
}
const errorsOf = (looked: Looked) =>
  looked.error === 'NONE' ? [] : [looked.error, ...(looked.recordErrors ?? []).map(({ batchIndex }) => batchIndex)]

test('only topics that are compacted, or name another codec, have their batches looked into', () => {
  const plain = batchOf(three).header
  const gzipped = batchOf(three, packedAs('gzip')).header
  const asks = (given: Record<string, string>) =>
    [plain, gzipped].map(header => mustBeLookedInto(settings(given), header))
  assert.deepEqual(asks({}), [false, false])
  assert.deepEqual(asks({ 'cleanup.policy': 'compact' }), [true, true])
  assert.deepEqual(asks({ 'compression.type': 'gzip' }), [true, false])
  assert.deepEqual(asks({ 'compression.type': 'uncompressed' }), [false, true])
  const isQuick = (given: Record<string, string>) =>
    [plain, gzipped].map(header => isQuickLook(settings(given), header))
  assert.deepEqual(isQuick({ 'cleanup.policy': 'compact' }), [true, false])
  assert.deepEqual(isQuick({ 'cleanup.policy': 'compact', 'compression.type': 'gzip' }), [false, false])
})

for (const [from, to] of [
  ['none', 'gzip'],
  ['none', 'zstd'],
  ['gzip', 'zstd'],
  ['gzip', 'none'],
  ['zstd', 'gzip'],
] as const satisfies readonly (readonly [Codec, Codec])[]) {
  test(`a batch of ${from} is stored as ${to}, its records and its header as they were`, async () => {
    const before = batchOf(three, {
      ...(from === 'none' ? {} : packedAs(from)),
      ...{ producerId: 7, producerEpoch: 3, baseSequence: 11, maxTimestamp: now },
    })
    const frozen = Buffer.from(flattenRope(before.bytes))
    const type = to === 'none' ? 'uncompressed' : to
    const { header, bytes } = done(await look(before, settings({ 'compression.type': type }), now, compute))
    assert.ok(flattenRope(before.bytes).equals(frozen), 'what came is not changed')
    assert.ok(batchCrcMatches(bytes, header))
    assert.deepEqual([codecOfBatch(header), header.bytes], [to, bytes.length])
    const { bytes: _, crc: __, attributes: ___, ...rest } = header
    const { bytes: _b, crc: __b, attributes: ___b, ...restBefore } = before.header
    assert.deepEqual(rest, restBefore)
    const body = flattenRope(sliceRope(bytes, batchHeaderBytes, bytes.length))
    const plain = to === 'none' ? body : await compute.decompress(to, ropeOf(body), 1 << 20)
    const records = readRecords(header, ropeOf(plain))
    assert.deepEqual(
      records.map(({ key, value }) => [key?.toString(), value?.toString()]),
      three.map(({ key, value }) => [key, value]),
    )
  })
}

test('the levels are those of the topic, and the highest timestamp that of the records', async () => {
  compute.levels = []
  const levels = { 'compression.gzip.level': '9', 'compression.zstd.level': '-7' }
  const records = [5, 30, 20].map(ms => ({ key: 'k', timestampMs: now + ms }))
  const batch = batchOf(records, { maxTimestamp: now + 20 })
  for (const type of ['gzip', 'zstd']) {
    const { header } = done(await look(batch, settings({ ...levels, 'compression.type': type }), now, compute))
    assert.equal(header.maxTimestamp, now + 30)
  }
  assert.deepEqual(compute.levels, [9, -7])
})

test('pitfall 24, 25: a compacted topic refuses a batch for its records without a key, and says which', async () => {
  const compacted = settings({ 'cleanup.policy': 'compact' })
  const records = [{ key: 'a' }, { key: null, value: 'v' }, { key: '' }, { value: 'w' }]
  assert.deepEqual(errorsOf(lookNow(batchOf(records), compacted, now)), ['INVALID_RECORD', 1, 3])
  const gzipped = batchOf(records, packedAs('gzip'))
  assert.deepEqual(errorsOf(await look(gzipped, compacted, now, compute)), ['INVALID_RECORD', 1, 3])
  const good = batchOf(three, packedAs('gzip'))
  assert.equal(done(await look(good, compacted, now, compute)), good, 'as it came')
  assert.equal(lookNow(batchOf(records), settings({ 'compression.type': 'gzip' }), now).error, 'NONE')
  const many = batchOf(Array.from({ length: 500 }, () => ({ value: 'v' })))
  assert.equal(errorsOf(lookNow(many, compacted, now)).length, 101)
})

test('whoever has a batch looked into has the times of its records looked at', () => {
  const records = [0, 7_200_000, -1000].map(ms => ({ key: 'k', timestampMs: now + ms }))
  const rules = { 'cleanup.policy': 'compact', 'message.timestamp.before.max.ms': '500' }
  const batch = batchOf(records, { maxTimestamp: now })
  assert.deepEqual(errorsOf(lookNow(batch, settings(rules), now)), ['INVALID_TIMESTAMP', 1, 2])
  const stamped = settings({ ...rules, 'message.timestamp.type': 'LogAppendTime' })
  assert.equal(lookNow(batch, stamped, now).error, 'NONE')
  const timeless = batchOf([{ key: 'k', timestampMs: -1 }], { baseTimestamp: -1 })
  assert.equal(lookNow(timeless, settings(rules), now).error, 'NONE')
})

test('what does not decode, lies about its records or unfolds to too much is refused for good', async () => {
  const gzip = settings({ 'compression.type': 'gzip' })
  const outcome = async (batch: Batch, rules = gzip) => errorsOf(await look(batch, rules, now, compute))
  const garbage = { codec: 'zstd', compress: () => Buffer.from('what is this') } as const
  assert.deepEqual(await outcome(batchOf(three, { compression: garbage })), ['INVALID_RECORD'])
  const noRecords = { codec: 'zstd', compress: () => zstdCompressSync(Buffer.from('what is this')) } as const
  assert.deepEqual(await outcome(batchOf(three, { compression: noRecords })), ['INVALID_RECORD'])
  assert.deepEqual(await outcome(batchOf(three, { ...packedAs('zstd'), recordCount: 2 })), ['INVALID_RECORD'])
  assert.deepEqual(await outcome(batchOf(three, { ...packedAs('zstd'), recordCount: 4 })), ['INVALID_RECORD'])
  const gap = [{ key: 'a' }, { key: 'b', offsetDelta: 2 }]
  assert.deepEqual(await outcome(batchOf(gap, packedAs('zstd'))), ['INVALID_RECORD'])
  const bomb = batchOf([{ key: 'a', value: Buffer.alloc(65 << 20) }], packedAs('zstd'))
  assert.ok(bomb.bytes.length < 100_000)
  assert.deepEqual(await outcome(bomb), ['MESSAGE_TOO_LARGE'])
})

test('pitfall 22: limits are of the batch as it is stored', async () => {
  const uncompressed = { 'compression.type': 'uncompressed', 'max.message.bytes': '1000' }
  const batch = batchOf([{ key: 'a', value: 'v'.repeat(2000) }], packedAs('gzip'))
  assert.ok(batch.bytes.length < 1000)
  const outcome = async (given: Record<string, string>) => errorsOf(await look(batch, settings(given), now, compute))
  assert.deepEqual(await outcome(uncompressed), ['MESSAGE_TOO_LARGE'])
  assert.deepEqual(await outcome({ ...uncompressed, 'max.message.bytes': '3000' }), [])
  const long = batchOf([{ key: 'a', value: Buffer.alloc(2 << 20) }], packedAs('gzip'))
  const short = { ...uncompressed, 'max.message.bytes': `${4 << 20}`, 'segment.bytes': `${1 << 20}` }
  assert.deepEqual(errorsOf(await look(long, settings(short), now, compute)), ['RECORD_LIST_TOO_LARGE'])
})

test('what goes wrong here is no fault of the producer, who tries again', async () => {
  const failing = (error: Error): Compute => ({ ...compute, decompress: () => Promise.reject(error) })
  const batch = batchOf(three, packedAs('gzip'))
  const zstd = settings({ 'compression.type': 'zstd' })
  for (const code of ['OVERLOADED', 'CLOSED'] as const) {
    const looked = await look(batch, zstd, now, failing(new TidelogError(code, 'busy')))
    assert.equal(looked.error, 'KAFKA_STORAGE_ERROR')
  }
  await assert.rejects(look(batch, zstd, now, failing(new Error('a fault of the program'))))
})
