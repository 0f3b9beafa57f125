/**
 * How the record of one partition changes: each command as a pure function of the record. A command that the chain proposes
 * (chain/events.ts) is conditional on the segment that it means, on that segment's state and on an epoch, so it holds whoever
 * sends it and however late: two recoveries, a writer that wakes up, a retry that was applied before. Commands of the
 * controller and of the writer's housekeeping are conditional on the partition's version instead.
 *
 *     createPartition → openFirst → sealAndOpen … (beginRecovery → completeRecovery) …
 *     sealed segments: addReplica, removeReplica, removeSurplus, setArchived, replaceSealed; advanceStart → deleting → gone
 *
 * A refusal leaves the record as it is. So does a change that is there already: it is done again by doing nothing.
 */

import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId } from '../base/ids.ts'
import { unreachable } from '../base/invariant.ts'
import type { ChainCommand } from '../chain/events.ts'
import {
  type ArchivedRange,
  ackQuorumOf,
  type Partition,
  type Placement,
  type Replica,
  type ReplicationConfig,
  type SealReason,
  type Segment,
  unsealed,
} from '../chain/segment.ts'
import { type Refused, refused } from './outcome.ts'

/** A node as it is registered now. */
export interface RegisteredNode {
  readonly diskId: DiskId
  readonly incarnation: number
}

/** What a change needs to know besides the record. */
export interface ChangeContext {
  readonly nodes: ReadonlyMap<NodeId, RegisteredNode>
  /** When it was proposed: for people and for retention. */
  readonly nowMs: number
  /** The id of a segment that the change makes; it is used up if `Changed.takesSegmentId`. */
  readonly nextSegmentId: SegmentId
}

export interface Changed {
  readonly ok: true
  /** The very record that went in when nothing had to change. */
  readonly partition: Partition
  /** Of `beginRecovery` the recovery's epoch; of what opens or makes a segment, its id; else 0. */
  readonly value: number
  readonly takesSegmentId: boolean
}

type Bare<Command> = Command extends unknown ? Omit<Command, 'partition'> : never
type ChainChange = Bare<ChainCommand>
type ChangeOf<Name extends ChainCommand['do']> = Extract<ChainChange, { readonly do: Name }>

/** What takes the place of a run of sealed segments: the same offsets, fewer bytes. */
export interface Compacted {
  readonly bytes: number
  readonly maxTimestamp: number
  readonly checksum: number
  /** All of them complete. */
  readonly replicas: readonly Replica[]
}

interface Versioned {
  /** The partition's version that the proposer saw. */
  readonly version: number
}

export type PartitionChange =
  | ChainChange
  | ({ readonly do: 'openFirst'; readonly next: Placement } & Versioned)
  | ({ readonly do: 'removeSurplus'; readonly segment: SegmentId; readonly nodeId: NodeId } & Versioned)
  | ({ readonly do: 'replaceSealed'; readonly old: readonly SegmentId[]; readonly compacted: Compacted } & Versioned)
  | ({
      readonly do: 'setArchived'
      readonly segment: SegmentId
      readonly archive: readonly ArchivedRange[]
    } & Versioned)
  | ({ readonly do: 'advanceStart'; readonly offset: Offset } & Versioned)
  | ({ readonly do: 'dropSegments'; readonly through: SegmentId } & Versioned)
  | ({ readonly do: 'configure'; readonly config: ReplicationConfig } & Versioned)

/** A partition without a segment; `openFirst` gives it one. */
export function createPartition(config: ReplicationConfig): Partition {
  return {
    version: 0,
    nextEpoch: 0,
    leaderEpoch: 0 as LeaderEpoch,
    logStartOffset: 0 as Offset,
    chain: [],
    config,
  }
}

/** Applies a command to the partition's record; the record that comes out has the next version. */
export function changePartition(
  partition: Partition,
  change: PartitionChange,
  context: ChangeContext,
): Changed | Refused {
  const isStale = 'version' in change && change.version !== partition.version
  if (isStale) return refused('STALE', `the partition is at version ${partition.version}, not ${change.version}`)
  const changed = perform(partition, change, context)
  if (!changed.ok || changed.partition === partition) return changed
  return { ...changed, partition: { ...changed.partition, version: partition.version + 1 } }
}

