/** The thread behind `compute.ts`: takes jobs one after the other and answers each by its number. */
import { isMarkedAsUntransferable, parentPort } from 'node:worker_threads'
import { TidelogError } from '../../base/errors.ts'
import { invariant } from '../../base/invariant.ts'
import type { Codec } from '../../io/compute.ts'
import { compress } from '../compress.ts'
import { decompress } from '../decompress.ts'

export type Work =
  | { readonly do: 'decompress'; readonly codec: Codec; readonly bytesMax: number }
  | { readonly do: 'compress'; readonly codec: Codec; readonly level: number | null }

export interface Job {
  readonly id: number
  readonly work: Work
  readonly bytes: Uint8Array
}

export type Answer =
  | { readonly id: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly code: 'CORRUPT' | 'TOO_LARGE' | null; readonly message: string }

const port = parentPort
invariant(port !== null, 'the compute worker runs in a thread of its own')

port.on('message', (job: Job) => {
  const answer = answerTo(job)
  port.postMessage(answer, 'bytes' in answer && changesHands(answer.bytes) ? [answer.bytes.buffer as ArrayBuffer] : [])
})

/**
 * Bytes that have their backing store to themselves change hands; the rest is copied with the message. Memory that a native
 * codec made is its own to free.
 */
function changesHands({ buffer, byteLength }: Uint8Array): boolean {
  return byteLength === buffer.byteLength && !isMarkedAsUntransferable(buffer)
}

function answerTo({ id, work, bytes }: Job): Answer {
  try {
    return { id, bytes: run(work, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) }
  } catch (error) {
    const code =
      error instanceof TidelogError && (error.code === 'CORRUPT' || error.code === 'TOO_LARGE') ? error.code : null
    return { id, code, message: error instanceof Error ? error.message : String(error) }
  }
}

function run(work: Work, bytes: Buffer): Buffer {
  return work.do === 'decompress'
    ? decompress(work.codec, bytes, work.bytesMax)
    : compress(work.codec, work.level, bytes)
}
