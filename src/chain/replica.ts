/**
 * This node's copies of segments that are not sealed yet: what they accept and from whom, what they answer, and when. The
 * writer's own copy is one of them. A copy is a contiguous prefix of the segment, so (fence epoch, end) says all of it.
 *
 * Rules: R1-R4, R8, R9 of docs/protocol.md. Whatever is answered is answered when the journal has it (`onDurable`).
 */
import type { NodeId, Offset, SegmentId } from '../base/ids.ts'
import { noteBatch, type ProducerState } from '../log/producers.ts'
import type { Batch, MessageOf, Peer, Standing, Unfit } from './messages.ts'
import { isReplica, type PartitionId, partitionKey, type Segment } from './segment.ts'
import {
  type Chain,
  halt,
  type LocalSegment,
  type PartitionState,
  type PendingWrite,
  send,
  type Turn,
  write,
} from './state.ts'

// ── opening

/** Makes an empty copy. */
export function openLocal(
  turn: Turn,
  partition: PartitionId,
  id: SegmentId,
  base: Offset,
  epoch: number,
  producers: readonly ProducerState[] | null,
): LocalSegment {
  const { chain } = turn
  const openedBy = write(turn, { kind: 'open', partition, segment: id, base, epoch, producers })
  const local: LocalSegment = {
    partition,
    id,
    base,
    epoch,
    fenceEpoch: epoch,
    durableFence: epoch,
    end: base,
    durableEnd: base,
    commit: base,
    sealedEnd: null,
    isSealDurable: false,
    isClosed: false,
    standing: 'clean',
    openedBy,
    producersAtBase: producers,
    producers: producers === null ? null : tableOf(producers),
    undo: [],
    writer: null,
    recoverer: null,
    recoveryEpoch: 0,
  }
  chain.segments.set(id, local)
  const state = stateOf(chain, partition)
  state.copies.add(id)
  if (state.record?.chain.at(-1)?.id !== id) state.hasStrays = true
  return local
}

export const tableOf = (producers: readonly ProducerState[]) =>
  new Map(producers.map(state => [state.producerId, state]))

export function stateOf(chain: Chain, partition: PartitionId): PartitionState {
  const key = partitionKey(partition)
  const known = chain.partitions.get(key)
  if (known !== undefined) return known
  const state: PartitionState = {
    id: partition,
    record: null,
    isGone: false,
    copies: new Set(),
    hasStrays: true,
    writing: null,
    recovering: null,
    isShort: false,
  }
  chain.partitions.set(key, state)
  return state
}

export function segmentRecord(chain: Chain, partition: PartitionId, id: SegmentId): Segment | undefined {
  return chain.partitions.get(partitionKey(partition))?.record?.chain.findLast(segment => segment.id === id)
}

/** What this node may say of a segment of which it has nothing. */
type Absence =
  /** It was never here, and what comes of it may be taken. */
  | { readonly kind: 'new' }
  /** It is over: whoever asks acts on an old record. `epoch` is one that was given out since. */
  | { readonly kind: 'over'; readonly epoch: number }
  | { readonly kind: 'unfit'; readonly reason: Unfit }
  /** Nothing to say before this node knows more. */
  | { readonly kind: 'unclear' }

function absenceOf(chain: Chain, partition: PartitionId, id: SegmentId, epoch: number): Absence {
  const state = chain.partitions.get(partitionKey(partition))
  if (state?.isGone === true) return { kind: 'over', epoch: epoch + 1 }
  const record = state?.record ?? null
  const segment = record?.chain.findLast(each => each.id === id)
  if (record !== null && segment === undefined && record.nextEpoch >= epoch)
    return { kind: 'over', epoch: record.nextEpoch + 1 }
  if (record !== null && segment !== undefined && segment.end !== null)
    return { kind: 'over', epoch: record.nextEpoch + 1 }
  if (segment !== undefined && !isReplica(segment, chain.self)) return { kind: 'unfit', reason: 'stranger' }
  if (!chain.mayHaveLost) return { kind: 'new' }
  // Opened for an earlier boot of this node, it may have been written, acknowledged and lost.
  const mine = segment?.replicas.find(({ nodeId }) => nodeId === chain.self.nodeId)
  if (mine === undefined) return { kind: 'unclear' }
  return mine.incarnation === chain.self.incarnation ? { kind: 'new' } : { kind: 'unfit', reason: 'dirty' }
}

