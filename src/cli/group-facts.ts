/** What a broker says of consumer groups: their state and members, and what they have committed. */
import { type describeGroupsV5, FindCoordinatorKeyTypes } from '@platformatic/kafka'
import { exitCodes } from '../base/errors.ts'
import { type Assignment, decodeAssignment } from './assignment.ts'
import type { Cluster } from './connection.ts'
import { attempt, CliError, kafkaErrorName } from './failure.ts'

export interface MemberFacts {
  readonly id: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Null where it is not of the consumers' protocol. */
  readonly assignment: Assignment
}

export interface GroupFacts {
  readonly id: string
  readonly state: string
  readonly protocolType: string
  readonly protocol: string
  readonly members: readonly MemberFacts[]
}

export interface Committed {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

/** Null for a group that there is not. */
export async function findGroup(cluster: Cluster, id: string): Promise<GroupFacts | null> {
  const [coordinator] = await attempt(`find group ${id}`, () =>
    cluster.admin.findCoordinator({ keyType: FindCoordinatorKeyTypes.GROUP, keys: [id] }),
  )
  if (coordinator === undefined) return null
  try {
    const answer = await cluster.call<describeGroupsV5.DescribeGroupsResponse>(
      'DescribeGroups',
      coordinator.nodeId,
      [id],
      false,
    )
    const group = answer.groups.find(({ groupId }) => groupId === id)
    return group === undefined || group.groupState === 'Dead' ? null : groupFacts(group)
  } catch (error) {
    if (kafkaErrorName(error) === 'GROUP_ID_NOT_FOUND') return await groupOfAnotherKind(cluster, id)
    return await attempt(`describe group ${id}`, () => Promise.reject(error))
  }
}

/** One that must exist; where it does not, the error names the nearest that does. */
export async function requireGroup(cluster: Cluster, id: string): Promise<GroupFacts> {
  const group = await findGroup(cluster, id)
  if (group !== null) return group
  const { nearestName } = await import('../broker/nearest-name.ts')
  const near = nearestName(id, (await cluster.admin.listGroups({})).keys())
  const hint = near === null ? `'tidelog group ls' lists those that there are` : `did you mean '${near}'?`
  throw new CliError(exitCodes.notFound, `there is no group '${id}' at ${cluster.name}; ${hint}`)
}

/** Groups of newer protocols are listed, and described by requests that are not known here. */
async function groupOfAnotherKind(cluster: Cluster, id: string): Promise<GroupFacts | null> {
  const listed = (await attempt('list groups', () => cluster.admin.listGroups({}))).get(id)
  if (listed === undefined) return null
  return { id, state: listed.state, protocolType: listed.protocolType, protocol: listed.groupType ?? '', members: [] }
}

/** What it has committed, in order. */
export async function committedOf(cluster: Cluster, id: string): Promise<Committed[]> {
  const groups = await attempt(`read the positions of group ${id}`, () =>
    cluster.admin.listConsumerGroupOffsets({ groups: [id] }),
  )
  return groups
    .flatMap(({ topics }) => topics)
    .flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, committedOffset, metadata }) => ({
        topic: name,
        partition: partitionIndex,
        offset: Number(committedOffset),
        metadata: metadata ?? '',
      })),
    )
    .filter(({ offset }) => offset >= 0)
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}

/** A sentence for what is only done to groups without members; null where there are none. */
export function membersSentence({ id, members, state }: GroupFacts): string | null {
  if (members.length === 0) return state === 'Empty' || state === 'Dead' ? null : `group ${id} is in use (${state})`
  const shown = members.slice(0, 3).map(({ clientId, clientHost }) => `${clientId} at ${clientHost.replace(/^\//, '')}`)
  const more = members.length > shown.length ? ', …' : ''
  return `group ${id} has ${members.length === 1 ? 'a member' : `${members.length} members`} (${shown.join(', ')}${more})`
}

function groupFacts(group: describeGroupsV5.DescribeGroupsResponseGroup): GroupFacts {
  return {
    id: group.groupId,
    state: group.groupState,
    protocolType: group.protocolType,
    protocol: group.protocolData,
    members: group.members.map(member => ({
      id: member.memberId,
      instanceId: member.groupInstanceId ?? null,
      clientId: member.clientId,
      clientHost: member.clientHost,
      assignment: group.protocolType === 'consumer' ? decodeAssignment(member.memberAssignment) : null,
    })),
  }
}
