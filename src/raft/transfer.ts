/**
 * Handing leadership over: proposals stop, the successor catches up and is told to campaign at once. If it does not
 * lead within an election timeout, the old leader goes on.
 */
import type { NodeId } from '../base/ids.ts'
import { lastIndex } from './log.ts'
import { membershipOf } from './state.ts'
import { send, type Turn } from './turn.ts'

export function onTransfer(turn: Turn, to: NodeId): void {
  const { raft } = turn
  if (raft.role !== 'leader' || to === raft.self.nodeId) return
  if (!membershipOf(raft).some(seat => seat.nodeId === to && seat.role === 'voter')) return
  raft.leading.transfer = { to, elapsed: 0 }
  handOver(turn)
}

/** The successor is told as soon as it has everything. */
export function handOver(turn: Turn): void {
  const { leading, log, self, term } = turn.raft
  if (leading.transfer === null) return
  const progress = leading.followers.get(leading.transfer.to)
  if (progress === undefined || progress.match < lastIndex(log)) return
  send(turn, { type: 'timeoutNow', from: self, to: progress.member, term })
}

export function tickTransfer(turn: Turn): void {
  const { leading, settings } = turn.raft
  if (leading.transfer !== null && ++leading.transfer.elapsed >= settings.electionTicks) leading.transfer = null
}
