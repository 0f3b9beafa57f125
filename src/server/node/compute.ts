/**
 * Work off the event loop. One thread serves all jobs in the order they come; it starts with the first job, because most
 * brokers never need it, and ends when it had none for a while.
 */
import { Worker } from 'node:worker_threads'
import { TidelogError } from '../../base/errors.ts'
import { InvariantViolation } from '../../base/invariant.ts'
import type { Rope } from '../../base/rope.ts'
import type { Clock, Timer } from '../../io/clock.ts'
import type { Codec, Compute } from '../../io/compute.ts'
import type { Answer, Job, Work } from './compute-worker.ts'

const idleMsMax = 30_000
/** The sources run as they are; in the package they are compiled. */
const workerFile = import.meta.filename.endsWith('.ts') ? './compute-worker.ts' : './compute-worker.js'

interface Waiting {
  readonly resolve: (bytes: Buffer) => void
  readonly reject: (error: Error) => void
}

export class NodeCompute implements Compute {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | null = null
  #idleTimer: Timer | null = null
  #nextId = 0
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  decompress(codec: Codec, bytes: Rope, bytesMax: number): Promise<Buffer> {
    return this.#do({ do: 'decompress', codec, bytesMax }, bytes)
  }

  compress(codec: Codec, level: number | null, bytes: Rope): Promise<Buffer> {
    return this.#do({ do: 'compress', codec, level }, bytes)
  }

  /** Ends the thread; jobs that wait are rejected with `CLOSED`. */
  async close(): Promise<void> {
    this.#closed = true
    this.#rejectAll(new TidelogError('CLOSED', 'compute: the node is closing'))
    await this.#stop()
  }

  #do(work: Work, bytes: Rope): Promise<Buffer> {
    if (this.#closed) return Promise.reject(new TidelogError('CLOSED', 'compute: the node is closing'))
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      // Joined into memory of its own, which is then handed over instead of being copied by the message.
      const joined = new Uint8Array(bytes.length)
      let at = 0
      for (const chunk of bytes.chunks) {
        joined.set(chunk, at)
        at += chunk.length
      }
      const job: Job = { id, work, bytes: joined }
      this.#waiting.set(id, { resolve, reject })
      this.#running().postMessage(job, [joined.buffer])
    })
  }

  #running(): Worker {
    this.#idleTimer?.cancel()
    this.#idleTimer = null
    if (this.#worker !== null) return this.#worker
    const worker = new Worker(new URL(workerFile, import.meta.url), { name: 'tidelog-compute' })
    worker.unref()
    worker.on('message', answer => this.#settle(answer))
    worker.on('error', error => this.#lose(worker, error))
    this.#worker = worker
    return worker
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#idleTimer = this.#clock.setTimer(idleMsMax, () => void this.#stop())
    if (waiting === undefined) return
    if ('bytes' in answer) {
      const { buffer, byteOffset, byteLength } = answer.bytes
      waiting.resolve(Buffer.from(buffer, byteOffset, byteLength))
    } else if (answer.code === null) {
      waiting.reject(new InvariantViolation(`the compute worker failed: ${answer.message}`))
    } else {
      waiting.reject(new TidelogError(answer.code, answer.message))
    }
  }

  /** A thread that died (out of memory, for one) fails the jobs it had; the next job starts another. */
  #lose(worker: Worker, cause: unknown): void {
    if (this.#worker === worker) this.#worker = null
    this.#rejectAll(new TidelogError('OVERLOADED', 'compute: the worker thread ended while it had this job', cause))
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  async #stop(): Promise<void> {
    this.#idleTimer?.cancel()
    this.#idleTimer = null
    const worker = this.#worker
    this.#worker = null
    await worker?.terminate()
  }
}
