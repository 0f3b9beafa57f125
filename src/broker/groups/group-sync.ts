/**
 * SyncGroup: a barrier that opens when the leader's assignment is durable. Who comes later, while the group is stable, gets its
 * assignment at once.
 */
import { unreachable } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { RequestNumber } from './group-events.ts'
import { memberError, noAssignment, storedGroup } from './group-members.ts'
import { noteSync, rebalance, resetAssignments, stabilize } from './group-rebalance.ts'
import type { AfterWrite, Group, Member } from './group-state.ts'
import { answerSync, finishSync, type Turn, touch, write } from './group-turn.ts'
import type { SyncRequest } from './requests.ts'

export function sync(turn: Turn, request: RequestNumber, asked: SyncRequest): void {
  const { group } = turn
  const error = syncError(group, asked)
  const member = group.members.get(asked.memberId)
  if (error !== 'NONE' || member === undefined) {
    answerSync(turn, request, error === 'NONE' ? 'UNKNOWN_MEMBER_ID' : error, null)
    return
  }
  noteSync(group, member.memberId)
  if (group.state === 'Stable') {
    touch(turn, member)
    answerSync(turn, request, 'NONE', member)
  } else {
    finishSync(turn, member, 'REBALANCE_IN_PROGRESS')
    member.syncing = request
    if (group.leader === member.memberId && !group.assigning) assign(turn, asked)
  }
}

function syncError(group: Group, asked: SyncRequest): KafkaErrorName {
  const error = memberError(group, asked)
  if (error !== 'NONE') return error
  if (asked.generation !== group.generation) return 'ILLEGAL_GENERATION'
  const sameType = asked.protocolType === null || asked.protocolType === group.protocolType
  const sameName = asked.protocol === null || group.protocol === null || asked.protocol === group.protocol
  if (!sameType || !sameName) return 'INCONSISTENT_GROUP_PROTOCOL'
  switch (group.state) {
    case 'Empty':
    case 'Dead':
      return 'UNKNOWN_MEMBER_ID'
    case 'PreparingRebalance':
      return 'REBALANCE_IN_PROGRESS'
    case 'CompletingRebalance':
    case 'Stable':
      return 'NONE'
    default:
      return unreachable(group.state)
  }
}

/** Has the leader's word written. Members that it left out get nothing; others that it names are not there. */
function assign(turn: Turn, asked: SyncRequest): void {
  const { group } = turn
  const given = new Map<string, Buffer>()
  for (const { memberId, assignment } of asked.assignments)
    if (group.members.has(memberId)) given.set(memberId, assignment)
  if (areTooLarge(group, given)) {
    giveUpGeneration(turn, 'UNKNOWN_SERVER_ERROR')
    return
  }
  const assignments = new Map(Array.from(given, ([memberId, bytes]) => [memberId, Buffer.from(bytes)]))
  group.assigning = true
  const assignmentOf = (member: Member) => assignments.get(member.memberId) ?? noAssignment
  const value = storedGroup(group, assignmentOf)
  write(turn, [{ of: 'group', groupId: group.groupId, value }], {
    of: 'assignment',
    generation: group.generation,
    assignments,
  })
}

function areTooLarge(group: Group, assignments: ReadonlyMap<string, Buffer>): boolean {
  const { memberBytesMax, groupBytesMax } = group.settings
  let bytes = group.memberBytes
  for (const [memberId, { length }] of assignments) {
    if (length > memberBytesMax) return true
    bytes += length - (group.members.get(memberId)?.assignment.length ?? 0)
  }
  return bytes > groupBytesMax
}

type AssignmentWrite = Extract<AfterWrite, { of: 'assignment' }>

/** If another rebalance began meanwhile, what was written is of a generation that is over, and nobody waits for it. */
export function assignmentStored(turn: Turn, then: AssignmentWrite): void {
  if (isAwaited(turn.group, then)) stabilize(turn, then.assignments)
}

export function assignmentFailed(turn: Turn, then: AssignmentWrite, error: KafkaErrorName): void {
  if (isAwaited(turn.group, then)) giveUpGeneration(turn, error)
}

/** Nobody gets an assignment in it: who waits for one hears why, and all have to join again. */
function giveUpGeneration(turn: Turn, error: KafkaErrorName): void {
  resetAssignments(turn, error)
  rebalance(turn)
}

function isAwaited(group: Group, then: AssignmentWrite): boolean {
  return group.state === 'CompletingRebalance' && group.generation === then.generation
}
