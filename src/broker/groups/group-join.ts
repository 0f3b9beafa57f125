/**
 * JoinGroup. A new dynamic member is first given its id, so that a client that loses the answer and asks again is not two
 * members (KIP-394). A static member is known by its instance id and takes the place of its former self, if it can without a
 * rebalance (KIP-345).
 */
import { unreachable } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { RequestNumber } from './group-events.ts'
import {
  dismiss,
  forgetPending,
  isSupported,
  isTooLarge,
  memberError,
  memberOf,
  putMember,
  putPending,
  replaceMember,
  saysTheSame,
  selectProtocol,
  storedGroup,
  topicsOf,
  updateMember,
} from './group-members.ts'
import { completeIfAllJoined, rebalance } from './group-rebalance.ts'
import type { AfterWrite, Group, Member } from './group-state.ts'
import {
  answer,
  awaitJoin,
  emptyJoinAnswer,
  endSessionAt,
  membersForLeader,
  refuseJoin,
  type Turn,
  takeJoin,
  tellGeneration,
  touch,
  write,
} from './group-turn.ts'
import type { JoinRequest } from './requests.ts'

export function join(turn: Turn, request: RequestNumber, asked: JoinRequest, uuid: string): void {
  const { group } = turn
  const { memberId } = asked
  const { sessionMinMs, sessionMaxMs } = group.settings
  if (asked.sessionTimeoutMs < sessionMinMs || asked.sessionTimeoutMs > sessionMaxMs) {
    refuseJoin(turn, request, memberId, 'INVALID_SESSION_TIMEOUT')
  } else if (!hasRoomFor(group, memberId)) {
    turnAway(turn, memberId)
    refuseJoin(turn, request, '', 'GROUP_MAX_SIZE_REACHED')
  } else if (isTooLarge(group, asked)) {
    refuseJoin(turn, request, memberId, 'GROUP_MAX_SIZE_REACHED')
  } else if (!isSupported(group, asked)) {
    refuseJoin(turn, request, memberId, 'INCONSISTENT_GROUP_PROTOCOL')
  } else if (memberId === '') {
    joinAsNew(turn, request, asked, uuid)
  } else if (group.pending.has(memberId) && asked.instanceId === null) {
    addMember(turn, request, asked, memberId)
  } else {
    joinAsKnown(turn, request, asked)
  }
}

/**
 * While members join, it is those that have joined that count: a group that is too large (the limit was lowered) so gets rid
 * of whoever joins last.
 */
function hasRoomFor(group: Group, memberId: string): boolean {
  const { membersMax } = group.settings
  const member = group.members.get(memberId)
  switch (group.state) {
    case 'Empty':
    case 'Dead':
      return true
    case 'PreparingRebalance':
      return (member !== undefined && member.joining !== null) || group.joiningCount < membersMax
    case 'CompletingRebalance':
    case 'Stable':
      return member !== undefined || group.members.size < membersMax
    default:
      return unreachable(group.state)
  }
}

function turnAway(turn: Turn, memberId: string): void {
  const { group } = turn
  const member = group.members.get(memberId)
  if (member === undefined && !group.pending.has(memberId)) return
  if (member !== undefined) dismiss(turn, member)
  forgetPending(group, memberId)
  completeIfAllJoined(turn)
}

function joinAsNew(turn: Turn, request: RequestNumber, asked: JoinRequest, uuid: string): void {
  const { instanceId } = asked
  const memberId = `${instanceId ?? asked.clientId}-${uuid}`
  if (instanceId !== null) {
    const former = turn.group.members.get(turn.group.statics.get(instanceId) ?? '')
    if (former === undefined) addMember(turn, request, asked, memberId)
    else replaceStatic(turn, request, asked, former, memberId)
  } else if (asked.requiresKnownMember) {
    expectMember(turn, memberId, asked.sessionTimeoutMs)
    refuseJoin(turn, request, memberId, 'MEMBER_ID_REQUIRED')
  } else {
    addMember(turn, request, asked, memberId)
  }
}

/** Gives an id out, for as long as the member's session would last. */
function expectMember(turn: Turn, memberId: string, sessionMs: number): void {
  const { group, at } = turn
  makeRoomForId(group, memberId)
  const endMs = at.monotonicMs + sessionMs
  putPending(group, memberId, endMs)
  group.sessionsCheckMs = Math.min(group.sessionsCheckMs, endMs)
}

function makeRoomForId(group: Group, memberId: string): void {
  const { pendingMembersMax, pendingBytesMax } = group.settings
  for (const oldest of group.pending.keys()) {
    if (group.pending.size < pendingMembersMax && group.pendingBytes + memberId.length <= pendingBytesMax) return
    forgetPending(group, oldest)
  }
}

