/**
 * Offsets come and go: commits of members and of programs that are none, deletion by operators, by age, and with their topic
 * or the whole group. Nothing of it holds before it is written.
 */
import { noTopicId, type TopicId } from '../../base/ids.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { eachOffset } from './group-durable.ts'
import type { Moment, RequestNumber } from './group-events.ts'
import { consumerProtocol, expiryMs, isSubscribed, mayEnd } from './group-expiry.ts'
import { forgetPending, memberError } from './group-members.ts'
import type { CommittedOffset, GroupRecord } from './group-record.ts'
import { exists, type Group } from './group-state.ts'
import { answer, type Turn, touch, write } from './group-turn.ts'
import type { CommitRequest, OffsetToCommit, TopicPartition } from './requests.ts'

export function commit(turn: Turn, request: RequestNumber, asked: CommitRequest): void {
  const { group, at } = turn
  const error = commitError(group, asked)
  const member = group.members.get(asked.memberId)
  if (error === 'NONE' && member !== undefined) touch(turn, member)
  const errors = asked.offsets.map(({ metadata }) => {
    if (error !== 'NONE') return error
    return metadata.length > group.settings.offsetMetadataMax ? 'OFFSET_METADATA_TOO_LARGE' : 'NONE'
  })
  const records = asked.offsets
    .filter((_, i) => errors[i] === 'NONE')
    .map(one => offsetRecord(group, one, asked.retentionMs, at))
  if (records.length === 0) answer(turn, request, { errors })
  else write(turn, records, { of: 'commit', request, errors })
}

/**
 * A member commits in its generation. Who is none may while there are no members: a program that deals its partitions out
 * itself, or an operator.
 */
function commitError(group: Group, asked: CommitRequest): KafkaErrorName {
  const { generation, memberId, instanceId } = asked
  if (!exists(group) && generation >= 0) return 'GROUP_ID_NOT_FOUND'
  if (generation < 0 && group.state === 'Empty') return 'NONE'
  if (generation < 0 && memberId === '' && instanceId === null) return 'UNKNOWN_MEMBER_ID'
  const error = memberError(group, asked)
  if (error !== 'NONE') return error
  if (generation !== group.generation) return 'ILLEGAL_GENERATION'
  // It knows the new generation, but not yet what it has been assigned in it: what it commits may be another's.
  return group.state === 'CompletingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
}

function offsetRecord(
  group: Group,
  { topic, partition, topicId, offset, leaderEpoch, metadata }: OffsetToCommit,
  retentionMs: number,
  at: Moment,
): GroupRecord {
  const expireMs = retentionMs === -1 ? -1 : at.nowMs + retentionMs
  const value = { offset, leaderEpoch, metadata, commitMs: at.nowMs, expireMs, topicId }
  return { of: 'offset', groupId: group.groupId, topic, partition, value }
}

