/** Differences as one sentence: what was looked at, what was there, what was due. */
import { isDeepStrictEqual } from 'node:util'
import { KafkaError } from './agent.ts'
import { shorten } from './protocol.ts'

export class Difference extends Error {
  override readonly name = 'Difference'
}

export function same(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Difference(`${what} is ${textOf(actual)}, not ${textOf(expected)}`)
}

export function holds(condition: boolean, difference: string): void {
  if (!condition) throw new Difference(difference)
}

/** The promise must reject with one of these Kafka errors. */
export async function refused(
  what: string,
  codes: string | readonly string[],
  promise: Promise<unknown>,
): Promise<void> {
  const due = [codes].flat()
  let given: unknown
  try {
    given = await promise
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    if (due.includes(error.code)) return
    throw new Difference(`${what} is refused with ${error.message}, not with ${due.join(' or ')}`)
  }
  throw new Difference(`${what} is not refused (${due.join(' or ')} is due), but gives ${textOf(given)}`)
}

function textOf(value: unknown): string {
  return shorten(JSON.stringify(value) ?? String(value))
}
