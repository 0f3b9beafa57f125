/**
 * Frames: an int32 length, then that many bytes. A frame reader takes chunks as the socket gave them and hands out whole
 * frames as views of them; it joins nothing, and allocates nothing by the length that a peer declares.
 */
import { invariant } from '../base/invariant.ts'
import { type Rope, ropeFrom } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'
import { WireWriter } from './writer.ts'

export const frameLengthBytes = 4

/** Chunks below this that arrive amid a frame are copied together, lest a drip-fed frame become a list of tiny chunks. */
const smallChunkBytes = 1024
const gatherBytesMin = 1024
const gatherBytesMax = 64 * 1024
/** At most so many bytes are kept alive for one byte of a frame that has only begun. */
const pinnedPerHeldMax = 8

const noChunk = Buffer.alloc(0)

export interface FrameLimits {
  /** The least that a frame can hold, its length not counted. */
  readonly bytesMin: number
  /** `socket.request.max.bytes`. */
  readonly bytesMax: number
}

/**
 * Usage: `push` a chunk, then take frames with `next` until it returns null. A `ProtocolError` is final: what follows in the
 * stream cannot be made sense of. It is thrown as soon as the four bytes of a bad length are there.
 */
export class FrameReader {
  readonly #limits: FrameLimits
  /** Chunks not yet handed out; the first is used up to `#at`. */
  #chunks: Buffer[] = []
  #first = 0
  #at = 0
  #held = 0
  /** The length of the frame that has begun, once it is known. */
  #frameBytes = -1
  /** Where small chunks are copied together; its used part is the last of `#chunks`. */
  #gather: Buffer | null = null
  #gathered = 0

  constructor(limits: FrameLimits) {
    invariant(limits.bytesMin >= 0 && limits.bytesMin <= limits.bytesMax, 'the limits of frames leave room for a frame')
    this.#limits = limits
  }

  /** Bytes that have arrived and not been handed out: what a budget for requests is charged with. */
  get heldBytes(): number {
    return this.#held
  }

  /** As `heldBytes`, with the length of the frame that has begun. */
  get pendingBytes(): number {
    return this.#held + (this.#frameBytes < 0 ? 0 : frameLengthBytes)
  }

  /** How many more bytes the frame that has begun needs; 0 when none has, or all of it is there. */
  get missingBytes(): number {
    return this.#frameBytes < 0 ? 0 : Math.max(this.#frameBytes - this.#held, 0)
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    if (chunk.length < smallChunkBytes && this.#held > 0) {
      this.#pushSmall(chunk)
    } else {
      this.#gather = null
      this.#chunks.push(chunk)
    }
    this.#held += chunk.length
  }

  /** The next whole frame, without its length; null until more is pushed. */
  next(): Rope | null {
    if (this.#frameBytes < 0) {
      if (this.#held < frameLengthBytes) {
        this.#releaseChunk()
        return null
      }
      this.#frameBytes = this.#readLength()
    }
    if (this.#held < this.#frameBytes) {
      this.#releaseChunk()
      return null
    }
    const frame = this.#take(this.#frameBytes)
    this.#frameBytes = -1
    return frame
  }

  #readLength(): number {
    const chunk = this.#chunks[this.#first] as Buffer
    let length: number
    if (this.#at + frameLengthBytes <= chunk.length) {
      length = chunk.readInt32BE(this.#at)
      this.#advance(frameLengthBytes)
    } else {
      length = 0
      for (let i = 0; i < frameLengthBytes; i++) {
        length = (length << 8) | ((this.#chunks[this.#first] as Buffer)[this.#at] as number)
        this.#advance(1)
      }
    }
    const { bytesMin, bytesMax } = this.#limits
    if (length < bytesMin) throw new ProtocolError(`a frame of ${length} bytes is shorter than any header`)
    if (length > bytesMax) throw new ProtocolError(`a frame of ${length} bytes is longer than the limit of ${bytesMax}`)
    return length
  }

  #take(length: number): Rope {
    const chunk = this.#chunks[this.#first]
    if (chunk !== undefined && this.#at + length <= chunk.length) {
      const view = chunk.subarray(this.#at, this.#at + length)
      this.#advance(length)
      return { chunks: [view], length }
    }
    const views: Buffer[] = []
    for (let left = length; left > 0; ) {
      const part = this.#chunks[this.#first] as Buffer
      const view = part.subarray(this.#at, Math.min(this.#at + left, part.length))
      views.push(view)
      left -= view.length
      this.#advance(view.length)
    }
    return ropeFrom(views)
  }

  /** Moves on within the first chunk, which has at least `count` bytes left. */
  #advance(count: number): void {
    this.#held -= count
    this.#at += count
    if (this.#at < (this.#chunks[this.#first] as Buffer).length) return
    this.#at = 0
    this.#chunks[this.#first++] = noChunk
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
      this.#gather = null
    } else if (this.#first >= 64) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
  }

  /** A short beginning of a frame must not keep the whole chunk alive that its predecessors came in. */
  #releaseChunk(): void {
    const chunk = this.#chunks[this.#first]
    if (chunk === undefined || this.#gather !== null || this.#first + 1 < this.#chunks.length) return
    if (this.#held * pinnedPerHeldMax >= chunk.buffer.byteLength) return
    const rest = chunk.subarray(this.#at)
    this.#chunks = []
    this.#first = 0
    this.#at = 0
    this.#gatherFrom(rest)
  }

  #pushSmall(chunk: Buffer): void {
    let from = 0
    if (this.#gather !== null) {
      const room = this.#gather.length - this.#gathered
      const count = Math.min(room, chunk.length)
      this.#gather.set(chunk.subarray(0, count), this.#gathered)
      this.#gathered += count
      this.#chunks[this.#chunks.length - 1] = this.#gather.subarray(0, this.#gathered)
      from = count
    }
    if (from === chunk.length) return
    this.#gatherFrom(chunk.subarray(from))
  }

  /** Copies into a new buffer that has room for more; it grows with what has arrived, so that little sent costs little. */
  #gatherFrom(bytes: Buffer): void {
    const capacity = Math.min(Math.max(this.#held, gatherBytesMin), gatherBytesMax)
    this.#gather = Buffer.allocUnsafeSlow(Math.max(capacity, bytes.length))
    this.#gather.set(bytes, 0)
    this.#gathered = bytes.length
    this.#chunks.push(this.#gather.subarray(0, bytes.length))
  }
}

/** A frame around what `write` writes. */
export function writeFrame(write: (to: WireWriter) => void, capacity?: number): Rope {
  const to = new WireWriter(capacity)
  to.int32(0)
  write(to)
  to.patchStart(to.length - frameLengthBytes)
  return to.finish()
}
