/** A client that moves the log start of a partition now and then, as retention or DeleteRecords do. */
import type { Prng } from '../../base/prng.ts'
import type { Workload } from './workload.ts'

export class Trimmer {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #pauseMs: number
  readonly #trim = () => this.#once()

  constructor(workload: Workload, prng: Prng, pauseMs: number) {
    this.#workload = workload
    this.#prng = prng
    this.#pauseMs = pauseMs
    this.#sleep()
  }

  #once(): void {
    const { door } = this.#workload
    if (this.#workload.isStopping) return
    const partition = this.#prng.between(0, door.partitions)
    const seen = this.#workload.seenOf(partition)
    // Mostly the older half goes, at times all that has been seen.
    const share = this.#prng.chance(0.1) ? 1 : this.#prng.float() * 0.5
    const offset = seen.logStart + Math.floor((seen.highWatermark - seen.logStart) * share)
    if (offset > seen.logStart) trim(this.#workload, partition, offset)
    this.#sleep()
  }

  #sleep(): void {
    this.#workload.door.after(this.#pauseMs * 2 * this.#prng.float(), this.#trim)
  }
}

/** Asks once; whether it was done is in the history. */
export function trim(workload: Workload, partition: number, offset: number, onDone: () => void = () => {}): void {
  const { door, history } = workload
  workload.count('trims')
  history.note({ type: 'trim', atMs: door.nowMs, partition, offset })
  workload.seenOf(partition).logStart = offset
  door.advanceStart(partition, offset, isDone => {
    if (!isDone) return
    history.note({ type: 'trimmed', atMs: door.nowMs, partition, offset })
    onDone()
  })
}
