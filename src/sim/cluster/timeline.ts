/**
 * Virtual time for a whole cluster: a heap of things that happen, each at its moment, one after the other. Nothing waits for a
 * promise: the cores are functions, so a step is over when it returns, and a simulated second costs what its events cost. (The
 * one-node simulator runs drivers, which do wait: `../scheduler.ts`.)
 */

/** Whoever owns an event says whether it still happens: what a process had in hand ends with it. */
export interface Owner {
  readonly isGone: boolean
}

export class Timeline {
  #nowMs = 0
  #sequence = 0
  #events = 0
  #hash = 0x811c9dc5
  // A binary heap in parallel arrays: due times and ties are compared often, and numbers in arrays of their own stay unboxed.
  readonly #due: number[] = []
  readonly #tie: number[] = []
  readonly #run: (() => void)[] = []
  readonly #owner: (Owner | null)[] = []

  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events have happened. */
  get events(): number {
    return this.#events
  }

  /** Over what `mix` was told: equal for two runs of one seed. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value & 0xffff_ffff), 0x0100_0193) ^ (this.#hash >>> 15)
  }

  after(delayMs: number, owner: Owner | null, run: () => void): void {
    const due = this.#nowMs + Math.max(0, delayMs)
    const tie = this.#sequence++
    let at = this.#due.length
    this.#due.push(due)
    this.#tie.push(tie)
    this.#run.push(run)
    this.#owner.push(owner)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Lets the next thing happen; false when there is none before `untilMs`, which it then is. */
  step(untilMs: number): boolean {
    const due = this.#due[0]
    if (due === undefined || due > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs)
      return false
    }
    const run = this.#run[0] as () => void
    const owner = this.#owner[0] as Owner | null
    this.#removeFirst()
    this.#nowMs = due
    if (owner?.isGone === true) return true
    this.#events += 1
    this.mix(due * 1024)
    run()
    return true
  }

  #removeFirst(): void {
    const last = this.#due.length - 1
    this.#swap(0, last)
    this.#due.pop()
    this.#tie.pop()
    this.#run.pop()
    this.#owner.pop()
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= last) return
      const child = left + 1 < last && this.#isBefore(left + 1, left) ? left + 1 : left
      if (!this.#isBefore(child, at)) return
      this.#swap(at, child)
      at = child
    }
  }

  #isBefore(a: number, b: number): boolean {
    const dueA = this.#due[a] as number
    const dueB = this.#due[b] as number
    return dueA < dueB || (dueA === dueB && (this.#tie[a] as number) < (this.#tie[b] as number))
  }

  #swap(a: number, b: number): void {
    if (a === b) return
    swapIn(this.#due, a, b)
    swapIn(this.#tie, a, b)
    swapIn(this.#run, a, b)
    swapIn(this.#owner, a, b)
  }
}

function swapIn<T>(array: T[], a: number, b: number): void {
  const kept = array[a] as T
  array[a] = array[b] as T
  array[b] = kept
}
