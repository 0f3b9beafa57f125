/**
 * Decompresses the records of a batch with a cap on the output, synchronously: for a worker thread, or for input that is
 * known to be small. What would come out larger than the cap is refused before it is allocated, and input that no encoder
 * writes is refused as corrupt, whichever codec it is.
 */
import { constants, gunzipSync, type ZlibOptions, type ZstdOptions, zstdDecompressSync } from 'node:zlib'
import { decompressFrameSync } from 'lz4-napi'
import snappy from 'snappy'
import { TidelogError } from '../base/errors.ts'
import { unreachable } from '../base/invariant.ts'
import type { Codec } from '../io/compute.ts'
import { xerialHeader } from './compress.ts'

/** Throws `CORRUPT` for malformed input and `TOO_LARGE` where more than `bytesMax` would come out. */
export function decompress(codec: Codec, bytes: Buffer, bytesMax: number): Buffer {
  switch (codec) {
    case 'none':
      if (bytes.length > bytesMax) throw tooLarge(codec, bytesMax)
      return bytes
    case 'gzip':
      return inflate(codec, bytesMax, () => gunzipSync(bytes, gzipOptions(bytesMax)))
    case 'zstd':
      return inflate(codec, bytesMax, () => zstdDecompressSync(bytes, zstdOptions(bytesMax)))
    case 'snappy':
      return hasXerialHeader(bytes) ? unsnapXerial(bytes, bytesMax) : unsnapBlock(bytes, bytesMax)
    case 'lz4':
      return unlz4Frame(bytes, bytesMax)
    default:
      return unreachable(codec)
  }
}

/** A cap of 0 would mean "no cap" to zlib; one byte too many is still refused below. */
function gzipOptions(bytesMax: number): ZlibOptions {
  return { maxOutputLength: Math.max(bytesMax, 1) }
}

/** Every decoder is asked to take windows of 8 MiB (RFC 8878, 3.1.1.1.2); larger ones only where the output may be as large. */
const zstdWindowLogMin = 23
const zstdWindowLogMax = 27

function zstdOptions(bytesMax: number): ZstdOptions {
  const windowLog = Math.min(Math.max(Math.ceil(Math.log2(bytesMax + 1)), zstdWindowLogMin), zstdWindowLogMax)
  return { maxOutputLength: Math.max(bytesMax, 1), params: { [constants.ZSTD_d_windowLogMax]: windowLog } }
}

function inflate(codec: Codec, bytesMax: number, run: () => Buffer): Buffer {
  let output: Buffer
  try {
    output = run()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(codec, bytesMax)
    throw corrupt(codec, error)
  }
  if (output.length > bytesMax) throw tooLarge(codec, bytesMax)
  return output
}

// Snappy. Java clients write the framing of xerial's library, librdkafka and others a bare block.

/** The versions behind it may be others than ours. */
const xerialMagic = xerialHeader.subarray(0, 8)

function hasXerialHeader(bytes: Buffer): boolean {
  return bytes.length >= xerialHeader.length && bytes.subarray(0, xerialMagic.length).equals(xerialMagic)
}

function unsnapXerial(bytes: Buffer, bytesMax: number): Buffer {
  const blocks: Buffer[] = []
  let outputBytes = 0
  let at = xerialHeader.length
  while (at < bytes.length) {
    if (bytes.length - at < 4) throw corrupt('snappy', 'a block length is cut short')
    const length = bytes.readInt32BE(at)
    at += 4
    if (length <= 0 || length > bytes.length - at) throw corrupt('snappy', `a block of ${length} bytes`)
    const block = unsnapBlock(bytes.subarray(at, at + length), bytesMax - outputBytes)
    blocks.push(block)
    outputBytes += block.length
    at += length
  }
  return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks, outputBytes)
}

function unsnapBlock(bytes: Buffer, bytesMax: number): Buffer {
  if (snappyOutputBytes(bytes) > bytesMax) throw tooLarge('snappy', bytesMax)
  try {
    return snappy.uncompressSync(bytes) as Buffer
  } catch (error) {
    throw corrupt('snappy', error)
  }
}

/** A block begins with the length of its output, an unsigned varint of 32 bits; the decoder allocates by it. */
function snappyOutputBytes(bytes: Buffer): number {
  let length = 0
  for (let i = 0; i < 5 && i < bytes.length; i++) {
    const byte = bytes[i] as number
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length
  }
  throw corrupt('snappy', 'no length at its start')
}

// LZ4's frame format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. The native decoder knows no cap, so the
// output is measured first: its blocks are walked token by token, which reads a few bytes of each and copies nothing.

const lz4Magic = 0x184d2204

function unlz4Frame(bytes: Buffer, bytesMax: number): Buffer {
  const { outputBytes, end } = measureLz4(bytes, bytesMax)
  if (outputBytes > bytesMax) throw tooLarge('lz4', bytesMax)
  try {
    // Only the frame that was measured: the decoder goes on with another behind it.
    return decompressFrameSync(bytes.subarray(0, end))
  } catch (error) {
    throw corrupt('lz4', error)
  }
}

/** Where a frame ends and how much it decompresses to; any number above `bytesMax` once that is passed. */
function measureLz4(bytes: Buffer, bytesMax: number): { outputBytes: number; end: number } {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== lz4Magic) throw corrupt('lz4', 'no frame header')
  const flags = bytes[4] as number
  const hasBlockChecksums = (flags & 0x10) !== 0
  const hasContentSize = (flags & 0x08) !== 0
  const hasContentChecksum = (flags & 0x04) !== 0
  const hasDictionaryId = (flags & 0x01) !== 0
  let at = 7 + (hasContentSize ? 8 : 0) + (hasDictionaryId ? 4 : 0)
  if (hasContentSize && bytes.length >= 14) {
    const declared = bytes.readUInt32LE(6) + bytes.readUInt32LE(10) * 2 ** 32
    if (declared > bytesMax) return { outputBytes: declared, end: at }
  }
  let total = 0
  while (total <= bytesMax) {
    if (bytes.length - at < 4) throw corrupt('lz4', 'no end mark')
    const head = bytes.readUInt32LE(at)
    at += 4
    if (head === 0) break
    const length = head & 0x7fff_ffff
    const isPlain = head >>> 31 === 1
    if (length > bytes.length - at) throw corrupt('lz4', `a block of ${length} bytes`)
    total += isPlain ? length : lz4BlockOutputBytes(bytes, at, at + length, bytesMax - total)
    at += length + (hasBlockChecksums ? 4 : 0)
  }
  return { outputBytes: total, end: Math.min(at + (hasContentChecksum ? 4 : 0), bytes.length) }
}

/** Sums the literal and match lengths of a block: token, literals, match offset, and so on. */
function lz4BlockOutputBytes(bytes: Buffer, from: number, end: number, bytesMax: number): number {
  let total = 0
  let at = from
  while (at < end && total <= bytesMax) {
    const token = bytes[at++] as number
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < end) literals += more = bytes[at++] as number
    }
    at += literals
    total += literals
    if (at >= end) break
    at += 2
    let match = (token & 0x0f) + 4
    if (match === 19) {
      let more = 255
      while (more === 255 && at < end) match += more = bytes[at++] as number
    }
    total += match
  }
  return total
}

function corrupt(codec: Codec, cause: unknown): TidelogError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new TidelogError('CORRUPT', `records: their ${codec} data is malformed (${why})`, cause)
}

function tooLarge(codec: Codec, bytesMax: number): TidelogError {
  return new TidelogError('TOO_LARGE', `records: their ${codec} data decompresses to more than ${bytesMax} bytes`)
}
