/**
 * Who is in a group, and what they can agree on. Counts of what waits and of who supports which protocol are kept as members
 * come, change and go, so that no join costs more for there being many members.
 */
import { invariant } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { consumerProtocol } from './group-expiry.ts'
import { metadataOf } from './group-queries.ts'
import type { StoredGroup } from './group-record.ts'
import type { Group, Member } from './group-state.ts'
import { subscribedTopics } from './group-subscription.ts'
import { failJoin, finishSync, type Turn } from './group-turn.ts'
import type { GroupProtocol, JoinRequest } from './requests.ts'

export const noAssignment = Buffer.alloc(0)

/** Copies what it keeps: the request's bytes are a view of somebody's socket chunk. */
export function memberOf(join: JoinRequest, memberId: string): Member {
  return {
    memberId,
    instanceId: join.instanceId,
    clientId: join.clientId,
    clientHost: join.clientHost,
    sessionMs: join.sessionTimeoutMs,
    rebalanceMs: join.rebalanceTimeoutMs,
    protocols: ownProtocols(join.protocols),
    assignment: noAssignment,
    isNew: false,
    joining: null,
    syncing: null,
    sessionEndMs: Number.POSITIVE_INFINITY,
  }
}

function ownProtocols(protocols: readonly GroupProtocol[]): GroupProtocol[] {
  const byName = new Map<string, GroupProtocol>()
  for (const { name, metadata } of protocols)
    if (!byName.has(name)) byName.set(name, { name, metadata: Buffer.from(metadata) })
  return [...byName.values()]
}

/** Puts a member in whose requests do not wait yet. */
export function putMember(group: Group, member: Member, protocolType: string): void {
  invariant(!group.members.has(member.memberId), 'a member is put into its group once')
  invariant(member.joining === null && member.syncing === null, 'nothing of it waits yet')
  if (group.members.size === 0) group.protocolType = protocolType
  invariant(group.protocolType === protocolType, 'members of a group are of one protocol type')
  group.members.set(member.memberId, member)
  if (member.instanceId !== null) group.statics.set(member.instanceId, member.memberId)
  group.leader ??= member.memberId
  forgetPending(group, member.memberId)
  count(group, member, 1)
}

/** Takes a member out; what waits of it hears that it is not known. */
export function dismiss(turn: Turn, member: Member): void {
  failJoin(turn, member, '', 'UNKNOWN_MEMBER_ID')
  finishSync(turn, member, 'UNKNOWN_MEMBER_ID')
  removeMember(turn.group, member)
}

function removeMember(group: Group, member: Member): void {
  const { memberId, instanceId } = member
  invariant(group.members.get(memberId) === member, 'who is removed is a member')
  group.members.delete(memberId)
  group.unsynced.delete(memberId)
  count(group, member, -1)
  if (instanceId !== null) group.statics.delete(instanceId)
  if (group.leader === memberId) group.leader = group.members.keys().next().value ?? null
}

/**
 * Puts another into a static member's place, under its own id: leader if that was, still to sync if that was. What waits of
 * the former one is fenced: two programs use one instance id, and the newest is right.
 */
export function replaceMember(turn: Turn, former: Member, member: Member): void {
  const { group } = turn
  const wasLeader = group.leader === former.memberId
  const wasUnsynced = group.unsynced.has(former.memberId)
  failJoin(turn, former, former.memberId, 'FENCED_INSTANCE_ID')
  finishSync(turn, former, 'FENCED_INSTANCE_ID')
  removeMember(group, former)
  putMember(group, member, group.protocolType ?? '')
  if (wasLeader) group.leader = member.memberId
  if (wasUnsynced) group.unsynced.add(member.memberId)
}

/** What a member says of itself when it joins again. */
export function updateMember(group: Group, member: Member, join: JoinRequest): void {
  count(group, member, -1)
  member.protocols = ownProtocols(join.protocols)
  member.sessionMs = join.sessionTimeoutMs
  member.rebalanceMs = join.rebalanceTimeoutMs
  count(group, member, 1)
}

export function assignTo(group: Group, member: Member, assignment: Buffer): void {
  group.memberBytes += assignment.length - member.assignment.length
  member.assignment = assignment
}

/** Gives an id out until then. */
export function putPending(group: Group, memberId: string, endMs: number): void {
  invariant(!group.pending.has(memberId), 'an id is given out once')
  group.pendingBytes += memberId.length
  group.pending.set(memberId, endMs)
}

/** Takes an id back; false when it was not given out. */
export function forgetPending(group: Group, memberId: string): boolean {
  const wasThere = group.pending.delete(memberId)
  if (wasThere) group.pendingBytes -= memberId.length
  return wasThere
}

