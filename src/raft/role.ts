/**
 * The ways down: to follower of a term, or of a leader. The way up is in `election.ts`.
 */
import type { Term } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Member } from './membership.ts'
import type { Raft } from './state.ts'
import { refuseRead, type Turn } from './turn.ts'

/** Follows whoever leads `term`, or nobody yet. A newer term comes with a vote that is still free. */
export function becomeFollower(turn: Turn, term: Term, leader: Member | null): void {
  const { raft } = turn
  invariant(term >= raft.term, 'a term never goes back')
  if (term > raft.term) {
    raft.term = term
    raft.votedFor = null
    raft.votedDisk = null
    raft.expected = null
  }
  const wasLeader = raft.role === 'leader'
  raft.role = 'follower'
  raft.leader = leader
  raft.votes.clear()
  if (wasLeader) stopLeading(turn)
}

/** What waited for this leader is told so. Accepted proposals may still be committed, and wait for that. */
function stopLeading(turn: Turn): void {
  const { raft } = turn
  const { leading } = raft
  resetElectionTimer(raft)
  for (const { token } of leading.reads) refuseRead(turn, token, 'notLeader')
  leading.reads.length = 0
  leading.followers.clear()
  leading.transfer = null
  leading.heartbeatElapsed = 0
  leading.uncommittedBytes = 0
}

/** Starts a fresh wait, as long as the last draw says. */
export function resetElectionTimer(raft: Raft): void {
  raft.electionElapsed = 0
  raft.electionTimeout = raft.electionDraw
}

/**
 * Whether a leader was heard so lately that nobody else should lead. Holds for a leader itself while it has its quorum.
 */
export function hearsLeader(raft: Raft): boolean {
  return raft.leader !== null && raft.electionElapsed < raft.settings.electionTicks
}
