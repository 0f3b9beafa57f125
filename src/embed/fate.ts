/**
 * Whether an engine had to stop: its disk failed, or it met a fault of its own. It answers nothing any more then, so that whoever
 * waits for it is told here.
 */
export class Fate {
  readonly #onFatal: ((error: Error) => void) | undefined
  readonly #waiting = new Set<(error: Error) => void>()
  #error: Error | null = null

  constructor(onFatal: ((error: Error) => void) | undefined) {
    this.#onFatal = onFatal
  }

  /** Why it had to stop; null while it has not. */
  get error(): Error | null {
    return this.#error
  }

  /** Counts once. */
  met(error: Error): void {
    if (this.#error !== null) return
    this.#error = error
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
    this.#onFatal?.(error)
  }

  /** What the work comes to, or the error that keeps it from ever coming to anything. */
  async unlessMet<T>(work: () => Promise<T>): Promise<T> {
    if (this.#error !== null) throw this.#error
    const { promise, reject } = Promise.withResolvers<never>()
    this.#waiting.add(reject)
    try {
      return await Promise.race([work(), promise])
    } finally {
      this.#waiting.delete(reject)
    }
  }
}
