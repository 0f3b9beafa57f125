/**
 * The order of one client's commands: one after the other, as they came; only those that may run side by side do, with others
 * of their kind and in the order in which they begin.
 */
interface Waiting {
  readonly isShared: boolean
  readonly begin: () => void
}

export class CommandTurns {
  readonly #waiting: Waiting[] = []
  #running = 0
  #isAlone = false

  /** Does some work when its turn has come: at once where nothing is before it. */
  run<T>(isShared: boolean, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.#running++
        this.#isAlone = !isShared
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--
            this.#isAlone = false
            this.#next()
          })
      }
      this.#waiting.push({ isShared, begin })
      this.#next()
    })
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#isAlone || (this.#running > 0 && !first.isShared)) return
      this.#waiting.shift()
      first.begin()
    }
  }
}
