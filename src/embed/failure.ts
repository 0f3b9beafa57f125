/** What programs that have tidelog inside are told when something goes wrong: always a `TidelogError`, one sentence and a code. */
import { type ErrorCode, TidelogError } from '../base/errors.ts'
import type { Done, Refused } from '../broker/door.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'

/** Kafka's errors that have a code of their own; any other is `REFUSED`. */
const codes: Partial<Readonly<Record<KafkaErrorName, ErrorCode>>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'NOT_FOUND',
  UNKNOWN_TOPIC_ID: 'NOT_FOUND',
  TOPIC_ALREADY_EXISTS: 'ALREADY_EXISTS',
  OFFSET_OUT_OF_RANGE: 'OUT_OF_RANGE',
  BROKER_NOT_AVAILABLE: 'CLOSED',
  REQUEST_TIMED_OUT: 'TIMED_OUT',
  KAFKA_STORAGE_ERROR: 'OVERLOADED',
  COORDINATOR_NOT_AVAILABLE: 'OVERLOADED',
  COORDINATOR_LOAD_IN_PROGRESS: 'OVERLOADED',
  MESSAGE_TOO_LARGE: 'TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'TOO_LARGE',
  CORRUPT_MESSAGE: 'CORRUPT',
}

/** What was done; throws where it was refused. Kafka's name of the error stands behind the sentence. */
export function orThrow<T>(done: Done<T>): { readonly error: 'NONE' } & T {
  if (done.error === 'NONE') return done as { readonly error: 'NONE' } & T
  const { error, message } = done as Refused
  throw new TidelogError(codes[error] ?? 'REFUSED', `${message} (${error})`)
}

/** An argument that cannot be used. */
export function wrongUse(sentence: string): TidelogError {
  return new TidelogError('USAGE', sentence)
}

/** An option that cannot be used. */
export function wrongOption(sentence: string): TidelogError {
  return new TidelogError('CONFIG', sentence)
}

/** How a value is shown in an error. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}…'` : `'${value}'`
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value)
  if (typeof value === 'bigint') return `${value}n`
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`
}
