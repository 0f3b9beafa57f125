/** Hands out producer ids one by one from blocks, so that most of them cost no metadata command. */
import { invariant } from '../base/invariant.ts'
import type { Storage } from './storage.ts'

export class ProducerIds {
  readonly #storage: Pick<Storage, 'allocateProducerIds'>
  #next = 0
  #end = 0
  #allocating: Promise<void> | null = null

  constructor(storage: Pick<Storage, 'allocateProducerIds'>) {
    this.#storage = storage
  }

  /** An id that nobody was ever given. What is left of a block at a crash is lost, which no one misses. */
  async next(): Promise<number> {
    // Others may have used up the block by the time this one goes on.
    while (this.#next === this.#end) {
      this.#allocating ??= this.#allocate()
      await this.#allocating
    }
    return this.#next++
  }

  async #allocate(): Promise<void> {
    try {
      const block = await this.#storage.allocateProducerIds()
      invariant(block.count > 0 && block.first >= this.#end, 'a block of producer ids is new and not empty')
      this.#next = block.first
      this.#end = block.first + block.count
    } finally {
      this.#allocating = null
    }
  }
}
