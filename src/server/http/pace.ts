/**
 * How many requests are let through: so many each second, after a burst, in the order in which they came. What takes more than
 * others is charged for it, and those behind wait for that as well. So that a client that asks in an endless loop takes a small
 * and known share of the event loop, and producers keep theirs.
 *
 * Bound: a request waits `waitMsMax`, then it is refused; the queue is bounded by those whose requests wait in it.
 */
import type { Clock, Timer } from '../../io/clock.ts'

export interface PaceBounds {
  readonly perSecond: number
  readonly burst: number
  readonly waitMsMax: number
}

interface Waiting {
  readonly untilMs: number
  readonly go: () => void
  readonly refuse: () => void
}

const tickMs = 20

export class Pace {
  readonly #bounds: PaceBounds
  readonly #clock: Clock
  /** Below zero: those behind wait for what was charged. */
  #tokens: number
  #refilledAtMs: number
  #queue: Waiting[] = []
  #timer: Timer | null = null

  constructor(bounds: PaceBounds, clock: Clock) {
    this.#bounds = bounds
    this.#clock = clock
    this.#tokens = bounds.burst
    this.#refilledAtMs = clock.monotonicMs()
  }

  /** Calls one of the two: `go` at once or when it is its turn, `refuse` when that would be too late. */
  enter(go: () => void, refuse: () => void): void {
    const nowMs = this.#refill()
    if (this.#queue.length === 0 && this.#tokens >= 1) {
      this.#tokens--
      go()
      return
    }
    this.#queue.push({ untilMs: nowMs + this.#bounds.waitMsMax, go, refuse })
    this.#timer ??= this.#tickLater()
  }

  /** Something took as much as so many ordinary requests. */
  charge(cost: number): void {
    this.#tokens -= cost
  }

  /** Whoever waits is not answered any more. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#queue = []
  }

  #tickLater(): Timer {
    return this.#clock.setTimer(tickMs, () => {
      this.#timer = null
      const nowMs = this.#refill()
      const late = this.#queue.findIndex(({ untilMs }) => untilMs > nowMs)
      for (const { refuse } of this.#queue.splice(0, late < 0 ? this.#queue.length : late)) refuse()
      for (const { go } of this.#queue.splice(0, Math.max(Math.floor(this.#tokens), 0))) {
        this.#tokens--
        go()
      }
      if (this.#queue.length > 0) this.#timer ??= this.#tickLater()
    })
  }

  #refill(): number {
    const { perSecond, burst } = this.#bounds
    const nowMs = this.#clock.monotonicMs()
    this.#tokens = Math.min(this.#tokens + ((nowMs - this.#refilledAtMs) / 1000) * perSecond, burst)
    this.#refilledAtMs = nowMs
    return nowMs
  }
}
