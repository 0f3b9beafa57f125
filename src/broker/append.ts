/**
 * What stands before a partition's log, whichever door a batch came through: topics that only brokers write to, the batch's
 * checksum and limits, transactions that do not exist yet. Nothing here waits, so that offsets follow the order of the calls.
 */
import { type Rope, sliceRope } from '../base/rope.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { batchHeaderBytes, codecOfBatch, readBatchHeaderOfRope, transactionalBit } from '../wire/record-batch.ts'
import { walkRecords } from '../wire/records.ts'
import { type BatchRules, type RefusedBatch, validateBatch } from '../wire/validate-batch.ts'
import { noTransactions } from './no-transactions.ts'
import { outOfRange, recordErrorsMax } from './record-rules.ts'
import type { Acks, AppendOutcome, PartitionStore, RecordError, Topic } from './storage.ts'

export type RefusedAppend = Exclude<AppendOutcome, { readonly error: 'NONE' }>

export const timedOutAppend: RefusedAppend = {
  error: 'REQUEST_TIMED_OUT',
  message: 'The batch was not durable in time; it may be yet.',
}
export const failedAppend: RefusedAppend = { error: 'UNKNOWN_SERVER_ERROR', message: 'The append failed.' }

/** What groups and transactions write about themselves comes from coordinators, which do not come this way. */
export function refuseTopic({ internal, name }: Topic): RefusedAppend | null {
  return internal ? { error: 'INVALID_TOPIC_EXCEPTION', message: `Only brokers write to ${name}.` } : null
}

export function noPartition(error: RefusedAppend['error']): RefusedAppend {
  return { error, message: `The partition cannot be written here: ${error}.` }
}

/** What the topic asks of a batch; `produceVersion` decides which codecs are known. */
export function rulesOf({ settings }: Topic, produceVersion: number, nowMs: number): BatchRules {
  return {
    produceVersion,
    nowMs,
    maxMessageBytes: settings.maxMessageBytes,
    timestampType: settings.timestampType,
    timestampBeforeMaxMs: settings.timestampBeforeMaxMs,
    timestampAfterMaxMs: settings.timestampAfterMaxMs,
  }
}

/** Appends what should be one record batch. A refusal is there at once, anything else when it is as durable as `acks` asks. */
export function appendBatch(
  topic: Topic,
  partition: PartitionStore,
  records: Rope | null,
  acks: Acks,
  rules: BatchRules,
): RefusedAppend | Promise<AppendOutcome> {
  const batch = validateBatch(records, rules)
  if (batch.error !== 'NONE') return { ...batch, recordErrors: recordErrorsOf(records, batch, rules) }
  if (batch.header.attributes & transactionalBit) return noTransactions
  if (batch.header.bytes > topic.settings.segmentBytes) {
    return { error: 'RECORD_LIST_TOO_LARGE', message: 'The batch is larger than a segment (segment.bytes).' }
  }
  return partition.append(batch, acks)
}

/** Which records a refused batch was refused for: only timestamps are looked at, and those of a compressed batch are not. */
function recordErrorsOf(records: Rope | null, batch: RefusedBatch, rules: BatchRules): readonly RecordError[] {
  const header = batch.error === 'INVALID_TIMESTAMP' && records !== null ? readBatchHeaderOfRope(records) : null
  if (records === null || header === null || codecOfBatch(header) !== 'none') return []
  const errors: RecordError[] = []
  try {
    walkRecords(header, sliceRope(records, batchHeaderBytes, header.bytes), (offset, timestampMs) => {
      const early = timestampMs < rules.nowMs - rules.timestampBeforeMaxMs
      const late = timestampMs > rules.nowMs + rules.timestampAfterMaxMs
      if (early || late) {
        errors.push({ batchIndex: offset, batchIndexErrorMessage: outOfRange(timestampMs) })
      }
      return errors.length < recordErrorsMax
    })
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
  return errors
}