// ── appends of the writer

export function onAppend(turn: Turn, from: Peer, message: MessageOf<'append'>): void {
  const local = turn.chain.segments.get(message.segment) ?? openForWriter(turn, from, message)
  if (local === null || !isItsWriter(turn, local, from, message)) return
  learnProducers(turn, local, message.producers)
  const before = readableEnd(local)
  const taken = takeBatches(turn, local, message.batches, 'append')
  if (taken === 'different') return
  noteCommit(turn.chain, local, message.commit)
  tellReadable(turn, local, before)
  if (taken === 'gap') sendGap(turn, local, from.nodeId)
  else if (taken === 'held') sendAck(turn, local)
}

function openForWriter(turn: Turn, from: Peer, message: MessageOf<'append'>): LocalSegment | null {
  const { partition, segment, segmentBase, epoch, batches, producers } = message
  const { chain } = turn
  const absence = absenceOf(chain, partition, segment, epoch)
  if (absence.kind === 'over') sendFenced(turn, from.nodeId, message, absence.epoch)
  if (absence.kind === 'unfit') sendUnfit(turn, from.nodeId, message, absence.reason)
  if (absence.kind !== 'new') return null
  const known = segmentRecord(chain, partition, segment)
  if (known !== undefined && (known.writeEpoch !== epoch || known.base !== segmentBase)) return null
  if (known !== undefined && known.writer !== from.nodeId) return null
  if (batches.length > 0 && batches[0]!.base !== segmentBase) {
    send(turn, from.nodeId, 'data', { type: 'gap', segment, epoch, end: segmentBase })
    return null
  }
  return openLocal(turn, partition, segment, segmentBase, epoch, producers)
}

/** What is refused is answered here. */
function isItsWriter(turn: Turn, local: LocalSegment, from: Peer, message: MessageOf<'append'>): boolean {
  // R1: a fenced copy takes nothing from below its fence.
  if (message.epoch < local.fenceEpoch) {
    sendFenced(turn, from.nodeId, message, local.fenceEpoch)
    return false
  }
  // A segment has one write epoch and one writer for ever; a higher epoch than the fence can only be made up.
  if (local.epoch !== message.epoch || message.segmentBase !== local.base) return false
  if ((local.writer ?? from.nodeId) !== from.nodeId) return false
  if (local.standing !== 'clean') {
    sendUnfit(turn, from.nodeId, message, local.standing)
    return false
  }
  local.writer = from.nodeId
  const lastEnd = message.batches.at(-1)?.end ?? local.base
  if (local.isClosed && lastEnd > local.end) {
    sendFenced(turn, from.nodeId, message, epochBeyond(turn.chain, local))
    return false
  }
  return true
}

/** Tells whoever writes a segment that is over: its epoch does not count any more. */
const epochBeyond = (chain: Chain, local: LocalSegment) =>
  Math.max(stateOf(chain, local.partition).record?.nextEpoch ?? 0, local.fenceEpoch) + 1

/** Only a copy that was made by a fence does not know the producers at its base. */
export function learnProducers(turn: Turn, local: LocalSegment, producers: readonly ProducerState[] | null): void {
  if (producers === null || local.producersAtBase !== null) return
  local.producersAtBase = producers
  if (local.end === local.base) local.producers = tableOf(producers)
  const { partition, id, base, epoch } = local
  write(turn, { kind: 'open', partition, segment: id, base, epoch, producers })
}

type Taken = 'written' | 'held' | 'gap' | 'different'

