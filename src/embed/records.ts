/** Records as programs write and read them. */
import type { NewRecord, ReadRecords } from '../broker/door.ts'
import { shown, wrongUse } from './failure.ts'

/** A text is taken as UTF-8. */
export type Bytes = string | Uint8Array

/** A record to be appended. */
export interface ProducerRecord {
  /** Records with the same key keep their order. Null or left out: none. */
  readonly key?: Bytes | null
  /** Null: a tombstone. */
  readonly value: Bytes | null
  readonly headers?: Readonly<Record<string, Bytes | null>> | readonly (readonly [key: string, value: Bytes | null])[]
  /** Milliseconds since 1970, or a date; the time of the call when left out. */
  readonly timestampMs?: number | Date
}

/** A record as it was read. Its bytes are the reader's: nobody changes them afterwards. */
export interface ConsumedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; -1 when the producer gave none. */
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** In the producer's order; a name may come twice. */
  readonly headers: readonly (readonly [key: string, value: Buffer | null])[]
}

/** As the broker takes a record; throws `USAGE` for what is none. */
export function newRecord(record: ProducerRecord): NewRecord {
  if (typeof record !== 'object' || record === null || !('value' in record)) {
    throw wrongUse(`A record is an object with a value, as in { value: 'text' }, not ${shown(record)}.`)
  }
  const { key, value, headers, timestampMs } = record
  return {
    key: bytesOf(key ?? null, 'The key'),
    value: bytesOf(value, 'The value'),
    ...(headers === undefined ? {} : { headers: newHeaders(headers) }),
    ...(timestampMs === undefined ? {} : { timestampMs: timeOf(timestampMs) }),
  }
}

/** Milliseconds since 1970. */
export function timeOf(time: number | Date): number {
  const ms = time instanceof Date ? time.getTime() : time
  if (!Number.isSafeInteger(ms))
    throw wrongUse(`A time is a date or whole milliseconds since 1970, not ${shown(time)}.`)
  return ms
}

export function consumed(topic: string, partition: number, { records }: ReadRecords): ConsumedRecord[] {
  return records.map(({ offset, timestampMs, key, value, headers }) => ({
    topic,
    partition,
    offset,
    timestampMs,
    key,
    value,
    headers: headers.map(header => [header.key, header.value] as const),
  }))
}

/** About what a record takes in a batch, at most. */
export function sizeOf({ key, value, headers = [] }: NewRecord): number {
  const headersBytes = headers.reduce(
    (sum, [name, bytes]) => sum + Buffer.byteLength(name) + (bytes?.length ?? 0) + 10,
    0,
  )
  return (key?.length ?? 0) + (value?.length ?? 0) + headersBytes + recordOverheadBytes
}

/** Lengths, deltas, attributes and the count of headers, at their longest. */
const recordOverheadBytes = 40

function newHeaders(headers: NonNullable<ProducerRecord['headers']>): NonNullable<NewRecord['headers']> {
  const entries = Array.isArray(headers) ? headers : Object.entries(headers)
  return entries.map(entry => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string') {
      throw wrongUse(`A header is a pair of a name and a value, not ${shown(entry)}.`)
    }
    return [entry[0], bytesOf(entry[1] ?? null, `The header ${entry[0]}`)] as const
  })
}

/** Bytes are copied nowhere but into the log. */
function bytesOf(bytes: Bytes | null, what: string): Buffer | null {
  if (bytes === null) return null
  if (typeof bytes === 'string') return Buffer.from(bytes)
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  throw wrongUse(`${what} of a record must be a text, bytes (a Uint8Array) or null, not ${shown(bytes)}.`)
}
