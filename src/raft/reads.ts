/**
 * Heartbeats in rounds, and the reads that wait for them. A quorum that answers a round begun after a read arrived says
 * that nobody else led when it arrived; and an entry of the leader's own term says that it knows what was committed
 * before. No clock is asked.
 */
import type { LogIndex } from '../base/ids.ts'
import { newestChecksum } from './divergence.ts'
import type { Token } from './events.ts'
import { termAt } from './log.ts'
import { reachedByMajority } from './membership.ts'
import { membershipOf, type Raft } from './state.ts'
import { refuseRead, send, type Turn } from './turn.ts'

export function onRead(turn: Turn, token: Token) {
  const { leading, role, settings } = turn.raft
  if (role !== 'leader') return refuseRead(turn, token, 'notLeader')
  if (leading.reads.length >= settings.waitingReadsMax) return refuseRead(turn, token, 'overloaded')
  leading.reads.push({ token, round: null, index: 0 as LogIndex })
  admitReads(turn)
}

/**
 * Reads that a round can be begun for get one: the next, or the one after it where one is under way, since that began
 * before the read. One round for all that come meanwhile.
 */
export function admitReads(turn: Turn): void {
  const { raft } = turn
  const { leading } = raft
  if (!hasCommittedInTerm(raft)) return
  const isUnderWay = leading.round > leading.roundConfirmed
  let isAny = false
  for (const read of leading.reads) {
    if (read.round !== null) continue
    read.round = leading.round + 1
    read.index = raft.commit
    isAny = true
  }
  if (isAny && !isUnderWay) startRound(turn)
}

/** A leader knows what was committed before it once an entry of its own term is. */
export function hasCommittedInTerm(raft: Raft): boolean {
  return termAt(raft.log, raft.commit) === raft.term
}

export function startRound(turn: Turn): void {
  const { raft } = turn
  const { leading, self, term } = raft
  leading.round++
  leading.heartbeatElapsed = 0
  const applied = newestChecksum(raft)
  for (const { member: to, match } of leading.followers.values()) {
    // No more than the follower has acknowledged: behind that its log may be another's.
    const commit = Math.min(raft.commit, match) as LogIndex
    send(turn, { type: 'heartbeat', from: self, to, term, commit, round: leading.round, applied })
  }
  confirmRounds(turn)
}

/** Answers what a quorum has confirmed, and begins a round for what came meanwhile. */
export function confirmRounds(turn: Turn): void {
  const { raft } = turn
  const { leading, self } = raft
  const confirmed = reachedByMajority(membershipOf(raft), ({ nodeId }) =>
    nodeId === self.nodeId ? leading.round : (leading.followers.get(nodeId)?.round ?? 0),
  )
  if (confirmed <= leading.roundConfirmed) return
  leading.roundConfirmed = confirmed
  let waiting = 0
  for (const read of leading.reads) {
    if (read.round === null || read.round > confirmed) leading.reads[waiting++] = read
    else turn.effects.push({ do: 'readReady', token: read.token, index: read.index })
  }
  leading.reads.length = waiting
  if (leading.reads.some(read => read.round !== null && read.round > leading.round)) startRound(turn)
}
