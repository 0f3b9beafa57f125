/**
 * The Raft core: `step(raft, event)` advances one member by one event and says what is to be done. No clock, no I/O, no
 * chance: those are the driver's, and `events.ts` says how it deals with what comes out.
 *
 * Where to read on: `election.ts` (who leads), `replication.ts` and `follower.ts` (the two ends of the log),
 * `progress.ts` (what a leader knows of a follower), `reads.ts`, `membership.ts`, `snapshot-sender.ts` and
 * `snapshot-receiver.ts`, `turn.ts` (what must be durable before what).
 */
import type { LogIndex, Term } from '../base/ids.ts'
import { invariant, unreachable } from '../base/invariant.ts'
import { onApplied } from './divergence.ts'
import {
  campaign,
  countOwnVote,
  mayCampaign,
  onPreVote,
  onPreVoteReply,
  onVote,
  onVoteReply,
  preCampaign,
} from './election.ts'
import type { Effect, RaftEvent, RaftOptions } from './events.ts'
import { followsLeader, onAppend, onHeartbeat } from './follower.ts'
import { lastIndex, lastTerm, restoredLog } from './log.ts'
import { decodeMembership, isSameMember, type Member, type Membership, reachedByMajority } from './membership.ts'
import { noteMembership } from './membership-history.ts'
import { isSound } from './message-check.ts'
import type { Append, Heartbeat, Message, SnapshotChunk, TimeoutNow } from './messages.ts'
import { disconnected } from './progress.ts'
import { onRead, startRound } from './reads.ts'
import {
  advanceCommit,
  onAppendAck,
  onAppendReject,
  onChangeMembership,
  onHeartbeatAck,
  onPropose,
} from './replication.ts'
import { becomeFollower } from './role.ts'
import { onSnapshotChunk, onSnapshotTaken } from './snapshot-receiver.ts'
import { onSnapshotAck } from './snapshot-sender.ts'
import { membershipOf, type Raft } from './state.ts'
import { entryTypes } from './storage.ts'
import { onTransfer, tickTransfer } from './transfer.ts'
import { finishTurn, settleWrites, startTurn, type Turn } from './turn.ts'

export { membershipOf, type Raft } from './state.ts'

/** A member as it stands after a start: a follower of nobody, with what its disk has. */
export function createRaft({ self, settings, electionTicks, restored, initialMembership }: RaftOptions): Raft {
  const { hardState, snapshot, entries } = restored
  const snapshotIndex = snapshot?.index ?? (0 as LogIndex)
  const raft: Raft = {
    self,
    settings,
    term: hardState.term,
    votedFor: hardState.votedFor,
    votedDisk: null,
    log: restoredLog(snapshotIndex, snapshot?.term ?? (0 as Term), entries),
    snapshot,
    writes: { last: 0, durable: 0, hardStateWrite: 0, hardState },
    commit: snapshotIndex,
    handedOut: snapshotIndex,
    applied: snapshotIndex,
    restoring: null,
    memberships: [{ index: snapshotIndex, membership: snapshot?.membership ?? initialMembership }],
    role: 'follower',
    leader: null,
    electionElapsed: 0,
    electionTimeout: electionTicks,
    electionDraw: electionTicks,
    votes: new Map(),
    leading: {
      followers: new Map(),
      heartbeatElapsed: 0,
      uncommittedBytes: 0,
      round: 0,
      roundConfirmed: 0,
      reads: [],
      transfer: null,
    },
    proposals: new Map(),
    incoming: null,
    checksums: [],
    expected: null,
  }
  invariant(hardState.term >= lastTerm(raft.log), 'a term is on the disk before its entries')
  for (const { type, index, data } of entries) {
    if (type === entryTypes.membership) noteMembership(raft, index, decodeMembership(data))
  }
  return raft
}

/** Advances the state by one event; the effects are performed in order. */
export function step(raft: Raft, event: RaftEvent): Effect[] {
  const { term, role, leader, commit } = raft
  const membership = membershipOf(raft)
  const turn = startTurn(raft)
  dispatch(turn, event)
  invariant(raft.term >= term, 'a term never goes back')
  invariant(raft.commit >= commit && raft.commit <= lastIndex(raft.log), 'the commit goes forward, within the log')
  if (raft.role !== role || raft.term !== term || raft.leader?.nodeId !== leader?.nodeId) {
    turn.effects.push({ do: 'role', role: raft.role, term: raft.term, leader: raft.leader })
  }
  const latest = raft.memberships.at(-1)!
  if (latest.membership !== membership) turn.effects.push({ do: 'membership', ...latest })
  return finishTurn(turn)
}

function dispatch(turn: Turn, event: RaftEvent) {
  switch (event.type) {
    case 'tick':
      return onTick(turn, event.electionTicks)
    case 'message':
      return onMessage(turn, event.message)
    case 'persisted':
      return onPersisted(turn, event.write)
    case 'applied':
      return onApplied(turn, event.index, event.checksum)
    case 'propose':
      return onPropose(turn, event.token, event.data)
    case 'changeMembership':
      return onChangeMembership(turn, event.token, event.change)
    case 'read':
      return onRead(turn, event.token)
    case 'transfer':
      return onTransfer(turn, event.to)
    case 'campaign':
      return turn.raft.role === 'leader' ? undefined : preCampaign(turn)
    case 'snapshotTaken':
      return onSnapshotTaken(turn, event.index, event.data)
    case 'unreachable': {
      const progress = turn.raft.leading.followers.get(event.nodeId)
      return progress === undefined ? undefined : disconnected(progress)
    }
    default:
      unreachable(event)
  }
}

