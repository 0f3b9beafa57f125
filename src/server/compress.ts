/**
 * Compresses the records of a batch, synchronously: for a worker thread. Of the forms that a codec has it takes the one that
 * every Kafka client reads.
 */
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import snappy from 'snappy'
import { unreachable } from '../base/invariant.ts'
import type { Codec } from '../io/compute.ts'

/** Level -1 is the codec's own choice for gzip, and a fast one for zstd; null leaves both the choice. */
export function compress(codec: Codec, level: number | null, bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, { level: level ?? constants.Z_DEFAULT_COMPRESSION })
    case 'zstd':
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level ?? zstdLevelDefault } })
    case 'snappy':
      return snapXerial(bytes)
    case 'lz4':
      // Blocks that do not depend on each other: Java clients read no others.
      return compressFrameSync(bytes)
    default:
      return unreachable(codec)
  }
}

const zstdLevelDefault = 3

/** The framing of xerial's library, without which Java clients read no snappy: magic, version, oldest compatible version. */
export const xerialHeader = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
/** Of what goes into one block; the size that Java's library writes. */
const xerialBlockBytes = 32 * 1024

function snapXerial(bytes: Buffer): Buffer {
  const chunks: Buffer[] = [xerialHeader]
  for (let at = 0; at < bytes.length; at += xerialBlockBytes) {
    const block = snappy.compressSync(bytes.subarray(at, at + xerialBlockBytes))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    chunks.push(length, block)
  }
  return Buffer.concat(chunks)
}
