/** Time that goes on only when a test says so. */
import type { Clock, Timer } from '../../io/clock.ts'

export class ManualClock implements Clock {
  #elapsedMs = 0
  readonly #startMs: number
  readonly #timers = new Set<{ readonly dueMs: number; readonly task: () => void }>()

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const timer = { dueMs: this.#elapsedMs + Math.max(delayMs, 0), task }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /** Timers that were set and neither fired nor cancelled. */
  get timers(): number {
    return this.#timers.size
  }

  /** Lets everything that is ready run, then time go on, then again. */
  async advance(byMs: number): Promise<void> {
    await settle()
    this.#elapsedMs += byMs
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= this.#elapsedMs).sort((a, b) => a.dueMs - b.dueMs)
    for (const timer of due) if (this.#timers.delete(timer)) timer.task()
    await settle()
  }
}

/** A turn of the event loop: all promises that can go on have gone on. */
export function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
