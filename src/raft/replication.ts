/**
 * The leader's side of the log: entries go out to every follower in parallel with the leader's own write, acks come
 * back, and what a majority has on its disks is committed.
 */
import type { LogIndex } from '../base/ids.ts'
import type { Token } from './events.ts'
import { entriesBetween, entriesFrom, entryBytes, lastIndex, lastPossibleMatch, termAt } from './log.ts'
import {
  changed,
  encodeMembership,
  isVoter,
  type Membership,
  type MembershipChange,
  reachedByMajority,
} from './membership.ts'
import { noteMembership } from './membership-history.ts'
import type { AppendAck, AppendReject, HeartbeatAck } from './messages.ts'
import { acknowledged, appendSent, heartbeatAnswered, isPaused, type Progress, rejected } from './progress.ts'
import { admitReads, confirmRounds, hasCommittedInTerm } from './reads.ts'
import { becomeFollower } from './role.ts'
import { resendChunk, startTransfer } from './snapshot-sender.ts'
import { membershipOf, type Raft } from './state.ts'
import { entryTypes, type RaftEntry } from './storage.ts'
import { handOver } from './transfer.ts'
import { appendEntry, refuse, send, type Turn } from './turn.ts'

export function onPropose(turn: Turn, token: Token, data: Buffer) {
  const { raft } = turn
  const { leading, settings } = raft
  if (raft.role !== 'leader') return refuse(turn, token, 'notLeader')
  if (leading.transfer !== null) return refuse(turn, token, 'transferring')
  if (leading.uncommittedBytes >= settings.uncommittedBytesMax) return refuse(turn, token, 'overloaded')
  accept(turn, token, appendAsLeader(turn, entryTypes.command, data))
  broadcastAppends(turn)
}

/**
 * One change at a time, each from a leader that knows what is committed, so that two majorities that decide always
 * share a voter.
 */
export function onChangeMembership(turn: Turn, token: Token, change: MembershipChange) {
  const { raft } = turn
  if (raft.role !== 'leader') return refuse(turn, token, 'notLeader')
  if (raft.leading.transfer !== null) return refuse(turn, token, 'transferring')
  if (!hasCommittedInTerm(raft)) return refuse(turn, token, 'notReady')
  if (raft.memberships.at(-1)!.index > raft.commit) return refuse(turn, token, 'changePending')
  const membership = changed(membershipOf(raft), change)
  if (membership === null) return refuse(turn, token, 'impossible')
  if (change.kind === 'promote' && !isCaughtUp(raft, change)) return refuse(turn, token, 'notCaughtUp')
  noteMembership(raft, (lastIndex(raft.log) + 1) as LogIndex, membership)
  accept(turn, token, appendAsLeader(turn, entryTypes.membership, encodeMembership(membership)))
  broadcastAppends(turn)
}

/** A learner that lacks committed entries would, as a voter, hold up what it is needed for. */
function isCaughtUp(raft: Raft, { member }: MembershipChange): boolean {
  const progress = raft.leading.followers.get(member.nodeId)
  return progress !== undefined && progress.match >= raft.commit
}

function accept(turn: Turn, token: Token, index: LogIndex): void {
  turn.raft.proposals.set(index, token)
  turn.effects.push({ do: 'accepted', token, index, term: turn.raft.term })
}

export function appendAsLeader(turn: Turn, type: RaftEntry['type'], data: Buffer): LogIndex {
  const { raft } = turn
  const entry: RaftEntry = { term: raft.term, index: (lastIndex(raft.log) + 1) as LogIndex, type, data }
  appendEntry(turn, entry)
  raft.leading.uncommittedBytes += entryBytes(entry)
  return entry.index
}

export function broadcastAppends(turn: Turn): void {
  for (const progress of turn.raft.leading.followers.values()) sendAppends(turn, progress)
}

/** Sends what the follower lacks, as far as its bounds allow. Whether anything was sent. */
function sendAppends(turn: Turn, progress: Progress): boolean {
  const { log, settings } = turn.raft
  let isSent = false
  while (!isPaused(progress, settings) && progress.next <= lastIndex(log)) {
    if (progress.next <= log.beforeIndex) {
      startTransfer(turn, progress)
      return true
    }
    sendAppend(turn, progress, entriesFrom(log, progress.next, settings.appendBytesMax))
    isSent = true
  }
  return isSent
}

