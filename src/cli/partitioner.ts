/** Which partition a record goes to: by its key as Java's clients do it, without one the same for a whole batch. */
import { compatibilityPartitioner } from '@platformatic/kafka'

export class Partitioner {
  readonly #count: number
  #sticky: number

  constructor(count: number) {
    this.#count = count
    this.#sticky = Math.floor(Math.random() * count)
  }

  of(key: Buffer | null): number {
    if (key === null) return this.#sticky
    return compatibilityPartitioner({ topic: '' }, key) % this.#count
  }

  /** What has no key goes to the next partition from here on. */
  nextBatch(): void {
    this.#sticky = (this.#sticky + 1) % this.#count
  }
}
