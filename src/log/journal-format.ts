/**
 * The journal's bytes (docs/formats/journal.md). A file is a header sector and then groups; a group is a header and its
 * entries, starts at a multiple of 512 and never crosses a file. All integers are big-endian.
 *
 * What makes recovery certain: a group header names the file's life (fileSeq), its own number (groupSeq) and its place
 * (position), and its checksum starts from a salt drawn for that life. So bytes left from an earlier life of a recycled
 * file never look alive, and no message can carry bytes that pass for a group.
 */
import { crc32c } from '../base/crc32c.ts'
import { invariant } from '../base/invariant.ts'
import { crc32cOfRope, type Rope } from '../base/rope.ts'
import { batchUnsummedBytes, readInt64, writeInt64 } from '../wire/record-batch.ts'

export const sectorBytes = 512
export const fileHeaderBytes = 68
export const groupHeaderBytes = 64
export const entryHeaderBytes = 48
export const journalVersion = 1
/** In the header of a file that was made and never used. */
export const unusedFileSeq = 0

const fileMagic = 0x5449_4445 // "TIDE"
const fileKind = 0x4a52_4e4c // "JRNL"
const groupMagic = 0x5447_5250 // "TGRP"

/** What an entry says. Numbers are for ever; 5 to 15 are kept for the chain's own entries (fences, cuts). */
export const entryKinds = {
  /** A record batch, stamped with its offsets, as the producer sent it otherwise. */
  batch: 1,
  /** A segment file holds everything below `end`, synced. */
  checkpoint: 2,
  /** An entry of the metadata's Raft log. */
  raftEntry: 3,
  /** Raft's term and vote. */
  raftState: 4,
} as const
export type EntryKind = (typeof entryKinds)[keyof typeof entryKinds]

const knownKinds: ReadonlySet<number> = new Set(Object.values(entryKinds))

export interface FileHeader {
  readonly clusterId: Buffer
  readonly diskId: Buffer
  readonly fileSeq: number
  readonly fileBytes: number
  /** Drawn anew for every life of a file; the checksum of its group headers starts from it. */
  readonly salt: number
}

export interface GroupHeader {
  readonly fileSeq: number
  readonly groupSeq: number
  /** Every group up to this number was synced before this one was written. */
  readonly durableThrough: number
  readonly position: number
  /** Header and entries, without the padding to the next sector. */
  readonly bytes: number
  readonly entries: number
}

export interface EntryHeader {
  readonly kind: EntryKind
  readonly segmentId: number
  readonly base: number
  readonly end: number
  /** The order in which entries came to this journal; kept when an entry is copied forward. */
  readonly sequence: number
  readonly length: number
}

export const toSector = (bytes: number): number => Math.ceil(bytes / sectorBytes) * sectorBytes

export function encodeFileHeader(header: FileHeader): Buffer {
  const sector = Buffer.alloc(sectorBytes)
  sector.writeUInt32BE(fileMagic, 0)
  sector.writeUInt32BE(fileKind, 4)
  sector.writeUInt16BE(journalVersion, 8)
  sector.writeUInt32BE(header.salt, 12)
  header.clusterId.copy(sector, 16, 0, 16)
  header.diskId.copy(sector, 32, 0, 16)
  writeInt64(sector, header.fileSeq, 48)
  writeInt64(sector, header.fileBytes, 56)
  sector.writeUInt32BE(crc32c(sector.subarray(0, 64)), 64)
  return sector
}

/** The header; null when these bytes are none (a file never used, or torn); a version when it is one we do not know. */
export function decodeFileHeader(sector: Buffer): FileHeader | { readonly unknownVersion: number } | null {
  if (sector.length < fileHeaderBytes || sector.readUInt32BE(0) !== fileMagic || sector.readUInt32BE(4) !== fileKind)
    return null
  if (sector.readUInt32BE(64) !== crc32c(sector.subarray(0, 64))) return null
  const version = sector.readUInt16BE(8)
  if (version !== journalVersion) return { unknownVersion: version }
  return {
    clusterId: Buffer.from(sector.subarray(16, 32)),
    diskId: Buffer.from(sector.subarray(32, 48)),
    fileSeq: readInt64(sector, 48),
    fileBytes: readInt64(sector, 56),
    salt: sector.readUInt32BE(12),
  }
}

