/**
 * Records as programs want them, out of the batches that a partition gives: decompressed, one by one, from an offset on. Kafka's
 * clients do this for themselves; the other doors have it done here.
 */
import { TidelogError } from '../base/errors.ts'
import { advance, type Offset } from '../base/ids.ts'
import { peekRope, type Rope, ropeOf, sliceRope } from '../base/rope.ts'
import type { Compute } from '../io/compute.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type BatchHeader, batchHeaderBytes, codecOfBatch, controlBit, readBatchHeader } from '../wire/record-batch.ts'
import { type KafkaRecord, readRecords } from '../wire/records.ts'

export interface DecodeBounds {
  readonly recordsMax: number
  /** Of decompressed batches: the one that goes past it is the last. */
  readonly bytesMax: number
}

export interface Decoded {
  /** In memory of their own: the log's may be given back. */
  readonly records: readonly KafkaRecord[]
  /** Where reading goes on. */
  readonly next: Offset
  /** What came next does not decode: why, and where reading can go on behind it. Null when there was no such thing. */
  readonly damage: { readonly why: string; readonly next: Offset } | null
}

/** What a batch may unfold to. */
const unfoldedBytesMax = 64 << 20

/** The records from `from` on in whole batches, of which the first may begin before it. */
export async function decodeRecords(
  batches: Rope,
  from: Offset,
  compute: Compute,
  { recordsMax, bytesMax }: DecodeBounds,
): Promise<Decoded> {
  const records: KafkaRecord[] = []
  let next = from
  let bytes = 0
  for (let at = 0; at + batchHeaderBytes <= batches.length && bytes < bytesMax; ) {
    const header = readBatchHeader(peekRope(batches, at, at + batchHeaderBytes))
    const body = sliceRope(batches, at + batchHeaderBytes, at + header.bytes)
    at += header.bytes
    const end = advance(header.baseOffset, header.lastOffsetDelta + 1)
    if (end <= next) continue
    const unfolded = header.attributes & controlBit ? [] : await unfold(header, body, compute)
    if (typeof unfolded === 'string') return { records, next, damage: { why: unfolded, next: end } }
    for (const record of unfolded) {
      if (record.offset < next) continue
      if (records.length === recordsMax) return { records, next, damage: null }
      records.push(record)
      next = advance(record.offset, 1)
    }
    next = end
    bytes += unfolded.length === 0 ? 0 : unfoldedBytesOf(unfolded)
  }
  return { records, next, damage: null }
}

/** A batch's records; or why it has none that can be read, which is its producer's doing: brokers do not look inside. */
async function unfold(header: BatchHeader, body: Rope, compute: Compute): Promise<KafkaRecord[] | string> {
  const codec = codecOfBatch(header)
  if (codec === null) return 'the batch is compressed in an unknown way'
  try {
    // A copy, as the log uses its memory again.
    const plain =
      codec === 'none' ? Buffer.concat(body.chunks) : await compute.decompress(codec, body, unfoldedBytesMax)
    return readRecords(header, ropeOf(plain))
  } catch (error) {
    const isContent =
      error instanceof ProtocolError ||
      (error instanceof TidelogError && (error.code === 'CORRUPT' || error.code === 'TOO_LARGE'))
    if (!isContent) throw error
    return error.message
  }
}

/** About: what surrounds keys and values is left out. */
function unfoldedBytesOf(records: readonly KafkaRecord[]): number {
  let bytes = 0
  for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0)
  return bytes
}