function onTick(turn: Turn, electionTicks: number): void {
  const { raft } = turn
  invariant(electionTicks >= raft.settings.electionTicks, 'election timeouts are drawn from the least one upwards')
  raft.electionDraw = electionTicks
  raft.electionElapsed++
  if (raft.role === 'leader') tickLeader(turn)
  else if (raft.electionElapsed >= raft.electionTimeout) preCampaign(turn)
}

function tickLeader(turn: Turn) {
  const { raft } = turn
  tickTransfer(turn)
  if (raft.electionElapsed >= raft.settings.electionTicks) {
    raft.electionElapsed = 0
    if (!isQuorumActive(raft)) return becomeFollower(turn, raft.term, null)
  }
  if (++raft.leading.heartbeatElapsed >= raft.settings.heartbeatTicks) startRound(turn)
}

/**
 * Whether a majority was heard since the last check. A leader without one may have been replaced, and must not go on.
 */
function isQuorumActive(raft: Raft): boolean {
  const { followers } = raft.leading
  const isActive = (nodeId: Member['nodeId']) => nodeId === raft.self.nodeId || followers.get(nodeId)?.isActive === true
  const isQuorum = reachedByMajority(membershipOf(raft), ({ nodeId }) => Number(isActive(nodeId))) === 1
  for (const progress of followers.values()) progress.isActive = false
  return isQuorum
}

function onPersisted(turn: Turn, write: number): void {
  settleWrites(turn, write)
  countOwnVote(turn)
  advanceCommit(turn)
}

/** A message is for this node with this disk, or it is for somebody else. */
function onMessage(turn: Turn, message: Message) {
  const { self } = turn.raft
  if (!isSound(message) || !isSameMember(message.to, self) || message.from.nodeId === self.nodeId) return
  switch (message.type) {
    case 'preVote':
      return onPreVote(turn, message)
    case 'vote':
      return onVote(turn, message)
    case 'append':
    case 'heartbeat':
    case 'snapshotChunk':
    case 'timeoutNow':
      return onLeaders(turn, message)
    case 'preVoteReply':
    case 'voteReply':
    case 'appendAck':
    case 'appendReject':
    case 'heartbeatAck':
    case 'snapshotAck':
      return onReply(turn, message)
    default:
      unreachable(message)
  }
}

function onLeaders(turn: Turn, message: Append | Heartbeat | SnapshotChunk | TimeoutNow) {
  if (!followsLeader(turn, message)) return
  switch (message.type) {
    case 'append':
      return onAppend(turn, message)
    case 'heartbeat':
      return onHeartbeat(turn, message)
    case 'snapshotChunk':
      return onSnapshotChunk(turn, message)
    case 'timeoutNow':
      return mayCampaign(turn.raft) ? campaign(turn, true) : undefined
    default:
      unreachable(message)
  }
}

type Reply = Exclude<
  Message,
  { readonly type: 'preVote' | 'vote' | 'append' | 'heartbeat' | 'snapshotChunk' | 'timeoutNow' }
>

/** Only members' answers count, and only in the term in which they were asked. A stranger's raise no term either. */
function onReply(turn: Turn, message: Reply) {
  const { raft } = turn
  const membership: Membership = membershipOf(raft)
  if (!membership.some(seat => isSameMember(seat, message.from))) return
  if (message.type === 'preVoteReply' && message.isGranted) return onPreVoteReply(turn, message)
  if (message.term > raft.term) becomeFollower(turn, message.term, null)
  if (message.term < raft.term) return
  switch (message.type) {
    case 'preVoteReply':
      return onPreVoteReply(turn, message)
    case 'voteReply':
      return onVoteReply(turn, message)
    default:
      return onFollowers(turn, message)
  }
}

function onFollowers(turn: Turn, message: Exclude<Reply, { readonly type: 'preVoteReply' | 'voteReply' }>) {
  // Whoever does not lead has no followers.
  const progress = turn.raft.leading.followers.get(message.from.nodeId)
  if (progress === undefined) return
  progress.isActive = true
  switch (message.type) {
    case 'appendAck':
      return onAppendAck(turn, progress, message)
    case 'appendReject':
      return onAppendReject(turn, progress, message)
    case 'heartbeatAck':
      return onHeartbeatAck(turn, progress, message)
    case 'snapshotAck':
      return onSnapshotAck(turn, progress, message)
    default:
      unreachable(message)
  }
}

export function isLeader(raft: Raft): boolean {
  return raft.role === 'leader'
}

export function leaderOf(raft: Raft): Member | null {
  return raft.leader
}

export function termOf(raft: Raft): Term {
  return raft.term
}

export function commitOf(raft: Raft): LogIndex {
  return raft.commit
}

/** What the state machine says it has applied. */
export function appliedOf(raft: Raft): LogIndex {
  return raft.applied
}