export function encodeGroupHeader(target: Buffer, at: number, header: GroupHeader, salt: number): void {
  target.fill(0, at, at + groupHeaderBytes)
  target.writeUInt32BE(groupMagic, at)
  writeInt64(target, header.fileSeq, at + 8)
  writeInt64(target, header.groupSeq, at + 16)
  writeInt64(target, header.durableThrough, at + 24)
  target.writeUInt32BE(header.position, at + 32)
  target.writeUInt32BE(header.bytes, at + 36)
  target.writeUInt32BE(header.entries, at + 40)
  target.writeUInt32BE(crc32c(target.subarray(at + 8, at + groupHeaderBytes), salt), at + 4)
}

/** A group header with a good checksum, or null. Whether it is the one expected here is the reader's question. */
export function decodeGroupHeader(source: Buffer, at: number, salt: number): GroupHeader | null {
  if (at + groupHeaderBytes > source.length || source.readUInt32BE(at) !== groupMagic) return null
  if (source.readUInt32BE(at + 4) !== crc32c(source.subarray(at + 8, at + groupHeaderBytes), salt)) return null
  return {
    fileSeq: readInt64(source, at + 8),
    groupSeq: readInt64(source, at + 16),
    durableThrough: readInt64(source, at + 24),
    position: source.readUInt32BE(at + 32),
    bytes: source.readUInt32BE(at + 36),
    entries: source.readUInt32BE(at + 40),
  }
}

/** The life that a group header speaks of, unchecked: for a file whose own header, and with it the salt, is lost. */
export function claimedFileSeq(source: Buffer): number | null {
  return source.readUInt32BE(0) === groupMagic ? readInt64(source, 8) : null
}

/**
 * Writes an entry's header. The checksum covers the header and, of a batch, the first 21 bytes (the batch's own checksum
 * covers the rest, and recovery checks both); of anything else the whole body.
 */
export function encodeEntryHeader(target: Buffer, at: number, header: EntryHeader, body: Rope): void {
  invariant(header.length === body.length, 'an entry says how long its body is')
  target[at] = header.kind
  target[at + 1] = 0
  target.writeUInt16BE(0, at + 2)
  writeInt64(target, header.segmentId, at + 8)
  writeInt64(target, header.base, at + 16)
  writeInt64(target, header.end, at + 24)
  writeInt64(target, header.sequence, at + 32)
  target.writeUInt32BE(header.length, at + 40)
  target.writeUInt32BE(entryHeaderCrc(target, at), at + 44)
  target.writeUInt32BE(entryCrc(target, at, header, body), at + 4)
}

/**
 * An entry header that matches its own checksum, or null. So a damaged body is attributed to the right segment, or to none.
 * The entry's checksum needs the body: `entryCrcMatches`.
 */
export function decodeEntryHeader(source: Buffer, at: number): EntryHeader | null {
  if (at + entryHeaderBytes > source.length) return null
  const kind = source[at] as number
  if (!knownKinds.has(kind) || source.readUInt32BE(at + 44) !== entryHeaderCrc(source, at)) return null
  return {
    kind: kind as EntryKind,
    segmentId: readInt64(source, at + 8),
    base: readInt64(source, at + 16),
    end: readInt64(source, at + 24),
    sequence: readInt64(source, at + 32),
    length: source.readUInt32BE(at + 40),
  }
}

export function entryCrcMatches(source: Buffer, at: number, header: EntryHeader, body: Rope): boolean {
  return source.readUInt32BE(at + 4) === entryCrc(source, at, header, body)
}

function entryHeaderCrc(source: Buffer, at: number): number {
  return crc32c(source.subarray(at + 8, at + 44), crc32c(source.subarray(at, at + 4)))
}

function entryCrc(source: Buffer, at: number, header: EntryHeader, body: Rope): number {
  const ofHeader = crc32c(source.subarray(at + 8, at + entryHeaderBytes), crc32c(source.subarray(at, at + 4)))
  const covered = header.kind === entryKinds.batch ? Math.min(batchUnsummedBytes, body.length) : body.length
  return crc32cOfRope(body, 0, covered, ofHeader)
}
