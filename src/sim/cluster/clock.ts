/**
 * A node's clocks. The monotonic one drifts, and jumps ahead where a suspended machine counts its sleep; the wall clock jumps
 * either way. Only pacing may depend on the first, and only what is told to people on the second.
 */
import type { Timeline } from './timeline.ts'

export class NodeClock {
  /** 1.001: a thousandth fast. */
  rate = 1
  wallJumpMs = 0
  /** When its rate changed last, or it jumped: what was measured across that is worth nothing. */
  disturbedAtMs = Number.NEGATIVE_INFINITY
  #aheadMs = 0
  #fromMs = 0
  #baseMs = 0
  readonly #timeline: Timeline

  constructor(timeline: Timeline, offsetMs: number) {
    this.#timeline = timeline
    this.#baseMs = offsetMs
  }

  get monotonicMs(): number {
    return this.#baseMs + (this.#timeline.nowMs - this.#fromMs) * this.rate + this.#aheadMs
  }

  get wallMs(): number {
    return Math.max(0, Math.floor(1_600_000_000_000 + this.#timeline.nowMs + this.wallJumpMs))
  }

  /** From now on the clock runs at another rate; it does not jump. */
  drift(rate: number): void {
    this.#baseMs = this.monotonicMs - this.#aheadMs
    this.#fromMs = this.#timeline.nowMs
    this.rate = rate
    this.disturbedAtMs = this.#timeline.nowMs
  }

  /** The machine was suspended, and its monotonic clock says so. */
  jumpAhead(byMs: number): void {
    this.#aheadMs += byMs
    this.disturbedAtMs = this.#timeline.nowMs
  }
}