function perform(partition: Partition, change: PartitionChange, context: ChangeContext): Changed | Refused {
  switch (change.do) {
    case 'openFirst':
      return openFirst(partition, change.next, context)
    case 'sealAndOpen':
      return sealAndOpen(partition, change, context)
    case 'beginRecovery':
      return beginRecovery(partition, change)
    case 'completeRecovery':
      return completeRecovery(partition, change, context)
    case 'addReplica':
      return addReplica(partition, change, context)
    case 'removeReplica':
      return removeReplica(partition, change, context)
    case 'removeSurplus':
      return removeSurplus(partition, change, context)
    case 'replaceSealed':
      return replaceSealed(partition, change, context)
    case 'setArchived':
      return setArchived(partition, change)
    case 'advanceStart':
      return advanceStart(partition, change.offset)
    case 'dropSegments':
      return dropSegments(partition, change.through)
    case 'configure':
      return changed({ ...partition, config: change.config })
    default:
      return unreachable(change)
  }
}

const changed = (partition: Partition, value = 0): Changed => ({ ok: true, partition, value, takesSegmentId: false })

// ── the unsealed segment

function openFirst(partition: Partition, next: Placement, context: ChangeContext): Changed | Refused {
  if (partition.chain.length > 0) return refused('STALE', 'the chain has its first segment')
  return (
    whyNotPlaced(partition.config, next, context) ??
    open(partition, { base: 0 as Offset, leaderEpoch: partition.leaderEpoch, next }, context)
  )
}

/** The writer ends its segment and opens the next. */
function sealAndOpen(partition: Partition, change: ChangeOf<'sealAndOpen'>, context: ChangeContext): Changed | Refused {
  const segment = unsealed(partition)
  if (segment?.id !== change.segment) return refused('STALE', 'it is not the segment that takes records')
  if (segment.state !== 'open') return refused('STALE', 'the segment is being recovered')
  if (segment.writeEpoch !== change.epoch) return refused('STALE', `the segment’s epoch is ${segment.writeEpoch}`)
  const isSameWriter =
    segment.writer === change.next.writer && segment.writerIncarnation === change.next.writerIncarnation
  return (
    whyNotEnd(partition, segment, change.end) ??
    whyNotComplete(segment, change.end, change.complete) ??
    whyNotPlaced(partition.config, change.next, context) ??
    sealThenOpen(partition, {
      sealed: { ...seal(segment, change), complete: [...change.complete], sealReason: change.reason },
      leaderEpoch: isSameWriter ? partition.leaderEpoch : nextLeaderEpoch(partition),
      next: change.next,
      context,
    })
  )
}

/** From here on commands of the writer, and of recoverers before this one, are refused. */
function beginRecovery(partition: Partition, change: ChangeOf<'beginRecovery'>): Changed | Refused {
  const segment = unsealed(partition)
  if (segment?.id !== change.segment) return refused('STALE', 'it is not the segment that takes records')
  if (segment.writeEpoch !== change.epoch) return refused('STALE', `the segment’s epoch is ${segment.writeEpoch}`)
  const recoveryEpoch = partition.nextEpoch + 1
  const sealing: Segment = { ...segment, state: 'sealing', recoveryEpoch }
  return changed({ ...partition, nextEpoch: recoveryEpoch, chain: withLast(partition, sealing) }, recoveryEpoch)
}

