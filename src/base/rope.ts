/**
 * Bytes as they arrived: a list of chunks with a length. Message bytes travel from the socket to the journal and back out
 * as ropes, so that nothing is joined and nothing is copied but for what must outlive its chunk.
 *
 * A rope is immutable as a list; the bytes under it may be stamped in place by the one owner of an append.
 */
import { crc32c } from './crc32c.ts'
import { invariant } from './invariant.ts'

export interface Rope {
  readonly chunks: readonly Buffer[]
  readonly length: number
}

export const emptyRope: Rope = { chunks: [], length: 0 }

export function ropeOf(...chunks: Buffer[]): Rope {
  return ropeFrom(chunks)
}

export function ropeFrom(chunks: readonly Buffer[]): Rope {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return { chunks, length }
}

export function concatRopes(ropes: readonly Rope[]): Rope {
  if (ropes.length === 1) return ropes[0] as Rope
  return ropeFrom(ropes.flatMap(rope => rope.chunks))
}

/** A view of `[from, to)`; no bytes are copied. */
export function sliceRope(rope: Rope, from: number, to: number): Rope {
  invariant(from >= 0 && from <= to && to <= rope.length, 'a slice lies inside its rope')
  if (from === 0 && to === rope.length) return rope
  const chunks: Buffer[] = []
  let start = 0
  for (const chunk of rope.chunks) {
    const end = start + chunk.length
    if (start >= to) break
    if (end > from) chunks.push(chunk.subarray(Math.max(from - start, 0), Math.min(to, end) - start))
    start = end
  }
  return { chunks, length: to - from }
}

/** The bytes as one buffer: the chunk itself where there is one, else a copy. For small things only. */
export function flattenRope(rope: Rope): Buffer {
  return rope.chunks.length === 1 ? (rope.chunks[0] as Buffer) : Buffer.concat(rope.chunks as Buffer[], rope.length)
}

/** `[from, to)` as one buffer, copied only where it spans chunks. For headers, not for bodies. */
export function peekRope(rope: Rope, from: number, to: number): Buffer {
  const first = rope.chunks[0]
  if (first !== undefined && to <= first.length) return first.subarray(from, to)
  return flattenRope(sliceRope(rope, from, to))
}

/** Overwrites bytes in place, across chunk borders where need be. */
export function writeIntoRope(rope: Rope, at: number, bytes: Uint8Array): void {
  invariant(at >= 0 && at + bytes.length <= rope.length, 'a stamp lies inside its rope')
  let start = 0
  let done = 0
  for (const chunk of rope.chunks) {
    const end = start + chunk.length
    const target = at + done
    if (target < end) {
      const count = Math.min(bytes.length - done, end - target)
      for (let i = 0; i < count; i++) chunk[target - start + i] = bytes[done + i] as number
      done += count
      if (done === bytes.length) return
    }
    start = end
  }
}

/** CRC-32C of `[from, to)`, going on from `previous`. */
export function crc32cOfRope(rope: Rope, from: number, to: number, previous = 0): number {
  invariant(from >= 0 && from <= to && to <= rope.length, 'a checksum is taken of bytes that are there')
  let crc = previous
  let start = 0
  for (const chunk of rope.chunks) {
    const end = start + chunk.length
    if (start >= to) break
    if (end > from) {
      const whole = start >= from && end <= to
      crc = crc32c(whole ? chunk : chunk.subarray(Math.max(from - start, 0), Math.min(to, end) - start), crc)
    }
    start = end
  }
  return crc
}
