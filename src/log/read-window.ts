/** Reads a file in stretches and hands out views of them, so that walking headers does not cost a read each. */
export class ReadWindow {
  readonly #file: { read(target: Buffer, position: number): Promise<number> }
  readonly #end: number
  readonly #windowBytes: number
  #window: Buffer = Buffer.alloc(0)
  #from = 0

  /** `end`: nothing at or behind this position is asked of the file. */
  constructor(file: { read(target: Buffer, position: number): Promise<number> }, end: number, windowBytes: number) {
    this.#file = file
    this.#end = end
    this.#windowBytes = windowBytes
  }

  /** How many bytes from `position` on are at hand without another read. */
  loadedFrom(position: number): number {
    const start = position - this.#from
    return start >= 0 ? Math.max(this.#window.length - start, 0) : 0
  }

  /**
   * `[position, position + length)`; null when the file ends before. A view stays valid: a window is never written again.
   */
  async load(position: number, length: number): Promise<Buffer | null> {
    const start = position - this.#from
    if (start >= 0 && start + length <= this.#window.length) return this.#window.subarray(start, start + length)
    if (position + length > this.#end) return null
    const window = Buffer.allocUnsafeSlow(Math.min(Math.max(length, this.#windowBytes), this.#end - position))
    const count = await this.#file.read(window, position)
    this.#window = window.subarray(0, count)
    this.#from = position
    return count >= length ? this.#window.subarray(0, length) : null
  }
}
