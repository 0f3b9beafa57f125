/**
 * Makes this node's copy of a sealed segment complete, on the controller's order: from the end of what is here, or from the
 * start where what is here is damaged, read piece by piece from a holder, checked against the record, sealed, and only then
 * told to the record. Copies elsewhere are not touched, so a repair never lessens their number.
 */

import type { Offset } from '../base/ids.ts'
import { truncate, verifyAndSeal } from './copies.ts'
import type { ChainEvent, ProposalOutcome } from './events.ts'
import type { MessageOf } from './messages.ts'
import { dropCopy } from './removal.ts'
import { learnProducers, openLocal, segmentRecord, takeBatches } from './replica.ts'
import { isReplica, type Segment } from './segment.ts'
import {
  type Chain,
  isDue,
  type LocalSegment,
  type PartitionState,
  propose,
  proposeAgain,
  type Repair,
  send,
  type Turn,
} from './state.ts'

export function onRepair(
  turn: Turn,
  { partition, segment: id, sources }: Extract<ChainEvent, { type: 'repair' }>,
): void {
  const { chain } = turn
  const segment = segmentRecord(chain, partition, id)
  if (segment === undefined || segment.state !== 'sealed' || isRecorded(turn, segment)) return
  const others = sources.filter(nodeId => nodeId !== chain.self.nodeId)
  const known = chain.repairs.get(id)
  if (known !== undefined) {
    known.sources = others
    return
  }
  const repair: Repair = {
    partition,
    segment: id,
    sources: others,
    source: 0,
    askedMs: chain.pacedMs,
    nextMs: chain.pacedMs,
    isReading: false,
    proposal: null,
  }
  chain.repairs.set(id, repair)
  goOn(turn, repair, segment)
}

/** The record says that this very disk has all of it, and it has. */
function isRecorded({ chain }: Turn, segment: Segment): boolean {
  const local = chain.segments.get(segment.id)
  const isHere = local?.isSealDurable === true && local.standing === 'clean'
  return isHere && isCountedOn(chain, segment)
}

function isCountedOn({ self }: Chain, segment: Segment): boolean {
  return isReplica(segment, self) && (segment.complete ?? []).includes(self.nodeId)
}

/**
 * After a change of the segment's record. A repair may be over; and one may begin without an order, where the record counts on a
 * copy that this node finds it has not: damaged, or acknowledged and lost (flush: relaxed). Nobody else can know.
 */
export function fitRepair(turn: Turn, state: PartitionState, segment: Segment): void {
  const { chain } = turn
  const isOver = segment.state !== 'sealed' || isRecorded(turn, segment)
  if (isOver && chain.repairs.size > 0) chain.repairs.delete(segment.id)
  if (segment.state !== 'sealed' || !isCountedOn(chain, segment) || isHeld(chain, segment)) return
  const sources = (segment.complete ?? []).filter(nodeId => nodeId !== chain.self.nodeId)
  if (sources.length > 0) onRepair(turn, { type: 'repair', partition: state.id, segment: segment.id, sources })
}

function isHeld({ segments }: Chain, { id }: Segment): boolean {
  const local = segments.get(id)
  return local !== undefined && local.sealedEnd !== null && local.standing === 'clean'
}

function goOn(turn: Turn, repair: Repair, segment: Segment): void {
  const local = usableCopy(turn, segment)
  if (local === null || local.end < segment.end!) readNext(turn, repair, local?.end ?? segment.base)
  else if (local.isSealDurable) tell(turn, repair)
  else if (local.sealedEnd === null && local.durableEnd >= segment.end!) finishCopy(turn, repair, local, segment)
}

/** What is here and can be gone on with; null: the copy begins anew. */
function usableCopy(turn: Turn, segment: Segment): LocalSegment | null {
  const local = turn.chain.segments.get(segment.id)
  if (local === undefined || local.standing === 'damaged') return null
  local.isClosed = true
  if (local.sealedEnd === null && local.end > segment.end!) truncate(turn, local, segment.end!)
  return local
}

