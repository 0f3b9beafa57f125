/**
 * The part of a group that is in the log: its last stored generation and its offsets. Each record holds alone and the newest
 * of a key counts, so the log may be replayed from any point at which all live state was written anew.
 */
import { invariant, unreachable } from '../../base/invariant.ts'
import type { CommittedOffset, GroupRecord } from './group-record.ts'
import type { Group, Offsets } from './group-state.ts'

/** Takes over a record that is durable; in the order of the log. After the last one of the log comes the event `loaded`. */
export function applyRecord(group: Group, record: GroupRecord): void {
  invariant(record.groupId === group.groupId, 'a record goes to its own group')
  switch (record.of) {
    case 'group':
      group.stored = record.value
      return
    case 'offset':
      if (record.value === null) removeOffset(group.offsets, record.topic, record.partition)
      else putOffset(group.offsets, record.topic, record.partition, record.value)
      return
    default:
      unreachable(record)
  }
}

/** All live state: what the log has to hold, and all it has to hold, of this group. */
export function recordsOf(group: Group): GroupRecord[] {
  const { groupId } = group
  const records: GroupRecord[] = []
  if (group.stored !== null) records.push({ of: 'group', groupId, value: group.stored })
  for (const { topic, partition, value } of eachOffset(group.offsets))
    records.push({ of: 'offset', groupId, topic, partition, value })
  return records
}

export function* eachOffset(offsets: Offsets): Generator<{ topic: string; partition: number; value: CommittedOffset }> {
  for (const [topic, partitions] of offsets)
    for (const [partition, value] of partitions) yield { topic, partition, value }
}

function putOffset(offsets: Offsets, topic: string, partition: number, value: CommittedOffset) {
  const partitions = offsets.get(topic)
  if (partitions === undefined) offsets.set(topic, new Map([[partition, value]]))
  else partitions.set(partition, value)
}

function removeOffset(offsets: Offsets, topic: string, partition: number): void {
  const partitions = offsets.get(topic)
  partitions?.delete(partition)
  if (partitions?.size === 0) offsets.delete(topic)
}
