/**
 * Makes this node's copy of a sealed segment complete, on the controller's order: from the end of what is here, or from the
 * start where what is here is damaged, read piece by piece from a holder, checked against the record, sealed, and only then
 * told to the record. Copies elsewhere are not touched, so a repair never lessens their number.
 */

import { truncate, verifyAndSeal } from './copies.ts'
import type { ChainEvent, ProposalOutcome } from './events.ts'
import type { ChainMessage } from './messages.ts'
import { dropCopy } from './removal.ts'
import { learnProducers, openLocal, segmentRecord, takeBatches } from './replica.ts'
import { type Partition, partitionKey, type Segment } from './segment.ts'
import {
  isDue,
  type LocalSegment,
  type PartitionState,
  propose,
  proposeAgain,
  type Repair,
  send,
  type Turn,
} from './state.ts'

type MessageOf<Type extends ChainMessage['type']> = Extract<ChainMessage, { readonly type: Type }>

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
  const { nodeId, diskId } = chain.self
  const isNamed = segment.replicas.some(replica => replica.nodeId === nodeId && replica.diskId === diskId)
  const local = chain.segments.get(segment.id)
  const isHere = local?.isSealDurable === true && local.standing === 'clean'
  return isNamed && isHere && (segment.complete ?? []).includes(nodeId)
}

function goOn(turn: Turn, repair: Repair, segment: Segment): void {
  const local = fitCopy(turn, repair, segment)
  if (local.isSealDurable && local.standing === 'clean') tell(turn, repair)
  else if (local.sealedEnd !== null) return
  else if (local.end < segment.end!) readNext(turn, repair, local)
  else if (local.durableEnd >= segment.end!) finishCopy(turn, repair, local, segment)
}

/** A copy that can be gone on with: what is damaged, or too long to be right, is given up first. */
function fitCopy(turn: Turn, { partition }: Repair, segment: Segment): LocalSegment {
  const known = turn.chain.segments.get(segment.id)
  if (known !== undefined && known.standing !== 'damaged') {
    known.isClosed = true
    if (known.sealedEnd === null && known.end > segment.end!) truncate(turn, known, segment.end!)
    return known
  }
  if (known !== undefined) dropCopy(turn, known)
  const local = openLocal(turn, partition, segment.id, segment.base, segment.writeEpoch, null)
  local.isClosed = true
  return local
}

function readNext(turn: Turn, repair: Repair, local: LocalSegment): void {
  const { chain } = turn
  const source = repair.sources[repair.source % Math.max(1, repair.sources.length)]
  if (source === undefined || repair.isReading || chain.pacedMs < repair.nextMs) return
  repair.isReading = true
  repair.askedMs = chain.pacedMs
  const bytesMax = chain.settings.appendBytesMax
  send(turn, source, 'data', { type: 'read', segment: repair.segment, epoch: null, from: local.end, bytesMax })
}

export function onCopyRead(turn: Turn, message: MessageOf<'readReply'>): void {
  const { chain } = turn
  const repair = chain.repairs.get(message.segment)
  const local = chain.segments.get(message.segment)
  const segment = repair && segmentRecord(chain, repair.partition, message.segment)
  if (repair === undefined || local === undefined || segment === undefined || message.epoch !== null) return
  if (local.sealedEnd !== null || message.from !== local.end) return
  repair.isReading = false
  const batches = message.batches.filter(batch => batch.end <= segment.end!)
  if (batches.length === 0) {
    askAnother(turn, repair)
    return
  }
  learnProducers(turn, local, message.producers)
  takeBatches(turn, local, batches, 'copy')
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
  repair.nextMs = chain.pacedMs + Math.floor((bytes * 1000) / chain.settings.repairBytesPerSecond)
  if (local.end < segment.end!) readNext(turn, repair, local)
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
  if (verifyAndSeal(turn, local, segment)) return
  // Whoever gave it, or this disk, is wrong: from the start, from another one.
  askAnother(turn, repair)
  fitCopy(turn, repair, segment)
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

export function noteRepaired(turn: Turn, state: PartitionState, record: Partition): void {
  const key = partitionKey(state.id)
  for (const [id, repair] of turn.chain.repairs) {
    if (partitionKey(repair.partition) !== key) continue
    const segment = record.chain.find(each => each.id === id)
    if (segment === undefined || segment.state !== 'sealed' || isRecorded(turn, segment)) turn.chain.repairs.delete(id)
  }
}

export function watchRepair(turn: Turn, repair: Repair): void {
  const { chain } = turn
  if (repair.proposal !== null) {
    proposeAgain(turn, repair.proposal)
    return
  }
  const segment = segmentRecord(chain, repair.partition, repair.segment)
  if (segment === undefined || segment.end === null) return
  const { resendMs } = chain.settings
  if (repair.isReading && isDue(chain, repair.askedMs, resendMs)) askAnother(turn, repair)
  goOn(turn, repair, segment)
}
