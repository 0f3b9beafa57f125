/** Work begun in order, of which only so much is under way at a time. The first that fails is what all of it fails with. */
export class Window {
  readonly #bytesMax: number
  readonly #underWay: { readonly bytes: number; readonly done: Promise<void> }[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Begins the work when there is room; something larger than all of that is begun alone. Throws what earlier work failed with. */
  async add(bytes: number, work: () => Promise<void>): Promise<void> {
    while (this.#underWay.length > 0 && this.#bytes + bytes > this.#bytesMax) await this.#first()
    const done = work()
    // Looked at in its turn.
    done.catch(() => {})
    this.#underWay.push({ bytes, done })
    this.#bytes += bytes
  }

  /** Resolves when everything is done. */
  async emptied(): Promise<void> {
    while (this.#underWay.length > 0) await this.#first()
  }

  async #first(): Promise<void> {
    const first = this.#underWay.shift()
    if (first === undefined) return
    try {
      await first.done
    } catch (error) {
      await Promise.allSettled(this.#underWay.splice(0).map(({ done }) => done))
      throw error
    }
    this.#bytes -= first.bytes
  }
}
