/** How far a long command has come: one line on standard error that is written over, on a terminal only. */

const everyMs = 200

export class Progress implements Disposable {
  readonly #isShown: boolean
  #lastMs = 0
  #width = 0

  constructor(isWanted = true) {
    this.#isShown = isWanted && process.stderr.isTTY === true
  }

  /** `text` is asked for only when it is shown. */
  tell(text: () => string): void {
    if (!this.#isShown) return
    const nowMs = performance.now()
    if (nowMs - this.#lastMs < everyMs) return
    this.#lastMs = nowMs
    const line = text()
    process.stderr.write(`\r${line.padEnd(this.#width)}`)
    this.#width = line.length
  }

  /** Takes the line away, so that what follows has it for itself. */
  [Symbol.dispose](): void {
    if (this.#width > 0) process.stderr.write(`\r${' '.repeat(this.#width)}\r`)
    this.#width = 0
  }
}
