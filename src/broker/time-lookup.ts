/** Finding records by timestamp: the log finds the batch, its records are walked here, decompressed where need be. */
import { TidelogError } from '../base/errors.ts'
import type { LeaderEpoch, Offset } from '../base/ids.ts'
import { type Rope, ropeOf, sliceRope } from '../base/rope.ts'
import { type Codec, type Compute, codecs } from '../io/compute.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { Segment } from '../log/segment.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type BatchHeader, batchHeaderBytes, codecMask, logAppendTimeBit } from '../wire/record-batch.ts'
import { walkRecords } from '../wire/records.ts'
import type { FoundRecord } from './storage.ts'

/** What a batch may unfold to when it is only looked through. */
const unfoldedBytesMax = 64 << 20

interface Batch {
  readonly header: BatchHeader
  readonly bytes: Rope
}

/** The first record at or after the log start, below the high watermark, whose timestamp is at least `timestampMs`. */
export async function findByTime(
  log: PartitionLog,
  compute: Compute,
  timestampMs: number,
): Promise<FoundRecord | null> {
  for (const segment of log.segments) {
    const isBelow = segment.end !== null && segment.end <= log.logStartOffset
    if (isBelow || segment.maxTimestamp < timestampMs) continue
    for await (const batch of log.batchesSince(segment, timestampMs)) {
      const found = await findInBatch(log, compute, batch, recordMs => recordMs >= timestampMs)
      if (found !== null) return found
    }
  }
  return null
}

/** The first of the records with the highest timestamp. */
export async function findMaxTimestamp(log: PartitionLog, compute: Compute): Promise<FoundRecord | null> {
  let best: FoundRecord | null = null
  for (const segment of log.segments) {
    if (segment.maxTimestamp <= (best?.timestampMs ?? -1)) continue
    const found = await maxOfSegment(log, compute, segment)
    if (found !== null && found.timestampMs > (best?.timestampMs ?? -1)) best = found
  }
  return best
}

/** A segment that the log start cuts may have its highest timestamp below it; then its batches are looked at one by one. */
async function maxOfSegment(log: PartitionLog, compute: Compute, segment: Segment): Promise<FoundRecord | null> {
  if (segment.end !== null && segment.end <= log.logStartOffset) return null
  const isCut = segment.base < log.logStartOffset
  let best: FoundRecord | null = null
  for await (const batch of log.batchesSince(segment, isCut ? 0 : segment.maxTimestamp)) {
    if (batch.header.maxTimestamp <= (best?.timestampMs ?? -1)) continue
    const found = await maxInBatch(log, compute, batch)
    if (found !== null && found.timestampMs > (best?.timestampMs ?? -1)) best = found
    if (!isCut && best !== null) return best
  }
  return best
}

/** The first record at or above the log start that satisfies. */
async function findInBatch(
  log: PartitionLog,
  compute: Compute,
  batch: Batch,
  satisfies: (timestampMs: number) => boolean,
): Promise<FoundRecord | null> {
  let found: FoundRecord | null = null
  await walkBatch(log, compute, batch, record => {
    if (satisfies(record.timestampMs)) found = record
    return found === null
  })
  return found
}

/** The first of the records at or above the log start with the highest timestamp. */
async function maxInBatch(log: PartitionLog, compute: Compute, batch: Batch): Promise<FoundRecord | null> {
  const found: { best: FoundRecord | null } = { best: null }
  await walkBatch(log, compute, batch, record => {
    if (found.best === null || record.timestampMs > found.best.timestampMs) found.best = record
    return true
  })
  return found.best
}

/** Visits the records at or above the log start until the visitor has enough. */
async function walkBatch(
  log: PartitionLog,
  compute: Compute,
  { header, bytes }: Batch,
  visit: (record: FoundRecord) => boolean,
): Promise<void> {
  const leaderEpoch = header.leaderEpoch as LeaderEpoch
  const start = log.logStartOffset
  if (header.baseOffset + header.lastOffsetDelta < start) return
  // With LogAppendTime all records of a batch have the batch's time.
  if (header.attributes & logAppendTimeBit) {
    visit({ offset: Math.max(header.baseOffset, start) as Offset, timestampMs: header.maxTimestamp, leaderEpoch })
    return
  }
  try {
    walkRecords(header, await unfold(compute, { header, bytes }), (offset, timestampMs) => {
      return offset < start || visit({ offset, timestampMs, leaderEpoch })
    })
  } catch (error) {
    // A producer may have sent what is no sequence of records; its timestamps are unknown, and the batch is passed over.
    const isContent = error instanceof ProtocolError || (error instanceof TidelogError && error.code !== 'CLOSED')
    if (!isContent) throw error
  }
}

async function unfold(compute: Compute, batch: Batch): Promise<Rope> {
  const records = sliceRope(batch.bytes, batchHeaderBytes, batch.bytes.length)
  const codec = codecs[batch.header.attributes & codecMask] as Codec
  if (codec === 'none') return records
  return ropeOf(await compute.decompress(codec, records, unfoldedBytesMax))
}