/** The recoverer ends the segment of a writer that is gone, and opens the next. */
function completeRecovery(
  partition: Partition,
  change: ChangeOf<'completeRecovery'>,
  context: ChangeContext,
): Changed | Refused {
  const segment = unsealed(partition)
  if (segment?.id !== change.segment) return refused('STALE', 'it is not the segment that takes records')
  if (segment.state !== 'sealing') return refused('STALE', 'no recovery has begun')
  if (segment.recoveryEpoch !== change.epoch)
    return refused('STALE', `recovery ${segment.recoveryEpoch} has begun since`)
  const complete = change.complete.map(replica => replica.nodeId)
  const replicas = change.complete.reduce(withReplica, segment.replicas)
  const isUnclean = isUncleanSeal(partition.config, segment, change)
  return (
    (isUnclean ? null : whyNotEnd(partition, segment, change.end)) ??
    (isUnclean ? null : whyNotComplete({ ...segment, replicas }, change.end, complete)) ??
    whyNotSameBoot(change.complete, context) ??
    whyNotPlaced(partition.config, change.next, context) ??
    sealThenOpen(cutStart(partition, change.end), {
      sealed: { ...seal(segment, change), replicas, complete, sealReason: 'recovery' },
      leaderEpoch: nextLeaderEpoch(partition),
      next: change.next,
      context,
    })
  )
}

/**
 * Nobody who answers can vouch for the only copy, and the topic would rather lose it than wait: what Raft knows of the segment
 * is its base.
 */
function isUncleanSeal(config: ReplicationConfig, segment: Segment, change: ChangeOf<'completeRecovery'>): boolean {
  return (
    config.uncleanSeal && segment.replicas.length === 1 && change.complete.length === 0 && change.end === segment.base
  )
}

/** Only an unclean seal ends below the log start. */
function cutStart(partition: Partition, end: Offset): Partition {
  return end < partition.logStartOffset ? { ...partition, logStartOffset: end } : partition
}

function seal(
  segment: Segment,
  facts: { readonly end: Offset; readonly bytes: number; readonly maxTimestamp: number; readonly checksum: number },
): Segment {
  const { end, bytes, maxTimestamp, checksum } = facts
  return { ...segment, state: 'sealed', end, bytes, maxTimestamp, checksum }
}

/** An empty segment leaves nothing to keep: the next takes its place, so that a flapping node does not lengthen the chain. */
function sealThenOpen(
  partition: Partition,
  parts: {
    readonly sealed: Segment
    readonly leaderEpoch: LeaderEpoch
    readonly next: Placement
    readonly context: ChangeContext
  },
): Changed {
  const { sealed, leaderEpoch, next, context } = parts
  const before = partition.chain.slice(0, -1)
  const chain = sealed.end === sealed.base ? before : [...before, sealed]
  const rest = withExpired({ ...partition, chain }, sealed)
  return open(rest, { base: sealed.end as Offset, leaderEpoch, next }, context)
}

/**
 * What lies wholly below the log start is to be deleted. But of a topic with several copies the newest sealed segment stays until
 * the next one is sealed: its copies are where the producers' state at the base of the unsealed one is kept, and without it a
 * retry would be taken for something new.
 */
function withExpired(partition: Partition, kept: Segment | undefined): Partition {
  const { chain, logStartOffset } = partition
  const isExpired = (segment: Segment) =>
    segment.state === 'sealed' && segment !== kept && segment.end !== null && segment.end <= logStartOffset
  if (!chain.some(isExpired)) return partition
  return {
    ...partition,
    chain: chain.map(segment => (isExpired(segment) ? ({ ...segment, state: 'deleting' } as const) : segment)),
  }
}

function open(
  partition: Partition,
  parts: { readonly base: Offset; readonly leaderEpoch: LeaderEpoch; readonly next: Placement },
  { nextSegmentId, nowMs }: ChangeContext,
): Changed {
  const { base, leaderEpoch, next } = parts
  const writeEpoch = partition.nextEpoch + 1
  const segment = openSegment({ id: nextSegmentId, base, leaderEpoch, writeEpoch, next, nowMs })
  const chain = [...partition.chain, segment]
  return {
    ok: true,
    partition: { ...partition, nextEpoch: writeEpoch, leaderEpoch, chain },
    value: segment.id,
    takesSegmentId: true,
  }
}

