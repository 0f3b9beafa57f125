/**
 * Work too long for the event loop, as named jobs on plain data. A worker thread runs them in production; the simulator runs
 * them inline, so that a seed gives the same run.
 */
import type { Rope } from '../base/rope.ts'

export interface Compute {
  /** Decompresses the records of a batch; rejects with `CORRUPT`, and with `TOO_LARGE` past `bytesMax`. */
  decompress(codec: Codec, bytes: Rope, bytesMax: number): Promise<Buffer>
  /** Compresses the records of a batch, so that every client reads them; `level` null where the codec has one only. */
  compress(codec: Codec, level: number | null, bytes: Rope): Promise<Buffer>
}

/** The codec bits of a batch's attributes. */
export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]
