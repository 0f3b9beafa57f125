/**
 * Where the next segment of a partition goes. Pure: the same metadata and the same view of who lives give the same answer.
 *
 * - Only nodes that live; never one that is to be avoided.
 * - As many copies as the topic wants, or as many as there are nodes for, with a quorum of their own; none below
 *   min.insync.replicas.
 * - The writer stays as long as it can, so that its clients need not look for another; a rotation moves it to the node that
 *   writes least.
 * - The other copies go to as many racks as there are, then to nodes with room, then to those with the least to do; where all
 *   that is equal they stay where they are.
 */
import type { NodeId } from '../base/ids.ts'
import {
  ackQuorumOf,
  type PartitionId,
  type Placement,
  partitionKey,
  type Replica,
  type ReplicationConfig,
  type SealReason,
  type Segment,
} from '../chain/segment.ts'
import type { Metadata } from './metadata.ts'
import { addLoad, type LoadByNode, loadOf, type NodeLoad } from './node-load.ts'

/** A node that a copy could go to. */
interface Candidate extends Replica, NodeLoad {
  readonly rack: string
  readonly hasRoom: boolean
  /** Has a copy of the segment before. */
  readonly isCurrent: boolean
  /** Breaks ties, differently for each partition. */
  readonly lot: number
}

/** What is known of the nodes besides the metadata. */
export interface PlacementView {
  readonly metadata: Metadata
  readonly isLive: (nodeId: NodeId) => boolean
  /** What is free of the node's disk, 0 to 1; unknown counts as enough. */
  readonly freeShareOf?: (nodeId: NodeId) => number
  /** Instead of the metadata's: with what was placed in the same breath. */
  readonly loads?: ReadonlyMap<NodeId, NodeLoad>
}

export interface PlacementWish extends PlacementView {
  readonly partition: PartitionId
  readonly avoid: readonly NodeId[]
  readonly reason: SealReason
  /** Who is to write, if it can. */
  readonly preferred?: NodeId
}

/** A node with less free gets copies only when there is nobody else. */
const freeShareMin = 0.05

/** Null when fewer nodes live than the topic wants in sync. */
export function placeNext(wish: PlacementWish): Placement | null {
  const record = wish.metadata.partition(wish.partition)
  if (record === null) return null
  return place(wish, record.config, record.chain.at(-1) ?? null)
}

/** The first segments of a topic that is to be made; partitions for which there are not enough nodes are left out. */
export function placeTopic(
  view: PlacementView,
  topic: Pick<PartitionId, 'topicId'> & { readonly partitions: number; readonly replication: ReplicationConfig },
): { readonly partition: number; readonly next: Placement }[] {
  const loads: LoadByNode = new Map(view.loads ?? view.metadata.loads)
  const placements: { partition: number; next: Placement }[] = []
  for (let index = 0; index < topic.partitions; index++) {
    const partition = { topicId: topic.topicId, index }
    const next = place({ ...view, loads, partition, avoid: [], reason: 'none' }, topic.replication, null)
    if (next === null) return placements
    addPlacement(loads, next)
    placements.push({ partition: index, next })
  }
  return placements
}

export function addPlacement(loads: LoadByNode, { replicas, writer }: Placement): void {
  for (const { nodeId } of replicas) addLoad(loads, nodeId, nodeId === writer ? 1 : 0, 1)
}

function place(wish: PlacementWish, config: ReplicationConfig, current: Segment | null): Placement | null {
  const candidates = candidatesOf(wish, current)
  const copies = Math.min(config.replicas, candidates.length)
  if (copies < config.minInsync || copies === 0) return null
  const writer = chooseWriter(candidates, wish, current)
  const chosen = [writer]
  while (chosen.length < copies) chosen.push(chooseCopy(candidates, chosen))
  return {
    writer: writer.nodeId,
    writerIncarnation: writer.incarnation,
    replicas: chosen.map(({ nodeId, diskId, incarnation }) => ({ nodeId, diskId, incarnation })),
    ackQuorum: ackQuorumOf(copies, config.minInsync),
  }
}

function candidatesOf(wish: PlacementWish, current: Segment | null): Candidate[] {
  const { metadata, isLive, avoid, partition, freeShareOf } = wish
  const loads = wish.loads ?? metadata.loads
  const seed = seedOf(partitionKey(partition))
  const found: Candidate[] = []
  for (const [nodeId, { diskId, incarnation, rack }] of metadata.nodes) {
    if (!isLive(nodeId) || avoid.includes(nodeId)) continue
    const isCurrent = current?.replicas.some(replica => replica.nodeId === nodeId) ?? false
    const { writers, copies } = loadOf(loads, nodeId)
    // What the partition itself weighs moves with it.
    const own = isCurrent && current?.end === null
    found.push({
      nodeId,
      diskId,
      incarnation,
      rack,
      hasRoom: (freeShareOf?.(nodeId) ?? 1) >= freeShareMin,
      writers: own && current?.writer === nodeId ? writers - 1 : writers,
      copies: own ? copies - 1 : copies,
      isCurrent,
      lot: lotOf(seed, nodeId),
    })
  }
  return found
}

function chooseWriter(candidates: readonly Candidate[], wish: PlacementWish, current: Segment | null): Candidate {
  const wanted = candidates.find(({ nodeId }) => nodeId === wish.preferred)
  if (wanted !== undefined) return wanted
  const before = candidates.find(({ nodeId }) => nodeId === current?.writer)
  if (before !== undefined && wish.reason !== 'rotation') return before
  const others = candidates.filter(candidate => candidate !== before)
  return least(others.length > 0 ? others : candidates, byWriters)
}

function chooseCopy(candidates: readonly Candidate[], chosen: readonly Candidate[]): Candidate {
  const inRack = (rack: string) => chosen.filter(one => one.rack === rack).length
  return least(
    candidates.filter(candidate => !chosen.includes(candidate)),
    (a, b) => inRack(a.rack) - inRack(b.rack) || byCopies(a, b),
  )
}

type Order = (a: Candidate, b: Candidate) => number

const byLot: Order = (a, b) => a.lot - b.lot || a.nodeId - b.nodeId
const byRoom: Order = (a, b) => +b.hasRoom - +a.hasRoom
const byStay: Order = (a, b) => +b.isCurrent - +a.isCurrent
const byCopies: Order = (a, b) => byRoom(a, b) || a.copies - b.copies || byStay(a, b) || byLot(a, b)
const byWriters: Order = (a, b) =>
  byRoom(a, b) || a.writers - b.writers || byStay(a, b) || a.copies - b.copies || byLot(a, b)

function least(candidates: readonly Candidate[], order: Order): Candidate {
  return candidates.reduce((best, candidate) => (order(candidate, best) < 0 ? candidate : best))
}

/** FNV-1a. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

function lotOf(seed: number, nodeId: NodeId): number {
  const mixed = Math.imul(seed ^ Math.imul(nodeId, 0x9e3779b1), 0x85ebca6b)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
