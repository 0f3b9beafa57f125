/** Ctrl-C and SIGTERM for commands that have something to finish: the first asks, the second ends at once. */
import { constants } from 'node:os'

/** npm passes on to what it runs the signal that the terminal sends it as well: that is one Ctrl-C, not two. */
const sameKeystrokeMsMax = 200

/** Aborted by the first signal. */
export function interrupted(): AbortSignal {
  const controller = new AbortController()
  let firstMs = 0
  const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
    const nowMs = performance.now()
    if (!controller.signal.aborted) {
      firstMs = nowMs
      controller.abort()
    } else if (nowMs - firstMs > sameKeystrokeMsMax) process.exit(128 + constants.signals[signal])
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
