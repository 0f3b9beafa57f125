/**
 * How many batches of a node are unfolded at a time, over all its partitions. What is unfolded may be a thousand times what was
 * sent, so that the number bounds memory; the others wait here, in order, for a time. Then their producers are told to try again.
 */
import type { Clock, Timer } from '../io/clock.ts'

export interface LookLimits {
  readonly atOnceMax: number
  /** Of the batches that wait or are looked into, as they were sent. */
  readonly bytesMax: number
  readonly waitMsMax: number
}

/** One is unfolded while the one before is packed again. */
export const defaultLookLimits: LookLimits = { atOnceMax: 2, bytesMax: 64 << 20, waitMsMax: 5000 }

interface Waiting {
  readonly until: number
  readonly begin: () => void
  readonly giveUp: () => void
}

export class LookGate {
  readonly #clock: Clock
  readonly #limits: LookLimits
  #underway = 0
  #bytes = 0
  #waiting: Waiting[] = []
  #timer: Timer | null = null

  constructor(clock: Clock, limits = defaultLookLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** What the task comes to once it is its turn; null when that did not come. */
  async pass<T>(bytes: number, task: () => Promise<T>): Promise<T | null> {
    // One that is too large by itself still goes, alone.
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limits.bytesMax) return null
    this.#bytes += bytes
    try {
      if (!(await this.#turn())) return null
      try {
        return await task()
      } finally {
        this.#underway--
        this.#next()
      }
    } finally {
      this.#bytes -= bytes
    }
  }

  /** Nobody's turn comes any more. */
  close(): void {
    this.#disarm()
    for (const { giveUp } of this.#waiting.splice(0)) giveUp()
  }

  /** Whether it came. */
  #turn(): Promise<boolean> {
    if (this.#underway < this.#limits.atOnceMax) {
      this.#underway++
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      const until = this.#clock.monotonicMs() + this.#limits.waitMsMax
      this.#waiting.push({ until, begin: () => resolve(true), giveUp: () => resolve(false) })
      this.#arm()
    })
  }

  #next(): void {
    const next = this.#waiting.shift()
    if (next === undefined) return
    if (this.#waiting.length === 0) this.#disarm()
    this.#underway++
    next.begin()
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** All wait equally long, so that the first one's time is over first. */
  #arm(): void {
    const [first] = this.#waiting
    if (first === undefined || this.#timer !== null) return
    const now = this.#clock.monotonicMs()
    this.#timer = this.#clock.setTimer(Math.max(first.until - now, 0), () => {
      this.#timer = null
      const at = this.#clock.monotonicMs()
      while (this.#waiting[0] !== undefined && this.#waiting[0].until <= at) this.#waiting.shift()?.giveUp()
      this.#arm()
    })
  }
}
