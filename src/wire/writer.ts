/**
 * Writes Kafka's primitive types into a rope. Small fields gather in one growing buffer; record batches are appended by
 * reference, so that a response is a few small chunks around the log's own.
 */
import type { TopicId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { type Rope, ropeFrom } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'
import { stringBytesMax } from './reader.ts'

const capacityMin = 64

export class WireWriter {
  readonly #chunks: Buffer[] = []
  /** Bytes in `#chunks`. */
  #chunked = 0
  #buffer: Buffer
  /** What lies in `[#from, #at)` of the buffer is not yet a chunk. */
  #from = 0
  #at = 0

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacity, capacityMin))
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#chunked + this.#at - this.#from
  }

  /** What was written. The writer must not be used afterwards. */
  finish(): Rope {
    this.#cut()
    return ropeFrom(this.#chunks)
  }

  bool(value: boolean): void {
    this.#byte(value ? 1 : 0)
  }

  int8(value: number): void {
    invariant((value << 24) >> 24 === value, 'an int8 is in its range')
    this.#byte(value)
  }

  int16(value: number): void {
    invariant((value << 16) >> 16 === value, 'an int16 is in its range')
    this.#uint16(value)
  }

  uint16(value: number): void {
    invariant((value & 0xffff) === value, 'a uint16 is in its range')
    this.#uint16(value)
  }

  int32(value: number): void {
    invariant((value | 0) === value, 'an int32 is in its range')
    this.#uint32(value)
  }

  uint32(value: number): void {
    invariant(value >>> 0 === value, 'a uint32 is in its range')
    this.#uint32(value)
  }

  int64(value: number): void {
    invariant(Number.isSafeInteger(value), 'an int64 is written from a whole number below 2^53')
    this.#uint32(Math.floor(value / 0x1_0000_0000))
    this.#uint32(value)
  }

  int64Saturating(value: number): void {
    if (value === Number.MAX_SAFE_INTEGER) this.#twoUint32(0x7fff_ffff, 0xffff_ffff)
    else if (value === Number.MIN_SAFE_INTEGER) this.#twoUint32(0x8000_0000, 0)
    else this.int64(value)
  }

  float64(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, at)
  }

  uuid(value: TopicId): void {
    const at = this.#reserve(16)
    const written = this.#buffer.write(value, at, 16, 'hex')
    invariant(written === 16 && value.length === 32, 'a topic id is 32 hex digits')
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.#byte(rest)
  }

  /** A zigzag varint of at most 32 bits. */
  varint(value: number): void {
    this.uvarint(((value << 1) ^ (value >> 31)) >>> 0)
  }

  /** A zigzag varint of a safe integer. */
  varlong(value: number): void {
    invariant(Number.isSafeInteger(value), 'a varlong is written from a whole number below 2^53')
    // The lowest seven bits first, as twice the value may be beyond what a number holds exactly.
    const magnitude = value < 0 ? -(value + 1) : value
    let rest = Math.floor(magnitude / 64)
    const first = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0)
    this.#byte(rest === 0 ? first : first | 0x80)
    while (rest > 0) {
      const low = rest % 128
      rest = Math.floor(rest / 128)
      this.#byte(rest === 0 ? low : low | 0x80)
    }
  }

  /** A string with an int16 length, or with an unsigned varint of its length plus one. Null has length -1. */
  string(value: string | null, compact: boolean): void {
    const length = value === null ? -1 : Buffer.byteLength(value)
    // An error of the peer's, not ours: a text this long holds something that the peer sent.
    if (length > stringBytesMax) throw new ProtocolError(`a string of ${length} bytes cannot be written`)
    if (compact) this.uvarint(length + 1)
    else this.int16(length)
    if (value === null || length === 0) return
    const at = this.#reserve(length)
    this.#buffer.write(value, at, length, length === value.length ? 'latin1' : 'utf8')
  }

  /** The length or count of something nullable: -1 for null. */
  length32(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1)
    else this.int32(length)
  }

  /** Copies bytes in. */
  bytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length)
    this.#buffer.set(bytes, at)
  }

  /** Appends chunks by reference. */
  rope(rope: Rope): void {
    if (rope.length === 0) return
    this.#cut()
    for (const chunk of rope.chunks) this.#chunks.push(chunk)
    this.#chunked += rope.length
  }

  /** Writes what `write` writes behind its size as an unsigned varint. Nothing may be appended by reference inside. */
  sized(write: () => void): void {
    const mark = this.#at - this.#from
    const chunks = this.#chunks.length
    this.#byte(0)
    write()
    invariant(chunks === this.#chunks.length, 'a tagged field holds no records')
    const size = this.#at - this.#from - mark - 1
    const widths = size > 0x7f ? uvarintBytes(size) - 1 : 0
    if (widths > 0) {
      // Rare: a tagged field of 128 bytes or more moves up to make room for the rest of its size.
      this.#reserve(widths)
      const body = this.#from + mark + 1
      this.#buffer.copyWithin(body + widths, body, body + size)
    }
    const end = this.#at
    this.#at = this.#from + mark
    this.uvarint(size)
    this.#at = end
  }

  /** Overwrites four bytes at the very start, such as a length that is known only now. */
  patchStart(value: number): void {
    const first = this.#chunks[0]
    if (first !== undefined) first.writeInt32BE(value, 0)
    else this.#buffer.writeInt32BE(value, this.#from)
  }

  #byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#grow(1)
    this.#buffer[this.#at++] = value
  }

  /** The low 16 bits. By hand, as Buffer's own methods check their arguments once more. */
  #uint16(value: number): void {
    const at = this.#reserve(2)
    const buffer = this.#buffer
    buffer[at] = value >> 8
    buffer[at + 1] = value
  }

  /** The low 32 bits. */
  #uint32(value: number): void {
    const at = this.#reserve(4)
    const buffer = this.#buffer
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
  }

  #twoUint32(high: number, low: number): void {
    this.#uint32(high)
    this.#uint32(low)
  }

  #reserve(count: number): number {
    if (this.#at + count > this.#buffer.length) this.#grow(count)
    const at = this.#at
    this.#at = at + count
    return at
  }

  #grow(count: number): void {
    const pending = this.#at - this.#from
    const larger = Buffer.allocUnsafe(Math.max(2 * pending + count, this.#buffer.length))
    larger.set(this.#buffer.subarray(this.#from, this.#at), 0)
    this.#buffer = larger
    this.#from = 0
    this.#at = pending
  }

  #cut(): void {
    if (this.#at === this.#from) return
    this.#chunks.push(this.#buffer.subarray(this.#from, this.#at))
    this.#chunked += this.#at - this.#from
    this.#from = this.#at
  }
}

export function uvarintBytes(value: number): number {
  let count = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) count++
  return count
}
