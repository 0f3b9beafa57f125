/**
 * How many requests of each API were answered, how long that took, and with which errors: plain numbers, counted for every
 * request and read by whoever shows them.
 */
import { Histogram, latencyBoundsMs } from '../base/histogram.ts'
import type { Api } from '../wire/api-keys.ts'
import { kafkaErrorName } from '../wire/kafka-errors.ts'
import type { StructNode, TypeNode } from '../wire/schema.ts'

export interface ApiStats {
  readonly api: string
  /** From the request's arrival to its answer, with all waits that it asked for. */
  readonly ms: Histogram
  /** Errors in answers by Kafka's name: one request may bring one for each of its partitions. */
  readonly errors: Map<string, number>
}

export class RequestStats {
  readonly #byKey = new Map<number, Counted>()

  /** `answer` is null where nothing is answered. */
  note(api: Api, answer: unknown, ms: number): void {
    let counted = this.#byKey.get(api.key)
    if (counted === undefined) {
      counted = { api: api.name, ms: new Histogram(latencyBoundsMs), errors: new Map(), count: errorsIn(api) }
      this.#byKey.set(api.key, counted)
    }
    counted.ms.record(ms)
    if (answer !== null) counted.count(answer, counted.errors)
  }

  /** Of the APIs that were asked for at all, in order of name. */
  all(): readonly ApiStats[] {
    return [...this.#byKey.values()].sort((a, b) => (a.api < b.api ? -1 : 1))
  }
}

interface Counted extends ApiStats {
  readonly count: CountErrors
}

type CountErrors = (value: unknown, into: Map<string, number>) => void

/** Counts the error codes of an answer, found by the message's table: nothing else in it is looked at. */
function errorsIn(api: Api): CountErrors {
  return countIn(api.response.body) ?? (() => undefined)
}

/** Null for what has no error code in it. */
function countIn(type: TypeNode): CountErrors | null {
  if (type.kind === 'array') {
    const count = countIn(type.element)
    if (count === null) return null
    return (value, into) => {
      for (const item of (value as readonly unknown[] | null) ?? []) count(item, into)
    }
  }
  return type.kind === 'struct' ? countInStruct(type) : null
}

function countInStruct({ fields }: StructNode): CountErrors | null {
  const hasCode = fields.some(({ name, type }) => name === 'errorCode' && type.kind === 'int16')
  const nested = fields.flatMap(({ name, type }) => {
    const count = countIn(type)
    return count === null ? [] : [{ name, count }]
  })
  if (!hasCode && nested.length === 0) return null
  return (value, into) => {
    if (value === null || value === undefined) return
    const { errorCode = 0 } = value as { readonly errorCode?: number }
    if (hasCode && errorCode !== 0) note(into, errorCode)
    for (const { name, count } of nested) count((value as Readonly<Record<string, unknown>>)[name], into)
  }
}

function note(errors: Map<string, number>, code: number): void {
  const name = kafkaErrorName(code)
  errors.set(name, (errors.get(name) ?? 0) + 1)
}
