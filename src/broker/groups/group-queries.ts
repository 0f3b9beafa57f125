/** What can be asked of a group without changing it: its description, its line in a list, its offsets. */

import type { TopicId } from '../../base/ids.ts'
import { eachOffset } from './group-durable.ts'
import type { CommittedOffset } from './group-record.ts'
import type { Group, Member } from './group-state.ts'
import { exists } from './group-state.ts'
import type { DescribedGroup, FetchOffsetsAnswer, ListedGroup, TopicPartition } from './requests.ts'

/** Metadata is told of a stable group only: before that there is no protocol whose metadata it could be. */
export function describe(group: Group): DescribedGroup {
  if (!exists(group)) return describeMissing(group.groupId)
  const stable = group.state === 'Stable'
  return {
    error: 'NONE',
    message: null,
    groupId: group.groupId,
    state: group.state,
    protocolType: group.protocolType ?? '',
    protocol: stable ? (group.protocol ?? '') : '',
    members: Array.from(group.members.values(), member => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: stable ? metadataOf(member, group.protocol) : Buffer.alloc(0),
      assignment: member.assignment,
    })),
  }
}

/** Before version 6 of DescribeGroups there is no error: the group is Dead. */
export function describeMissing(groupId: string): DescribedGroup {
  return {
    error: 'GROUP_ID_NOT_FOUND',
    message: `Group ${groupId} not found.`,
    groupId,
    state: 'Dead',
    protocolType: '',
    protocol: '',
    members: [],
  }
}

/** Null: there is no such group. */
export function listed(group: Group): ListedGroup | null {
  if (!exists(group)) return null
  return {
    groupId: group.groupId,
    protocolType: group.protocolType ?? '',
    state: group.state,
  }
}

/**
 * Null for everything that the group has. What is not there has offset -1: no error, a consumer starts as it is set to. What
 * was committed of a topic that is gone is not there, although its tombstone may not be durable yet.
 */
export function fetchOffsets(
  group: Group,
  partitions: readonly TopicPartition[] | null,
  isTopicGone: (topic: string, topicId: TopicId) => boolean = () => false,
): FetchOffsetsAnswer {
  const there = ({ topic, partition }: TopicPartition) => {
    const value = group.offsets.get(topic)?.get(partition)
    return value === undefined || isTopicGone(topic, value.topicId) ? undefined : value
  }
  const wanted = partitions ?? [...eachOffset(group.offsets)].filter(there)
  return {
    error: 'NONE',
    partitions: Array.from(wanted, ({ topic, partition }) => {
      const value = there({ topic, partition })
      return {
        topic,
        partition,
        offset: value?.offset ?? -1,
        leaderEpoch: value?.leaderEpoch ?? -1,
        metadata: value?.metadata ?? '',
        error: 'NONE',
      }
    }),
  }
}

export interface FirstOffsets {
  readonly offsets: readonly { readonly topic: string; readonly partition: number; readonly value: CommittedOffset }[]
  /** Of those that were asked for, with those beyond the bound. */
  readonly total: number
}

/** At most `max` of the group's offsets of some topics, in order of topic and partition. */
export function firstOffsets(group: Group, isWanted: (topic: string) => boolean, max: number): FirstOffsets {
  const offsets: FirstOffsets['offsets'][number][] = []
  let total = 0
  for (const topic of [...group.offsets.keys()].filter(isWanted).sort()) {
    const partitions = group.offsets.get(topic) ?? new Map<number, CommittedOffset>()
    total += partitions.size
    if (offsets.length >= max) continue
    const inOrder = [...partitions].sort(([a], [b]) => a - b).slice(0, max - offsets.length)
    for (const [partition, value] of inOrder) offsets.push({ topic, partition, value })
  }
  return { offsets, total }
}

/** What a member said for one protocol. */
export function metadataOf(member: Member, protocol: string | null): Buffer {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? Buffer.alloc(0)
}
