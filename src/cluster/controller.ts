/**
 * What the Raft leader orders so that every partition is writable and every segment has its copies. Pure: it looks at the
 * metadata and at who lives, and says what should be done; what it remembers is only what it has ordered lately, so as not to
 * order it again at once. A new leader begins with nothing and comes to the same.
 *
 * Nothing depends on these orders for safety: whoever carries one out proposes conditional commands. They may be lost,
 * repeated, late, or given by two leaders at a time.
 *
 *     recovery    an unsealed segment whose writer is gone or has started again, or has too few disks left to commit on, or
 *                 whose recovery goes nowhere
 *     growing     an open segment with fewer copies than wanted, when there are nodes for more
 *     rotation    writers from the node that has most of them to the one that has least
 *     repair      (repair.ts) sealed segments: missing copies, surplus copies, deleted copies of lost disks
 *     follow-up   nodes up and down, first segments that had no nodes, deleted topics
 */
import type { NodeId, SegmentId, TopicId } from '../base/ids.ts'
import type { ChainEvent } from '../chain/events.ts'
import {
  fenceQuorumOf,
  type Partition,
  type PartitionId,
  type PartitionKey,
  type Placement,
  partitionKey,
  type Replica,
  type Segment,
  unsealed,
} from '../chain/segment.ts'
import type { Command } from './commands.ts'
import { type Grantor, isLive, watch } from './liveness.ts'
import type { Metadata } from './metadata.ts'
import { type LoadByNode, loadOf } from './node-load.ts'
import { addPlacement, placeNext } from './placement.ts'
import { createRepairs, type Repairs, repair } from './repair.ts'

export interface ControllerSettings {
  /** An order or proposal that has shown no effect is given again after this. */
  readonly repeatMs: number
  /** A recovery by a node that lives is left to it for so long, then given to another. */
  readonly recoveryMs: number
  /** Between two attempts to give an open segment more copies. */
  readonly growPauseMs: number
  /** Between two rotations; writers move only when one node has at least two more than another. */
  readonly rotationPauseMs: number
  /** How long the nodes have for the files of a deleted topic before it is forgotten. */
  readonly purgeMs: number
  /** A node that is down for longer than this is not waited for: its copies are made elsewhere. */
  readonly absenceMs: number
  /** A copy that was ordered is given up after this, and ordered again. */
  readonly repairMs: number
  /** Copies on their way to one node at a time: by bytes (a single larger one still goes, alone) and by number; and in all. */
  readonly repairBytesPerNodeMax: number
  readonly repairsPerNodeMax: number
  readonly repairsMax: number
  /** Partitions whose sealed segments are looked at in one round. */
  readonly auditedMax: number
}

export const defaultControllerSettings: ControllerSettings = {
  repeatMs: 500,
  recoveryMs: 3000,
  growPauseMs: 2000,
  rotationPauseMs: 5000,
  purgeMs: 2000,
  absenceMs: 10_000,
  repairMs: 10_000,
  repairBytesPerNodeMax: 512 << 20,
  repairsPerNodeMax: 32,
  repairsMax: 256,
  auditedMax: 1000,
}

export type Order =
  | { readonly do: 'order'; readonly to: NodeId; readonly event: ChainEvent }
  | { readonly do: 'propose'; readonly command: Command }

interface Recovery {
  readonly partition: PartitionId
  readonly segment: SegmentId
  readonly recoverer: NodeId
  readonly incarnation: number
  readonly sinceMs: number
  orderedMs: number
}

export interface Controller {
  readonly settings: ControllerSettings
  readonly recoveries: Map<PartitionKey, Recovery>
  /** When something was last asked for, by what it is. */
  readonly asked: Map<string, number>
  rotatedMs: number
  readonly repairs: Repairs
}

/** What a round sees. */
export interface Round {
  readonly metadata: Metadata
  readonly nowMs: number
  readonly wallMs: number
  readonly isLive: (nodeId: NodeId) => boolean
  /** The metadata's, with what was ordered in this round. */
  readonly loads: LoadByNode
  readonly orders: Order[]
}

