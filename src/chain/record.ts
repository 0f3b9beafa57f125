/**
 * What follows from the partition's record when this node applies a change of it: copies of sealed segments are cut, checked
 * and sealed (R6), deleted ones dropped; the writer of an old segment ends and that of the new one begins; recoveries and
 * repairs that are over end. The record is the truth: whatever this node believed is measured by it.
 */
import type { Offset } from '../base/ids.ts'
import type { ProducerState } from '../log/producers.ts'
import { producersAtEnd, verifyAndSeal } from './copies.ts'
import { noteRecovered } from './recoverer.ts'
import { dropCopy, noteRemovals } from './removal.ts'
import { fitRepair } from './repair.ts'
import { noteCommit, stateOf } from './replica.ts'
import { askProducers, beginWriting, type Carried, endWriting, refuseWaiting, stopWriting } from './roll.ts'
import { type Partition, type PartitionId, predecessor, type Segment, unsealed } from './segment.ts'
import { halt, type LocalSegment, type PartitionState, type Turn } from './state.ts'
import { highWatermarkOf } from './watermark.ts'

export function onRecord(turn: Turn, partition: PartitionId, record: Partition | null): void {
  const state = stateOf(turn.chain, partition)
  if (record === null) {
    forget(turn, state)
    return
  }
  // Each version comes once and in order; anything else is an echo.
  if (state.record !== null && record.version <= state.record.version) return
  const shown = highWatermarkOf(turn.chain, state)
  const changed = changedSegments(state, record)
  state.record = record
  state.isGone = false
  const carried = endOldWriter(turn, state, record)
  const here = producersHere(turn, state, record)
  if (changed === null) fitAll(turn, state, record)
  else for (const segment of changed) fitOne(turn, record, segment)
  forgetOldProducers(turn, record)
  if (turn.chain.halted !== null) return
  beginNewWriter(turn, state, record, carried, here)
  for (const segment of changed ?? record.chain) dropDeleted(turn, segment)
  noteRecovered(turn, state, record)
  for (const segment of changed ?? record.chain) fitRepair(turn, state, segment)
  noteRemovals(turn, state, record)
  const highWatermark = highWatermarkOf(turn.chain, state)
  if (highWatermark > shown) turn.effects.push({ do: 'readable', partition, highWatermark })
}

/** The partition is gone by decision, and so is all that was held of it. */
function forget(turn: Turn, state: PartitionState): void {
  const { chain } = turn
  const writer = state.writing === null ? undefined : chain.writers.get(state.writing)
  if (writer !== undefined) {
    stopWriting(turn, writer)
    chain.writers.delete(writer.segment)
    chain.unpublished.delete(writer.segment)
  }
  state.record = null
  state.isGone = true
  state.writing = null
  if (state.recovering !== null) chain.recoveries.delete(state.recovering)
  state.recovering = null
  for (const id of [...state.copies]) {
    chain.repairs.delete(id)
    dropCopy(turn, chain.segments.get(id) as LocalSegment)
  }
}

// ── what has changed

/**
 * The segments of the record that are not the very ones of the version before, so that a change costs what it changes and not
 * what the chain is long. Null where that is not all: versions were skipped, segments are gone, or there are copies that the
 * record did not name.
 */
function changedSegments(state: PartitionState, record: Partition): readonly Segment[] | null {
  const before = state.record
  if (before === null || record.version !== before.version + 1 || state.hasStrays) return null
  // Retention takes segments off the front, of which this node has nothing any more.
  const start = before.chain.findIndex(({ id }) => id === record.chain[0]?.id)
  if (start < 0 || before.chain.slice(0, start).some(({ id }) => state.copies.has(id))) return null
  const changed: Segment[] = []
  const count = Math.max(before.chain.length - start, record.chain.length)
  for (let i = 0; i < count; i++) {
    const old = before.chain[start + i]
    const now = record.chain[i]
    if (old !== undefined && old.id !== now?.id) return null
    if (now !== undefined && now !== old) changed.push(now)
  }
  return changed
}

// ── copies

function fitAll(turn: Turn, state: PartitionState, record: Partition): void {
  const { segments, repairs } = turn.chain
  const byId = new Map(record.chain.map(segment => [segment.id, segment]))
  for (const segment of record.chain) fitOne(turn, record, segment)
  state.hasStrays = false
  for (const id of [...state.copies]) {
    if (byId.has(id)) continue
    repairs.delete(id)
    fitStray(turn, state, segments.get(id) as LocalSegment, record)
  }
}

function fitOne(turn: Turn, record: Partition, segment: Segment): void {
  const local = turn.chain.segments.get(segment.id)
  if (local === undefined) return
  if (local.epoch === 0) learnEpoch(local, segment)
  const isLastSealed = record.chain.at(-2) === segment
  // What is to be deleted is dropped when the next writer has looked what the copy knows of the producers.
  if (segment.end !== null && (segment.state === 'sealed' || isLastSealed)) sealLocal(turn, local, segment)
  else if (segment.state === 'deleting') return
  else meetWriter(turn, local, segment)
  const isRecent = record.chain.at(-1) === segment || record.chain.at(-2) === segment
  if (!isRecent) forgetProducers(local)
}

function dropDeleted(turn: Turn, { id, state }: Segment): void {
  const local = state === 'deleting' ? turn.chain.segments.get(id) : undefined
  if (local !== undefined) dropCopy(turn, local)
}

