/**
 * What a topic asks of the records inside a batch, before that gets its offsets: keys where the topic is compacted, and another
 * codec where it names one (`compression.type`). Only then is a batch looked into; all others are stored as they came.
 *
 * Who has a batch looked into gets its contents vouched for, too: what does not decode, or lies about its offsets or times, is
 * refused. Short batches without compression are looked through where they are; the rest goes to the compute thread.
 */
import { TidelogError } from '../base/errors.ts'
import { crc32cOfRope, peekRope, type Rope, ropeOf, sliceRope } from '../base/rope.ts'
import { type Codec, type Compute, codecs } from '../io/compute.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import {
  type BatchHeader,
  batchCrcFrom,
  batchHeaderBytes,
  batchPrefixBytes,
  codecMask,
  codecOfBatch,
  readBatchHeader,
  writeInt64,
} from '../wire/record-batch.ts'
import { checkRecords } from '../wire/records.ts'
import type { AppendOutcome, Batch, RecordError } from './storage.ts'
import type { TopicSettings } from './topic-settings.ts'

export type Refused = Exclude<AppendOutcome, { readonly error: 'NONE' }>

/** A batch as it is to be stored, or why it is not. */
export type Looked = { readonly error: 'NONE'; readonly batch: Batch } | Refused

/** What a batch may unfold to, unless the topic takes messages that are larger still. */
const unfoldedBytesMax = 64 << 20
/** How many of a batch's records are pointed out at most. */
export const recordErrorsMax = 100

const noTimestamp = -1

export function outOfRange(timestampMs: number): string {
  return `Timestamp ${timestampMs} is out of range.`
}

/** Whether the topic asks for more than the header tells. */
export function mustBeLookedInto({ compacts, compressionType }: TopicSettings, header: BatchHeader): boolean {
  return compacts || (compressionType !== 'producer' && codecNamed(compressionType) !== codecOfBatch(header))
}

/** Whether a look takes no longer than the batch is worth: nothing to decompress, nothing to compress. */
export function isQuickLook(settings: TopicSettings, header: BatchHeader): boolean {
  return codecOfBatch(header) === 'none' && targetOf(settings, header) === null
}

/** A look that is quick. */
export function lookNow(batch: Batch, settings: TopicSettings, nowMs: number): Looked {
  try {
    const { refusal } = judge(batch.header, recordsOf(batch), settings, nowMs)
    return refusal ?? { error: 'NONE', batch }
  } catch (error) {
    return refusalFor(error)
  }
}

/** Never rejects but for a fault of the program. */
export async function look(batch: Batch, settings: TopicSettings, nowMs: number, compute: Compute): Promise<Looked> {
  const { header } = batch
  try {
    const records = await unfold(batch, settings, compute)
    const { refusal, maxTimestamp } = judge(header, records, settings, nowMs)
    if (refusal !== null) return refusal
    const target = targetOf(settings, header)
    if (target === null) return { error: 'NONE', batch }
    const { codec, level } = target
    const body = codec === 'none' ? records : ropeOf(await compute.compress(codec, level, records))
    const packed = repack(batch, codec, body, maxTimestamp)
    return refuseSize(packed, settings) ?? { error: 'NONE', batch: packed }
  } catch (error) {
    return refusalFor(error)
  }
}

interface Target {
  readonly codec: Codec
  readonly level: number | null
}

/** What the batch is to be compressed with; null where it stays as it is. A batch of the codec asked for keeps its level. */
function targetOf(settings: TopicSettings, header: BatchHeader): Target | null {
  const { compressionType, gzipLevel, zstdLevel } = settings
  if (compressionType === 'producer') return null
  const codec = codecNamed(compressionType)
  if (codec === codecOfBatch(header)) return null
  return { codec, level: codec === 'gzip' ? gzipLevel : codec === 'zstd' ? zstdLevel : null }
}

function codecNamed(type: Exclude<TopicSettings['compressionType'], 'producer'>): Codec {
  return type === 'uncompressed' ? 'none' : type
}

function recordsOf({ bytes }: Batch): Rope {
  return sliceRope(bytes, batchHeaderBytes, bytes.length)
}

