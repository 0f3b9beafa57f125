/** Waits that end. */
import type { Clock } from '../io/clock.ts'
import type { RequestContext } from './context.ts'

/** How long a handler may wait that was given `timeoutMs` by its client: never past the request's own deadline. */
export function waitMsWithin(context: RequestContext, timeoutMs: number): number {
  const untilDeadlineMs = context.deadlineMs - context.parts.clock.monotonicMs()
  return Math.max(0, Math.min(timeoutMs, untilDeadlineMs))
}

/** What `work` resolves to, or null when that takes longer. The work itself goes on. */
export async function within<T extends object | string>(
  clock: Clock,
  waitMs: number,
  work: Promise<T>,
): Promise<T | null> {
  const { promise: timedOut, resolve } = Promise.withResolvers<null>()
  const timer = clock.setTimer(waitMs, () => resolve(null))
  try {
    return await Promise.race([work, timedOut])
  } finally {
    timer.cancel()
  }
}