/** R2: only what begins at the copy's end is written; what the copy holds already is compared. */
export function takeBatches(
  turn: Turn,
  local: LocalSegment,
  batches: readonly Batch[],
  kind: 'append' | 'recovery' | 'copy',
): Taken {
  let taken: Taken = 'held'
  for (const batch of batches) {
    if (batch.base === local.end) {
      takeBatch(turn, local, batch, kind)
      taken = 'written'
    } else if (batch.base > local.end) {
      return 'gap'
    } else if (!holds(turn, local, batch)) {
      halt(turn, `segment ${local.id} has other bytes at offset ${batch.base} than it is sent`)
      return 'different'
    }
  }
  return taken
}

export function takeBatch(turn: Turn, local: LocalSegment, batch: Batch, kind: 'append' | 'recovery' | 'copy'): void {
  const { chain } = turn
  noteProducer(chain, local, batch)
  local.end = batch.end
  const number = write(turn, { kind: 'batch', segment: local.id, batch })
  chain.pending.push({ write: number, kind, segment: local.id, end: batch.end })
  if (!local.isClosed) chain.behind.add(local.id)
}

function holds({ store }: Turn, local: LocalSegment, batch: Batch): boolean {
  const held = store.read(local.id, batch.base, 1)[0]
  return batch.end <= local.end && held?.base === batch.base && held.end === batch.end && held.crc === batch.crc
}

function noteProducer(chain: Chain, local: LocalSegment, batch: Batch): void {
  if (batch.producerId < 0 || local.producers === null) return
  const before = local.producers.get(batch.producerId) ?? null
  local.undo.push({ end: batch.end, producerId: batch.producerId, before })
  noteBatch(local.producers, sequenced(batch), batch.base, batch.end, chain.nowMs)
}

export const sequenced = (batch: Omit<Batch, 'payload' | 'crc' | 'bytes' | 'maxTimestamp'>) => ({
  producerId: batch.producerId,
  producerEpoch: batch.producerEpoch,
  baseSequence: batch.baseSequence,
  lastOffsetDelta: batch.end - batch.base - 1,
})

// ── what is known to be committed

export function onCommits(turn: Turn, from: Peer, { commits }: MessageOf<'commits'>): void {
  for (const { segment, epoch, commit } of commits) {
    const local = turn.chain.segments.get(segment)
    if (local === undefined || local.epoch !== epoch || local.writer !== from.nodeId) continue
    learnCommit(turn, local, commit)
  }
}

export function learnCommit(turn: Turn, local: LocalSegment, commit: Offset): void {
  const before = readableEnd(local)
  noteCommit(turn.chain, local, commit)
  tellReadable(turn, local, before)
}

/** Without telling readers. */
export function noteCommit(chain: Chain, local: LocalSegment, commit: Offset): void {
  if (commit > local.commit) {
    local.commit = commit
    const kept = local.undo.findIndex(({ end }) => end > commit)
    if (local.undo.length > 0) local.undo.splice(0, kept < 0 ? local.undo.length : kept)
  }
  if (local.commit >= local.end) chain.behind.delete(local.id)
}

/** R5: nobody reads what is not known to be committed, nor what is not here. */
export function readableEnd(local: LocalSegment): Offset {
  if (local.standing !== 'clean') return local.base
  return Math.min(local.end, local.commit) as Offset
}

function tellReadable(turn: Turn, local: LocalSegment, before: Offset): void {
  const highWatermark = readableEnd(local)
  if (highWatermark > before) turn.effects.push({ do: 'readable', partition: local.partition, highWatermark })
}

/** Asks the writer, by acknowledging once more, when it is long silent about what this node holds. */
export function remindWriters(turn: Turn): void {
  const { chain } = turn
  for (const id of chain.behind) {
    const local = chain.segments.get(id)
    if (local === undefined || local.isClosed) chain.behind.delete(id)
    else if (local.writer !== null && local.writer !== chain.self.nodeId && local.epoch >= local.fenceEpoch)
      sendAck(turn, local)
  }
}

