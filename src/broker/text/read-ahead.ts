/** One bound on what all cursors have read and not handed out yet: beyond it the one that was filled longest ago is emptied. */

export interface AheadHolder {
  /** It will be read again. */
  dropAhead(): void
}

export class ReadAhead {
  readonly #bytesMax: number
  readonly #held = new Map<AheadHolder, number>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** What was just read stays, however large it is. */
  hold(holder: AheadHolder, bytes: number): void {
    this.release(holder)
    this.#held.set(holder, bytes)
    this.#bytes += bytes
    for (const other of this.#held.keys()) {
      if (this.#bytes <= this.#bytesMax || other === holder) return
      this.release(other)
      other.dropAhead()
    }
  }

  release(holder: AheadHolder): void {
    this.#bytes -= this.#held.get(holder) ?? 0
    this.#held.delete(holder)
  }
}
