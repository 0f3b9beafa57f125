/**
 * The follower's side of the log: it takes what its leader has, cuts off what its leader does not have, and
 * acknowledges what is on its disk.
 */
import type { LogIndex } from '../base/ids.ts'
import { onLeadersChecksum } from './divergence.ts'
import { hasEntry, lastIndex, lastPossibleMatch, termAt } from './log.ts'
import { decodeMembership, isSameMember } from './membership.ts'
import { forgetMemberships, noteMembership } from './membership-history.ts'
import type { Append, Heartbeat, SnapshotChunk, TimeoutNow } from './messages.ts'
import { becomeFollower, resetElectionTimer } from './role.ts'
import type { Raft } from './state.ts'
import { entryTypes, type RaftEntry } from './storage.ts'
import { appendEntry, sendAfterLog, sendAfterTerm, type Turn, truncateLog } from './turn.ts'

/**
 * A message of one who leads. False when it leads no more: then it is told the newer term, also so that a member whose
 * term has run ahead, and whom nobody answers while they hear this leader, is taken back in.
 *
 * Who sent it need not be a member known here: a new learner knows nobody, and a log that lags does not name the newest
 * ones.
 */
export function followsLeader(turn: Turn, message: Append | Heartbeat | SnapshotChunk | TimeoutNow): boolean {
  const { raft } = turn
  const { from, term } = message
  if (term < raft.term) {
    sendAfterTerm(turn, { type: 'heartbeatAck', from: raft.self, to: from, term: raft.term, round: 0 })
    return false
  }
  const isOther = raft.leader !== null && !isSameMember(raft.leader, from)
  if (term === raft.term && isOther) return false
  becomeFollower(turn, term, from)
  resetElectionTimer(raft)
  return true
}

export function onAppend(turn: Turn, message: Append) {
  const { raft } = turn
  const { previousIndex, previousTerm, entries } = message
  const last = (previousIndex + entries.length) as LogIndex
  // What is committed here is the leader's too; the append may reach back to where this log is compacted.
  if (last <= raft.commit) return acknowledge(turn, message, raft.commit)
  if (previousIndex >= raft.commit && !hasEntry(raft.log, previousIndex, previousTerm)) return reject(turn, message)
  const first = entries.findIndex(({ index, term }) => index > raft.commit && !hasEntry(raft.log, index, term))
  if (first >= 0) takeEntries(turn, first === 0 ? entries : entries.slice(first))
  advanceTo(raft, Math.min(message.commit, last) as LogIndex)
  acknowledge(turn, message, last)
}

/**
 * The first of them is not in the log; whatever the log has in its place, and behind that, the leader does not have.
 */
function takeEntries(turn: Turn, entries: readonly RaftEntry[]): void {
  const { raft } = turn
  const from = entries[0]!.index
  if (from <= lastIndex(raft.log)) {
    truncateLog(turn, from)
    forgetMemberships(raft, from)
    dropProposals(turn, from)
  }
  for (const entry of entries) {
    appendEntry(turn, entry)
    if (entry.type === entryTypes.membership) noteMembership(raft, entry.index, decodeMembership(entry.data))
  }
}

/** What was accepted here at `from` or behind it will not be handed out as that. */
export function dropProposals(turn: Turn, from: LogIndex): void {
  for (const [index, token] of turn.raft.proposals) {
    if (index < from) continue
    turn.raft.proposals.delete(index)
    turn.effects.push({ do: 'dropped', token })
  }
}

export function advanceTo(raft: Raft, commit: LogIndex): void {
  if (commit > raft.commit) raft.commit = commit
}

/** This log is the leader's up to `index`. The word goes out when that is durable. */
export function acknowledge(turn: Turn, { from: to, term }: Append | SnapshotChunk, index: LogIndex): void {
  sendAfterLog(turn, { type: 'appendAck', from: turn.raft.self, to, term, index })
}

function reject(turn: Turn, { from: to, term, previousIndex, previousTerm }: Append): void {
  const { raft } = turn
  const hintIndex = lastPossibleMatch(raft.log, previousIndex, previousTerm)
  const hintTerm = termAt(raft.log, hintIndex)!
  sendAfterTerm(turn, { type: 'appendReject', from: raft.self, to, term, previousIndex, hintIndex, hintTerm })
}

export function onHeartbeat(turn: Turn, { from: to, term, commit, round, applied }: Heartbeat): void {
  const { raft } = turn
  if (commit <= lastIndex(raft.log)) advanceTo(raft, commit)
  if (applied !== null) onLeadersChecksum(turn, applied)
  sendAfterTerm(turn, { type: 'heartbeatAck', from: raft.self, to, term, round })
}
