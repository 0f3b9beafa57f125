/** How late the event loop is: a timer is due every fifty milliseconds, and what it comes late by is noted. */
import { Histogram } from '../../base/histogram.ts'
import type { Clock, Timer } from '../../io/clock.ts'

const everyMs = 50
const boundsMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500]

export class LoopDelay {
  readonly ms = new Histogram(boundsMs)
  readonly #clock: Clock
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
    this.#schedule()
  }

  close(): void {
    this.#timer?.cancel()
  }

  #schedule(): void {
    const dueMs = this.#clock.monotonicMs() + everyMs
    this.#timer = this.#clock.setTimer(everyMs, () => {
      this.ms.record(Math.max(this.#clock.monotonicMs() - dueMs, 0))
      this.#schedule()
    })
  }
}
