/**
 * The auditor of sealed segments: each should have as many complete copies as its topic wants, on disks that are there.
 * Missing copies are ordered, those of segments with the fewest first; what is more than wanted is given up, never before
 * enough others are complete; what is recorded of lost disks is taken out. It looks at some partitions in each round and comes
 * round to all.
 */
import type { NodeId, SegmentId } from '../base/ids.ts'
import type { Partition, PartitionId, Replica, Segment } from '../chain/segment.ts'
import type { Command } from './commands.ts'
import type { ControllerSettings, Round } from './controller.ts'
import type { Node } from './metadata.ts'
import { addLoad, loadOf } from './node-load.ts'

interface Copying {
  readonly target: NodeId
  readonly incarnation: number
  readonly bytes: number
  readonly sinceMs: number
  orderedMs: number
}

export interface Repairs {
  /** One copy of a segment at a time. */
  readonly underWay: Map<SegmentId, Copying>
  /** When a copy was last asked to be given up. */
  readonly removals: Map<SegmentId, number>
  /** Since when nodes are not there. */
  readonly absences: Map<NodeId, number>
  /** How many partitions were looked at, to go on from there. */
  cursor: number
}

interface Need {
  readonly id: PartitionId
  readonly segment: Segment
  /** Nodes that have all of it. */
  readonly sources: readonly NodeId[]
}

export function createRepairs(): Repairs {
  return { underWay: new Map(), removals: new Map(), absences: new Map(), cursor: 0 }
}

export function repair(repairs: Repairs, settings: ControllerSettings, round: Round): void {
  noteAbsences(repairs, round)
  dropHopeless(repairs, settings, round)
  const needs: Need[] = []
  for (const id of nextPartitions(repairs, settings, round)) {
    const record = round.metadata.partition(id)
    if (record !== null) audit(repairs, settings, round, id, record, needs)
  }
  needs.sort((a, b) => a.sources.length - b.sources.length)
  for (const need of needs) copy(repairs, settings, round, need)
}

function noteAbsences({ absences }: Repairs, { metadata, isLive, nowMs }: Round): void {
  for (const nodeId of metadata.nodes.keys()) {
    if (isLive(nodeId)) absences.delete(nodeId)
    else if (!absences.has(nodeId)) absences.set(nodeId, nowMs)
  }
}

/** Copying that takes too long, or whose target is gone, is given to another. */
function dropHopeless({ underWay, removals }: Repairs, settings: ControllerSettings, round: Round): void {
  const { metadata, isLive, nowMs } = round
  for (const [segment, { target, incarnation, sinceMs }] of underWay) {
    const isSame = isLive(target) && metadata.nodes.get(target)?.incarnation === incarnation
    if (!isSame || nowMs - sinceMs >= settings.repairMs) underWay.delete(segment)
  }
  for (const [segment, askedMs] of removals) if (nowMs - askedMs >= settings.repeatMs) removals.delete(segment)
}

/** Goes on behind what the last round looked at, and begins again at the end. */
function nextPartitions(repairs: Repairs, { auditedMax }: ControllerSettings, { metadata }: Round): PartitionId[] {
  const found: PartitionId[] = []
  const from = repairs.cursor
  let position = 0
  for (const { id, isDeleting, partitions } of metadata.topics.values()) {
    const end = isDeleting ? position : position + partitions.length
    for (let at = Math.max(from, position); at < end && found.length < auditedMax; at++) {
      found.push({ topicId: id, index: at - position })
    }
    position = end
  }
  repairs.cursor = from + found.length < position ? from + found.length : 0
  return found
}

function audit(
  repairs: Repairs,
  settings: ControllerSettings,
  round: Round,
  id: PartitionId,
  record: Partition,
  needs: Need[],
): void {
  const wanted = record.config.replicas
  // The partition's version allows one removal at a time.
  let mayRemove = true
  for (const segment of record.chain) {
    if (segment.end === null) continue
    if (segment.state === 'deleting') removeLost(repairs, round, id, segment)
    else {
      if (isWhole(segment, wanted, round)) {
        repairs.underWay.delete(segment.id)
        continue
      }
      const sources = segment.replicas.filter(replica => isComplete(segment, replica) && isThere(round, replica))
      if (sources.some(({ nodeId }) => nodeId === repairs.underWay.get(segment.id)?.target)) {
        repairs.underWay.delete(segment.id)
      }
      const standing = segment.replicas.filter(
        replica => isComplete(segment, replica) && mayReturn(repairs, settings, round, replica),
      )
      if (standing.length < wanted && sources.length > 0) {
        needs.push({ id, segment, sources: sources.map(({ nodeId }) => nodeId) })
      } else if (mayRemove && sources.length >= wanted && segment.replicas.length > wanted) {
        mayRemove = !removeSurplus(repairs, round, id, record, segment)
      }
    }
  }
}

/** Exactly as many copies as are wanted, all complete and there: true of nearly all, so it costs little. */
function isWhole({ replicas, complete }: Segment, wanted: number, { metadata, isLive }: Round): boolean {
  if (replicas.length !== wanted || complete?.length !== wanted) return false
  for (const { nodeId, diskId } of replicas) {
    if (metadata.nodes.get(nodeId)?.diskId !== diskId || !isLive(nodeId)) return false
  }
  return true
}