export function createController(settings: ControllerSettings): Controller {
  return { settings, recoveries: new Map(), asked: new Map(), rotatedMs: 0, repairs: createRepairs() }
}

/** What the leader knows when a round begins. */
export interface ControlInput {
  readonly metadata: Metadata
  readonly grantor: Grantor
  /** The monotonic clock: it paces. */
  readonly nowMs: number
  /** The time of day: for what is recorded. */
  readonly wallMs: number
}

/** One round: to be called every so often while this node leads, with the grantor of its leases. */
export function control(controller: Controller, { metadata, grantor, nowMs, wallMs }: ControlInput): Order[] {
  for (const [nodeId, { incarnation }] of metadata.nodes) watch(grantor, nodeId, incarnation, nowMs)
  const live = (nodeId: NodeId) => metadata.nodes.get(nodeId)?.isUp === true && isLive(grantor, nodeId)
  const round: Round = { metadata, nowMs, wallMs, isLive: live, loads: new Map(metadata.loads), orders: [] }
  forget(controller, nowMs)
  tellLeases(controller, round, grantor)
  for (const topic of metadata.topics.values()) {
    if (topic.isDeleting) purge(controller, round, topic.id)
    else {
      for (let index = 0; index < topic.partitions.length; index++) {
        const record = topic.partitions[index] as Partition
        if (needsAttention(round, record)) look(controller, round, { topicId: topic.id, index }, record)
      }
    }
  }
  for (const [key, { partition }] of controller.recoveries) {
    if (!isRecovering(round, partition)) controller.recoveries.delete(key)
  }
  rotate(controller, round)
  repair(controller.repairs, controller.settings, round)
  return round.orders
}

/** What the metadata says of a node follows its lease; the grantor's own proposal may have been lost. */
function tellLeases(controller: Controller, round: Round, grantor: Grantor): void {
  for (const [nodeId, { incarnation, isUp }] of round.metadata.nodes) {
    const lease = grantor.nodes.get(nodeId)
    // A session that a new leader granted to everybody is no sign of life.
    const isOver = lease?.isExpired ?? false
    const isRenewed = lease?.incarnation === incarnation && !isOver
    if (isUp ? !isOver : !isRenewed) continue
    if (!mayAsk(controller, round, `lease ${nodeId} ${incarnation} ${isUp}`, controller.settings.repeatMs)) continue
    round.orders.push({ do: 'propose', command: { do: 'setNodeUp', nodeId, incarnation, isUp: !isUp } })
  }
}

function purge(controller: Controller, round: Round, topicId: TopicId): void {
  const key = `purge ${topicId}`
  const sinceMs = controller.asked.get(key) ?? round.nowMs
  controller.asked.set(key, sinceMs)
  if (round.nowMs - sinceMs < controller.settings.purgeMs) return
  controller.asked.set(key, round.nowMs)
  round.orders.push({ do: 'propose', command: { do: 'purgeTopic', topicId } })
}

// ── one partition

function look(controller: Controller, round: Round, id: PartitionId, record: Partition): void {
  const segment = unsealed(record)
  if (segment === null) openFirst(controller, round, id, record)
  else if (needsRecovery(round, segment)) recover(controller, round, id, record, segment)
  else grow(controller, round, id, segment)
}

/** Most partitions need nothing; this is all that a round does with them. */
function needsAttention(round: Round, record: Partition): boolean {
  const segment = unsealed(record)
  return segment === null || segment.replicas.length < record.config.replicas || needsRecovery(round, segment)
}

/**
 * An open segment is its writer's as long as that lives, as the boot that opened it, and as there are disks enough to commit
 * on: without them the writer can neither go on nor seal, while a recovery may copy to others.
 */
function needsRecovery({ metadata, isLive }: Round, segment: Segment): boolean {
  if (segment.state === 'sealing' || !isLive(segment.writer)) return true
  if (metadata.nodes.get(segment.writer)?.incarnation !== segment.writerIncarnation) return true
  let disks = 0
  for (const { nodeId, diskId } of segment.replicas) if (metadata.nodes.get(nodeId)?.diskId === diskId) disks++
  return disks < segment.ackQuorum
}

