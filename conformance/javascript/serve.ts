/**
 * The agent's side of PROTOCOL.md for agents in TypeScript: requests in, answers out, one at a time, until the input ends.
 */
import { createInterface } from 'node:readline'
import type { Fields, Ok, Verb } from '../harness/protocol.ts'

/** What a client library does for each verb. One that it leaves out is answered `unsupported` with `absent`'s sentence. */
export type Handlers = { readonly [V in Verb]?: (fields: Fields<V>) => Promise<Ok<V>> | Ok<V> }

/** Thrown by a handler: this library has no way to do it. */
export class CannotDo extends Error {}

/** Thrown by a handler that knows Kafka's name of the error. */
export class CodedError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface Service {
  readonly handlers: Handlers
  /** Why verbs without a handler have none. */
  readonly absent: string
  /** Kafka's name of a library's error; null where it is none. */
  readonly codeOf: (error: unknown) => string | null
  readonly close: () => Promise<void>
}

const closeMsMax = 4_000

/** Serves standard input, closes, and ends the process. */
export async function serve(service: Service): Promise<never> {
  // What a library throws where nobody can catch it is for people to read, and no reason to end.
  process.on('uncaughtException', error => process.stderr.write(`uncaught: ${error.stack}\n`))
  process.on('unhandledRejection', error => process.stderr.write(`unhandled: ${textOf(error)}\n`))
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answerTo(line, service))}\n`)
  }
  setTimeout(() => process.exit(0), closeMsMax).unref()
  await service.close().catch(error => process.stderr.write(`closing: ${textOf(error)}\n`))
  process.exit(0)
}

async function answerTo(line: string, service: Service): Promise<object> {
  let id: unknown = null
  try {
    const request = JSON.parse(line) as { id: unknown; do: Verb }
    id = request.id
    const handler = service.handlers[request.do] as ((fields: object) => Promise<object>) | undefined
    if (handler === undefined) return { id, unsupported: service.absent }
    return { id, ok: await handler(request) }
  } catch (error) {
    if (error instanceof CannotDo) return { id, unsupported: error.message }
    const code = error instanceof CodedError ? error.code : service.codeOf(error)
    if (code === null) process.stderr.write(`${textOf(error)}\n`)
    return { id, error: { code: code ?? 'CLIENT', message: error instanceof Error ? error.message : String(error) } }
  }
}

const textOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/** What a promise gives in time, or REQUEST_TIMED_OUT. */
export async function inTime<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CodedError('REQUEST_TIMED_OUT', `${what}: nothing in ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The value of record `i` of produceMany. */
export function bulkValue(i: number, valueBytes: number): string {
  return `${i}:`.padEnd(valueBytes, 'x')
}

/** Counts what countAll reads. */
export class BulkCount {
  received = 0
  readonly #seen = new Set<number>()

  add(value: Buffer | string | null): void {
    this.received++
    this.#seen.add(Number.parseInt(value === null ? '' : value.toString().split(':', 1)[0]!, 10))
  }

  get distinct(): number {
    return this.#seen.size
  }
}