/** The record of a segment that has nothing in it yet. */
export function openSegment(parts: {
  readonly id: SegmentId
  readonly base: Offset
  readonly leaderEpoch: LeaderEpoch
  readonly writeEpoch: number
  readonly next: Placement
  readonly nowMs: number
}): Segment {
  const { id, base, leaderEpoch, writeEpoch, next, nowMs } = parts
  return {
    id,
    base,
    end: null,
    state: 'open',
    writer: next.writer,
    writerIncarnation: next.writerIncarnation,
    writeEpoch,
    recoveryEpoch: null,
    leaderEpoch,
    replicas: next.replicas,
    complete: null,
    ackQuorum: next.ackQuorum,
    bytes: 0,
    maxTimestamp: -1,
    checksum: 0,
    archive: [],
    createdAtMs: nowMs,
    sealReason: 'none' satisfies SealReason,
  }
}

const nextLeaderEpoch = ({ leaderEpoch }: Partition) => (leaderEpoch + 1) as LeaderEpoch

function withLast({ chain }: Partition, segment: Segment): readonly Segment[] {
  return chain.with(-1, segment)
}

// ── conditions

function whyNotEnd(partition: Partition, segment: Segment, end: Offset): Refused | null {
  if (end < segment.base) return refused('INVALID', 'a segment does not end before it begins')
  if (end < partition.logStartOffset) return refused('INVALID', 'records that were committed are missing')
  return null
}

/** What a sealed segment holds is committed: on an acknowledgement quorum of its copies. */
function whyNotComplete(segment: Segment, end: Offset, complete: readonly NodeId[]): Refused | null {
  if (new Set(complete).size !== complete.length) return refused('INVALID', 'a copy counts once')
  const isCopy = (nodeId: NodeId) => segment.replicas.some(replica => replica.nodeId === nodeId)
  if (!complete.every(isCopy)) return refused('INVALID', 'only a replica can be complete')
  const isEmpty = end === segment.base
  if (!isEmpty && complete.length < segment.ackQuorum)
    return refused('INVALID', 'fewer complete copies than the quorum')
  return null
}

/** A node that has started again since it answered may have lost what it answered for. */
function whyNotSameBoot(replicas: readonly Replica[], { nodes }: ChangeContext): Refused | null {
  for (const { nodeId, diskId, incarnation } of replicas) {
    const node = nodes.get(nodeId)
    if (node?.diskId !== diskId) return refused('STALE', `node ${nodeId} is on another disk`)
    if (node.incarnation !== incarnation) return refused('STALE', `node ${nodeId} has started again`)
  }
  return null
}

function whyNotPlaced(config: ReplicationConfig, next: Placement, { nodes }: ChangeContext): Refused | null {
  const { replicas, writer } = next
  const copies = replicas.length
  if (new Set(replicas.map(replica => replica.nodeId)).size !== copies) return refused('INVALID', 'a node has one copy')
  if (!replicas.some(replica => replica.nodeId === writer)) return refused('INVALID', 'the writer has a copy')
  if (copies > config.replicas) return refused('INVALID', `the topic wants ${config.replicas} copies`)
  if (copies < config.minInsync) return refused('INVALID', `the topic wants at least ${config.minInsync} copies`)
  if (next.ackQuorum !== ackQuorumOf(copies, config.minInsync)) return refused('INVALID', 'another quorum follows')
  if (nodes.get(writer)?.incarnation !== next.writerIncarnation) return refused('STALE', 'the writer has started again')
  const stranger = replicas.find(({ nodeId, diskId }) => nodes.get(nodeId)?.diskId !== diskId)
  if (stranger !== undefined) return refused('STALE', `node ${stranger.nodeId} is on another disk, or gone`)
  return null
}

// ── copies of sealed segments