// ── the recoverer

/** R3: behind everything that was accepted before, in the same journal; nothing of a lower epoch is accepted after. */
export function onFence(turn: Turn, from: Peer, message: MessageOf<'fence'>): void {
  const { chain } = turn
  const { segment, epoch } = message
  const local = chain.segments.get(segment) ?? openForFence(turn, from, message)
  if (local === null || local.base !== message.segmentBase) return
  if (epoch < local.fenceEpoch) {
    sendFenced(turn, from.nodeId, message, local.fenceEpoch)
    return
  }
  if (local.isClosed) {
    sendFenced(turn, from.nodeId, message, epochBeyond(chain, local))
    return
  }
  if (epoch > local.fenceEpoch || !isAnswered(chain, local, from.nodeId)) {
    raiseFence(turn, local, epoch, from.nodeId)
    return
  }
  if (local.durableFence === epoch) sendFenceReply(turn, local, from.nodeId, epoch, local.durableEnd)
}

/** Whether a fence that is there already is durable, or will be answered to `to` when it is. */
function isAnswered({ pending }: Chain, { id, fenceEpoch, durableFence }: LocalSegment, to: NodeId): boolean {
  if (durableFence >= fenceEpoch) return true
  return pending.some(
    each => each.kind === 'fence' && each.segment === id && each.epoch === fenceEpoch && each.to === to,
  )
}

function openForFence(turn: Turn, from: Peer, message: MessageOf<'fence'>): LocalSegment | null {
  const { partition, segment, segmentBase, epoch } = message
  const absence = absenceOf(turn.chain, partition, segment, epoch)
  if (absence.kind === 'over') sendFenced(turn, from.nodeId, message, absence.epoch)
  if (absence.kind === 'unfit') {
    const { reason } = absence
    send(turn, from.nodeId, 'control', {
      type: 'fenceReply',
      segment,
      epoch,
      standing: reason,
      end: segmentBase,
      commit: segmentBase,
    })
  }
  return absence.kind === 'new' ? openLocal(turn, partition, segment, segmentBase, 0, null) : null
}

function raiseFence(turn: Turn, local: LocalSegment, epoch: number, to: NodeId | null): void {
  local.fenceEpoch = epoch
  const number = write(turn, { kind: 'fence', segment: local.id, epoch })
  turn.chain.pending.push({ write: number, kind: 'fence', segment: local.id, to, epoch, end: local.end })
}

/** R4: only the newest recoverer may add to a fenced copy. */
export function onRecoveryAppend(turn: Turn, from: Peer, message: MessageOf<'recoveryAppend'>): void {
  const { chain } = turn
  const { segment, segmentBase, epoch, batches, producers } = message
  const local = chain.segments.get(segment) ?? openForRecovery(turn, from, message)
  if (local === null || local.base !== segmentBase) return
  const isOldRecovery = epoch < local.fenceEpoch
  if (isOldRecovery) {
    sendFenced(turn, from.nodeId, message, local.fenceEpoch)
    return
  }
  if (local.standing !== 'clean') {
    sendUnfit(turn, from.nodeId, message, local.standing)
    return
  }
  const lastEnd = batches.at(-1)?.end ?? segmentBase
  if (local.isClosed && lastEnd > local.end) {
    sendFenced(turn, from.nodeId, message, epochBeyond(chain, local))
    return
  }
  if (epoch > local.fenceEpoch) raiseFence(turn, local, epoch, null)
  local.recoverer = from.nodeId
  local.recoveryEpoch = epoch
  learnProducers(turn, local, producers)
  const taken = takeBatches(turn, local, batches, 'recovery')
  if (taken === 'gap') sendRecoveryAck(turn, local, true)
  else if (taken === 'held') sendRecoveryAck(turn, local, false)
}