const isComplete = ({ complete }: Segment, { nodeId }: Replica) => complete?.includes(nodeId) ?? false

function isOnItsDisk({ metadata }: Round, { nodeId, diskId }: Replica): boolean {
  return metadata.nodes.get(nodeId)?.diskId === diskId
}

const isThere = (round: Round, replica: Replica) => round.isLive(replica.nodeId) && isOnItsDisk(round, replica)

/** There, or away for so short a time that it is waited for. */
function mayReturn(repairs: Repairs, { absenceMs }: ControllerSettings, round: Round, replica: Replica): boolean {
  const sinceMs = repairs.absences.get(replica.nodeId) ?? round.nowMs
  return isOnItsDisk(round, replica) && round.nowMs - sinceMs < absenceMs
}

// ── copies that are missing

function copy(repairs: Repairs, settings: ControllerSettings, round: Round, { id, segment, sources }: Need): void {
  const { underWay } = repairs
  const { nowMs, metadata } = round
  const before = underWay.get(segment.id)
  if (before !== undefined && nowMs - before.orderedMs < settings.repeatMs) return
  const target = before?.target ?? chooseTarget(repairs, settings, round, segment, sources)
  if (target === null) return
  const { incarnation } = metadata.nodes.get(target) as Node
  const sinceMs = before?.sinceMs ?? nowMs
  underWay.set(segment.id, { target, incarnation, bytes: segment.bytes, sinceMs, orderedMs: nowMs })
  const event = { type: 'repair', partition: id, segment: segment.id, sources } as const
  round.orders.push({ do: 'order', to: target, event })
}

/** A copy that lacks its end first; then as many racks as there are, then the node with the least to do. */
function chooseTarget(
  { underWay }: Repairs,
  { repairsMax, repairsPerNodeMax, repairBytesPerNodeMax }: ControllerSettings,
  round: Round,
  segment: Segment,
  sources: readonly NodeId[],
): NodeId | null {
  if (underWay.size >= repairsMax) return null
  const { metadata, isLive, loads } = round
  const hasTime = (nodeId: NodeId) => {
    let [count, bytes] = [0, 0]
    for (const copying of underWay.values()) {
      if (copying.target !== nodeId) continue
      count++
      bytes += copying.bytes
    }
    return count === 0 || (count < repairsPerNodeMax && bytes + segment.bytes <= repairBytesPerNodeMax)
  }
  const isCopy = (nodeId: NodeId, { diskId }: Node) =>
    segment.replicas.some(replica => replica.nodeId === nodeId && replica.diskId === diskId)
  const racks = new Set(sources.map(nodeId => metadata.nodes.get(nodeId)?.rack))
  const able = [...metadata.nodes].filter(([nodeId]) => isLive(nodeId) && hasTime(nodeId) && !sources.includes(nodeId))
  able.sort(
    ([a, nodeA], [b, nodeB]) =>
      +isCopy(b, nodeB) - +isCopy(a, nodeA) ||
      +racks.has(nodeA.rack) - +racks.has(nodeB.rack) ||
      loadOf(loads, a).copies - loadOf(loads, b).copies ||
      a - b,
  )
  const target = able[0]?.[0] ?? null
  // Counted as a copy for the rest of the round, so that not all go to the same node.
  if (target !== null) addLoad(loads, target, 0, 1)
  return target
}

// ── copies that are too many, or gone

/** Proposes to take out the copy that is worth least; whether it did. */
function removeSurplus(repairs: Repairs, round: Round, id: PartitionId, record: Partition, segment: Segment): boolean {
  if (repairs.removals.has(segment.id)) return false
  const worth = (replica: Replica) =>
    +isOnItsDisk(round, replica) + +isComplete(segment, replica) + +isThere(round, replica)
  const racks = segment.replicas.map(({ nodeId }) => round.metadata.nodes.get(nodeId)?.rack ?? '')
  const inRack = ({ nodeId }: Replica) =>
    racks.filter(rack => rack === (round.metadata.nodes.get(nodeId)?.rack ?? '')).length
  const [least] = segment.replicas.toSorted(
    (a, b) =>
      worth(a) - worth(b) ||
      inRack(b) - inRack(a) ||
      loadOf(round.loads, b.nodeId).copies - loadOf(round.loads, a.nodeId).copies ||
      b.nodeId - a.nodeId,
  )
  if (least === undefined) return false
  propose(repairs, round, segment.id, {
    do: 'removeSurplus',
    topicId: id.topicId,
    partition: id.index,
    version: record.version,
    segment: segment.id,
    nodeId: least.nodeId,
  })
  return true
}

/** Nobody will say of a lost disk that its copy is deleted. */
function removeLost(repairs: Repairs, round: Round, id: PartitionId, segment: Segment): void {
  const lost = segment.replicas.find(replica => !isOnItsDisk(round, replica))
  if (lost === undefined || repairs.removals.has(segment.id)) return
  propose(repairs, round, segment.id, {
    do: 'removeReplica',
    topicId: id.topicId,
    partition: id.index,
    segment: segment.id,
    nodeId: lost.nodeId,
  })
}

function propose({ removals }: Repairs, round: Round, segment: SegmentId, command: Command): void {
  removals.set(segment, round.nowMs)
  round.orders.push({ do: 'propose', command })
}