/** A copy was made, or completed; it stands for the node's earlier one on another disk. */
function addReplica(partition: Partition, change: ChangeOf<'addReplica'>, context: ChangeContext): Changed | Refused {
  const { segment: id, replica } = change
  const segment = segmentOf(partition, id)
  if (segment === undefined) return refused('UNKNOWN', 'there is no such segment')
  if (segment.state !== 'sealed') return refused('STALE', `the segment is ${segment.state}`)
  const refusal = whyNotSameBoot([replica], context)
  if (refusal !== null) return refusal
  const replicas = withReplica(segment.replicas, replica)
  const complete = segment.complete ?? []
  if (replicas === segment.replicas && complete.includes(replica.nodeId)) return changed(partition)
  const others = complete.filter(nodeId => nodeId !== replica.nodeId)
  return changed(withSegment(partition, { ...segment, replicas, complete: [...others, replica.nodeId] }))
}

/** A copy is given up, or gone. */
function removeReplica(
  partition: Partition,
  change: ChangeOf<'removeReplica'>,
  context: ChangeContext,
): Changed | Refused {
  const segment = segmentOf(partition, change.segment)
  if (segment === undefined) return refused('UNKNOWN', 'there is no such segment')
  if (segment.end === null) return refused('STALE', 'copies of an unsealed segment change by sealing it')
  if (!segment.replicas.some(({ nodeId }) => nodeId === change.nodeId)) return changed(partition)
  const replicas = segment.replicas.filter(({ nodeId }) => nodeId !== change.nodeId)
  const complete = (segment.complete ?? []).filter(nodeId => nodeId !== change.nodeId)
  const rest: Segment = { ...segment, replicas, complete }
  const isLast = completeCopies(segment, context) > 0 ? completeCopies(rest, context) === 0 : replicas.length === 0
  if (segment.state === 'sealed' && isLast && !isArchived(segment)) return refused('INVALID', 'it is the last copy')
  return changed(withoutGone(withSegment(partition, rest)))
}

/** The controller takes away what is more than the topic wants. The versions tell two controllers apart. */
function removeSurplus(
  partition: Partition,
  change: Extract<PartitionChange, { readonly do: 'removeSurplus' }>,
  context: ChangeContext,
): Changed | Refused {
  const { segment: id, nodeId } = change
  const removed = removeReplica(partition, { do: 'removeReplica', segment: id, nodeId }, context)
  if (!removed.ok) return removed
  const [segment, rest] = [segmentOf(partition, id), segmentOf(removed.partition, id)]
  if (segment?.state !== 'sealed' || rest === undefined) return removed
  const left = completeCopies(rest, context)
  const isLess = left < completeCopies(segment, context)
  if (isLess && left < partition.config.replicas) return refused('INVALID', 'it is no more than the topic wants')
  return removed
}

/** Complete copies on disks that are still there. */
export function completeCopies(segment: Segment, { nodes }: Pick<ChangeContext, 'nodes'>): number {
  const isThere = ({ nodeId, diskId }: Replica) => nodes.get(nodeId)?.diskId === diskId
  return segment.replicas.filter(replica => segment.complete?.includes(replica.nodeId) && isThere(replica)).length
}

/** Whether the archive has all of it. */
export function isArchived({ base, end, archive }: Segment): boolean {
  let reached: number = base
  for (const range of archive) if (range.base <= reached) reached = Math.max(reached, range.end)
  return end !== null && reached >= end
}

/** One copy per node: the same disk's is replaced by what is known of it now, another disk's is gone. */
function withReplica(replicas: readonly Replica[], replica: Replica): readonly Replica[] {
  const at = replicas.findIndex(({ nodeId }) => nodeId === replica.nodeId)
  const known = replicas[at]
  if (known === undefined) return [...replicas, replica]
  const isSame = known.diskId === replica.diskId && known.incarnation === replica.incarnation
  return isSame ? replicas : replicas.with(at, replica)
}

// ── what becomes of sealed segments