/** A spare has nothing of the segment and is no replica of it; it gets all of it. */
function openForRecovery(turn: Turn, from: Peer, message: MessageOf<'recoveryAppend'>): LocalSegment | null {
  const { partition, segment, segmentBase, epoch, batches, producers } = message
  const absence = absenceOf(turn.chain, partition, segment, epoch)
  if (absence.kind === 'over') sendFenced(turn, from.nodeId, message, absence.epoch)
  if (absence.kind === 'over' || absence.kind === 'unclear') return null
  if (batches.length > 0 && batches[0]!.base !== segmentBase) {
    send(turn, from.nodeId, 'control', { type: 'recoveryAck', segment, epoch, end: segmentBase, isGap: true })
    return null
  }
  return openLocal(turn, partition, segment, segmentBase, 0, producers)
}

// ── when it is durable

/** The journal has everything up to `write`: what waited for that is answered. Gives back what others than a replica wait for. */
export function onDurable(turn: Turn, write: number): readonly PendingWrite[] {
  const { chain } = turn
  const { pending } = chain
  // A completion that goes back, or that is of another life, says nothing new.
  const isNews = write > chain.durableWrite && write < chain.nextWrite
  if (!isNews) return none
  chain.durableWrite = write
  let count = 0
  while (count < pending.length && pending[count]!.write <= write) count++
  const done = pending.splice(0, count)
  for (const each of done) {
    const local = chain.segments.get(each.segment)
    if (local === undefined || each.write < local.openedBy) continue
    if (each.kind === 'seal') local.isSealDurable = true
    if (each.kind === 'fence') local.durableFence = Math.max(local.durableFence, each.epoch)
    if ('end' in each && each.end > local.durableEnd) local.durableEnd = Math.min(each.end, local.end) as Offset
  }
  for (const each of done) {
    const local = chain.segments.get(each.segment)
    if (local === undefined || each.write < local.openedBy) continue
    // Acks are cumulative: the last of several is enough.
    if (each.kind === 'append' && each.end === local.durableEnd) sendAck(turn, local)
    else if (each.kind === 'recovery' && each.end === local.durableEnd) sendRecoveryAck(turn, local, false)
    else if (each.kind === 'fence' && each.to !== null) sendFenceReply(turn, local, each.to, each.epoch, each.end)
  }
  return done
}

const none: readonly PendingWrite[] = []

function sendAck(turn: Turn, local: LocalSegment): void {
  if (local.writer === null) return
  const { id, epoch, durableEnd } = local
  send(turn, local.writer, 'data', { type: 'ack', segment: id, epoch, end: durableEnd })
}

function sendRecoveryAck(turn: Turn, local: LocalSegment, isGap: boolean): void {
  const { id, recoverer, recoveryEpoch, durableEnd, end, durableFence } = local
  if (recoverer === null || recoveryEpoch > durableFence) return
  const reached = isGap ? end : durableEnd
  send(turn, recoverer, 'control', { type: 'recoveryAck', segment: id, epoch: recoveryEpoch, end: reached, isGap })
}

function sendFenceReply(turn: Turn, local: LocalSegment, to: NodeId, epoch: number, end: Offset): void {
  const { id, commit } = local
  const standing: Standing = local.standing
  send(turn, to, 'control', { type: 'fenceReply', segment: id, epoch, standing, end, commit })
}

// ── refusals

interface Asked {
  readonly segment: SegmentId
  readonly epoch: number
}

function sendFenced(turn: Turn, to: NodeId, { segment, epoch }: Asked, fenceEpoch: number): void {
  send(turn, to, 'control', { type: 'fenced', segment, epoch, fenceEpoch })
}

function sendUnfit(turn: Turn, to: NodeId, { segment, epoch }: Asked, reason: Unfit): void {
  send(turn, to, 'control', { type: 'unfit', segment, epoch, reason })
}

function sendGap(turn: Turn, local: LocalSegment, to: NodeId): void {
  send(turn, to, 'data', { type: 'gap', segment: local.id, epoch: local.epoch, end: local.end })
}
