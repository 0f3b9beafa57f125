/** Waiting with an end: what does not happen in time fails with a sentence, and no test sleeps where it can await. */
import { setTimeout as sleep } from 'node:timers/promises'

/** The value, or an error that says what was waited for. */
export async function within<T>(waitMs: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  const ended = new AbortController()
  const late = sleep(waitMs, undefined, { signal: ended.signal }).then(
    () => {
      throw new Error(`${typeof what === 'string' ? what : what()} did not happen within ${waitMs} ms`)
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    ended.abort()
  }
}

/** For what tells nobody when it changes: asks again and again until `probe` gives something. */
export async function eventually<T>(
  waitMs: number,
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  everyMs = 25,
): Promise<T> {
  const untilMs = performance.now() + waitMs
  for (;;) {
    const value = await probe()
    if (value !== null && value !== undefined && value !== false) return value
    if (performance.now() > untilMs) throw new Error(`${what} did not happen within ${waitMs} ms`)
    await sleep(everyMs)
  }
}
