/**
 * Virtual time for a whole cluster: a heap of things that happen, each at its moment, one after the other. Nothing waits for a
 * promise: the cores are functions, so a step is over when it returns, and a simulated second costs what its events cost. (The
 * one-node simulator runs drivers, which do wait: `../scheduler.ts`.)
 */

/** Whoever owns an event says whether it still happens: what a process had in hand ends with it. */
export interface Owner {
  readonly isGone: boolean
}

interface Event {
  readonly dueMs: number
  /** In the order of asking, between events that are due at the same time. */
  readonly tie: number
  readonly owner: Owner | null
  readonly run: () => void
}

export class Timeline {
  #nowMs = 0
  #sequence = 0
  #events = 0
  #hash = 0x811c9dc5
  /** A binary heap, the next event first. */
  readonly #heap: Event[] = []

  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events have happened. */
  get events(): number {
    return this.#events
  }

  /** How many are still to happen. */
  get waiting(): number {
    return this.#heap.length
  }

  /** Over what `mix` was told: equal for two runs of one seed. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value & 0xffff_ffff), 0x0100_0193) ^ (this.#hash >>> 15)
  }

  after(delayMs: number, owner: Owner | null, run: () => void): void {
    const event = { dueMs: this.#nowMs + Math.max(0, delayMs), tie: this.#sequence++, owner, run }
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as Event
      if (!isBefore(event, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  /** Lets the next thing happen; false when there is none before `untilMs`, which it then is. */
  step(untilMs: number): boolean {
    const next = this.#heap[0]
    if (next === undefined || next.dueMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs)
      return false
    }
    this.#removeFirst()
    this.#nowMs = next.dueMs
    if (next.owner?.isGone === true) return true
    this.#events += 1
    this.mix(next.dueMs * 1024)
    next.run()
    return true
  }

  /** The last one takes the first one's place, and sinks to its own. */
  #removeFirst(): void {
    const heap = this.#heap
    const event = heap.pop() as Event
    const { length } = heap
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1
      const below = heap[child] as Event
      if (!isBefore(below, event)) break
      heap[at] = below
      at = child
    }
    heap[at] = event
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.tie < b.tie)
}