/** Whether what somebody brings is more than one may, or than there is room for beside the others. */
export function isTooLarge(group: Group, join: JoinRequest): boolean {
  const { memberBytesMax, groupBytesMax } = group.settings
  const bytes = bytesOf(join)
  const formerId = join.memberId === '' ? group.statics.get(join.instanceId ?? '') : join.memberId
  const former = group.members.get(formerId ?? '')
  const freed = former === undefined ? 0 : bytesOf(former)
  return bytes > memberBytesMax || group.memberBytes - freed + bytes > groupBytesMax
}

/** What a member brings, without its assignment. */
function bytesOf(member: Pick<Member, 'memberId' | 'instanceId' | 'clientId' | 'clientHost' | 'protocols'>): number {
  const { memberId, instanceId, clientId, clientHost } = member
  const names = memberId.length + (instanceId?.length ?? 0) + clientId.length + clientHost.length
  return member.protocols.reduce((sum, { name, metadata }) => sum + name.length + metadata.length, names)
}

function count(group: Group, member: Member, by: 1 | -1): void {
  group.memberBytes += by * (bytesOf(member) + member.assignment.length)
  for (const { name } of member.protocols) {
    const supporters = (group.supporters.get(name) ?? 0) + by
    if (supporters === 0) group.supporters.delete(name)
    else group.supporters.set(name, supporters)
  }
}

/** Who somebody says to be: a static member's instance id must be its own, and the id one of a member. */
export function memberError(
  group: Group,
  { memberId, instanceId }: { readonly memberId: string; readonly instanceId: string | null },
): KafkaErrorName {
  if (instanceId !== null) {
    const holder = group.statics.get(instanceId)
    if (holder === undefined) return 'UNKNOWN_MEMBER_ID'
    if (holder !== memberId) return 'FENCED_INSTANCE_ID'
  }
  return group.members.has(memberId) ? 'NONE' : 'UNKNOWN_MEMBER_ID'
}

/** Whether these could be a member's: in a group that is not empty, one of them must be everybody's. */
export function isSupported(group: Group, join: JoinRequest): boolean {
  if (group.state === 'Empty') return join.protocolType !== '' && join.protocols.length > 0
  return (
    group.protocolType === join.protocolType &&
    join.protocols.some(({ name }) => (group.supporters.get(name) ?? 0) === group.members.size)
  )
}

/** Whether a member says the same of itself as before. */
export function saysTheSame(member: Member, protocols: readonly GroupProtocol[]): boolean {
  return (
    member.protocols.length === protocols.length &&
    member.protocols.every((own, i) => {
      const other = protocols[i]!
      return own.name === other.name && Buffer.compare(own.metadata, other.metadata) === 0
    })
  )
}

/** Every member votes for the first of its protocols that all can do; the most votes win, the first voted for among equals. */
export function selectProtocol(group: Group): string {
  const votes = new Map<string, number>()
  for (const member of group.members.values()) {
    const choice = member.protocols.find(({ name }) => group.supporters.get(name) === group.members.size)
    invariant(choice !== undefined, 'who joins can do something that all can do')
    votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
  }
  const [winner] = [...votes].reduce((best, next) => (next[1] > best[1] ? next : best))
  return winner
}

/** What the members subscribe to with the group's protocol; null when that cannot be known. */
export function topicsOf(group: Group): Set<string> | null {
  if (group.protocolType !== consumerProtocol) return null
  const { protocol } = group
  return subscribedTopics(Array.from(group.members.values(), member => metadataOf(member, protocol)))
}

/** The longest that a member wants to be waited for. */
export function rebalanceTimeoutMs(group: Group): number {
  let longest = 0
  for (const { rebalanceMs } of group.members.values()) longest = Math.max(longest, rebalanceMs)
  return longest
}

export function allJoined(group: Group): boolean {
  return group.joiningCount === group.members.size && group.pending.size === 0
}

/** The group as it is written, with these assignments. */
export function storedGroup(
  group: Group,
  assignmentOf: (member: Member) => Buffer = member => member.assignment,
): StoredGroup {
  return {
    protocolType: group.protocolType ?? '',
    generation: group.generation,
    protocol: group.protocol,
    leader: group.leader,
    stateSinceMs: group.stateSinceMs,
    members: Array.from(group.members.values(), member => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceMs,
      sessionTimeoutMs: member.sessionMs,
      subscription: metadataOf(member, group.protocol),
      assignment: assignmentOf(member),
    })),
  }
}
