/**
 * Record batches as they came out of the log, read for tests by code of their own: it shares nothing with the product, so
 * that a misreading of the format cannot hide itself. Checksums are verified, compressed records are unpacked.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { decompressFrameSync } from 'lz4-napi'
import snappy from 'snappy'

export const storedCodecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export interface StoredRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [key: string, value: Buffer | null])[]
}

export interface StoredBatch {
  readonly baseOffset: number
  /** One past the last offset. */
  readonly endOffset: number
  readonly leaderEpoch: number
  readonly crc: number
  readonly codec: (typeof storedCodecs)[number]
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly maxTimestampMs: number
  /** The whole batch. */
  readonly bytes: Buffer
  readonly records: readonly StoredRecord[]
}

const headerBytes = 61

/** Whole batches; one that is cut off at the end, as a fetch with a limit may leave it, is left out. */
export function parseBatches(bytes: Buffer): StoredBatch[] {
  const batches: StoredBatch[] = []
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (end > bytes.length) break
    batches.push(parseBatch(bytes.subarray(at, end)))
    at = end
  }
  return batches
}

function parseBatch(bytes: Buffer): StoredBatch {
  const magic = bytes.readInt8(16)
  if (magic !== 2) throw new Error(`a stored batch has magic ${magic}`)
  const crc = bytes.readUInt32BE(17)
  if (crc !== castagnoli(bytes.subarray(21))) throw new Error('a stored batch does not match its checksum')
  const codec = storedCodecs[bytes.readInt16BE(21) & 7]
  if (codec === undefined) throw new Error('a stored batch has an unknown codec')
  const baseOffset = Number(bytes.readBigInt64BE(0))
  const body = bytes.subarray(headerBytes)
  const plain = unpack(codec, body)
  return {
    baseOffset,
    endOffset: baseOffset + bytes.readInt32BE(23) + 1,
    leaderEpoch: bytes.readInt32BE(12),
    crc,
    codec,
    producerId: bytes.readBigInt64BE(43),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
    maxTimestampMs: Number(bytes.readBigInt64BE(35)),
    bytes,
    records: parseRecords(plain, bytes.readInt32BE(57), baseOffset, Number(bytes.readBigInt64BE(27))),
  }
}

function parseRecords(bytes: Buffer, count: number, baseOffset: number, baseTimestampMs: number): StoredRecord[] {
  const cursor = new Cursor(bytes)
  const records: StoredRecord[] = []
  for (let i = 0; i < count; i++) {
    cursor.varint()
    cursor.take(1)
    const timestampMs = baseTimestampMs + cursor.varint()
    const offset = baseOffset + cursor.varint()
    const key = cursor.nullable()
    const value = cursor.nullable()
    const headers: [string, Buffer | null][] = []
    for (let left = cursor.varint(); left > 0; left--) {
      headers.push([String(cursor.nullable()), cursor.nullable()])
    }
    records.push({ offset, timestampMs, key, value, headers })
  }
  if (cursor.left !== 0) throw new Error(`${cursor.left} bytes follow the last record of a batch`)
  return records
}

class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(count: number): Buffer {
    if (count > this.left) throw new Error('a record is longer than its batch')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  varint(): number {
    let raw = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0] as number
      raw |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number((raw >> 1n) ^ -(raw & 1n))
    }
  }

  nullable(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.take(length)
  }
}

function unpack(codec: StoredBatch['codec'], bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gunzipSync(bytes)
    case 'zstd':
      return zstdDecompressSync(bytes)
    case 'lz4':
      return decompressFrameSync(bytes)
    case 'snappy':
      return unsnap(bytes)
  }
}

/** Java's framing or a bare block. */
function unsnap(bytes: Buffer): Buffer {
  if (bytes.subarray(1, 7).toString('latin1') !== 'SNAPPY') return snappy.uncompressSync(bytes) as Buffer
  const blocks: Buffer[] = []
  for (let at = 16; at < bytes.length; ) {
    const end = at + 4 + bytes.readInt32BE(at)
    blocks.push(snappy.uncompressSync(bytes.subarray(at + 4, end)) as Buffer)
    at = end
  }
  return Buffer.concat(blocks)
}

const castagnoliTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

function castagnoli(bytes: Buffer): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (castagnoliTable[(crc ^ byte) & 0xff] as number)
  return (crc ^ 0xffff_ffff) >>> 0
}
