/**
 * The sparse index of one segment: points at batch borders. A point says which offset starts at which byte, and the highest
 * timestamp before it; so one table serves look-ups by offset and by time.
 *
 * Points are dense (`index.interval.bytes`) where this process saw the batches go by, and as coarse as the checkpoints where
 * it did not (a segment that was open when the process before this one ended). A look-up always ends in a scan from the
 * point found, so coarse only means a longer scan.
 */
import type { Offset, Position } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'

export interface IndexPoint {
  readonly offset: Offset
  readonly position: Position
  /** The highest timestamp of all batches before this point; -1 when there is none. */
  readonly maxTimestampBefore: number
}

export class SegmentIndex {
  readonly #points: IndexPoint[]
  readonly #intervalBytes: number

  constructor(base: Offset, intervalBytes: number, points: readonly IndexPoint[] = []) {
    this.#intervalBytes = intervalBytes
    const origin: IndexPoint = { offset: base, position: 0 as Position, maxTimestampBefore: -1 }
    this.#points = points[0]?.position === 0 ? [...points] : [origin, ...points]
  }

  get points(): readonly IndexPoint[] {
    return this.#points
  }

  /** Notes a batch border if the last point is far enough behind. */
  note(point: IndexPoint): void {
    const last = this.#points.at(-1) as IndexPoint
    if (point.position - last.position < this.#intervalBytes) return
    this.#points.push(point)
  }

  /** Fills a coarse stretch with the points that a scan found. */
  insert(points: readonly IndexPoint[]): void {
    if (points.length === 0) return
    const known = new Set(this.#points.map(point => point.position))
    this.#points.push(...points.filter(point => !known.has(point.position)))
    this.#points.sort((a, b) => a.position - b.position)
  }

  /** The last point at or before an offset. */
  atOffset(offset: Offset): IndexPoint {
    return this.#lastWhere(point => point.offset <= offset)
  }

  /** The last point before which every timestamp is lower than the one asked for. */
  beforeTime(timestampMs: number): IndexPoint {
    return this.#lastWhere(point => point.maxTimestampBefore < timestampMs)
  }

  /** The first point behind a position. */
  behind(position: Position): IndexPoint | null {
    return this.#points.find(point => point.position > position) ?? null
  }

  /** Stretches longer than `bytes` between points, up to `end`. */
  gaps(bytes: number, end: Position): { from: IndexPoint; to: Position }[] {
    return this.#points
      .map((from, i) => ({ from, to: this.#points[i + 1]?.position ?? end }))
      .filter(gap => gap.to - gap.from.position > bytes)
  }

  /** At most `count` points, evenly thinned: what a checkpoint keeps of an open segment's index. */
  thinned(count: number): IndexPoint[] {
    const step = Math.ceil(this.#points.length / count)
    return this.#points.filter((_, i) => i % step === 0)
  }

  /** The last point that satisfies what holds for a prefix of all points, and always for the first. */
  #lastWhere(holds: (point: IndexPoint) => boolean): IndexPoint {
    let low = 0
    let high = this.#points.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (holds(this.#points[middle] as IndexPoint)) low = middle
      else high = middle
    }
    const found = this.#points[low]
    invariant(found !== undefined, 'an index has its first point')
    return found
  }
}