/** A fence made the copy, and perhaps was lost with a crash: then it is open for its writer, like one that was never fenced. */
function learnEpoch(local: LocalSegment, { writeEpoch }: Segment): void {
  local.epoch = writeEpoch
  local.fenceEpoch = Math.max(local.fenceEpoch, writeEpoch)
  local.durableFence = Math.max(local.durableFence, writeEpoch)
}

/** After a start nothing is known to be committed: the writer is asked, even if it has nothing to send. */
function meetWriter({ chain }: Turn, local: LocalSegment, { writer }: Segment): void {
  local.writer ??= writer
  if (local.standing === 'clean' && local.end > local.commit) chain.behind.add(local.id)
}

/** Producers' states are carried from a segment to the next; nobody asks for older ones. */
function forgetOldProducers({ chain }: Turn, record: Partition): void {
  const third = record.chain.at(-3)
  const local = third && chain.segments.get(third.id)
  if (local !== undefined) forgetProducers(local)
}

function fitStray(turn: Turn, state: PartitionState, local: LocalSegment, record: Partition): void {
  if (isReplacedEmpty(local, record)) {
    dropCopy(turn, local)
    return
  }
  state.hasStrays = true
  if (record.nextEpoch >= Math.max(local.epoch, local.fenceEpoch)) quarantine(turn, local)
}

/** Kept as it is: it is over, but nothing says why. */
function quarantine({ chain }: Turn, local: LocalSegment): void {
  local.isClosed = true
  chain.behind.delete(local.id)
  forgetProducers(local)
}

/**
 * An empty segment that was replaced by another at the same base. A segment with a record in it would have been sealed behind
 * its base, and its successor would begin there; so nothing in this copy was ever committed. Anything else that the record
 * does not name is kept: it is not for a copy to decide that the record is right.
 */
function isReplacedEmpty(local: LocalSegment, { chain, config }: Partition): boolean {
  const epoch = Math.max(local.epoch, local.fenceEpoch)
  const isReplaced = chain.some(({ base, writeEpoch }) => base === local.base && writeEpoch > epoch)
  const isLoss = config.uncleanSeal && local.end > local.base
  return isReplaced && !isLoss && local.sealedEnd === null && local.commit === local.base
}

/** R6: cut above the end, check, seal. What cannot be sealed is not served as complete, and waits for a repair. */
function sealLocal(turn: Turn, local: LocalSegment, segment: Segment): void {
  const { chain } = turn
  const end = segment.end as Offset
  local.isClosed = true
  chain.behind.delete(local.id)
  if (local.sealedEnd !== null) {
    if (local.sealedEnd !== end) halt(turn, `segment ${local.id} was sealed at ${local.sealedEnd} and not at ${end}`)
    return
  }
  if (local.commit > end && segment.replicas.length > 1) {
    halt(turn, `segment ${local.id} is sealed at ${end}, below the commit offset ${local.commit} known here`)
    return
  }
  if (local.standing === 'damaged' || chain.repairs.has(local.id)) return
  if (local.end >= end) verifyAndSeal(turn, local, segment)
  if (local.standing === 'clean') noteCommit(chain, local, end)
}

function forgetProducers(local: LocalSegment): void {
  local.producers = null
  local.undo.length = 0
}

// ── the writer

function endOldWriter(turn: Turn, state: PartitionState, record: Partition): Carried | null {
  const { chain } = turn
  const writer = state.writing === null ? undefined : chain.writers.get(state.writing)
  if (writer === undefined) return null
  const open = unsealed(record)
  if (open?.id !== writer.segment) {
    state.writing = null
    return endWriting(turn, writer, record)
  }
  // Somebody recovers it: from here on the record refuses what this writer would ask for.
  if (open.state !== 'open') stopWriting(turn, writer)
  return null
}

function beginNewWriter(
  turn: Turn,
  state: PartitionState,
  record: Partition,
  carried: Carried | null,
  here: readonly ProducerState[] | null,
): void {
  const { chain } = turn
  const open = unsealed(record)
  const { nodeId, incarnation } = chain.self
  const isMine = open?.state === 'open' && open.writer === nodeId && open.writerIncarnation === incarnation
  if (open === null || !isMine || chain.segments.has(open.id)) {
    // A fence came before this record: somebody recovers the segment that would have been this node's.
    if (carried !== null) refuseWaiting(turn, carried)
    return
  }
  state.writing = open.id
  state.isShort = false
  const isLeaseBound = open.replicas.length === 1 && record.config.uncleanSeal
  const producers = carried?.producers ?? here ?? producersBefore(turn, record, open)
  beginWriting(turn, state.id, open, isLeaseBound, producers, carried)
  const writer = chain.writers.get(open.id)
  if (writer?.phase === 'starting') askProducers(turn, writer)
}

/** What a copy of a segment that began at the same offset, and is being replaced, knows of the producers there. */
function producersHere({ chain }: Turn, state: PartitionState, record: Partition): readonly ProducerState[] | null {
  const open = unsealed(record)
  if (open === null || open.writer !== chain.self.nodeId || chain.segments.has(open.id)) return null
  for (const id of state.copies) {
    const local = chain.segments.get(id)
    if (local?.base === open.base && local.producersAtBase !== null) return local.producersAtBase
  }
  return null
}

/** The producers' state where `segment` begins; null: ask those who have what is before it. */
function producersBefore(turn: Turn, record: Partition, segment: Segment): readonly ProducerState[] | null {
  const before = predecessor(record, segment.id)
  if (before === undefined) return []
  const local = turn.chain.segments.get(before.id)
  const known = local === undefined ? null : producersAtEnd(turn, local)
  // Retention takes what it knew of producers with it.
  return known ?? (before.state === 'deleting' ? [] : null)
}
