/** What the HTTP door tells of: the running node, asked for anew with each request, because it may be swapped for another. */
import type { Histogram } from '../../base/histogram.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Engine } from '../../broker/engine.ts'
import type { Clock } from '../../io/clock.ts'

export interface Subject {
  readonly broker: () => Broker
  readonly engine: () => Engine
  readonly clock: Clock
  readonly version: string
  /** Wall time at which the node was started. */
  readonly startedAtMs: number
  /** Where clients connect; null for a door that is closed. */
  readonly doors: () => DoorTexts
  /** Open connections by door. */
  readonly connections: () => Readonly<Record<string, number>>
  /** Bytes of Kafka requests that are arriving or in flight. */
  readonly requestBytes: () => number
  readonly loopDelayMs: Histogram
}

export interface DoorTexts {
  readonly kafka: string
  readonly text: string | null
  readonly http: string | null
}

/** Until there is authentication, everybody is the same. */
export const principal = 'anonymous'

/** Lets whatever waits for the event loop have its turn. */
export function breathe(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