function addMember(turn: Turn, request: RequestNumber, asked: JoinRequest, memberId: string): void {
  const { group, at } = turn
  const member = memberOf(asked, memberId)
  member.isNew = true
  if (group.state === 'PreparingRebalance' && group.stateBefore === 'Empty') group.newMemberCame = true
  putMember(group, member, asked.protocolType)
  awaitJoin(turn, member, request)
  // It cannot send heartbeats while its join waits. Its client may be gone, though, and have begun anew.
  endSessionAt(group, member, at.monotonicMs + group.settings.newMemberJoinMaxMs)
  rebalance(turn)
}

function joinAsKnown(turn: Turn, request: RequestNumber, asked: JoinRequest): void {
  const { group } = turn
  const { memberId } = asked
  const error = memberError(group, asked)
  const member = group.members.get(memberId)
  if (error !== 'NONE' || member === undefined)
    refuseJoin(turn, request, memberId, error === 'NONE' ? 'UNKNOWN_MEMBER_ID' : error)
  else if (isInGenerationAlready(group, member, asked)) tellGeneration(turn, request, member)
  else joinAgain(turn, request, asked, member)
}

/**
 * Who says nothing new gets the generation that it is in: it missed the answer. But a stable group's leader begins a rebalance
 * by joining: something may have changed for its assignment that nobody's metadata shows, such as partitions of a topic.
 */
function isInGenerationAlready(group: Group, member: Member, asked: JoinRequest): boolean {
  if (!saysTheSame(member, asked.protocols)) return false
  if (group.state === 'Stable') return group.leader !== member.memberId
  return group.state === 'CompletingRebalance'
}

function joinAgain(turn: Turn, request: RequestNumber, asked: JoinRequest, member: Member): void {
  updateMember(turn.group, member, asked)
  awaitJoin(turn, member, request)
  rebalance(turn)
}

function replaceStatic(turn: Turn, request: RequestNumber, asked: JoinRequest, former: Member, memberId: string): void {
  const { group } = turn
  const formerLeader = group.leader
  const member: Member = {
    ...memberOf(asked, memberId),
    clientId: former.clientId,
    clientHost: former.clientHost,
    assignment: former.assignment,
  }
  replaceMember(turn, former, member)
  awaitJoin(turn, member, request)
  if (group.state !== 'Stable' || group.protocol !== selectProtocol(group)) {
    rebalance(turn)
    return
  }
  group.subscribed = topicsOf(group)
  write(turn, [{ of: 'group', groupId: group.groupId, value: storedGroup(group) }], {
    of: 'staticMember',
    memberId,
    request,
    skipsAssignment: asked.supportsSkippingAssignment,
    former,
    formerLeader,
  })
}

/** The new id is durable. A rebalance that began meanwhile has the member among those that joined, and answers it itself. */
export function staticMemberStored(turn: Turn, then: StaticMemberWrite): void {
  const { group } = turn
  const member = group.members.get(then.memberId)
  if (!isStillHeld(group, then) || member === undefined) return
  takeJoin(turn, member)
  touch(turn, member)
  const isLeader = group.leader === then.memberId
  answer(turn, then.request, {
    ...emptyJoinAnswer,
    generation: group.generation,
    protocolType: group.protocolType,
    protocol: group.protocol,
    memberId: then.memberId,
    // A leader that cannot be told to skip the assignment must not know that it leads: there is none to make. KIP-814.
    leader: (then.skipsAssignment ? group.leader : then.formerLeader) ?? '',
    skipAssignment: then.skipsAssignment && isLeader,
    members: then.skipsAssignment && isLeader ? membersForLeader(group) : [],
  })
}

/** The member goes back to being its former self, whose id is the one that the log knows. */
export function staticMemberFailed(turn: Turn, then: StaticMemberWrite, error: KafkaErrorName) {
  const { group } = turn
  const member = group.members.get(then.memberId)
  if (!isStillHeld(group, then) || member === undefined) return
  takeJoin(turn, member)
  refuseJoin(turn, then.request, '', error)
  replaceMember(turn, member, then.former)
  group.subscribed = topicsOf(group)
  touch(turn, then.former)
}

/** Any rebalance that ended would have answered the join. */
function isStillHeld(group: Group, then: StaticMemberWrite): boolean {
  return group.state === 'Stable' && group.members.get(then.memberId)?.joining === then.request
}

type StaticMemberWrite = Extract<AfterWrite, { of: 'staticMember' }>