function openFirst(controller: Controller, round: Round, id: PartitionId, { version }: Partition): void {
  const next = placeNext({ ...round, partition: id, avoid: [], reason: 'none' })
  if (next === null || !mayAsk(controller, round, `first ${partitionKey(id)}`, controller.settings.repeatMs)) return
  addPlacement(round.loads, next)
  const command: Command = {
    do: 'openFirst',
    topicId: id.topicId,
    partition: id.index,
    version,
    next,
    nowMs: round.wallMs,
  }
  round.orders.push({ do: 'propose', command })
}

/**
 * The recoverer is the next writer: it has all of the segment when it is done. One that lives is left to it for a time; the
 * order is repeated meanwhile, as it may have been lost and as its view of the nodes grows old.
 */
function recover(controller: Controller, round: Round, id: PartitionId, record: Partition, segment: Segment): void {
  const key = partitionKey(id)
  const before = controller.recoveries.get(key)
  const isOurs = before?.segment === segment.id
  const { nowMs } = round
  const isUnderWay = isOurs && isSameBoot(round, before) && nowMs - before.sinceMs < controller.settings.recoveryMs
  if (isUnderWay && nowMs - before.orderedMs < controller.settings.repeatMs) return
  const recoverer = isUnderWay ? before.recoverer : chooseRecoverer(round, record, segment, before?.recoverer)
  if (recoverer === null) return
  const next = placeNext({ ...round, partition: id, avoid: [], reason: 'recovery', preferred: recoverer })
  if (next === null) return
  addPlacement(round.loads, next)
  const { incarnation } = round.metadata.nodes.get(recoverer) ?? { incarnation: 0 }
  const sinceMs = isUnderWay ? before.sinceMs : nowMs
  controller.recoveries.set(key, {
    partition: id,
    segment: segment.id,
    recoverer,
    incarnation,
    sinceMs,
    orderedMs: nowMs,
  })
  const spares = sparesOf(round, segment, next)
  const event = { type: 'recover', partition: id, segment: segment.id, next, spares } as const
  round.orders.push({ do: 'order', to: recoverer, event })
}

function isSameBoot({ metadata, isLive }: Round, { recoverer, incarnation }: Recovery): boolean {
  return isLive(recoverer) && metadata.nodes.get(recoverer)?.incarnation === incarnation
}

/** Among the copies whose nodes live, another than the one that got nowhere, then the one that writes least. */
function chooseRecoverer(
  round: Round,
  { config }: Partition,
  segment: Segment,
  tried: NodeId | undefined,
): NodeId | null {
  const { metadata, isLive, loads } = round
  const isThere = ({ nodeId, diskId }: Replica) => isLive(nodeId) && metadata.nodes.get(nodeId)?.diskId === diskId
  let able = segment.replicas.filter(isThere).map(replica => replica.nodeId)
  // With fewer answers than that nobody can tell where the segment ends: it waits for its nodes.
  if (able.length < fenceQuorumOf(segment)) {
    if (!config.uncleanSeal || segment.replicas.length !== 1) return null
    able = [...metadata.nodes.keys()].filter(isLive)
  }
  const untried = able.filter(nodeId => nodeId !== tried)
  const [first, ...others] = untried.length > 0 ? untried : able
  if (first === undefined) return null
  const writersOf = (nodeId: NodeId) => loadOf(loads, nodeId).writers
  return others.reduce((best, nodeId) => (writersOf(nodeId) < writersOf(best) ? nodeId : best), first)
}

