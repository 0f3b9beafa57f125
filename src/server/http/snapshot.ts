/**
 * What one scrape is told, gathered in small steps so that requests have their turns between them.
 *
 * Bounds: so many partitions, groups and committed offsets have series of their own, the first in order of name (the topics of
 * ours last); what is beyond is counted, and is part of the totals.
 */

import type { GroupView } from '../../broker/overview.ts'
import type { Topic } from '../../broker/storage.ts'
import { breathe, principal, type Subject } from './subject.ts'

export const snapshotBounds = {
  partitionsMax: 2_000,
  groupsMax: 500,
  offsetsMax: 2_000,
  /** Records whose time is looked up for one scrape, each at most one read from the disk; times are remembered. */
  lookUpsMax: 200,
}

/** Partitions or offsets that are looked at without a breath. */
const stepMax = 500

export interface Snapshot {
  readonly subject: Subject
  readonly requests: ReturnType<Subject['broker']>['requests']
  readonly figures: ReturnType<ReturnType<Subject['engine']>['figures']>
  readonly nodeId: number
  readonly disk: { readonly totalBytes: number; readonly usableBytes: number }
  /** All topics; those in `topics` have series of their own. */
  readonly topicCount: number
  readonly partitionCount: number
  readonly storedBytes: number
  readonly topics: readonly Topic[]
  readonly groupStates: ReadonlyMap<string, number>
  readonly groups: readonly GroupView[]
  readonly leftOut: { readonly partitions: number; readonly groups: number; readonly offsets: number }
}

export async function takeSnapshot(subject: Subject): Promise<Snapshot> {
  const engine = subject.engine()
  const [disk] = await engine.logDirs()
  const all = engine.topics()
  const topics = topicsWithRoom(all)
  const groups = await gatherGroups(subject)
  return {
    subject,
    requests: subject.broker().requests,
    figures: engine.figures(),
    nodeId: engine.nodeId,
    disk: disk ?? { totalBytes: 0, usableBytes: 0 },
    topicCount: all.length,
    partitionCount: countPartitions(all),
    storedBytes: await storedBytesOf(all),
    topics,
    ...groups,
    leftOut: { ...groups.leftOut, partitions: countPartitions(all) - countPartitions(topics) },
  }
}

/** A topic is there as a whole or not at all. Those of ours have what room is left. */
export function topicsWithRoom(topics: readonly Topic[]): readonly Topic[] {
  const inOrder = [...topics.filter(({ internal }) => !internal), ...topics.filter(({ internal }) => internal)]
  let left = snapshotBounds.partitionsMax
  return inOrder.filter(({ partitions }) => {
    const fits = partitions.length <= left
    if (fits) left -= partitions.length
    return fits
  })
}

function countPartitions(topics: readonly Topic[]): number {
  return topics.reduce((sum, { partitions }) => sum + partitions.length, 0)
}

async function storedBytesOf(topics: readonly Topic[]): Promise<number> {
  let bytes = 0
  let steps = 0
  for (const { partitions } of topics) {
    for (const { storedBytes } of partitions) {
      bytes += storedBytes
      if (++steps % stepMax === 0) await breathe()
    }
  }
  return bytes
}

async function gatherGroups({ broker }: Subject) {
  const overview = broker().overview(principal)
  const listed = (await overview.groups()).groups
  const groupStates = new Map<string, number>()
  for (const { state } of listed) groupStates.set(state, (groupStates.get(state) ?? 0) + 1)
  const groups: GroupView[] = []
  const lookUps = { left: snapshotBounds.lookUpsMax }
  let offsetsLeft = snapshotBounds.offsetsMax
  let offsetsLeftOut = 0
  for (const { groupId } of listed.slice(0, snapshotBounds.groupsMax)) {
    const group = await overview.group(groupId, { offsetsMax: offsetsLeft, lookUps })
    if (group === null || group === 'LOADING') continue
    groups.push(group)
    offsetsLeft -= group.offsets.length
    offsetsLeftOut += group.leftOut
    await breathe()
  }
  const groupsLeftOut = Math.max(listed.length - snapshotBounds.groupsMax, 0)
  return { groupStates, groups, leftOut: { groups: groupsLeftOut, offsets: offsetsLeftOut } }
}
