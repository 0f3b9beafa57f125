/**
 * Signs of life, and of its end: heartbeats, sessions that run out, LeaveGroup. Whoever goes, the others' partitions are dealt
 * out anew.
 */
import { unreachable } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { RequestNumber } from './group-events.ts'
import { dismiss, forgetPending, memberError } from './group-members.ts'
import { completeIfAllJoined, completeWithoutMissing, rebalance } from './group-rebalance.ts'
import type { Group, Member } from './group-state.ts'
import { answer, type Turn, touch } from './group-turn.ts'
import type { HeartbeatRequest, LeaveRequest } from './requests.ts'

export function heartbeat(turn: Turn, request: RequestNumber, asked: HeartbeatRequest): void {
  answer(turn, request, { error: beat(turn, asked) })
}

function beat(turn: Turn, asked: HeartbeatRequest): KafkaErrorName {
  const { group } = turn
  const error = memberError(group, asked)
  const member = group.members.get(asked.memberId)
  if (error !== 'NONE' || member === undefined) return error
  if (asked.generation !== group.generation) return 'ILLEGAL_GENERATION'
  touch(turn, member)
  return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
}

/** Sessions that are over, and ids given out that nobody came back with. */
export function endSessions(turn: Turn): void {
  const { group, at } = turn
  const nowMs = at.monotonicMs
  for (const [memberId, endMs] of [...group.pending])
    if (endMs <= nowMs && forgetPending(group, memberId)) completeWithoutMissing(turn)
  const ended = [...group.members.values()].filter(member => member.sessionEndMs <= nowMs)
  for (const member of ended) endSession(turn, member)
  group.sessionsCheckMs = firstSessionEndMs(group)
}

function endSession(turn: Turn, member: Member): void {
  const { group, at } = turn
  // What came before it may have removed it, or begun its session anew with a new generation.
  if (group.members.get(member.memberId) !== member) return
  if (member.sessionEndMs > at.monotonicMs) return
  // Whose request waits is there; it gets a new session with the answer. Of a new member not even that much is known.
  if (!member.isNew && (member.joining !== null || member.syncing !== null)) {
    member.sessionEndMs = Number.POSITIVE_INFINITY
    return
  }
  dismiss(turn, member)
  goOnWithout(turn)
}

function goOnWithout(turn: Turn): void {
  const { state } = turn.group
  if (state === 'Stable' || state === 'CompletingRebalance') rebalance(turn)
  else completeWithoutMissing(turn)
}

function firstSessionEndMs(group: Group): number {
  let first = Number.POSITIVE_INFINITY
  for (const endMs of group.pending.values()) first = Math.min(first, endMs)
  for (const { sessionEndMs } of group.members.values()) first = Math.min(first, sessionEndMs)
  return first
}

/** Each of the batch has its own outcome; the rebalance is one for all of them. */
export function leave(turn: Turn, request: RequestNumber, asked: LeaveRequest): void {
  const members = asked.members.map(({ memberId, instanceId }) => ({
    memberId,
    instanceId,
    error: removeOne(turn, memberId, instanceId),
  }))
  turn.leave = { request, answer: { error: 'NONE', members } }
  if (members.some(({ error }) => error === 'NONE')) goOnAfterLeave(turn)
}

/** An operator names a static member by its instance id alone. */
function removeOne(turn: Turn, memberId: string, instanceId: string | null): KafkaErrorName {
  const { group } = turn
  if (memberId === '') {
    const member = group.members.get(group.statics.get(instanceId ?? '') ?? '')
    if (instanceId === null || member === undefined) return 'UNKNOWN_MEMBER_ID'
    dismiss(turn, member)
    return 'NONE'
  }
  if (forgetPending(group, memberId)) return 'NONE'
  const error = memberError(group, { memberId, instanceId })
  const member = group.members.get(memberId)
  if (error === 'NONE' && member !== undefined) dismiss(turn, member)
  return error
}

function goOnAfterLeave(turn: Turn): void {
  const { state } = turn.group
  switch (state) {
    case 'Stable':
    case 'CompletingRebalance':
      rebalance(turn)
      return
    case 'PreparingRebalance':
      completeIfAllJoined(turn)
      return
    case 'Empty':
    case 'Dead':
      return
    default:
      unreachable(state)
  }
}
