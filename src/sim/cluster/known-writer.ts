/** A client's belief of who writes a partition: asked of any node, believed until a request to that node goes wrong. */
import type { Prng } from '../../base/prng.ts'
import type { Workload } from './workload.ts'

/** Between two questions that nobody could answer. */
const askAgainMs = 40

export class KnownWriter {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #partition: number
  readonly #onKnown: () => void
  #node: number | null = null
  #isAsking = false
  #notBeforeMs = 0

  constructor(workload: Workload, prng: Prng, partition: number, onKnown: () => void) {
    this.#workload = workload
    this.#prng = prng
    this.#partition = partition
    this.#onKnown = onKnown
  }

  get node(): number | null {
    return this.#node
  }

  forget(): void {
    this.#node = null
  }

  /** Asks if that is due; returns when to come back, if nobody has answered by then. */
  ask(): number {
    const { door } = this.#workload
    if (this.#isAsking) return Number.POSITIVE_INFINITY
    if (door.nowMs < this.#notBeforeMs) return this.#notBeforeMs
    this.#isAsking = true
    this.#workload.waiting += 1
    door.findWriter(this.#prng.pick(door.nodes), this.#partition, writer => {
      this.#isAsking = false
      this.#workload.waiting -= 1
      this.#node = writer
      // One who believes in a writer that does not know of it asks no more often than one who knows none.
      this.#notBeforeMs = door.nowMs + askAgainMs * (0.5 + this.#prng.float())
      this.#onKnown()
    })
    return Number.POSITIVE_INFINITY
  }
}
