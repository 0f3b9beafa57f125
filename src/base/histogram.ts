/**
 * How often values fell between fixed bounds: cheap enough for the hot path, and all that is needed to tell percentiles of it
 * later. Recording allocates nothing.
 */
import { invariant } from './invariant.ts'

/** For times in milliseconds, from a tenth to ten seconds. */
export const latencyBoundsMs: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
]

export class Histogram {
  /** Ascending; a value counts under the first that is not below it. */
  readonly bounds: readonly number[]
  /** One more than there are bounds: the last is for what lies above all. */
  readonly counts: number[]
  sum = 0
  count = 0

  constructor(bounds: readonly number[]) {
    invariant(
      bounds.every((bound, i) => i === 0 || bound > (bounds[i - 1] as number)),
      'bounds rise',
    )
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  record(value: number): void {
    let place = 0
    while (place < this.bounds.length && value > (this.bounds[place] as number)) place++
    this.counts[place] = (this.counts[place] as number) + 1
    this.sum += value
    this.count++
  }
}
