/**
 * How the text protocol lies on a connection, in one of two ways that the first four bytes decide:
 *
 *     frames    u32 little-endian length, then that many bytes of UTF-8; replies likewise
 *     lines     what a person types into a terminal: one command per LF, one reply per line; a newline inside either is
 *               written \n, a backslash \\
 *
 * A reader takes chunks as the socket gave them and hands out commands. What is no command is handed out as a fault, to be
 * answered in its turn; the bytes of one too long are dropped as they come, so that what follows is understood again.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { invariant } from '../base/invariant.ts'
import { ProtocolError } from './protocol-error.ts'

export type TextMode = 'frames' | 'lines'

export interface TextFrame {
  readonly mode: TextMode
  /** What it takes in memory. */
  readonly length: number
  readonly content: TextContent
}

export type TextContent = { readonly text: string } | { readonly fault: TextFault }

/** What is wrong with a frame, as it is told. */
export const textFaults = {
  length: 'ERR invalid frame length',
  line: 'ERR line too long',
  encoding: 'ERR invalid utf-8',
} as const

export type TextFault = keyof typeof textFaults

/** The most that `text.max.frame.bytes` can be. Four bytes of a word, read as a length, are more than that. */
export const textFrameBytesLimit = 128 * 1024 * 1024

/** So much of what is too long is dropped before the connection is given up. */
const drainBytesMax = 16 * 1024 * 1024

const lengthBytes = 4
const lf = 0x0a
const cr = 0x0d
const backslash = 0x5c
const bufferBytesMin = 1024
const noBytes = Buffer.alloc(0)

/**
 * Usage: `push` a chunk, then take frames with `next` until it returns null. A `ProtocolError` is final: what follows is not
 * worth being made sense of.
 */
export class TextReader {
  readonly #bytesMax: number
  #mode: TextMode | null = null
  /** What arrived; used up to `#at`, filled up to `#end`. Ours to write into when `#isOwn`. */
  #bytes: Buffer = noBytes
  #at = 0
  #end = 0
  #isOwn = false
  /** In lines: no LF before this. */
  #searched = 0
  /** Of a frame that is too long, how much is still to be dropped. Of a line, how much was. */
  #drain: { left: number; dropped: number } | null = null
  #isFirst = true

  constructor(bytesMax: number) {
    invariant(bytesMax > 0 && bytesMax <= textFrameBytesLimit, 'frames and lines can be told apart')
    this.#bytesMax = bytesMax
  }

  get pendingBytes(): number {
    return this.#end - this.#at
  }

