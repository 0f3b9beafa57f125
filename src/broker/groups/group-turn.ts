/**
 * One step while it runs: the group, when it is, and what it wants done so far. Everything that answers or writes goes through
 * here, so that a request that waits is forgotten in the moment in which it is answered.
 */
import { invariant } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { GroupAnswer, GroupEffect, Moment, RequestNumber } from './group-events.ts'
import { metadataOf } from './group-queries.ts'
import type { GroupRecord } from './group-record.ts'
import type { AfterWrite, Group, Member } from './group-state.ts'
import type { JoinAnswer, LeaveAnswer } from './requests.ts'

export interface Turn {
  readonly group: Group
  readonly at: Moment
  readonly effects: GroupEffect[]
  /** The last member went in this step: at its end the empty group is written. */
  emptied: boolean
  /** To be answered at the end of the step or, when that writes, when it is durable that they left. */
  leave: { readonly request: RequestNumber; readonly answer: LeaveAnswer } | null
}

export function startTurn(group: Group, at: Moment): Turn {
  return { group, at, effects: [], emptied: false, leave: null }
}

export function answer(turn: Turn, request: RequestNumber, given: GroupAnswer): void {
  turn.effects.push({ do: 'answer', request, answer: given })
}

export function write(turn: Turn, records: readonly GroupRecord[], then: AfterWrite): void {
  invariant(records.length > 0, 'a write writes something')
  const { group } = turn
  group.lastWrite += 1
  group.writes.set(group.lastWrite, { records, then, outcome: null })
  turn.effects.push({ do: 'write', write: group.lastWrite, records })
}

export function refuseJoin(turn: Turn, request: RequestNumber, memberId: string, error: KafkaErrorName): void {
  answer(turn, request, { ...emptyJoinAnswer, memberId, error })
}

export const emptyJoinAnswer: JoinAnswer = {
  error: 'NONE',
  generation: -1,
  protocolType: null,
  protocol: null,
  leader: '',
  skipAssignment: false,
  memberId: '',
  members: [],
}

/** Tells a member of the generation that it is in; the leader also of whom it has to assign partitions to. */
export function tellGeneration(turn: Turn, request: RequestNumber, member: Member): void {
  const { group } = turn
  answer(turn, request, {
    error: 'NONE',
    generation: group.generation,
    protocolType: group.protocolType,
    protocol: group.protocol,
    leader: group.leader ?? '',
    skipAssignment: false,
    memberId: member.memberId,
    members: group.leader === member.memberId ? membersForLeader(group) : [],
  })
}

export function membersForLeader(group: Group): JoinAnswer['members'] {
  return Array.from(group.members.values(), member => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    metadata: metadataOf(member, group.protocol),
  }))
}

/** The member's join, which does not wait any more; null when none did. */
export function takeJoin(turn: Turn, member: Member): RequestNumber | null {
  const request = member.joining
  if (request === null) return null
  member.joining = null
  turn.group.joiningCount -= 1
  return request
}

/** Lets a member's join wait. A member whose former one still does has given up on that. */
export function awaitJoin(turn: Turn, member: Member, request: RequestNumber): void {
  failJoin(turn, member, member.memberId, 'REBALANCE_IN_PROGRESS')
  member.joining = request
  turn.group.joiningCount += 1
}

export function failJoin(turn: Turn, member: Member, memberId: string, error: KafkaErrorName) {
  const request = takeJoin(turn, member)
  if (request !== null) refuseJoin(turn, request, memberId, error)
}

/** Answers the member's sync, if one waits, with its assignment; true when one did. */
export function finishSync(turn: Turn, member: Member, error: KafkaErrorName): boolean {
  const request = member.syncing
  if (request === null) return false
  member.syncing = null
  answerSync(turn, request, error, member)
  return true
}

export function answerSync(turn: Turn, request: RequestNumber, error: KafkaErrorName, member: Member | null): void {
  const { group } = turn
  const assigned = error === 'NONE' && member !== null
  answer(turn, request, {
    error,
    protocolType: assigned ? group.protocolType : null,
    protocol: assigned ? group.protocol : null,
    assignment: assigned ? member.assignment : Buffer.alloc(0),
  })
}

/** A sign of life: the member's session begins anew. */
export function touch(turn: Turn, member: Member): void {
  endSessionAt(turn.group, member, turn.at.monotonicMs + member.sessionMs)
}

export function endSessionAt(group: Group, member: Member, endMs: number): void {
  member.sessionEndMs = endMs
  group.sessionsCheckMs = Math.min(group.sessionsCheckMs, endMs)
}
