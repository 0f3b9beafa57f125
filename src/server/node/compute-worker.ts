/** The thread behind `compute.ts`: takes jobs one after the other and answers each by its number. */
import { parentPort } from 'node:worker_threads'
import { TidelogError } from '../../base/errors.ts'
import { invariant } from '../../base/invariant.ts'
import type { Codec } from '../../io/compute.ts'
import { decompress } from '../decompress.ts'

export interface Job {
  readonly id: number
  readonly codec: Codec
  readonly bytes: Uint8Array
  readonly bytesMax: number
}

export type Answer =
  | { readonly id: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly code: 'CORRUPT' | 'OVERLOADED' | null; readonly message: string }

const port = parentPort
invariant(port !== null, 'the compute worker runs in a thread of its own')

port.on('message', (job: Job) => {
  const answer = run(job)
  // Bytes that have their backing store to themselves change hands; the rest is copied with the message.
  const own = 'bytes' in answer && answer.bytes.byteLength === answer.bytes.buffer.byteLength
  port.postMessage(answer, own ? [answer.bytes.buffer as ArrayBuffer] : [])
})

function run({ id, codec, bytes, bytesMax }: Job): Answer {
  try {
    return { id, bytes: decompress(codec, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytesMax) }
  } catch (error) {
    const code =
      error instanceof TidelogError && (error.code === 'CORRUPT' || error.code === 'OVERLOADED') ? error.code : null
    return { id, code, message: error instanceof Error ? error.message : String(error) }
  }
}
