/** What many durations come down to. */

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** By nearest rank: each is a duration that did occur. Null for none at all. */
export function percentilesOf(durations: readonly number[]): Percentiles | null {
  if (durations.length === 0) return null
  const sorted = Float64Array.from(durations).sort()
  const rank = (share: number) => sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)]!
  return { p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), p999: rank(0.999), max: sorted.at(-1)! }
}

/** A multiple of what the sorted array holds, in three figures. */
export function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
