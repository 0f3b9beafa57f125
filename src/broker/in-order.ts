/**
 * Things that become ready in any order and are handed on in the order in which they came: batches of one partition, of which
 * some are looked into before they get their offsets and others are not.
 */
interface Entry<T> {
  readonly weight: number
  readonly handOn: (value: T) => void
  ready: { readonly value: T } | null
}

export class InOrder<T> {
  #entries: Entry<T>[] = []
  #weight = 0

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** Of all that waits. */
  get weight(): number {
    return this.#weight
  }

  /** `value` may be a promise, which does not reject; what is ready and has nobody before it is handed on at once. */
  add(weight: number, value: T | Promise<T>, handOn: (value: T) => void): void {
    if (!(value instanceof Promise) && this.isEmpty) {
      handOn(value)
      return
    }
    const entry: Entry<T> = { weight, handOn, ready: null }
    this.#entries.push(entry)
    this.#weight += weight
    if (!(value instanceof Promise)) entry.ready = { value }
    else {
      void value.then(settled => {
        entry.ready = { value: settled }
        this.#handOn()
      })
    }
  }

  /** All that waits is handed on as this instead; what becomes ready later is dropped. */
  end(value: T): void {
    for (const { handOn } of this.#take(this.#entries.length)) handOn(value)
  }

  #handOn(): void {
    for (let first = this.#entries[0]; first?.ready != null; first = this.#entries[0]) {
      this.#take(1)
      first.handOn(first.ready.value)
    }
  }

  #take(count: number): Entry<T>[] {
    const taken = this.#entries.splice(0, count)
    for (const { weight } of taken) this.#weight -= weight
    return taken
  }
}
