/**
 * The memberships along the log. The last one holds, committed or not; when the log is cut, what it said is undone.
 */
import type { LogIndex } from '../base/ids.ts'
import { lastIndex } from './log.ts'
import { isSameMember, type Membership } from './membership.ts'
import { freshProgress } from './progress.ts'
import { membershipOf, type Raft } from './state.ts'

/** The entry at `index` names the members from now on. */
export function noteMembership(raft: Raft, index: LogIndex, membership: Membership): void {
  raft.memberships.push({ index, membership })
  if (raft.role === 'leader') followMembership(raft)
}

/** The log is cut from `from` on. The first one stays always: it is committed, or the initial one. */
export function forgetMemberships(raft: Raft, from: LogIndex): void {
  while (raft.memberships.length > 1 && raft.memberships.at(-1)!.index >= from) raft.memberships.pop()
}

/** A snapshot stands for everything before it. */
export function restartMemberships(raft: Raft, index: LogIndex, membership: Membership): void {
  raft.memberships.length = 0
  raft.memberships.push({ index, membership })
}

/** The members that held right after `index`; nothing older than the last snapshot is known. */
export function membershipAfter(raft: Raft, index: LogIndex): Membership {
  return raft.memberships.findLast(at => at.index <= index)!.membership
}

/** The log is compacted up to `index`: memberships that were superseded by then are not asked for any more. */
export function compactMemberships(raft: Raft, index: LogIndex): void {
  while (raft.memberships.length > 1 && raft.memberships[1]!.index <= index) raft.memberships.shift()
}

/** A leader follows exactly the other members; one with another disk is another one, of which nothing is known. */
export function followMembership(raft: Raft): void {
  const { followers } = raft.leading
  const others = membershipOf(raft).filter(seat => !isSameMember(seat, raft.self))
  for (const [nodeId, { member }] of followers) {
    if (!others.some(other => isSameMember(other, member))) followers.delete(nodeId)
  }
  for (const { nodeId, diskId } of others) {
    if (followers.has(nodeId)) continue
    followers.set(nodeId, freshProgress({ nodeId, diskId }, (lastIndex(raft.log) + 1) as LogIndex))
  }
}
