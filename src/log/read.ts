/**
 * Reading a segment: from memory where its batches are still there, else from its file. Bytes that come from a file are
 * checked batch by batch before anyone sees them: a consumer gets what was acknowledged or an error, never something else.
 */
import type { Offset, Position } from '../base/ids.ts'
import { emptyRope, type Rope, ropeFrom, ropeOf } from '../base/rope.ts'
import { type BatchHeader, batchCrcMatches, batchHeaderBytes, readBatchHeader } from '../wire/record-batch.ts'
import type { Descriptors } from './descriptors.ts'
import { lend, type Slab } from './log-cache.ts'
import { ReadWindow } from './read-window.ts'
import type { Segment } from './segment.ts'

export interface SegmentRead {
  /** CORRUPT_MESSAGE: what should be at `from` is lost or does not match its checksum. */
  readonly error: 'NONE' | 'CORRUPT_MESSAGE'
  /** Whole batches; the first may start below `from`. */
  readonly records: Rope
  /**
   * To be called when the bytes are not looked at any more, so that their memory is used again. A reader that never calls
   * it only leaves that memory to the garbage collector.
   */
  readonly release?: () => void
}

export interface SegmentReadRequest {
  readonly from: Offset
  /** Nothing at or above this offset is returned. */
  readonly limit: Offset
  readonly bytesMax: number
  /** Return the first batch however large it is. */
  readonly minOne: boolean
}

const nothing: SegmentRead = { error: 'NONE', records: emptyRope }
const corrupt: SegmentRead = { error: 'CORRUPT_MESSAGE', records: emptyRope }
const windowBytesMin = 64 * 1024
const windowBytesMax = 4 << 20

export function readSegment(
  segment: Segment,
  descriptors: Descriptors,
  request: SegmentReadRequest,
): SegmentRead | Promise<SegmentRead> {
  return request.from >= segment.cachedFrom ? readCached(segment, request) : readFile(segment, descriptors, request)
}

function readCached(segment: Segment, request: SegmentReadRequest): SegmentRead {
  const limit = limitBeforeHoles(segment, request)
  if (limit === null) return corrupt
  const chunks: Buffer[] = []
  const slabs: Slab[] = []
  let bytes = 0
  for (const batch of segment.cached(request.from)) {
    bytes += batch.body.length
    const mayBeFirst = request.minOne && chunks.length === 0
    if (batch.end > limit || (bytes > request.bytesMax && !mayBeFirst)) break
    for (const chunk of batch.body.chunks) chunks.push(chunk)
    for (const slab of batch.cached.slabs) if (slabs.at(-1) !== slab) slabs.push(slab)
  }
  if (chunks.length === 0) return nothing
  return { error: 'NONE', records: ropeFrom(chunks), release: lend(slabs) }
}

async function readFile(segment: Segment, descriptors: Descriptors, request: SegmentReadRequest): Promise<SegmentRead> {
  if (limitBeforeHoles(segment, request) === null) return corrupt
  const point = await segment.pointAtOffset(request.from)
  // The look-up may have read the seal file, which knows of more holes.
  const limit = limitBeforeHoles(segment, request)
  if (limit === null) return corrupt
  const end = segment.progress.flushedBytes
  return descriptors.use(segment.logPath, 'read', async file => {
    const windowBytes = Math.min(Math.max(request.bytesMax, windowBytesMin), windowBytesMax)
    const window = new ReadWindow(file, end, windowBytes)
    const sound = new Continuity(segment, point.offset)
    const first = await seek(window, point.position, end, sound, header => endOf(header) > request.from)
    if (first === null || first.header.baseOffset > request.from) return corrupt
    return collect(window, first, end, { ...request, limit }, new Continuity(segment, first.header.baseOffset))
  })
}

/** Whole, checked batches from `first` on, within one stretch of the file. */
async function collect(
  window: ReadWindow,
  first: Found,
  end: Position,
  request: SegmentReadRequest,
  sound: Continuity,
): Promise<SegmentRead> {
  // Limits lie between batches: one that seems to reach over it does not say the truth about its end.
  if (endOf(first.header) > request.limit) return corrupt
  const bytesFirst = first.header.bytes
  if (bytesFirst > request.bytesMax && !request.minOne) return nothing
  const wanted = Math.min(Math.max(Math.min(request.bytesMax, windowBytesMax), bytesFirst), end - first.position)
  const atHand = window.loadedFrom(first.position)
  const isEnough = atHand >= bytesFirst && atHand * 2 >= wanted
  const bytes = await window.load(first.position, isEnough ? Math.min(atHand, wanted) : wanted)
  if (bytes === null) return corrupt
  const checked = checkedPrefix(bytes, request.limit, sound)
  return checked === 0 ? corrupt : { error: 'NONE', records: ropeOf(bytes.subarray(0, checked)) }
}

