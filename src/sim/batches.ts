/**
 * Record batches as the simulator makes and reads them. It shares no code with the log or the wire, so that a mistake there
 * cannot hide itself here.
 *
 * A batch's fingerprint covers everything that a broker must not change: all but base offset and leader epoch; where the topic
 * stamps append times, but timestamp type, largest timestamp and checksum; where it names a codec, but that, with the
 * records as they are without it.
 */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { crc32c } from '../base/crc32c.ts'
import type { Codec, PartitionRules } from './history.ts'

const headerBytes = 61
const crcFrom = 21
const recordsFrom = 61
const codecBits = 0x07
const appendTimeBit = 0x08
const codecNumbers: Readonly<Record<Codec, number>> = { none: 0, gzip: 1, zstd: 4 }

/** What of a topic's rules says how its batches are stored. */
export type Storing = Pick<PartitionRules, 'stampsAppendTime' | 'codec'>

export interface BatchSpec {
  /** Unique in a run; the records carry it, so that a stored batch names the send that it came from. */
  readonly id: number
  readonly timestampsMs: readonly number[]
  /** Bytes of filling in each record. */
  readonly fillBytes: number
  readonly codec: Codec
  /** Each record has a key. */
  readonly keyed?: boolean
  readonly producer: { readonly id: number; readonly epoch: number; readonly sequence: number } | null
}

export function makeBatch(spec: BatchSpec): Buffer {
  const first = spec.timestampsMs[0] ?? 0
  const plain = Buffer.concat(spec.timestampsMs.map((at, index) => makeRecord(spec, index, at - first)))
  const records = spec.codec === 'gzip' ? gzipSync(plain) : spec.codec === 'zstd' ? zstdCompressSync(plain) : plain
  const batch = Buffer.alloc(headerBytes + records.length)
  records.copy(batch, recordsFrom)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(codecNumbers[spec.codec], 21)
  batch.writeInt32BE(spec.timestampsMs.length - 1, 23)
  batch.writeBigInt64BE(BigInt(first), 27)
  batch.writeBigInt64BE(BigInt(Math.max(...spec.timestampsMs)), 35)
  batch.writeBigInt64BE(BigInt(spec.producer?.id ?? -1), 43)
  batch.writeInt16BE(spec.producer?.epoch ?? -1, 51)
  batch.writeInt32BE(spec.producer?.sequence ?? -1, 53)
  batch.writeInt32BE(spec.timestampsMs.length, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(crcFrom)), 17)
  return batch
}

function makeRecord(spec: BatchSpec, index: number, timestampDelta: number): Buffer {
  const value = Buffer.alloc(spec.fillBytes + 16, (spec.id + index) & 0xff)
  value.write(`${spec.id}:${index};`, 'latin1')
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(timestampDelta),
    varint(index),
    ...(spec.keyed ? [varint(1), Buffer.of(index & 0xff)] : [varint(-1)]),
    varint(value.length),
    value,
    varint(0),
  ])
  return Buffer.concat([varint(body.length), body])
}

/** Zigzag, seven bits a byte. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** A batch as a reader found it. */
export interface StoredBatch {
  readonly base: number
  /** The offset behind its last record. */
  readonly end: number
  readonly bytes: number
  readonly leaderEpoch: number
  readonly maxTimestampMs: number
  readonly fingerprint: string
}

/** Takes apart what a read gave; a sentence instead where it is no sequence of whole, sound batches. */
export function readBatches(bytes: Buffer, storing: Storing): StoredBatch[] | string {
  const batches: StoredBatch[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < headerBytes) return `${bytes.length - at} bytes behind the last batch`
    const length = bytes.readInt32BE(at + 8) + 12
    if (length < headerBytes || length > bytes.length - at) return `a batch of ${length} bytes is cut off`
    const batch = bytes.subarray(at, at + length)
    const base = Number(batch.readBigInt64BE(0))
    if (batch.readInt8(16) !== 2) return `the batch at ${base} has magic ${batch.readInt8(16)}`
    if (crc32c(batch.subarray(crcFrom)) !== batch.readUInt32BE(17)) return `the batch at ${base} has a wrong checksum`
    if (batch.readInt32BE(23) + 1 !== batch.readInt32BE(57)) return `the batch at ${base} miscounts its records`
    const codec = batch.readInt16BE(21) & codecBits
    if (storing.codec !== undefined && codec !== codecNumbers[storing.codec])
      return `the batch at ${base} has codec ${codec}, and not ${storing.codec}`
    batches.push({
      base,
      end: base + batch.readInt32BE(23) + 1,
      bytes: length,
      leaderEpoch: batch.readInt32BE(12),
      maxTimestampMs: Number(batch.readBigInt64BE(35)),
      fingerprint: fingerprint(batch, storing),
    })
    at += length
  }
  return batches
}

export function fingerprint(batch: Buffer, { stampsAppendTime, codec }: Storing): string {
  const records = codec === undefined ? batch.subarray(recordsFrom) : unpack(batch)
  const kept = Buffer.concat([batch.subarray(16, recordsFrom), records])
  if (codec !== undefined) kept.writeInt16BE(kept.readInt16BE(5) & ~codecBits, 5)
  if (stampsAppendTime || codec !== undefined) kept.fill(0, 1, 5)
  if (stampsAppendTime) {
    kept.writeInt16BE(kept.readInt16BE(5) & ~appendTimeBit, 5)
    kept.fill(0, 19, 27)
  }
  const producerAndCount = batch.toString('hex', 43, headerBytes)
  return `${recordsFrom + records.length}-${crc32c(kept).toString(16)}-${producerAndCount}`
}

/** The records without compression; none where they do not unfold. */
function unpack(batch: Buffer): Buffer {
  const codec = batch.readInt16BE(21) & codecBits
  const packed = batch.subarray(recordsFrom)
  try {
    return codec === codecNumbers.gzip
      ? gunzipSync(packed)
      : codec === codecNumbers.zstd
        ? zstdDecompressSync(packed)
        : packed
  } catch {
    return Buffer.alloc(0)
  }
}
