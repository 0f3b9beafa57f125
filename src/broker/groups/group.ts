/**
 * The step of a group: an event in, effects out (`group-events.ts`), the state (`group-state.ts`) changed in place. Decides
 * what kind of thing happened; the files named after their nouns decide the rest.
 */
import type { GroupEffect, GroupEvent } from './group-events.ts'
import type { Group } from './group-state.ts'

/** Advances the group by one event. */
export function stepGroup(_group: Group, event: GroupEvent): GroupEffect[] {
  throw new Error(`nobody handles ${event.do} yet`)
}

/** When `time` has something to do next, by the monotonic clock; null: never, as things are. */
export function nextDeadlineMs(group: Group): number | null {
  const next = Math.min(
    group.sessionsCheckMs,
    group.joinTimer?.endMs ?? Number.POSITIVE_INFINITY,
    group.syncEndMs ?? Number.POSITIVE_INFINITY,
  )
  return next === Number.POSITIVE_INFINITY ? null : next
}
