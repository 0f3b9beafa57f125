/** Reads a file in stretches and hands out views of them, so that walking headers does not cost a read each. */
export class ReadWindow {
  readonly #file: { read(target: Buffer, position: number): Promise<number> }
  readonly #end: number
  readonly #windowBytes: number
  /** One buffer for all stretches, where views are not kept. */
  readonly #reused: Buffer | null
  #window: Buffer = Buffer.alloc(0)
  #from = 0

  /**
   * `end`: nothing at or behind this position is asked of the file. `reused`: memory for the stretches, if views are not
   * looked at any more once the next is asked for; it saves the system the handing out of fresh pages.
   */
  constructor(
    file: { read(target: Buffer, position: number): Promise<number> },
    end: number,
    windowBytes: number,
    reused: Buffer | null = null,
  ) {
    this.#reused = reused
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
   * `[position, position + length)`; null when the file ends before. A view stays valid, unless memory is reused.
   */
  async load(position: number, length: number): Promise<Buffer | null> {
    const start = position - this.#from
    if (start >= 0 && start + length <= this.#window.length) return this.#window.subarray(start, start + length)
    if (position + length > this.#end) return null
    const wanted = Math.min(Math.max(length, this.#windowBytes), this.#end - position)
    const fits = this.#reused !== null && wanted <= this.#reused.length
    const window = fits ? this.#reused.subarray(0, wanted) : Buffer.allocUnsafeSlow(wanted)
    const count = await this.#file.read(window, position)
    this.#window = window.subarray(0, count)
    this.#from = position
    return count >= length ? this.#window.subarray(0, length) : null
  }
}