async function unfold(batch: Batch, { maxMessageBytes }: TopicSettings, compute: Compute): Promise<Rope> {
  const codec = codecOfBatch(batch.header) ?? 'none'
  if (codec === 'none') return recordsOf(batch)
  return ropeOf(await compute.decompress(codec, recordsOf(batch), Math.max(unfoldedBytesMax, maxMessageBytes)))
}

/** Looks at each record; throws a `ProtocolError` where they are none. */
function judge(
  header: BatchHeader,
  records: Rope,
  settings: TopicSettings,
  nowMs: number,
): { readonly refusal: Refused | null; readonly maxTimestamp: number } {
  const { compacts, timestampType } = settings
  const isTimed = timestampType === 'CreateTime'
  const earliest = nowMs - settings.timestampBeforeMaxMs
  const latest = nowMs + settings.timestampAfterMaxMs
  const errors: RecordError[] = []
  let isMistimed = false
  let maxTimestamp = noTimestamp
  const note = (batchIndex: number, batchIndexErrorMessage: string) => {
    if (errors.length < recordErrorsMax) errors.push({ batchIndex, batchIndexErrorMessage })
  }
  checkRecords(header, records, (index, timestampMs, hasKey) => {
    maxTimestamp = Math.max(maxTimestamp, timestampMs)
    if (compacts && !hasKey) note(index, 'A compacted topic takes no record without a key.')
    else if (isTimed && timestampMs !== noTimestamp && !(timestampMs >= earliest && timestampMs <= latest)) {
      isMistimed = true
      note(index, outOfRange(timestampMs))
    }
  })
  if (errors.length === 0) return { refusal: null, maxTimestamp }
  const error = isMistimed ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD'
  const message = `Records of the batch were refused; the first: ${errors[0]?.batchIndexErrorMessage}`
  return { refusal: { error, message, recordErrors: errors }, maxTimestamp }
}

/** The same records behind a header that says how they are compressed now. */
function repack({ bytes }: Batch, codec: Codec, body: Rope, maxTimestamp: number): Batch {
  const head = Buffer.from(peekRope(bytes, 0, batchHeaderBytes))
  const packed = ropeOf(head, ...body.chunks)
  head.writeInt32BE(packed.length - batchPrefixBytes, 8)
  head.writeInt16BE((head.readInt16BE(21) & ~codecMask) | codecs.indexOf(codec), 21)
  // Some clients state their last record's as the highest.
  writeInt64(head, maxTimestamp, 35)
  head.writeUInt32BE(crc32cOfRope(packed, batchCrcFrom, packed.length), 17)
  return { header: readBatchHeader(head), bytes: packed }
}

/** Limits are of the batch as it is stored, as well as of the batch as it came. */
function refuseSize(
  { header }: Batch,
  { maxMessageBytes, segmentBytes, compressionType }: TopicSettings,
): Refused | null {
  const what = `The batch has ${header.bytes} bytes with compression.type=${compressionType}`
  if (header.bytes > maxMessageBytes) {
    return { error: 'MESSAGE_TOO_LARGE', message: `${what}; max.message.bytes allows ${maxMessageBytes}.` }
  }
  if (header.bytes <= segmentBytes) return null
  return { error: 'RECORD_LIST_TOO_LARGE', message: `${what}, more than a segment (segment.bytes).` }
}

/** What the producer sent is refused for good; what went wrong here it may try again. */
function refusalFor(error: unknown): Refused {
  if (error instanceof ProtocolError) {
    return { error: 'INVALID_RECORD', message: `The records of the batch do not decode: ${error.message}.` }
  }
  if (!(error instanceof TidelogError)) throw error
  switch (error.code) {
    case 'CORRUPT':
      return { error: 'INVALID_RECORD', message: error.message }
    case 'TOO_LARGE':
      return { error: 'MESSAGE_TOO_LARGE', message: error.message }
    case 'OVERLOADED':
    case 'CLOSED':
      return { error: 'KAFKA_STORAGE_ERROR', message: error.message }
    default:
      throw error
  }
}
