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
import { noteRepaired, repairBroken } from './repair.ts'
import { noteCommit, stateOf } from './replica.ts'
import { askProducers, beginWriting, type Carried, endWriting, stopWriting } from './roll.ts'
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
  state.record = record
  state.isGone = false
  const carried = endOldWriter(turn, state, record)
  const byId = new Map(record.chain.map(segment => [segment.id, segment]))
  for (const id of [...state.copies]) {
    const local = turn.chain.segments.get(id)
    if (local !== undefined) fitToRecord(turn, local, record, byId.get(id))
  }
  if (turn.chain.halted !== null) return
  beginNewWriter(turn, state, record, carried)
  noteRecovered(turn, state, record)
  noteRepaired(turn, state, record)
  repairBroken(turn, state, record)
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

// ── copies

function fitToRecord(turn: Turn, local: LocalSegment, record: Partition, segment: Segment | undefined): void {
  if (segment === undefined) {
    if (isReplacedEmpty(local, record)) dropCopy(turn, local)
    else if (record.nextEpoch >= Math.max(local.epoch, local.fenceEpoch)) quarantine(turn, local)
    return
  }
  if (segment.state === 'deleting') {
    dropCopy(turn, local)
    return
  }
  if (local.epoch === 0) local.epoch = segment.writeEpoch
  if (segment.end !== null) sealLocal(turn, local, segment)
  const isRecent = record.chain.at(-1) === segment || record.chain.at(-2) === segment
  if (!isRecent) forgetProducers(local)
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
  if (local.sealedEnd !== null) return
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

function beginNewWriter(turn: Turn, state: PartitionState, record: Partition, carried: Carried | null): void {
  const { chain } = turn
  const open = unsealed(record)
  const { nodeId, incarnation } = chain.self
  const isMine = open?.state === 'open' && open.writer === nodeId && open.writerIncarnation === incarnation
  if (open === null || !isMine || chain.writers.has(open.id)) return
  state.writing = open.id
  state.isShort = false
  const isLeaseBound = open.replicas.length === 1 && record.config.uncleanSeal
  const producers = carried?.producers ?? producersBefore(turn, record, open)
  beginWriting(turn, state.id, open, isLeaseBound, producers, carried)
  const writer = chain.writers.get(open.id)
  if (writer?.phase === 'starting') askProducers(turn, writer)
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
