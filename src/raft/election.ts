/**
 * How a member comes to lead: the timer runs out, others say that they would vote for it, the term is raised, they do
 * vote.
 *
 * Nobody is disturbed by one who cannot win: a pre-vote changes nothing at anyone, and those who hear a leader do not
 * even answer. So a member that was cut off, or removed, cannot depose a leader that the others hear.
 */
import type { Term } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { entriesBetween, entryBytes, isUpToDate, lastIndex, lastTerm } from './log.ts'
import { isSameMember, isVoter, type Member, tally } from './membership.ts'
import { followMembership } from './membership-history.ts'
import type { PreVote, PreVoteReply, Vote, VoteReply } from './messages.ts'
import { appendAsLeader, broadcastAppends } from './replication.ts'
import { becomeFollower, hearsLeader, resetElectionTimer } from './role.ts'
import { membershipOf, type Raft } from './state.ts'
import { entryTypes } from './storage.ts'
import { send, sendAfterTerm, type Turn } from './turn.ts'

const nothing = Buffer.alloc(0)

/**
 * Only voters campaign: a new node, a learner and a removed member wait to be told. One whose removal may not be
 * committed yet is still needed: its log may be the only one with that entry, so that nobody else can win, and then it
 * must bring the others to it. It does not count itself.
 */
export function mayCampaign(raft: Raft): boolean {
  const { index, membership } = raft.memberships.at(-1)!
  if (isVoter(membership, raft.self)) return true
  const before = raft.memberships.at(-2)
  return index > raft.commit && before !== undefined && isVoter(before.membership, raft.self)
}

/** Asks whether an election could be won. */
export function preCampaign(turn: Turn): void {
  const { raft } = turn
  resetElectionTimer(raft)
  if (!mayCampaign(raft)) return
  raft.role = 'preCandidate'
  raft.leader = null
  raft.votes.clear()
  raft.votes.set(raft.self.nodeId, true)
  const term = (raft.term + 1) as Term
  const position = { lastIndex: lastIndex(raft.log), lastTerm: lastTerm(raft.log) }
  for (const to of otherVoters(raft)) send(turn, { type: 'preVote', from: raft.self, to, term, ...position })
  countPreVotes(turn)
}

export function onPreVote(turn: Turn, message: PreVote): void {
  const { raft } = turn
  if (hearsLeader(raft)) return
  const isGranted = message.term > raft.term && isUpToDate(raft.log, message.lastIndex, message.lastTerm)
  const term = isGranted ? message.term : raft.term
  sendAfterTerm(turn, { type: 'preVoteReply', from: raft.self, to: message.from, term, isGranted })
}

export function onPreVoteReply(turn: Turn, { from, term, isGranted }: PreVoteReply): void {
  const { raft } = turn
  if (raft.role !== 'preCandidate' || term !== raft.term + (isGranted ? 1 : 0)) return
  raft.votes.set(from.nodeId, isGranted)
  countPreVotes(turn)
}

function countPreVotes(turn: Turn): void {
  const outcome = tally(membershipOf(turn.raft), turn.raft.votes)
  if (outcome === 'won') campaign(turn, false)
  if (outcome === 'lost') becomeFollower(turn, turn.raft.term, null)
}

/** Raises the term and asks for votes, once the own vote is durable; the own vote counts from then on, too. */
export function campaign(turn: Turn, isTransfer: boolean): void {
  const { raft } = turn
  invariant(mayCampaign(raft), 'only a voter campaigns')
  becomeFollower(turn, (raft.term + 1) as Term, null)
  resetElectionTimer(raft)
  raft.role = 'candidate'
  voteFor(raft, raft.self)
  const { self, term } = raft
  const position = { lastIndex: lastIndex(raft.log), lastTerm: lastTerm(raft.log) }
  for (const to of otherVoters(raft))
    sendAfterTerm(turn, { type: 'vote', from: self, to, term, ...position, isTransfer })
}

export function onVote(turn: Turn, message: Vote): void {
  const { raft } = turn
  if (message.term > raft.term) {
    if (hearsLeader(raft) && !message.isTransfer) return
    becomeFollower(turn, message.term, null)
  }
  const isGranted =
    message.term === raft.term &&
    isVoteFreeFor(raft, message.from) &&
    isUpToDate(raft.log, message.lastIndex, message.lastTerm)
  if (isGranted) {
    voteFor(raft, message.from)
    resetElectionTimer(raft)
  }
  sendAfterTerm(turn, { type: 'voteReply', from: raft.self, to: message.from, term: raft.term, isGranted })
}

/**
 * One vote per term, for one node with one disk. Whether this member is a voter is the candidate's to judge: it may
 * know more.
 */
function isVoteFreeFor(raft: Raft, candidate: Member): boolean {
  if (raft.votedFor === null) return raft.leader === null
  return raft.votedFor === candidate.nodeId && raft.votedDisk === candidate.diskId
}

function voteFor(raft: Raft, { nodeId, diskId }: Member): void {
  raft.votedFor = nodeId
  raft.votedDisk = diskId
}

export function onVoteReply(turn: Turn, { from, isGranted }: VoteReply): void {
  if (turn.raft.role !== 'candidate') return
  turn.raft.votes.set(from.nodeId, isGranted)
  countVotes(turn)
}

/** The disk has caught up: a candidate's own vote counts once it cannot be forgotten. */
export function countOwnVote(turn: Turn): void {
  const { raft } = turn
  if (raft.role !== 'candidate' || raft.writes.durable < raft.writes.hardStateWrite) return
  raft.votes.set(raft.self.nodeId, true)
  countVotes(turn)
}

function countVotes(turn: Turn): void {
  const outcome = tally(membershipOf(turn.raft), turn.raft.votes)
  if (outcome === 'won') becomeLeader(turn)
  if (outcome === 'lost') becomeFollower(turn, turn.raft.term, null)
}

/**
 * The no-op that begins the term brings the older entries with it: only an entry of its own term tells a leader what is
 * committed.
 */
function becomeLeader(turn: Turn): void {
  const { raft } = turn
  const { leading, log } = raft
  invariant(raft.role === 'candidate', 'only a candidate comes to lead')
  raft.role = 'leader'
  raft.leader = raft.self
  raft.votes.clear()
  raft.incoming = null
  raft.expected = null
  raft.electionElapsed = 0
  leading.roundConfirmed = leading.round
  followMembership(raft)
  for (const entry of entriesBetween(log, raft.commit, lastIndex(log))) leading.uncommittedBytes += entryBytes(entry)
  appendAsLeader(turn, entryTypes.noop, nothing)
  broadcastAppends(turn)
}

function otherVoters(raft: Raft): Member[] {
  const voters = membershipOf(raft).filter(seat => seat.role === 'voter' && !isSameMember(seat, raft.self))
  return voters.map(({ nodeId, diskId }) => ({ nodeId, diskId }))
}
