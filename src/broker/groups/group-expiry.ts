/**
 * How long offsets are kept (KIP-211). While a group has members, what they subscribe to stays, however old. When the last one
 * goes the time begins for all; of a simple group, which has no members, with each commit. Once nothing is left, neither is
 * the group.
 */

import { eachOffset } from './group-durable.ts'
import type { CommittedOffset } from './group-record.ts'
import type { Group } from './group-state.ts'
import { isInternalGroup } from './internal-groups.ts'

/** When `expire` has something to do next, by the wall clock; null: never, as things are. */
export function nextExpiryMs(group: Group): number | null {
  let next = Number.POSITIVE_INFINITY
  if (mayEnd(group) && group.offsets.size === 0) next = group.stateSinceMs
  for (const { topic, value } of eachOffset(group.offsets)) next = Math.min(next, expiryMs(group, topic, value))
  return next === Number.POSITIVE_INFINITY ? null : next
}

/** Infinity: not as long as the group is as it is. */
export function expiryMs(group: Group, topic: string, value: CommittedOffset): number {
  const sinceMs = keptSinceMs(group, value)
  if (sinceMs === null || isSubscribed(group, topic)) return Number.POSITIVE_INFINITY
  return value.expireMs >= 0 ? value.expireMs : sinceMs + group.settings.offsetsRetentionMs
}

/** From when on the retention counts; null: it does not. */
function keptSinceMs(group: Group, value: CommittedOffset): number | null {
  if (isInternalGroup(group.groupId)) return null
  if (group.protocolType === null) return value.commitMs
  if (group.state === 'Empty') return group.stateSinceMs >= 0 ? group.stateSinceMs : value.commitMs
  const knowsTopics = group.protocolType === consumerProtocol && group.subscribed !== null
  return group.state === 'Stable' && knowsTopics ? value.commitMs : null
}

/** The protocol type whose subscriptions the broker reads. */
export const consumerProtocol = 'consumer'

/** Where consumers' topics are not known (yet), it could be any. */
export function isSubscribed(group: Group, topic: string): boolean {
  return group.subscribed?.has(topic) ?? group.protocolType === consumerProtocol
}

/** Nobody is a member or about to become one, and nothing is under way. */
export function mayEnd(group: Group): boolean {
  return group.state === 'Empty' && group.pending.size === 0 && group.writes.size === 0 && group.stored !== null
}