/** Nodes that may take the place of copies that are lost: those of the next segment first, then whoever has least to do. */
function sparesOf({ metadata, isLive, loads }: Round, segment: Segment, next: Placement): Replica[] {
  const isCopy = (nodeId: NodeId, diskId: string) =>
    segment.replicas.some(replica => replica.nodeId === nodeId && replica.diskId === diskId)
  const isNext = (nodeId: NodeId) => next.replicas.some(replica => replica.nodeId === nodeId)
  const others = [...metadata.nodes].filter(([nodeId, { diskId }]) => isLive(nodeId) && !isCopy(nodeId, diskId))
  const spares = others.map(([nodeId, { diskId, incarnation }]) => ({ nodeId, diskId, incarnation }))
  return spares.sort(
    (a, b) =>
      +isNext(b.nodeId) - +isNext(a.nodeId) ||
      loadOf(loads, a.nodeId).copies - loadOf(loads, b.nodeId).copies ||
      a.nodeId - b.nodeId,
  )
}

/** Nodes came back: the writer is told to go on with more copies. */
function grow(controller: Controller, round: Round, id: PartitionId, segment: Segment): void {
  const next = placeNext({ ...round, partition: id, avoid: [], reason: 'replica joined' })
  if (next === null || next.replicas.length <= segment.replicas.length) return
  if (!mayAsk(controller, round, `grow ${partitionKey(id)}`, controller.settings.growPauseMs)) return
  addPlacement(round.loads, next)
  const event = { type: 'placement', partition: id, reason: 'replica joined', next } as const
  round.orders.push({ do: 'order', to: segment.writer, event })
}

// ── the balance of writers

/** One at a time: from the node that writes most to the one that writes least and has a copy already, if that helps. */
function rotate(controller: Controller, round: Round): void {
  const { settings } = controller
  if (round.nowMs - controller.rotatedMs < settings.rotationPauseMs || controller.recoveries.size > 0) return
  const live = [...round.metadata.nodes.keys()].filter(round.isLive)
  const writersOf = (nodeId: NodeId) => loadOf(round.loads, nodeId).writers
  const most = live.reduce((max, nodeId) => Math.max(max, writersOf(nodeId)), 0)
  const fewest = live.reduce((min, nodeId) => Math.min(min, writersOf(nodeId)), most)
  if (most - fewest < 2) return
  const from = live.find(nodeId => writersOf(nodeId) === most)
  const to = live.find(nodeId => writersOf(nodeId) === fewest)
  if (from === undefined || to === undefined) return
  const id = writtenBy(round.metadata, from, to)
  if (id === null) return
  const next = placeNext({ ...round, partition: id, avoid: [], reason: 'rotation', preferred: to })
  if (next?.writer !== to) return
  controller.rotatedMs = round.nowMs
  round.orders.push({
    do: 'order',
    to: from,
    event: { type: 'placement', partition: id, reason: 'rotation', next },
  })
}

/** A partition that `from` writes; rather one of which `to` has a copy. */
function writtenBy(metadata: Metadata, from: NodeId, to: NodeId): PartitionId | null {
  let found: PartitionId | null = null
  for (const topic of metadata.topics.values()) {
    if (topic.isDeleting) continue
    for (const [index, record] of topic.partitions.entries()) {
      const segment = unsealed(record)
      if (segment?.writer !== from || segment.state !== 'open') continue
      if (segment.replicas.some(replica => replica.nodeId === to)) return { topicId: topic.id, index }
      found ??= { topicId: topic.id, index }
    }
  }
  return found
}

// ── memory

/** Whether something was not asked for lately; it counts as asked for now. */
function mayAsk({ asked }: Controller, { nowMs }: Round, key: string, pauseMs: number): boolean {
  const lastMs = asked.get(key)
  if (lastMs !== undefined && nowMs - lastMs < pauseMs) return false
  asked.set(key, nowMs)
  return true
}

/** Longer than any pause above. */
const memoryMs = 60_000

function forget({ asked }: Controller, nowMs: number): void {
  for (const [key, sinceMs] of asked) if (nowMs - sinceMs > memoryMs) asked.delete(key)
}

function isRecovering(round: Round, partition: PartitionId): boolean {
  const record = round.metadata.partition(partition)
  const segment = record === null ? null : unsealed(record)
  return segment !== null && needsRecovery(round, segment)
}
