/**
 * What happened in a run as its clients saw it, and what was done to the machines as far as it excuses losses. The oracle
 * knows nothing else. Answers refer to their requests by number, because what an answer may say depends on what was known when
 * its request was made. A request that is not answered needs no event: nobody knows what became of it.
 */
import type { ProduceRequest, ReadAnswer } from './client-door.ts'

/** Records that are gone, and may be: more of their copies were destroyed than the topic tolerates. */
export interface Destroyed {
  readonly partition: number
  /** `[from, to)`. */
  readonly from: number
  readonly to: number
  /**
   * Only records of older leader epochs are excused: what takes their offsets afterwards is not. Infinity where nothing takes
   * them: a sealed segment without a copy, which stays a hole.
   */
  readonly belowLeaderEpoch: number
  /**
   * `writer only`: records that only the writer vouched for (acks 0 and 1, and what nobody has acknowledged); those
   * acknowledged with acks=all must still be there. `everything`: these too.
   */
  readonly what: 'writer only' | 'everything'
}

export type HistoryEvent =
  | {
      readonly type: 'send'
      readonly atMs: number
      readonly request: number
      readonly node: number
      /** The same object for every attempt. */
      readonly batch: ProduceRequest
    }
  | {
      readonly type: 'acknowledged'
      readonly atMs: number
      readonly request: number
      readonly base: number
      readonly leaderEpoch: number
    }
  | {
      readonly type: 'refused'
      readonly atMs: number
      readonly request: number
      readonly error: string
      readonly isDefinite: boolean
    }
  | {
      readonly type: 'asked'
      readonly atMs: number
      readonly request: number
      readonly node: number
      readonly partition: number
      readonly from: number
      readonly recordsMax: number
      /** Part of the reading of everything at the end. */
      readonly isFinal: boolean
    }
  | { readonly type: 'read'; readonly atMs: number; readonly request: number; readonly answer: ReadAnswer }
  /** Everything below `offset` may go from here on. */
  | { readonly type: 'trim'; readonly atMs: number; readonly partition: number; readonly offset: number }
  /** It was confirmed. */
  | { readonly type: 'trimmed'; readonly atMs: number; readonly partition: number; readonly offset: number }
  /** A node has started again: what it had in memory only (the commit offsets it was told) is gone. */
  | { readonly type: 'restarted'; readonly atMs: number; readonly node: number }
  | ({ readonly type: 'destroyed'; readonly atMs: number } & Destroyed)
  /** Everything that a node has of a partition was read, after faults and writes came to an end. */
  | {
      readonly type: 'drained'
      readonly atMs: number
      readonly node: number
      readonly partition: number
      readonly logStart: number
      /** What the node said last; -1 when it never said anything. It may know only of what it holds copies. */
      readonly highWatermark: number
      readonly leaderEpoch: number
      /** Stretches `[from, to)` that this node did not give. */
      readonly unreadable: readonly (readonly [number, number])[]
    }

export class History {
  readonly events: HistoryEvent[] = []
  #requests = 0
  readonly #onEvent: (event: HistoryEvent) => void

  /** `onEvent` hears each event as it happens: an oracle that stops a broken run early. */
  constructor(onEvent: (event: HistoryEvent) => void = () => {}) {
    this.#onEvent = onEvent
  }

  nextRequest(): number {
    return this.#requests++
  }

  note(event: HistoryEvent): void {
    this.events.push(event)
    this.#onEvent(event)
  }
}
