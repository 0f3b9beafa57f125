/**
 * Watches over a search from another thread: code that never gives the event loop back cannot be interrupted from within, and
 * a search that hangs without saying where is worth nothing. Real time is used here and nowhere else in the simulator.
 */
import { Worker } from 'node:worker_threads'

const watcher = `
  const { workerData } = require('node:worker_threads')
  const { shared, limitMs } = workerData
  const beats = new Int32Array(shared)
  let last = -1
  setInterval(() => {
    const now = Atomics.load(beats, 0)
    if (now !== last) { last = now; return }
    process._rawDebug('seed ' + Atomics.load(beats, 1) + ' HANGS: nothing has moved for ' + limitMs / 1000 + ' s')
    process.kill(process.pid, 'SIGKILL')
  }, limitMs).unref?.()
  setInterval(() => {}, 1 << 30)
`

export interface Watchdog {
  /** A run begins. */
  begin(seed: number): void
  stop(): Promise<void>
}

/** Ends the process, after saying which seed it was, when a run takes longer than `limitMs` or twice that. */
export function startWatchdog(limitMs: number): Watchdog {
  const shared = new SharedArrayBuffer(8)
  const beats = new Int32Array(shared)
  const worker = new Worker(watcher, { eval: true, workerData: { shared, limitMs } })
  worker.unref()
  return {
    begin: seed => {
      Atomics.add(beats, 0, 1)
      Atomics.store(beats, 1, seed)
    },
    stop: async () => void (await worker.terminate()),
  }
}