/** A damaged copy is given up when there is something in its place, not before. */
function newCopy(
  turn: Turn,
  { partition }: Repair,
  segment: Segment,
  producers: LocalSegment['producersAtBase'],
): LocalSegment {
  const damaged = turn.chain.segments.get(segment.id)
  if (damaged !== undefined) dropCopy(turn, damaged)
  const local = openLocal(turn, partition, segment.id, segment.base, segment.writeEpoch, producers)
  local.isClosed = true
  return local
}

function readNext(turn: Turn, repair: Repair, from: Offset): void {
  const { chain } = turn
  const source = repair.sources[repair.source % Math.max(1, repair.sources.length)]
  if (source === undefined || repair.isReading || chain.pacedMs < repair.nextMs) return
  repair.isReading = true
  repair.askedMs = chain.pacedMs
  const bytesMax = chain.settings.appendBytesMax
  send(turn, source, 'data', { type: 'read', segment: repair.segment, epoch: null, from, bytesMax })
}

export function onCopyRead(turn: Turn, message: MessageOf<'readReply'>): void {
  const { chain } = turn
  const repair = chain.repairs.get(message.segment)
  const segment = repair && segmentRecord(chain, repair.partition, message.segment)
  if (repair === undefined || segment === undefined || segment.end === null || message.epoch !== null) return
  const usable = usableCopy(turn, segment)
  if (message.from !== (usable?.end ?? segment.base) || message.from >= segment.end) return
  repair.isReading = false
  const batches = message.batches.filter(batch => batch.end <= segment.end!)
  if (batches[0]?.base !== message.from) {
    askAnother(turn, repair)
    return
  }
  const local = usable ?? newCopy(turn, repair, segment, message.producers)
  learnProducers(turn, local, message.producers)
  takeBatches(turn, local, batches, 'copy')
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
  repair.nextMs = chain.pacedMs + Math.floor((bytes * 1000) / chain.settings.repairBytesPerSecond)
  if (local.end < segment.end) readNext(turn, repair, local.end)
}

/** At once would be a loop among sources that have nothing. */
function askAnother({ chain }: Turn, repair: Repair): void {
  repair.source = (repair.source + 1) % Math.max(1, repair.sources.length)
  repair.isReading = false
  repair.nextMs = chain.pacedMs + chain.settings.resendMs
}

/** All bytes are durable: they are checked, and sealed if they are what the record says. */
export function onCopied(turn: Turn, local: LocalSegment): void {
  const repair = turn.chain.repairs.get(local.id)
  const segment = repair && segmentRecord(turn.chain, repair.partition, local.id)
  if (repair === undefined || segment === undefined || segment.end === null) return
  if (local.sealedEnd === null && local.durableEnd >= segment.end) finishCopy(turn, repair, local, segment)
}

function finishCopy(turn: Turn, repair: Repair, local: LocalSegment, segment: Segment): void {
  // If not, whoever gave it, or this disk, is wrong: from the start, from another one.
  if (!verifyAndSeal(turn, local, segment)) askAnother(turn, repair)
}

/** The verified copy is durable, and may be counted on. */
export function onSealDurable(turn: Turn, local: LocalSegment): void {
  const repair = turn.chain.repairs.get(local.id)
  if (repair !== undefined) tell(turn, repair)
}

function tell(turn: Turn, repair: Repair): void {
  if (repair.proposal !== null) return
  const { partition, segment } = repair
  repair.proposal = propose(turn, { do: 'addReplica', partition, segment, replica: turn.chain.self })
}

export function onRepairOutcome(turn: Turn, repair: Repair, outcome: ProposalOutcome): void {
  if (outcome.kind !== 'unknown') turn.chain.repairs.delete(repair.segment)
}

export function watchRepair(turn: Turn, repair: Repair): void {
  const { chain } = turn
  if (repair.proposal !== null) {
    proposeAgain(turn, repair.proposal)
    return
  }
  const segment = segmentRecord(chain, repair.partition, repair.segment)
  if (segment?.state !== 'sealed') {
    chain.repairs.delete(repair.segment)
    return
  }
  const { resendMs } = chain.settings
  if (repair.isReading && isDue(chain, repair.askedMs, resendMs)) askAnother(turn, repair)
  goOn(turn, repair, segment)
}
