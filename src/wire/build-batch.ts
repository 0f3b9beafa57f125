/**
 * Makes record batches: of records that come through doors other than Kafka's, of what groups promise, for tests, tools and the
 * simulator's clients. Batches of Kafka's producers are stored as they came.
 */
import { crc32c } from '../base/crc32c.ts'
import { flattenRope } from '../base/rope.ts'
import { type Codec, codecs } from '../io/compute.ts'
import {
  batchCrcFrom,
  batchHeaderBytes,
  batchPrefixBytes,
  controlBit,
  logAppendTimeBit,
  transactionalBit,
  writeInt64,
} from './record-batch.ts'
import { WireWriter } from './writer.ts'

type Text = Buffer | string | null

export interface RecordDraft {
  readonly key?: Text
  readonly value?: Text
  /** The batch's base timestamp when left out. */
  readonly timestampMs?: number
  readonly headers?: readonly (readonly [key: string, value: Text])[]
  /** One more than the record's before when left out. */
  readonly offsetDelta?: number
}

export interface BatchOptions {
  readonly baseOffset?: number
  readonly leaderEpoch?: number
  /** The first record's timestamp when left out, and 0 when it has none. */
  readonly baseTimestamp?: number
  /** The highest of the records' timestamps when left out. */
  readonly maxTimestamp?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly control?: boolean
  readonly logAppendTime?: boolean
  /** What the header says, where that shall differ from the records. */
  readonly recordCount?: number
  readonly lastOffsetDelta?: number
  readonly compression?: { readonly codec: Codec; readonly compress: (records: Buffer) => Buffer }
}

/** A batch of magic 2 with a right checksum. */
export function buildBatch(records: readonly RecordDraft[], options: BatchOptions = {}): Buffer {
  const baseTimestamp = options.baseTimestamp ?? records[0]?.timestampMs ?? 0
  const plain = encodeRecords(records, baseTimestamp)
  const body = options.compression === undefined ? plain : options.compression.compress(plain)
  const lastOffsetDelta = records.reduce((last, record) => record.offsetDelta ?? last + 1, -1)
  const maxTimestamp = records.reduce(
    (max, { timestampMs = baseTimestamp }) => Math.max(max, timestampMs),
    Number.NEGATIVE_INFINITY,
  )

  const batch = Buffer.alloc(batchHeaderBytes + body.length)
  writeInt64(batch, options.baseOffset ?? 0, 0)
  batch.writeInt32BE(batch.length - batchPrefixBytes, 8)
  batch.writeInt32BE(options.leaderEpoch ?? -1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(attributesOf(options), 21)
  batch.writeInt32BE(options.lastOffsetDelta ?? lastOffsetDelta, 23)
  writeInt64(batch, baseTimestamp, 27)
  writeInt64(batch, options.maxTimestamp ?? (records.length === 0 ? -1 : maxTimestamp), 35)
  writeInt64(batch, options.producerId ?? -1, 43)
  batch.writeInt16BE(options.producerEpoch ?? -1, 51)
  batch.writeInt32BE(options.baseSequence ?? -1, 53)
  batch.writeInt32BE(options.recordCount ?? records.length, 57)
  body.copy(batch, batchHeaderBytes)
  return sealBatch(batch)
}

/** Puts the checksum right after bytes were changed; returns the same buffer. */
export function sealBatch(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(batchCrcFrom)), 17)
  return batch
}

function attributesOf(options: BatchOptions): number {
  return (
    codecs.indexOf(options.compression?.codec ?? 'none') |
    (options.logAppendTime ? logAppendTimeBit : 0) |
    (options.transactional ? transactionalBit : 0) |
    (options.control ? controlBit : 0)
  )
}

function encodeRecords(records: readonly RecordDraft[], baseTimestamp: number): Buffer {
  const to = new WireWriter()
  let offsetDelta = -1
  for (const record of records) {
    offsetDelta = record.offsetDelta ?? offsetDelta + 1
    const body = encodeRecord(record, (record.timestampMs ?? baseTimestamp) - baseTimestamp, offsetDelta)
    to.varint(body.length)
    to.bytes(body)
  }
  return flattenRope(to.finish())
}

function encodeRecord(record: RecordDraft, timestampDelta: number, offsetDelta: number): Buffer {
  const to = new WireWriter()
  to.int8(0)
  to.varlong(timestampDelta)
  to.varint(offsetDelta)
  writeText(to, record.key ?? null)
  writeText(to, record.value ?? null)
  const headers = record.headers ?? []
  to.varint(headers.length)
  for (const [key, value] of headers) {
    writeText(to, key)
    writeText(to, value)
  }
  return flattenRope(to.finish())
}

function writeText(to: WireWriter, text: Text): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  to.varint(bytes === null ? -1 : bytes.length)
  if (bytes !== null) to.bytes(bytes)
}
