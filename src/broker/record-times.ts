/**
 * When records were written, remembered: what a consumer has not read yet is asked for again and again, and to find out may
 * take a read from the disk.
 *
 * Bound: `rememberedMax` records, the longest remembered are forgotten first; and as many look-ups as the asker has left.
 */
import type { Offset } from '../base/ids.ts'
import type { PartitionStore } from './storage.ts'

const rememberedMax = 20_000

/** How many times may still be looked up; shared by everything that one question leads to. */
export interface LookUps {
  left: number
}

export class RecordTimes {
  readonly #times = new Map<string, number>()

  /** Ms since 1970; null where it is not known, or too many were looked up already. */
  async of(partition: PartitionStore, offset: Offset, lookUps: LookUps): Promise<number | null> {
    const key = `${partition.topicId}:${partition.index}:${offset}`
    const known = this.#times.get(key)
    if (known !== undefined) return known
    if (lookUps.left <= 0) return null
    lookUps.left--
    const time = await partition.timeOf(offset)
    if (time !== null) this.#remember(key, time)
    return time
  }

  #remember(key: string, time: number): void {
    this.#times.set(key, time)
    if (this.#times.size <= rememberedMax) return
    const [oldest] = this.#times.keys()
    if (oldest !== undefined) this.#times.delete(oldest)
  }
}
