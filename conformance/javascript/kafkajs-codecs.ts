/**
 * kafkajs brings gzip and leaves the other codecs to plugins, which are these few lines around a compression library each.
 */
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import snappy from 'snappy'

const { CompressionCodecs, CompressionTypes } = kafkajs

/** What the plugin interface hands in to be compressed. */
interface Encoder {
  readonly buffer: Buffer
}

interface Codec {
  readonly compress: (encoder: Encoder) => Promise<Buffer>
  readonly decompress: (bytes: Buffer) => Promise<Buffer>
}

const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)

/** Java's clients put snappy blocks into a frame that begins with this; a bare block is as good to all readers. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const xerialHeaderBytes = 16

async function unsnap(bytes: Buffer): Promise<Buffer> {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return Buffer.from(await snappy.uncompress(bytes))
  const blocks: Buffer[] = []
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const end = at + 4 + bytes.readInt32BE(at)
    blocks.push(Buffer.from(await snappy.uncompress(bytes.subarray(at + 4, end))))
    at = end
  }
  return Buffer.concat(blocks)
}

const codecs = new Map<number, Codec>([
  [CompressionTypes.Snappy, { compress: async ({ buffer }) => snappy.compress(buffer), decompress: unsnap }],
  [
    CompressionTypes.LZ4,
    { compress: ({ buffer }) => compressFrame(buffer), decompress: bytes => decompressFrame(bytes) },
  ],
  [
    CompressionTypes.ZSTD,
    { compress: ({ buffer }) => compressZstd(buffer), decompress: bytes => decompressZstd(bytes) },
  ],
])

export function registerCodecs(): void {
  const known: Record<number, () => unknown> = CompressionCodecs
  for (const [type, codec] of codecs) known[type] = () => codec
}
