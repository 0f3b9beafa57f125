/**
 * The records inside a batch, once they are not compressed. Brokers rarely look at them: to find an offset by time, and where
 * a rule needs the keys. Walking makes no objects; `readRecords` does, for tools and tests.
 *
 *     length varint | attributes int8 | timestamp delta varlong | offset delta varint
 *     key length varint (-1: null) | key | value length varint (-1: null) | value
 *     header count varint | (key length varint | key | value length varint (-1: null) | value)*
 *
 * Whatever does not fit together is a `ProtocolError`.
 */
import type { Offset } from '../base/ids.ts'
import type { Rope } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireReader } from './reader.ts'
import { type BatchHeader, logAppendTimeBit } from './record-batch.ts'

export interface TimedOffset {
  readonly offset: Offset
  readonly timestampMs: number
}

export interface KafkaRecord extends TimedOffset {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

const attributesBytes = 1

/** Called for each record in order; returns whether to go on. */
export type RecordVisitor = (offset: Offset, timestampMs: number) => boolean

/**
 * Walks the records of a batch. `records` is what follows the batch's header, decompressed. When the visitor does not stop
 * it, the count of records and the end of the bytes are checked as well.
 */
export function walkRecords(header: BatchHeader, records: Rope, visit: RecordVisitor): void {
  const from = new WireReader(records)
  for (let i = 0; i < header.recordCount; i++) {
    const end = readEnd(from)
    from.skip(attributesBytes)
    const timestampMs = readTimestamp(from, header)
    const offset = readOffset(from, header)
    if (from.position > end) throw new ProtocolError('a record is longer than it states')
    from.skip(end - from.position)
    if (!visit(offset, timestampMs)) return
  }
  from.finish()
}

/** The first record whose timestamp is at least `timestampMs`. */
export function findRecordByTime(header: BatchHeader, records: Rope, timestampMs: number): TimedOffset | null {
  let found: TimedOffset | null = null
  walkRecords(header, records, (offset, recordMs) => {
    if (recordMs >= timestampMs) found = { offset, timestampMs: recordMs }
    return found === null
  })
  return found
}

/** The record with the highest timestamp, the first of equals; null when there is no record. */
export function findMaxTimestampRecord(header: BatchHeader, records: Rope): TimedOffset | null {
  let offsetOfMax = -1
  let max = Number.NEGATIVE_INFINITY
  walkRecords(header, records, (offset, timestampMs) => {
    if (timestampMs > max) {
      max = timestampMs
      offsetOfMax = offset
    }
    return true
  })
  return offsetOfMax < 0 ? null : { offset: offsetOfMax as Offset, timestampMs: max }
}

/** Called for each record in order, with its place in the batch. */
export type RecordCheck = (index: number, timestampMs: number, hasKey: boolean) => void

/**
 * Walks whole records, every byte accounted for, where a broker has to vouch for what is in a batch of a producer. Their offsets
 * must follow each other without a gap.
 */
export function checkRecords(header: BatchHeader, records: Rope, check: RecordCheck): void {
  const from = new WireReader(records)
  for (let i = 0; i < header.recordCount; i++) {
    const end = readEnd(from)
    from.skip(attributesBytes)
    const timestampMs = readTimestamp(from, header)
    if (readOffset(from, header) !== header.baseOffset + i) {
      throw new ProtocolError('the offsets of records do not follow each other')
    }
    const hasKey = skipNullable(from)
    skipNullable(from)
    skipHeaders(from)
    if (from.position !== end) throw new ProtocolError('a record is not of the length that it states')
    check(i, timestampMs, hasKey)
  }
  from.finish()
}

/** All records with their contents, every byte accounted for. Keys and values are views where they lie in one chunk. */
export function readRecords(header: BatchHeader, records: Rope): KafkaRecord[] {
  const from = new WireReader(records)
  const all: KafkaRecord[] = []
  for (let i = 0; i < header.recordCount; i++) all.push(readRecord(from, header))
  from.finish()
  return all
}

function readRecord(from: WireReader, header: BatchHeader): KafkaRecord {
  const end = readEnd(from)
  from.skip(attributesBytes)
  const timestampMs = readTimestamp(from, header)
  const offset = readOffset(from, header)
  const key = readNullable(from)
  const value = readNullable(from)
  const headers = readHeaders(from)
  if (from.position !== end) throw new ProtocolError('a record is not of the length that it states')
  return { offset, timestampMs, key, value, headers }
}

/** The position at which the record ends. */
function readEnd(from: WireReader): number {
  const length = from.varint()
  if (length < 0 || length > from.remaining) throw new ProtocolError(`a record cannot be ${length} bytes long`)
  return from.position + length
}

function readTimestamp(from: WireReader, header: BatchHeader): number {
  const delta = from.varlong()
  return header.attributes & logAppendTimeBit ? header.maxTimestamp : header.baseTimestamp + delta
}

function readOffset(from: WireReader, header: BatchHeader): Offset {
  const delta = from.varint()
  if (delta < 0 || delta > header.lastOffsetDelta)
    throw new ProtocolError(`an offset delta of ${delta} is not in the batch`)
  return (header.baseOffset + delta) as Offset
}

function readNullable(from: WireReader): Buffer | null {
  const length = readLength(from)
  return length === -1 ? null : from.bytes(length)
}

/** Of a key or a value; -1 for null. */
function readLength(from: WireReader): number {
  const length = from.varint()
  if (length < -1 || length > from.remaining) throw new ProtocolError(`a key or value cannot be ${length} bytes long`)
  return length
}

/** Whether there was something but null. */
function skipNullable(from: WireReader): boolean {
  const length = readLength(from)
  if (length > 0) from.skip(length)
  return length >= 0
}

function skipHeaders(from: WireReader): void {
  const count = from.varint()
  if (count < 0) throw new ProtocolError('a count of headers is negative')
  for (let i = 0; i < count; i++) {
    if (!skipNullable(from)) throw new ProtocolError('the key of a header is null')
    skipNullable(from)
  }
}

function readHeaders(from: WireReader): RecordHeader[] {
  const count = from.varint()
  if (count < 0) throw new ProtocolError('a count of headers is negative')
  from.claimElements(count, headerBytesMin)
  const headers: RecordHeader[] = []
  for (let i = 0; i < count; i++) {
    const key = readNullable(from)
    if (key === null) throw new ProtocolError('the key of a header is null')
    headers.push({ key: key.toString('utf8'), value: readNullable(from) })
  }
  return headers
}

/** Two lengths. */
const headerBytesMin = 2
