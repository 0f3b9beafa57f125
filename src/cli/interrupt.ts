/** Ctrl-C and SIGTERM for commands that have something to finish: the first asks, the second ends at once. */
import { constants } from 'node:os'

/** Aborted by the first signal. */
export function interrupted(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal])
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