/** OffsetDelete: of a live consumer group only what nobody subscribes to; of other live groups nothing can be known. */
export function deleteOffsets(turn: Turn, request: RequestNumber, partitions: readonly TopicPartition[]): void {
  const { group } = turn
  const error = deleteOffsetsError(group)
  if (error !== 'NONE') {
    answer(turn, request, { error, partitions: [] })
    return
  }
  const errors = partitions.map(({ topic }) => (isSubscribed(group, topic) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'))
  const held = heldKeys(group)
  const records = partitions
    .filter((one, i) => errors[i] === 'NONE' && held.get(one.topic)?.has(one.partition))
    .map(one => tombstone(group, one))
  if (records.length === 0) answer(turn, request, { error, partitions: errors })
  else write(turn, records, { of: 'deleteOffsets', request, errors })
}

function deleteOffsetsError(group: Group): KafkaErrorName {
  if (!exists(group)) return 'GROUP_ID_NOT_FOUND'
  const live = group.state !== 'Empty'
  return live && group.protocolType !== consumerProtocol ? 'NON_EMPTY_GROUP' : 'NONE'
}

export function topicDeleted(turn: Turn, topic: string, topicId: TopicId): void {
  const { group } = turn
  const records: GroupRecord[] = []
  for (const [partition, value] of newestOffsets(group, topic))
    if (value !== null && (value.topicId === topicId || value.topicId === noTopicId))
      records.push(tombstone(group, { topic, partition }))
  if (records.length > 0) write(turn, records, { of: 'nothing' })
}

/** What the log will say of a topic's partitions when all that is under way is written; null: a tombstone. */
function newestOffsets(group: Group, topic: string): Map<number, CommittedOffset | null> {
  const newest = new Map<number, CommittedOffset | null>(group.offsets.get(topic))
  for (const { records } of group.writes.values())
    for (const record of records)
      if (record.of === 'offset' && record.topic === topic) newest.set(record.partition, record.value)
  return newest
}

/** Ends the group, if nobody is in it. It takes no more requests, and is gone when that is durable. */
export function deleteGroup(turn: Turn, request: RequestNumber): void {
  const { group } = turn
  if (!exists(group)) {
    answer(turn, request, { error: 'GROUP_ID_NOT_FOUND' })
  } else if (group.state !== 'Empty') {
    answer(turn, request, { error: 'NON_EMPTY_GROUP' })
  } else {
    const records = recordsOfTheEnd(group)
    group.state = 'Dead'
    if (records.length > 0) {
      write(turn, records, { of: 'delete', request })
    } else {
      buried(group)
      answer(turn, request, { error: 'NONE' })
    }
  }
}

function recordsOfTheEnd(group: Group): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const [topic, partitions] of heldKeys(group))
    for (const partition of partitions) records.push(tombstone(group, { topic, partition }))
  if (hasStoredGeneration(group)) records.push({ of: 'group', groupId: group.groupId, value: null })
  return records
}

/** What the log has of the group, or will have when all writes under way have come back. */
function hasStoredGeneration(group: Group): boolean {
  if (group.stored !== null) return true
  for (const { records } of group.writes.values())
    if (records.some(record => record.of === 'group' && record.value !== null)) return true
  return false
}

/** The end is durable. Ids given out are void. */
export function buried(group: Group): void {
  for (const memberId of group.pending.keys()) forgetPending(group, memberId)
}

/** The end could not be written: the group is what it was. */
export function revived(group: Group): void {
  group.state = 'Empty'
}

/** What has been kept long enough goes; what is being written stays, whatever it says. */
export function expire(turn: Turn): void {
  const { group, at } = turn
  const busy = keysUnderWay(group)
  const records: GroupRecord[] = []
  let kept = 0
  for (const { topic, partition, value } of eachOffset(group.offsets)) {
    const due = expiryMs(group, topic, value) <= at.nowMs && !busy.get(topic)?.has(partition)
    if (due) records.push(tombstone(group, { topic, partition }))
    else kept += 1
  }
  if (kept === 0 && mayEnd(group)) {
    group.state = 'Dead'
    records.push({ of: 'group', groupId: group.groupId, value: null })
    write(turn, records, { of: 'delete', request: null })
  } else if (records.length > 0) {
    write(turn, records, { of: 'nothing' })
  }
}

function tombstone(group: Group, { topic, partition }: TopicPartition): GroupRecord {
  return { of: 'offset', groupId: group.groupId, topic, partition, value: null }
}

type Keys = Map<string, Set<number>>

/** Partitions with an offset, or with one being written: its tombstone comes behind it. */
function heldKeys(group: Group): Keys {
  const keys = keysUnderWay(group)
  for (const { topic, partition } of eachOffset(group.offsets)) addKey(keys, topic, partition)
  return keys
}

function keysUnderWay(group: Group): Keys {
  const keys: Keys = new Map()
  for (const { records } of group.writes.values())
    for (const record of records) if (record.of === 'offset') addKey(keys, record.topic, record.partition)
  return keys
}

function addKey(keys: Keys, topic: string, partition: number): void {
  const partitions = keys.get(topic)
  if (partitions === undefined) keys.set(topic, new Set([partition]))
  else partitions.add(partition)
}
