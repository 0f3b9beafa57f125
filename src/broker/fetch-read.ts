/** Reads what a fetch wants, partition by partition in the order in which it was asked for, within the bytes it allows. */
import type { Offset } from '../base/ids.ts'
import { emptyRope, type Rope } from '../base/rope.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import type { PartitionStore, ReadOutcome } from './storage.ts'

export interface Wanted {
  /** Null where there is nothing to read; `error` says why. */
  readonly partition: PartitionStore | null
  readonly error: KafkaErrorName
  readonly from: Offset
  readonly bytesMax: number
}

export interface Found {
  readonly error: KafkaErrorName
  readonly records: Rope
  /** -1 where it is not known. */
  readonly highWatermark: number
  readonly logStartOffset: number
  /** Gives the records back, see `ReadOutcome`. */
  readonly release?: (() => void) | undefined
}

/**
 * Whole batches only. The first batch of all comes back however large it is, so that a consumer is never stuck behind it;
 * after that both bounds hold, and partitions for which nothing is left come back empty.
 *
 * `changed` has the places of partitions that are read even though their high watermark says that there is nothing new.
 */
export async function readInOrder(
  wanted: readonly Wanted[],
  bytesMax: number,
  changed: ReadonlySet<number>,
): Promise<Found[]> {
  const found: Found[] = []
  let left = bytesMax
  let first = true
  for (let place = 0; place < wanted.length; place++) {
    const want = wanted[place]!
    const known = withoutReading(want, left, first, changed.has(place))
    if (known !== null) {
      found.push(known)
      continue
    }
    const read = want.partition!.read({ from: want.from, bytesMax: Math.min(want.bytesMax, left), minOne: first })
    const outcome: ReadOutcome = read instanceof Promise ? await read : read
    found.push(outcome)
    if (outcome.records.length > 0) first = false
    left = Math.max(left - outcome.records.length, 0)
  }
  return found
}

/** What was found without its records, which are given back. */
export function withoutRecords({ error, highWatermark, logStartOffset, release }: Found): Found {
  release?.()
  return { error, records: emptyRope, highWatermark, logStartOffset }
}

export function bytesOf(found: readonly Found[]): number {
  let bytes = 0
  for (const { records } of found) bytes += records.length
  return bytes
}

/** Most partitions of most fetches have nothing new, which costs no more than a comparison. */
function withoutReading(want: Wanted, left: number, first: boolean, changed: boolean): Found | null {
  const { partition } = want
  if (partition === null) return { error: want.error, records: emptyRope, highWatermark: -1, logStartOffset: -1 }
  const upToDate = want.from === partition.highWatermark && !changed
  const { highWatermark, logStartOffset } = partition
  return upToDate || (left === 0 && !first)
    ? { error: 'NONE', records: emptyRope, highWatermark, logStartOffset }
    : null
}