/** Compaction: a new segment for a run of sealed ones. Consumers see the same offsets, some without a record. */
function replaceSealed(
  partition: Partition,
  change: Extract<PartitionChange, { readonly do: 'replaceSealed' }>,
  context: ChangeContext,
): Changed | Refused {
  const { old, compacted } = change
  const first = partition.chain.findIndex(segment => segment.id === old[0])
  const run = partition.chain.slice(first, first + old.length)
  const [oldest, newest] = [run[0], run.at(-1)]
  const isRun = run.length === old.length && run.every((segment, i) => segment.id === old[i])
  if (oldest === undefined || newest === undefined || first < 0 || !isRun) {
    return refused('UNKNOWN', 'these segments do not follow each other')
  }
  if (run.some(segment => segment.state !== 'sealed')) return refused('INVALID', 'only sealed segments are compacted')
  // The chain is the memory of which leader epoch began where.
  if (oldest.leaderEpoch !== newest.leaderEpoch) return refused('INVALID', 'a segment has one leader epoch')
  const { replicas } = compacted
  if (new Set(replicas.map(({ nodeId }) => nodeId)).size !== replicas.length) {
    return refused('INVALID', 'a node has one copy')
  }
  if (replicas.length < newest.ackQuorum) return refused('INVALID', 'fewer complete copies than the quorum')
  const refusal = whyNotSameBoot(replicas, context)
  if (refusal !== null) return refusal
  const segment: Segment = {
    ...newest,
    ...compacted,
    id: context.nextSegmentId,
    base: oldest.base,
    complete: replicas.map(({ nodeId }) => nodeId),
    archive: [],
    createdAtMs: oldest.createdAtMs,
    sealReason: 'compaction',
  }
  const chain = partition.chain.toSpliced(first, run.length, segment)
  return { ok: true, partition: { ...partition, chain }, value: segment.id, takesSegmentId: true }
}

function setArchived(
  partition: Partition,
  change: Extract<PartitionChange, { readonly do: 'setArchived' }>,
): Changed | Refused {
  const segment = segmentOf(partition, change.segment)
  if (segment === undefined) return refused('UNKNOWN', 'there is no such segment')
  if (segment.state !== 'sealed') return refused('INVALID', 'only a sealed segment is archived')
  const archived: Segment = { ...segment, archive: change.archive }
  // Copies may have been given up because the archive had all of it.
  if (archived.complete?.length === 0 && !isArchived(archived)) return refused('INVALID', 'it is the last copy')
  const isInside = ({ base, end }: ArchivedRange) =>
    base >= segment.base && base < end && end <= (segment.end as Offset)
  if (!change.archive.every(isInside)) return refused('INVALID', 'a range lies within its segment')
  return changed(withSegment(partition, archived))
}

/** Retention, or a client that deletes records: what lies wholly below the log start is to be deleted. */
function advanceStart(partition: Partition, offset: Offset): Changed | Refused {
  if (offset < partition.logStartOffset) return refused('INVALID', 'the log start does not go back')
  const newest = partition.chain.findLast(({ end }) => end !== null)
  const kept = partition.config.replicas > 1 ? newest : undefined
  return changed(withExpired({ ...partition, logStartOffset: offset }, kept))
}

/** The copies of the oldest segments are gone. */
function dropSegments(partition: Partition, through: SegmentId): Changed | Refused {
  const index = partition.chain.findIndex(segment => segment.id === through)
  if (index < 0) return refused('UNKNOWN', 'there is no such segment')
  if (partition.chain.slice(0, index + 1).some(segment => segment.state !== 'deleting')) {
    return refused('INVALID', 'only segments below the log start are dropped')
  }
  return changed({ ...partition, chain: partition.chain.slice(index + 1) })
}

/** A deleted segment is forgotten with its last copy; from the front, so that the chain has no gap. */
function withoutGone(partition: Partition): Partition {
  const isGone = ({ state, replicas }: Segment) => state === 'deleting' && replicas.length === 0
  const first = partition.chain.findIndex(segment => !isGone(segment))
  return first <= 0 ? partition : { ...partition, chain: partition.chain.slice(first) }
}

function segmentOf({ chain }: Partition, id: SegmentId): Segment | undefined {
  return chain.find(segment => segment.id === id)
}

function withSegment(partition: Partition, segment: Segment): Partition {
  const at = partition.chain.findIndex(({ id }) => id === segment.id)
  return { ...partition, chain: partition.chain.with(at, segment) }
}
