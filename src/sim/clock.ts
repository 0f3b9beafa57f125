/**
 * Time for unit tests: stands still until told to go on. (In a simulated run time comes from the scheduler instead, which
 * jumps from event to event.)
 */
import { invariant } from '../base/invariant.ts'
import type { Clock, Timer } from '../io/clock.ts'

/** Where virtual wall clocks start: the first of January 2026. */
export const virtualEpochMs = Date.UTC(2026, 0, 1)

interface Entry {
  readonly dueMs: number
  readonly number: number
  readonly task: () => void
}

export class ManualClock implements Clock {
  #monotonicMs = 0
  #wallMs = virtualEpochMs
  #timers: Entry[] = []
  #numbers = 0

  nowMs(): number {
    return Math.floor(this.#wallMs)
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const entry = { dueMs: this.#monotonicMs + Math.max(delayMs, 0), number: this.#numbers++, task }
    this.#timers.push(entry)
    return { cancel: () => this.#drop(entry) }
  }

  get pendingTimers(): number {
    return this.#timers.length
  }

  /** Moves the wall clock alone, either way, as an administrator or a time server does. */
  jumpWall(byMs: number): void {
    this.#wallMs += byMs
  }

  /** Goes on by `byMs` and runs the timers that come due, in order, without letting anything else run in between. */
  advance(byMs: number): void {
    invariant(byMs >= 0, 'time goes forward')
    const untilMs = this.#monotonicMs + byMs
    for (let next = this.#due(untilMs); next !== null; next = this.#due(untilMs)) this.#fire(next)
    this.#moveTo(untilMs)
  }

  /** As `advance`, with a turn of the event loop after every timer, so that what a timer starts can finish. */
  async run(byMs: number): Promise<void> {
    const untilMs = this.#monotonicMs + byMs
    await turn()
    for (let next = this.#due(untilMs); next !== null; next = this.#due(untilMs)) {
      this.#fire(next)
      await turn()
    }
    this.#moveTo(untilMs)
    await turn()
  }

  #due(untilMs: number): Entry | null {
    let first: Entry | null = null
    for (const entry of this.#timers) {
      if (entry.dueMs > untilMs) continue
      if (first === null || entry.dueMs < first.dueMs || (entry.dueMs === first.dueMs && entry.number < first.number)) {
        first = entry
      }
    }
    return first
  }

  #drop(entry: Entry): void {
    this.#timers = this.#timers.filter(other => other !== entry)
  }

  #fire(entry: Entry): void {
    this.#drop(entry)
    this.#moveTo(Math.max(entry.dueMs, this.#monotonicMs))
    entry.task()
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
