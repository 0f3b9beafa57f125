/**
 * The record batch, magic 2: Kafka's unit of messages on the wire and on disk. Its first 61 bytes are a fixed header; the
 * records behind it stay opaque here. Base offset and leader epoch lie before the checksummed part, so a broker stamps them
 * in place and stores the rest exactly as the producer sent it.
 *
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import type { LeaderEpoch, Offset } from '../base/ids.ts'
import { crc32cOfRope, peekRope, type Rope, writeIntoRope } from '../base/rope.ts'
import { type Codec, codecs } from '../io/compute.ts'

export const batchHeaderBytes = 61
/** Base offset and length: what must be read to know where the batch ends. */
export const batchPrefixBytes = 12
/** The CRC covers from here to the end of the batch. */
export const batchCrcFrom = 21
/** The part before the checksummed part; it holds the checksum itself. */
export const batchUnsummedBytes = batchCrcFrom

export const codecMask = 0x07
export const logAppendTimeBit = 0x08
export const transactionalBit = 0x10
export const controlBit = 0x20
export const deleteHorizonBit = 0x40

export interface BatchHeader {
  readonly baseOffset: Offset
  /** The whole batch, header and prefix included. */
  readonly bytes: number
  readonly leaderEpoch: LeaderEpoch
  readonly magic: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** -1 for none. Ids come from our own blocks, far below 2^53; an id that no number holds exactly reads as NaN. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Reads a header at `at`; the caller has made sure that 61 bytes are there. Nothing is validated. */
export function readBatchHeader(buffer: Buffer, at = 0): BatchHeader {
  return {
    baseOffset: readInt64(buffer, at) as Offset,
    bytes: buffer.readInt32BE(at + 8) + batchPrefixBytes,
    leaderEpoch: buffer.readInt32BE(at + 12) as LeaderEpoch,
    magic: buffer.readInt8(at + 16),
    crc: buffer.readUInt32BE(at + 17),
    attributes: buffer.readInt16BE(at + 21),
    lastOffsetDelta: buffer.readInt32BE(at + 23),
    baseTimestamp: readInt64(buffer, at + 27),
    maxTimestamp: readInt64(buffer, at + 35),
    producerId: readInt64(buffer, at + 43),
    producerEpoch: buffer.readInt16BE(at + 51),
    baseSequence: buffer.readInt32BE(at + 53),
    recordCount: buffer.readInt32BE(at + 57),
  }
}

/** Reads the header at the start of a rope; null when fewer than 61 bytes are there. */
export function readBatchHeaderOfRope(rope: Rope): BatchHeader | null {
  return rope.length < batchHeaderBytes ? null : readBatchHeader(peekRope(rope, 0, batchHeaderBytes))
}

/** Gives a batch its place in the log: the two fields that its checksum leaves out. */
export function stampBatch(batch: Rope, baseOffset: Offset, leaderEpoch: LeaderEpoch): void {
  const first = batch.chunks[0]
  if (first !== undefined && first.length >= 16) {
    writeInt64(first, baseOffset, 0)
    first.writeInt32BE(leaderEpoch, 12)
    return
  }
  const stamp = Buffer.allocUnsafe(8)
  writeInt64(stamp, baseOffset, 0)
  writeIntoRope(batch, 0, stamp)
  stamp.writeInt32BE(leaderEpoch, 0)
  writeIntoRope(batch, 12, stamp.subarray(0, 4))
}

/** Puts the broker's time on a batch, for topics that keep the time of the append; returns the header as it is now. */
export function stampLogAppendTime(batch: Rope, header: BatchHeader, nowMs: number): BatchHeader {
  const attributes = header.attributes | logAppendTimeBit
  const stamp = Buffer.allocUnsafe(8)
  stamp.writeInt16BE(attributes, 0)
  writeIntoRope(batch, 21, stamp.subarray(0, 2))
  writeInt64(stamp, nowMs, 0)
  writeIntoRope(batch, 35, stamp)
  const crc = crc32cOfRope(batch, batchCrcFrom, header.bytes)
  stamp.writeUInt32BE(crc, 0)
  writeIntoRope(batch, 17, stamp.subarray(0, 4))
  return { ...header, attributes, maxTimestamp: nowMs, crc }
}

/** The codec of a batch, or null for one that nobody knows. */
export function codecOfBatch(header: BatchHeader): Codec | null {
  return codecs[header.attributes & codecMask] ?? null
}

/** Whether the batch's bytes match the checksum in its header. */
export function batchCrcMatches(batch: Rope, header: BatchHeader): boolean {
  return crc32cOfRope(batch, batchCrcFrom, header.bytes) === header.crc
}

/** An int64 as a number; NaN outside the safe range, which no comparison accepts. */
export function readInt64(buffer: Buffer, at: number): number {
  const value = buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4)
  return Number.isSafeInteger(value) ? value : Number.NaN
}

export function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at)
  buffer.writeUInt32BE(value >>> 0, at + 4)
}
