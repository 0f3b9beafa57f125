/**
 * Work too long for the event loop, as named jobs on plain data. A worker thread runs them in production; the simulator runs
 * them inline, so that a seed gives the same run.
 */
import type { Rope } from '../base/rope.ts'

export interface Compute {
  /** Decompresses the records of a batch; rejects with `CORRUPT`, and with `OVERLOADED` past `bytesMax`. */
  decompress(codec: Codec, bytes: Rope, bytesMax: number): Promise<Buffer>
}

/** The codec bits of a batch's attributes. */
export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]
