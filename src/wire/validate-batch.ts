/**
 * What a broker checks of the record batch in a produce request before it may have offsets, by its header and checksum alone:
 * the records stay opaque. The checksum is compared before any field that it covers is believed: bytes that a network damaged
 * are to be sent again (CORRUPT_MESSAGE), not refused for good.
 *
 * Not seen here, because only the records would tell: records that do not decode, a compressed batch whose count lies, and
 * timestamps between the first and the highest. The header's `maxTimestamp` may even be below `baseTimestamp`: some clients
 * send their last record's timestamp as the highest.
 */
import type { Rope } from '../base/rope.ts'
import type { KafkaErrorName } from './kafka-errors.ts'
import {
  type BatchHeader,
  batchCrcMatches,
  batchHeaderBytes,
  codecOfBatch,
  controlBit,
  deleteHorizonBit,
  logAppendTimeBit,
  readBatchHeaderOfRope,
  transactionalBit,
} from './record-batch.ts'

export interface BatchRules {
  /** Version of the produce request; zstd came with 7. */
  readonly produceVersion: number
  readonly nowMs: number
  /** `max.message.bytes`: bound for the batch as it is, compressed or not. */
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** `message.timestamp.before.max.ms`, `message.timestamp.after.max.ms`. */
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
}

export interface ValidBatch {
  readonly error: 'NONE'
  readonly header: BatchHeader
  readonly bytes: Rope
}

export interface RefusedBatch {
  readonly error: Exclude<KafkaErrorName, 'NONE'>
  readonly message: string
}

const zstdSinceProduce = 7
const magicAt = 16
const noTimestamp = -1
/** length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte each. */
const recordBytesMin = 7

/** Checks the `records` field of one partition of a produce request. */
export function validateBatch(records: Rope | null, rules: BatchRules): ValidBatch | RefusedBatch {
  if (records === null || records.length === 0) return refuse('INVALID_RECORD', 'a partition was sent no record batch')
  if (!hasMagic2(records)) return refuse('INVALID_RECORD', 'a record batch must have magic 2')
  const header = readBatchHeaderOfRope(records)
  if (header === null || header.bytes < batchHeaderBytes || header.bytes > records.length) {
    return refuse('CORRUPT_MESSAGE', 'the length of a record batch does not match what was sent')
  }
  if (header.bytes < records.length) return refuse('INVALID_RECORD', 'a partition takes exactly one record batch')
  return (
    refuseSize(header, rules) ??
    refuseChecksum(records, header) ??
    refuseCodec(header, rules) ??
    refuseCount(header) ??
    refuseAttributes(header) ??
    refuseProducer(header) ??
    refuseTimestamps(header, rules) ?? { error: 'NONE', header, bytes: records }
  )
}

type Verdict = RefusedBatch | null

function refuse(error: RefusedBatch['error'], message: string): RefusedBatch {
  return { error, message }
}

/** Before anything else, because older formats have other fields in these places. A stump is left to the length check. */
function hasMagic2(records: Rope): boolean {
  if (records.length <= magicAt) return true
  let start = 0
  for (const chunk of records.chunks) {
    if (magicAt < start + chunk.length) return chunk[magicAt - start] === 2
    start += chunk.length
  }
  return false
}

function refuseCodec(header: BatchHeader, rules: BatchRules): Verdict {
  const codec = codecOfBatch(header)
  if (codec === null) return refuse('UNSUPPORTED_COMPRESSION_TYPE', 'a record batch is compressed in an unknown way')
  if (codec === 'zstd' && rules.produceVersion < zstdSinceProduce) {
    return refuse('UNSUPPORTED_COMPRESSION_TYPE', `zstd needs produce requests of version ${zstdSinceProduce} or later`)
  }
  return null
}

function refuseSize(header: BatchHeader, rules: BatchRules): Verdict {
  if (header.bytes <= rules.maxMessageBytes) return null
  const sizes = `${header.bytes} bytes, max.message.bytes allows ${rules.maxMessageBytes}`
  return refuse('MESSAGE_TOO_LARGE', `a record batch has ${sizes}`)
}

function refuseChecksum(records: Rope, header: BatchHeader): Verdict {
  return batchCrcMatches(records, header) ? null : refuse('CORRUPT_MESSAGE', 'the checksum of a record batch is wrong')
}

function refuseCount(header: BatchHeader): Verdict {
  if (header.baseOffset !== 0) return refuse('INVALID_RECORD', 'the base offset of a produced batch must be 0')
  const count = header.recordCount
  if (count <= 0) return refuse('INVALID_RECORD', 'a record batch has no records')
  if (header.lastOffsetDelta !== count - 1) {
    return refuse('INVALID_RECORD', `a batch of ${count} records has last offset delta ${header.lastOffsetDelta}`)
  }
  const bodyBytes = header.bytes - batchHeaderBytes
  const countMax = codecOfBatch(header) === 'none' ? Math.floor(bodyBytes / recordBytesMin) : bodyBytes * compressionMax
  if (count > countMax) return refuse('INVALID_RECORD', `${bodyBytes} bytes cannot hold ${count} records`)
  return null
}

/** Above what any codec makes of equal records; keeps a lying count from using up a partition's offsets. */
const compressionMax = 1 << 16

function refuseAttributes(header: BatchHeader): Verdict {
  if (header.attributes & controlBit) return refuse('INVALID_RECORD', 'a client cannot write control records')
  if (header.attributes & deleteHorizonBit) return refuse('INVALID_RECORD', 'a client cannot set a delete horizon')
  return null
}

function refuseProducer(header: BatchHeader): Verdict {
  const { producerId, producerEpoch, baseSequence } = header
  if (producerId === -1) {
    const transactional = (header.attributes & transactionalBit) !== 0
    return transactional ? refuse('INVALID_RECORD', 'a transactional batch has no producer id') : null
  }
  // Written so that NaN, an id beyond any that a broker gives out, fails.
  if (!(producerId >= 0)) return refuse('INVALID_RECORD', 'a producer id is out of range')
  if (producerEpoch < 0) return refuse('INVALID_RECORD', 'a batch with a producer id has no producer epoch')
  if (baseSequence < 0) return refuse('INVALID_RECORD', 'a batch with a producer id has no sequence number')
  return null
}

function refuseTimestamps(header: BatchHeader, rules: BatchRules): Verdict {
  if (header.attributes & logAppendTimeBit) {
    return refuse('INVALID_TIMESTAMP', 'a client cannot say that its timestamps are those of the append')
  }
  const { baseTimestamp, maxTimestamp } = header
  if (Number.isNaN(baseTimestamp) || Number.isNaN(maxTimestamp)) {
    return refuse('INVALID_TIMESTAMP', 'a timestamp is beyond 2^53 ms')
  }
  if (rules.timestampType === 'LogAppendTime') return null
  const earliest = rules.nowMs - rules.timestampBeforeMaxMs
  const latest = rules.nowMs + rules.timestampAfterMaxMs
  for (const timestamp of [baseTimestamp, maxTimestamp]) {
    if (timestamp !== noTimestamp && (timestamp < earliest || timestamp > latest)) {
      return refuse('INVALID_TIMESTAMP', `timestamp ${timestamp} is not between ${earliest} and ${latest}`)
    }
  }
  return null
}