  get missingBytes(): number {
    if (this.#drain !== null) return Math.min(this.#drain.left, drainBytesMax)
    const held = this.pendingBytes
    if (held === 0) return 0
    if (this.#mode === 'lines' || held < lengthBytes) return 1
    return Math.max(lengthBytes + this.#length() - held, 0)
  }

  push(chunk: Buffer): void {
    if (this.pendingBytes === 0) {
      this.#bytes = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#isOwn = false
      this.#searched = 0
    } else {
      this.#makeRoom(chunk.length)
      this.#bytes.set(chunk, this.#end)
      this.#end += chunk.length
    }
  }

  /** The next command or fault; null until more is pushed. */
  next(): TextFrame | null {
    if (this.#drain !== null && !this.#dropOn()) return null
    if (this.#mode === null) {
      if (this.pendingBytes < lengthBytes) return this.#keep()
      this.#mode = this.#isWord() ? 'lines' : 'frames'
    }
    const frame = this.#mode === 'frames' ? this.#nextFrame() : this.#nextLine()
    if (frame !== null) this.#isFirst = false
    return frame ?? this.#keep()
  }

  #isWord(): boolean {
    const first = this.#bytes[this.#at] as number
    return first >= 0x41 && first <= 0x5a && this.#length() > textFrameBytesLimit
  }

  #length(): number {
    return this.#bytes.readUInt32LE(this.#at)
  }

  #nextFrame(): TextFrame | null {
    if (this.pendingBytes < lengthBytes) return null
    const length = this.#length()
    if (length === 0 || length > this.#bytesMax) {
      this.#at += lengthBytes
      if (length > 0) {
        this.#drain = { left: length, dropped: 0 }
        this.#dropSome(length)
      }
      return faulty('frames', 'length')
    }
    if (this.pendingBytes < lengthBytes + length) return null
    const from = this.#at + lengthBytes
    this.#at = from + length
    return frameOf('frames', this.#bytes.subarray(from, this.#at))
  }

  #nextLine(): TextFrame | null {
    const at = this.#bytes.subarray(0, this.#end).indexOf(lf, Math.max(this.#searched, this.#at))
    const end = at < 0 ? this.#end : at
    if (end - this.#at > this.#bytesMax + 1) {
      if (this.#isFirst && isPathNext(this.#bytes.subarray(this.#at, end))) throw speaksHttp()
      this.#drain = { left: 1, dropped: 0 }
      this.#dropLine()
      return faulty('lines', 'line')
    }
    this.#searched = end
    if (at < 0) return null
    const line = this.#bytes.subarray(this.#at, at > this.#at && this.#bytes[at - 1] === cr ? at - 1 : at)
    this.#at = at + 1
    if (line.length > this.#bytesMax) return faulty('lines', 'line')
    const frame = frameOf('lines', unescaped(line))
    if (this.#isFirst && 'text' in frame.content && isHttp(frame.content.text)) throw speaksHttp()
    return frame
  }

  /** Whether all of what is too long is gone. */
  #dropOn(): boolean {
    const drain = this.#drain
    if (drain === null) return true
    if (this.#mode === 'lines') this.#dropLine()
    else this.#dropSome(drain.left)
    if (drain.dropped > drainBytesMax) throw new ProtocolError('what it sent is far longer than the limit')
    return this.#drain === null
  }

  #dropSome(left: number): void {
    const drain = this.#drain
    invariant(drain !== null, 'only what is too long is dropped')
    const count = Math.min(left, this.pendingBytes)
    this.#at += count
    drain.dropped += count
    drain.left = left - count
    if (drain.left === 0) this.#drain = null
  }

  #dropLine(): void {
    const drain = this.#drain
    invariant(drain !== null, 'only what is too long is dropped')
    const at = this.#bytes.subarray(0, this.#end).indexOf(lf, this.#at)
    drain.dropped += (at < 0 ? this.#end : at) - this.#at
    this.#at = at < 0 ? this.#end : at + 1
    this.#searched = this.#at
    if (at >= 0) this.#drain = null
  }

  /** The beginning of a frame must not keep the whole chunk alive that its predecessors came in. */
  #keep(): null {
    const held = this.pendingBytes
    if (held === 0) {
      this.#bytes = noBytes
      this.#at = 0
      this.#end = 0
      this.#searched = 0
      this.#isOwn = false
    } else if (this.#bytes.buffer.byteLength > Math.max(held * 8, bufferBytesMin)) {
      this.#isOwn = false
      this.#makeRoom(0)
    }
    return null
  }

  /** Room for `count` more bytes in a buffer of our own, which grows with what has arrived, not with what was announced. */
  #makeRoom(count: number): void {
    const held = this.pendingBytes
    if (this.#isOwn && this.#end + count <= this.#bytes.length) return
    const capacity = Math.max(bufferBytesMin, 2 ** Math.ceil(Math.log2(held + count)))
    const bytes = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(bytes, 0, this.#at, this.#end)
    this.#searched = Math.max(this.#searched - this.#at, 0)
    this.#bytes = bytes
    this.#at = 0
    this.#end = held
    this.#isOwn = true
  }
}

/** Browsers send such a line wherever a page makes them, and what follows it could be commands. No topic has such a name. */
function isHttp(line: string): boolean {
  const [, target = '', version = '', more] = line.split(' ', 4)
  return more === undefined && /^HTTP\/[0-9.]{1,4}$/.test(version) && /[/*:]/.test(target)
}

/** The same of a line whose end is not looked at. */
function isPathNext(line: Buffer): boolean {
  return /^[A-Z]+ [/*]/.test(line.toString('latin1', 0, 32))
}

const speaksHttp = () => new ProtocolError('it speaks HTTP, which is served at another port')

function frameOf(mode: TextMode, bytes: Buffer): TextFrame {
  if (!isUtf8(bytes)) return { mode, length: bytes.length, content: { fault: 'encoding' } }
  return { mode, length: bytes.length, content: { text: bytes.toString() } }
}

function faulty(mode: TextMode, fault: TextFault): TextFrame {
  return { mode, length: 0, content: { fault } }
}

/** A reply as it goes on the wire, in one buffer. */
export function encodeTextReply(mode: TextMode, text: string): Buffer {
  if (mode === 'lines') return Buffer.from(`${escapeText(text)}\n`)
  const length = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(lengthBytes + length)
  bytes.writeUInt32LE(length)
  bytes.write(text, lengthBytes)
  return bytes
}

/** One line of a text of any. */
export function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** A backslash before anything else than `n` or another one is no more than a backslash. */
function unescaped(line: Buffer): Buffer {
  let from = line.indexOf(backslash)
  if (from < 0) return line
  const plain = Buffer.allocUnsafe(line.length)
  let length = line.copy(plain, 0, 0, from)
  while (from < line.length) {
    const byte = line[from++] as number
    const next = line[from]
    if (byte === backslash && (next === 0x6e || next === backslash)) {
      plain[length++] = next === backslash ? backslash : lf
      from++
    } else {
      plain[length++] = byte
    }
  }
  return plain.subarray(0, length)
}