/** How many bytes from the start are whole batches that match their checksums and end at or below `limit`. */
function checkedPrefix(bytes: Buffer, limit: Offset, sound: Continuity): number {
  let at = 0
  while (at + batchHeaderBytes <= bytes.length) {
    const header = readBatchHeader(bytes, at)
    if (header.bytes < batchHeaderBytes || at + header.bytes > bytes.length) break
    if (!sound.takes(header) || endOf(header) > limit) break
    if (!batchCrcMatches(ropeOf(bytes.subarray(at, at + header.bytes)), header)) break
    at += header.bytes
  }
  return at
}

export interface Found {
  readonly header: BatchHeader
  readonly position: Position
}

/** The first batch from `position` on that satisfies; null at the end, and where headers make no sense. */
async function seek(
  window: ReadWindow,
  position: Position,
  end: Position,
  sound: Continuity,
  satisfies: (header: BatchHeader) => boolean,
): Promise<Found | null> {
  let at = position
  while (at + batchHeaderBytes <= end) {
    const bytes = await window.load(at, batchHeaderBytes)
    if (bytes === null) return null
    const header = readBatchHeader(bytes)
    if (!isPlausible(header, end - at) || !sound.takes(header)) {
      // One flipped length must not hide the rest of the segment. Only a border that the index knows is trusted: a message
      // may carry bytes that look like a batch.
      const next = await sound.nextKnownBorder(at)
      if (next === null) return null
      at = next
      continue
    }
    if (satisfies(header)) return { header, position: at }
    at = (at + header.bytes) as Position
  }
  return null
}

/** Walks the headers of a segment file in `[from, to)`; stops early when `visit` says so. */
export async function walkFile(
  segment: Segment,
  descriptors: Descriptors,
  range: { readonly from: Position; readonly fromOffset: Offset; readonly to: Position },
  visit: (found: Found) => boolean,
): Promise<void> {
  await descriptors.use(segment.logPath, 'read', async file => {
    const window = new ReadWindow(file, range.to, windowBytesMax)
    const sound = new Continuity(segment, range.fromOffset)
    let position = range.from
    for (;;) {
      const found = await seek(window, position, range.to, sound, () => true)
      if (found === null || !visit(found)) return
      position = (found.position + found.header.bytes) as Position
    }
  })
}

/** The whole batch at a place that `walkFile` found, checked; null when it does not match its checksum. */
export async function readBatchAt(segment: Segment, descriptors: Descriptors, found: Found): Promise<Rope | null> {
  return descriptors.use(segment.logPath, 'read', async file => {
    const bytes = Buffer.allocUnsafeSlow(found.header.bytes)
    const count = await file.read(bytes, found.position)
    const rope = ropeOf(bytes)
    return count === bytes.length && batchCrcMatches(rope, found.header) ? rope : null
  })
}

/**
 * What a batch's own checksum leaves out is known from its place: the offsets follow each other without gaps (but for the
 * holes that are on record), and the leader epoch is the segment's.
 */
class Continuity {
  readonly #segment: Segment
  #expected: Offset

  constructor(segment: Segment, expected: Offset) {
    this.#segment = segment
    this.#expected = expected
  }

  /** Whether the header is what must come next; then the one after it is expected. */
  takes(header: BatchHeader): boolean {
    const base = header.baseOffset
    const isNext =
      base === this.#expected || this.#segment.holes.some(hole => hole.from === this.#expected && hole.to === base)
    if (!isNext || header.magic !== 2 || header.leaderEpoch !== this.#segment.leaderEpoch) return false
    this.#expected = endOf(header)
    return true
  }

  /** The next border behind a position that the index knows; what is expected next is what it says. */
  async nextKnownBorder(position: Position): Promise<Position | null> {
    const point = await this.#segment.pointBehind(position)
    if (point === null) return null
    this.#expected = point.offset
    return point.position
  }
}

export function endOf(header: BatchHeader): Offset {
  return (header.baseOffset + header.lastOffsetDelta + 1) as Offset
}

function isPlausible(header: BatchHeader, bytesLeft: number): boolean {
  return (
    header.magic === 2 && header.bytes >= batchHeaderBytes && header.bytes <= bytesLeft && header.lastOffsetDelta >= 0
  )
}

/** Where a read that starts at `from` must end; null when it starts inside a hole. */
function limitBeforeHoles(segment: Segment, request: SegmentReadRequest): Offset | null {
  let limit = request.limit
  for (const hole of segment.holes) {
    if (request.from >= hole.from && request.from < hole.to) return null
    if (hole.from > request.from && hole.from < limit) limit = hole.from
  }
  return limit
}
