/** What clients have asked of a broker: the newest requests, so that a test can say what a program should have sent. */
import type { Call as Asked } from '../broker/intercept.ts'

/** A request of a Kafka client, as it came. */
export interface Call {
  /** As in Kafka's documentation: `Produce`, `Fetch`. */
  readonly api: string
  readonly version: number
  readonly clientId: string | null
  /** Milliseconds since 1970. */
  readonly atMs: number
  /**
   * The request under Kafka's own field names. Bytes are told by their number (`{ bytes: 42 }`), long lists and texts are cut.
   */
  readonly body: unknown
}

const depthMax = 8
const itemsMax = 100
const charsMax = 1000

export class CallRecorder {
  readonly #max: number
  readonly #nowMs: () => number
  #calls: Call[] = []

  /** Keeps at most `max`, the newest. */
  constructor(max: number, nowMs: () => number) {
    this.#max = max
    this.#nowMs = nowMs
  }

  get calls(): readonly Call[] {
    return this.#calls.slice(-this.#max)
  }

  note({ api, version, clientId, body }: Asked): void {
    if (this.#max === 0) return
    this.#calls.push({ api: api.name, version, clientId, atMs: this.#nowMs(), body: summary(body, 0) })
    // Not at each call: moving the rest costs more than keeping it a while.
    if (this.#calls.length >= 2 * this.#max) this.#calls = this.#calls.slice(-this.#max)
  }

  clear(): void {
    this.#calls = []
  }
}

function summary(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > charsMax ? `${value.slice(0, charsMax)}…` : value
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return { bytes: value.length }
  if ('chunks' in value && 'length' in value) return { bytes: value.length }
  if (depth === depthMax) return '…'
  if (Array.isArray(value)) return value.slice(0, itemsMax).map(item => summary(item, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, summary(field, depth + 1)]))
}
