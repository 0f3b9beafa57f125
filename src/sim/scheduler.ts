/**
 * Virtual time and the order of things. Everything that takes time in a simulated run is an event with a due time; the
 * scheduler lets one happen, waits until all code that it woke has come to rest, and goes to the next. Latencies and ties are
 * drawn from the seed, so a seed is a run. A hash over all events shows that two runs were the same.
 */
import { invariant } from '../base/invariant.ts'
import { Prng } from '../base/prng.ts'
import type { Clock, Timer } from '../io/clock.ts'
import { virtualEpochMs } from './clock.ts'

interface Event {
  readonly dueMs: number
  /** Decides between events that are due at the same time. */
  readonly tie: number
  task: (() => void) | null
}

export type TraceSink = (line: string) => void

export class Scheduler {
  readonly prng: Prng
  /** Called with a line per event; costs time only when set. */
  onTrace: TraceSink | null = null
  #nowMs = 0
  #wallJumpMs = 0
  #heap: Event[] = []
  #events = 0
  #hashA = 0x811c9dc5
  #hashB = 0x9747b28c

  constructor(seed: number) {
    this.prng = new Prng(seed)
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get wallMs(): number {
    return Math.floor(virtualEpochMs + this.#nowMs + this.#wallJumpMs)
  }

  get events(): number {
    return this.#events
  }

  /** Sixteen hex digits over every event so far. */
  get hash(): string {
    return [this.#hashA, this.#hashB].map(half => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** Moves wall clocks, not time itself. */
  jumpWall(byMs: number): void {
    this.#wallJumpMs += byMs
    this.note('clock jumps', '', byMs, 0)
  }

  /** Lets `task` happen in `delayMs`. */
  after(delayMs: number, task: () => void): Timer {
    invariant(delayMs >= 0, 'nothing happens in the past')
    const event: Event = { dueMs: this.#nowMs + delayMs, tie: this.prng.uint32(), task }
    this.#push(event)
    return { cancel: () => this.#cancel(event) }
  }

  /** Puts what happens into the hash and, where somebody listens, into the trace. */
  note(kind: string, subject: string, a: number, b: number): void {
    this.#mixText(kind)
    this.#mixText(subject)
    this.#mix(Math.round(this.#nowMs * 1000))
    this.#mix(a)
    this.#mix(b)
    if (this.onTrace === null) return
    const figures = [a, b].filter(figure => figure !== 0).join(' ')
    this.onTrace(`${this.#nowMs.toFixed(3).padStart(12)} ${kind} ${subject} ${figures}`.trimEnd())
  }

  /**
   * Lets events happen until `done`, until nothing is left to happen, or until `limitMs` more have passed; then time stands
   * at that limit. Returns whether it was `done`.
   */
  async run(limitMs: number, done: () => boolean = () => false): Promise<boolean> {
    const untilMs = this.#nowMs + limitMs
    await rest()
    while (!done()) {
      const next = this.#heap[0]
      if (next === undefined || next.dueMs > untilMs) {
        this.#nowMs = untilMs
        return false
      }
      this.#pop()
      const { task } = next
      if (task === null) continue
      this.#nowMs = next.dueMs
      this.#events += 1
      next.task = null
      task()
      await rest()
    }
    return true
  }

  /** The clock of one process; its timers die with it. */
  clock(isAlive: () => boolean): Clock {
    return {
      nowMs: () => this.wallMs,
      monotonicMs: () => this.#nowMs,
      setTimer: (delayMs, task) =>
        this.after(Math.max(delayMs, 0) + this.#lateness(), () => {
          if (!isAlive()) return
          this.note('timer', '', 0, 0)
          task()
        }),
    }
  }

  /** Timers are never early and often a little late. */
  #lateness(): number {
    return this.prng.chance(0.02) ? this.prng.float() * 50 : this.prng.float()
  }

  #cancel(event: Event): void {
    event.task = null
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above] as Event
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      const right = heap[below + 1]
      if (right !== undefined && isBefore(right, heap[below] as Event)) below += 1
      const child = heap[below] as Event
      if (!isBefore(child, last)) break
      heap[at] = child
      at = below
    }
    heap[at] = last
  }

  #mix(value: number): void {
    const low = value | 0
    const high = Math.floor(value / 0x1_0000_0000) | 0
    this.#hashA = Math.imul(this.#hashA ^ low, 0x01000193)
    this.#hashA = Math.imul(this.#hashA ^ high ^ (this.#hashA >>> 15), 0x01000193)
    this.#hashB = (Math.imul(this.#hashB, 0x85ebca6b) + (low ^ (this.#hashB >>> 13)) + high) | 0
  }

  #mixText(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      this.#hashA = Math.imul(this.#hashA ^ unit, 0x01000193)
      this.#hashB = (Math.imul(this.#hashB, 0xcc9e2d51) + unit) | 0
    }
    this.#mix(text.length)
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.tie < b.tie)
}

/**
 * Everything that waits only for promises has run when this resolves: the event loop reaches an immediate only when no tick
 * and no microtask is left.
 */
function rest(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
