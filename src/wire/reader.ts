/**
 * Reads Kafka's primitive types from a rope, wherever its chunks end. Nothing is trusted: a length is compared with what is
 * left before anything is made of it, and whatever is wrong is a `ProtocolError`.
 *
 * Numbers that lie within a chunk, which is nearly all of them, are read in place; one that spans chunks is gathered first.
 */
import type { TopicId } from '../base/ids.ts'
import { noTopicId } from '../base/ids.ts'
import { emptyRope, type Rope, ropeFrom } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'

/** Kafka's bound for any string. */
export const stringBytesMax = 0x7fff

/**
 * How many array elements and tagged fields one message may hold in all. Small elements become far larger as objects, so that
 * the bytes of a frame alone would not bound the memory and the time that it takes to read.
 */
export const elementsMaxDefault = 1 << 16

const noChunk = Buffer.alloc(0)
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class WireReader {
  readonly #chunks: readonly Buffer[]
  readonly #length: number
  #elementsLeft: number
  #next = 0
  /** Bytes in the chunks before this one. */
  #before = 0
  #chunk: Buffer = noChunk
  #at = 0

  constructor(rope: Rope, elementsMax = elementsMaxDefault) {
    this.#chunks = rope.chunks
    this.#length = rope.length
    this.#elementsLeft = elementsMax
    this.#skipToBytes()
  }

  get position(): number {
    return this.#before + this.#at
  }

  get remaining(): number {
    return this.#length - this.#before - this.#at
  }

  /** Everything must have been read. */
  finish(): void {
    if (this.remaining !== 0) throw new ProtocolError(`${this.remaining} bytes are left over at the end`)
  }

  bool(): boolean {
    return this.#byte() !== 0
  }

  int8(): number {
    return (this.#byte() << 24) >> 24
  }

  int16(): number {
    return (this.uint16() << 16) >> 16
  }

  uint16(): number {
    const chunk = this.#chunk
    const at = this.#at
    if (at + 2 > chunk.length) return this.#gather(2).readUInt16BE(0)
    this.#at = at + 2
    return ((chunk[at] as number) << 8) | (chunk[at + 1] as number)
  }

  int32(): number {
    const chunk = this.#chunk
    const at = this.#at
    if (at + 4 > chunk.length) return this.#gather(4).readInt32BE(0)
    this.#at = at + 4
    return (
      ((chunk[at] as number) << 24) |
      ((chunk[at + 1] as number) << 16) |
      ((chunk[at + 2] as number) << 8) |
      (chunk[at + 3] as number)
    )
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  int64(): number {
    const value = this.#int64()
    if (!Number.isSafeInteger(value)) throw new ProtocolError('an int64 is beyond 2^53')
    return value
  }

  int64Saturating(): number {
    const value = this.#int64()
    return Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
  }

  float64(): number {
    return this.#gather(8).readDoubleBE(0)
  }

  uuid(): TopicId {
    const bytes = this.#gather(16)
    const text = bytes.toString('hex', 0, 16)
    return text === noTopicId ? noTopicId : (text as TopicId)
  }

  /** An unsigned varint of at most 32 bits. */
  uvarint(): number {
    const first = this.#byte()
    return first < 0x80 ? first : this.#uvarintFrom(first)
  }

  /** A zigzag varint of at most 32 bits. */
  varint(): number {
    const raw = this.uvarint()
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** A zigzag varint of at most 64 bits whose value is a safe integer. */
  varlong(): number {
    const first = this.#byte()
    // Without the sign bit, so that the sum is exact all the way up to 2^53.
    let magnitude = (first & 0x7f) >> 1
    let factor = 64
    for (let byte = first, count = 1; byte >= 0x80; factor *= 128, count++) {
      if (count === 10) throw new ProtocolError('a varlong has more than 10 bytes')
      byte = this.#byte()
      magnitude += (byte & 0x7f) * factor
    }
    const value = first & 1 ? -magnitude - 1 : magnitude
    if (!Number.isSafeInteger(value)) throw new ProtocolError('a varlong is beyond 2^53')
    return value
  }

  /** The length of something nullable: -1 for null. Compact lengths are stored plus one. */
  length16(): number {
    return this.#checkedLength(this.int16())
  }

  length32(): number {
    return this.#checkedLength(this.int32())
  }

  lengthCompact(): number {
    return this.#checkedLength(this.uvarint() - 1)
  }

  /** Takes note of `count` elements of at least `elementBytesMin` each; refuses what cannot be there. */
  claimElements(count: number, elementBytesMin: number): void {
    if (count * elementBytesMin > this.remaining) {
      throw new ProtocolError(`${count} elements cannot lie in the ${this.remaining} bytes that are left`)
    }
    this.#elementsLeft -= count
    if (this.#elementsLeft < 0) throw new ProtocolError('a message has too many elements')
  }

  string(length: number): string {
    if (length > stringBytesMax) throw new ProtocolError(`a string of ${length} bytes is too long`)
    const chunk = this.#chunk
    const at = this.#at
    const end = at + length
    if (end > chunk.length) return decodeUtf8(this.#gather(length), 0, length)
    this.#at = end
    return decodeUtf8(chunk, at, end)
  }

  /** A view where the bytes lie in one chunk, else a copy. */
  bytes(length: number): Buffer {
    return this.#gather(length)
  }

  /** A view of the next bytes, however many chunks they span. */
  rope(length: number): Rope {
    this.#demand(length)
    if (length === 0) return emptyRope
    const chunks: Buffer[] = []
    for (let left = length; left > 0; ) {
      const part = this.#takePart(left)
      chunks.push(part)
      left -= part.length
    }
    return chunks.length === 1 ? { chunks, length } : ropeFrom(chunks)
  }

  skip(length: number): void {
    this.#demand(length)
    let left = length
    while (left > this.#chunk.length - this.#at) {
      left -= this.#chunk.length - this.#at
      this.#at = this.#chunk.length
      this.#skipToBytes()
    }
    this.#at += left
  }

  /** A section of tagged fields: `read` is called with each tag and says whether it knew and read it; else it is skipped. */
  taggedFields(read: (tag: number) => boolean): void {
    const count = this.uvarint()
    if (count === 0) return
    this.claimElements(count, 2)
    for (let i = 0; i < count; i++) {
      const tag = this.uvarint()
      const size = this.uvarint()
      this.#demand(size)
      const end = this.position + size
      if (!read(tag)) this.skip(size)
      if (this.position !== end) throw new ProtocolError(`tagged field ${tag} is not of the size that it states`)
    }
  }

  #byte(): number {
    if (this.#at >= this.#chunk.length) {
      this.#demand(1)
      this.#skipToBytes()
    }
    return this.#chunk[this.#at++] as number
  }

  /** More than 32 bits are refused; zeros at the end are allowed, as everywhere in Kafka. */
  #uvarintFrom(first: number): number {
    let value = first & 0x7f
    for (let shift = 7; shift < 28; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = this.#byte()
    if (last > 0x0f) throw new ProtocolError('a varint is beyond 32 bits')
    return (value | (last << 28)) >>> 0
  }

  #int64(): number {
    const high = this.int32()
    const low = this.int32() >>> 0
    return high * 0x1_0000_0000 + low
  }

  #checkedLength(length: number): number {
    if (length < -1) throw new ProtocolError(`a length of ${length} is negative`)
    if (length > this.remaining) {
      throw new ProtocolError(`a length of ${length} is more than the ${this.remaining} bytes that are left`)
    }
    return length
  }

  #demand(count: number): void {
    if (count > this.remaining) {
      throw new ProtocolError(`${count} bytes are wanted where ${this.remaining} are left`)
    }
  }

  /** The next `length` bytes as one buffer. */
  #gather(length: number): Buffer {
    this.#demand(length)
    if (length <= this.#chunk.length - this.#at || length === 0) return this.#takePart(length)
    const gathered = Buffer.allocUnsafe(length)
    for (let done = 0; done < length; ) {
      const part = this.#takePart(length - done)
      gathered.set(part, done)
      done += part.length
    }
    return gathered
  }

  /** What this chunk has of the next `length` bytes; at least one, when `length` is not 0. */
  #takePart(length: number): Buffer {
    if (this.#at === this.#chunk.length) this.#skipToBytes()
    const from = this.#at
    this.#at = Math.min(from + length, this.#chunk.length)
    return this.#chunk.subarray(from, this.#at)
  }

  #skipToBytes(): void {
    while (this.#at === this.#chunk.length && this.#next < this.#chunks.length) {
      this.#before += this.#chunk.length
      this.#chunk = this.#chunks[this.#next++] as Buffer
      this.#at = 0
    }
  }
}

/** Nearly every string is ASCII, and those are the same in Latin-1, which needs no decoder. */
function decodeUtf8(buffer: Buffer, from: number, to: number): string {
  for (let at = from; at < to; at++) {
    if ((buffer[at] as number) >= 0x80) return decodeStrictly(buffer.subarray(from, to))
  }
  return buffer.toString('latin1', from, to)
}

function decodeStrictly(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new ProtocolError('a string is not UTF-8')
  }
}
