/**
 * Hash tables of small integers, packed into typed arrays: tens of bytes per entry where a Map of strings takes hundreds.
 * Both only grow; an entry's number never changes.
 */
import { invariant } from '../../base/invariant.ts'

const emptySlot = -1

/** Rows of integers, each stored once and known by its number from then on. */
export class RowTable {
  /** Each row: its length, then its integers. */
  #ints = new Int32Array(1 << 12)
  #used = 0
  /** Where the row of a number begins. */
  #starts = new Float64Array(1 << 8)
  #slots = new Int32Array(1 << 10).fill(emptySlot)
  #count = 0

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#ints.byteLength + this.#starts.byteLength + this.#slots.byteLength
  }

  /** The number of the row `ints[0, length)`: an old one if the row is known, else `count` as it was. */
  intern(ints: Int32Array, length: number): number {
    const mask = this.#slots.length - 1
    let slot = hashOf(ints, 0, length) & mask
    for (;;) {
      const id = this.#slots[slot]!
      if (id === emptySlot) break
      if (this.#equals(id, ints, length)) return id
      slot = (slot + 1) & mask
    }
    const id = this.#push(ints, length)
    this.#slots[slot] = id
    if (this.#count * 2 > this.#slots.length) this.#rehash()
    return id
  }

  /** Copies a row to the front of `into`; its length. */
  read(id: number, into: Int32Array): number {
    const start = this.#starts[id]!
    const length = this.#ints[start]!
    for (let at = 0; at < length; at++) into[at] = this.#ints[start + 1 + at]!
    return length
  }

  #equals(id: number, ints: Int32Array, length: number): boolean {
    const start = this.#starts[id]!
    if (this.#ints[start] !== length) return false
    for (let at = 0; at < length; at++) if (this.#ints[start + 1 + at] !== ints[at]) return false
    return true
  }

  #push(ints: Int32Array, length: number): number {
    const needed = this.#used + 1 + length
    if (needed > this.#ints.length) this.#ints = longer(this.#ints, needed)
    if (this.#count === this.#starts.length) {
      this.#starts = new Float64Array(this.#starts.buffer.transfer(this.#starts.byteLength * 2))
    }
    this.#starts[this.#count] = this.#used
    this.#ints[this.#used] = length
    for (let at = 0; at < length; at++) this.#ints[this.#used + 1 + at] = ints[at]!
    this.#used = needed
    return this.#count++
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(emptySlot)
    const mask = slots.length - 1
    for (let id = 0; id < this.#count; id++) {
      const start = this.#starts[id]!
      let slot = hashOf(this.#ints, start + 1, this.#ints[start]!) & mask
      while (slots[slot] !== emptySlot) slot = (slot + 1) & mask
      slots[slot] = id
    }
    this.#slots = slots
  }
}

/** A map from two integers to a third, none of them negative. */
export class PairMap {
  /** Three per entry: the pair and its value. */
  #ints = new Int32Array(3 << 10).fill(emptySlot)
  #mask = (1 << 10) - 1
  #count = 0

  get bytes(): number {
    return this.#ints.byteLength
  }

  /** The value of a pair, -1 when it has none. */
  get(a: number, b: number): number {
    let slot = hashOfPair(a, b) & this.#mask
    for (;;) {
      const at = slot * 3
      const found = this.#ints[at]!
      if (found === emptySlot) return -1
      if (found === a && this.#ints[at + 1] === b) return this.#ints[at + 2]!
      slot = (slot + 1) & this.#mask
    }
  }

  /** Adds a pair that the map does not have. */
  add(a: number, b: number, value: number): void {
    invariant(value >= 0, 'a value is not negative, so that -1 can stand for none')
    if (this.#count * 2 > this.#mask) this.#grow()
    this.#place(a, b, value)
    this.#count += 1
  }

  #place(a: number, b: number, value: number): void {
    let slot = hashOfPair(a, b) & this.#mask
    while (this.#ints[slot * 3] !== emptySlot) slot = (slot + 1) & this.#mask
    this.#ints[slot * 3] = a
    this.#ints[slot * 3 + 1] = b
    this.#ints[slot * 3 + 2] = value
  }

  #grow(): void {
    const before = this.#ints
    this.#ints = new Int32Array(before.length * 2).fill(emptySlot)
    this.#mask = this.#mask * 2 + 1
    for (let at = 0; at < before.length; at += 3) {
      if (before[at] !== emptySlot) this.#place(before[at]!, before[at + 1]!, before[at + 2]!)
    }
  }
}

/** A list of integers that grows without a copy of each. */
export class IntList {
  #ints = new Int32Array(1 << 10)
  #count = 0

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#ints.byteLength
  }

  push(value: number): void {
    if (this.#count === this.#ints.length) this.#ints = longer(this.#ints, this.#count + 1)
    this.#ints[this.#count++] = value
  }

  at(index: number): number {
    return this.#ints[index]!
  }
}

function longer(ints: Int32Array<ArrayBuffer>, lengthMin: number): Int32Array<ArrayBuffer> {
  let length = ints.length * 2
  while (length < lengthMin) length *= 2
  return new Int32Array(ints.buffer.transfer(length * 4))
}

function hashOf(ints: Int32Array, from: number, length: number): number {
  let hash = length
  for (let at = from; at < from + length; at++) hash = mix(hash ^ ints[at]!)
  return hash >>> 0
}

function hashOfPair(a: number, b: number): number {
  return mix(mix(a) ^ b) >>> 0
}

/** Spreads every bit of the input over the result (the constants are those of a well-known 32-bit finaliser). */
function mix(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return x ^ (x >>> 16)
}
