/** A client's belief of who writes a partition: asked of any node, believed until a request to that node goes wrong. */
import type { Prng } from '../../base/prng.ts'
import { roundingMs, type Workload } from './workload.ts'

/** Between two questions that were answered without being of help. */
const askAgainMs = 40
/** A question that was not answered by then is lost. */
const timeoutMs = 250

export class KnownWriter {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #partition: number
  readonly #onKnown: () => void
  #node: number | null = null
  /** Which question counts; answers to earlier ones come too late. */
  #question = 0
  #isAsking = false
  /** While asking: when the question is given up. */
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
    if (door.nowMs + roundingMs < this.#notBeforeMs) return this.#notBeforeMs
    if (this.#isAsking) this.#settle()
    this.#isAsking = true
    this.#workload.waiting += 1
    this.#notBeforeMs = door.nowMs + timeoutMs
    const question = ++this.#question
    door.findWriter(this.#prng.pick(door.nodes), this.#partition, writer => {
      if (question !== this.#question || !this.#isAsking) return
      this.#settle()
      this.#node = writer
      // One who believes in a writer that does not know of it asks no more often than one who knows none.
      this.#notBeforeMs = door.nowMs + askAgainMs * (0.5 + this.#prng.float())
      this.#onKnown()
    })
    return this.#notBeforeMs
  }

  /** Nobody needs the answer any more. */
  stop(): void {
    if (this.#isAsking) this.#settle()
  }

  #settle(): void {
    this.#isAsking = false
    this.#workload.waiting -= 1
  }
}