function sendAppend(turn: Turn, progress: Progress, entries: readonly RaftEntry[]): void {
  const { raft } = turn
  const previousIndex = (progress.next - 1) as LogIndex
  const previousTerm = termAt(raft.log, previousIndex)!
  const { self: from, term, commit } = raft
  send(turn, { type: 'append', from, to: progress.member, term, previousIndex, previousTerm, entries, commit })
  progress.toldCommit = commit
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry)
  appendSent(progress, (previousIndex + entries.length) as LogIndex, entries.length, bytes)
}

/** Entries, or at least how far they are committed; a follower whose window is full hears of that when it has made room. */
function tellCommit(turn: Turn, progress: Progress): void {
  if (sendAppends(turn, progress) || isPaused(progress, turn.raft.settings)) return
  if (progress.toldCommit < turn.raft.commit) sendEmptyAppend(turn, progress)
}

/** Entries, or else a question whether the follower has what was sent. */
function sendOrAsk(turn: Turn, progress: Progress): void {
  if (!sendAppends(turn, progress)) sendEmptyAppend(turn, progress)
}

/**
 * An append without entries: tells the commit, and asks whether the follower has what was sent. Takes no room in the
 * window.
 */
function sendEmptyAppend(turn: Turn, progress: Progress): void {
  if (progress.state === 'snapshot' || (progress.state === 'probe' && progress.isProbeSent)) return
  // The window may be full of appends that were lost, and that are compacted away by now: then there is nothing to ask
  // about.
  if (progress.next <= turn.raft.log.beforeIndex) startTransfer(turn, progress)
  else sendAppend(turn, progress, [])
}

export function onAppendAck(turn: Turn, progress: Progress, { index }: AppendAck): void {
  const { raft } = turn
  if (index > lastIndex(raft.log)) return
  const isNews = acknowledged(progress, index)
  const isCommitted = isNews && advanceCommit(turn)
  if (raft.role !== 'leader') return
  if (!isCommitted) tellCommit(turn, progress)
  if (isNews && raft.leading.transfer?.to === progress.member.nodeId) handOver(turn)
}

export function onAppendReject(turn: Turn, progress: Progress, message: AppendReject): void {
  const { log } = turn.raft
  const { previousIndex, hintIndex, hintTerm } = message
  if (previousIndex > lastIndex(log)) return
  const agreed = lastPossibleMatch(log, hintIndex, hintTerm)
  if (rejected(progress, previousIndex, agreed, turn.raft.leading.round)) sendOrAsk(turn, progress)
}

export function onHeartbeatAck(turn: Turn, progress: Progress, { round }: HeartbeatAck): void {
  const { raft } = turn
  if (round > raft.leading.round) return
  heartbeatAnswered(progress, round)
  if (progress.state === 'snapshot') resendChunk(turn, progress, round)
  else if (progress.match < lastIndex(raft.log)) sendOrAsk(turn, progress)
  confirmRounds(turn)
}

/**
 * Commits what a majority of the voters has on its disks, this member's own disk among them. Only an entry of the
 * leader's own term is committed by counting: an older one could be on a majority and still be replaced by a leader
 * that lacks it. It is committed with the first of the own term behind it.
 */
export function advanceCommit(turn: Turn): boolean {
  const { raft } = turn
  if (raft.role !== 'leader') return false
  const reached = reachedByMajority(membershipOf(raft), ({ nodeId }) => durableAt(raft, nodeId)) as LogIndex
  if (reached <= raft.commit || termAt(raft.log, reached) !== raft.term) return false
  for (const entry of entriesBetween(raft.log, raft.commit, reached)) raft.leading.uncommittedBytes -= entryBytes(entry)
  raft.commit = reached
  for (const progress of raft.leading.followers.values()) tellCommit(turn, progress)
  admitReads(turn)
  stepDownWhenRemoved(turn)
  return true
}

function durableAt(raft: Raft, nodeId: Membership[number]['nodeId']): number {
  return nodeId === raft.self.nodeId ? raft.log.durable : (raft.leading.followers.get(nodeId)?.match ?? 0)
}

/** A leader leads its own removal to the end, without counting itself, and then no more. */
function stepDownWhenRemoved(turn: Turn): void {
  const { raft } = turn
  if (isVoter(membershipOf(raft), raft.self) || raft.memberships.at(-1)!.index > raft.commit) return
  becomeFollower(turn, raft.term, null)
}
