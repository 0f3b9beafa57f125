/**
 * Keeps the process alive while something is under way. The timers of an engine alone do not, and without a socket nothing else
 * does: a program would end in the middle of an await.
 */
const longMs = 2 ** 30

export class Awake {
  #underWay = 0
  #handle: NodeJS.Timeout | null = null

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay++
    this.#handle ??= setInterval(() => {}, longMs)
    try {
      return await work()
    } finally {
      if (--this.#underWay === 0 && this.#handle !== null) {
        clearInterval(this.#handle)
        this.#handle = null
      }
    }
  }
}
