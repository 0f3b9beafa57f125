/**
 * A copy of a sealed segment: cut at the end, checked against the record, sealed for ever; and what it tells others: its bytes,
 * its summary, and the producers' state at its end.
 */
import type { Offset } from '../base/ids.ts'
import { noteBatch, type ProducerState, putProducer } from '../log/producers.ts'
import type { Batch, MessageOf, Peer } from './messages.ts'
import { noteCommit, sequenced, tableOf } from './replica.ts'
import type { Segment } from './segment.ts'
import { type LocalSegment, send, type Turn, write } from './state.ts'

/** Whether the copy is what the record says; then it is sealed for ever. */
export function verifyAndSeal(turn: Turn, local: LocalSegment, segment: Segment): boolean {
  const end = segment.end as Offset
  const { checksum } = segment
  const facts = end === local.base ? { checksum: 0 } : turn.store.summary(local.id, end)
  if (facts?.checksum !== checksum) {
    local.standing = 'damaged'
    return false
  }
  if (local.end > end) truncate(turn, local, end)
  local.standing = 'clean'
  local.isClosed = true
  local.sealedEnd = end
  const number = write(turn, { kind: 'seal', segment: local.id, end, checksum })
  turn.chain.pending.push({ write: number, kind: 'seal', segment: local.id })
  noteCommit(turn.chain, local, end)
  return true
}

export function truncate(turn: Turn, local: LocalSegment, end: Offset): void {
  write(turn, { kind: 'truncate', segment: local.id, end })
  local.end = end
  local.durableEnd = Math.min(local.durableEnd, end) as Offset
  while (local.undo.length > 0 && local.undo.at(-1)!.end > end) takeBack(local)
}

function takeBack(local: LocalSegment): void {
  const undo = local.undo.pop()
  if (undo === undefined || local.producers === null) return
  if (undo.before === null) local.producers.delete(undo.producerId)
  else putProducer(local.producers, undo.before)
}

// ── what others ask for

/** The producers' state at the end of a complete copy; null when this node has none. */
export function producersAtEnd({ chain, store }: Turn, local: LocalSegment): readonly ProducerState[] | null {
  const { producersAtBase, base, sealedEnd } = local
  if (sealedEnd === null || producersAtBase === null) return null
  if (local.producers === null) {
    const table = tableOf(producersAtBase)
    let from = base
    while (from < sealedEnd) {
      const batches = store.read(local.id, from, chain.settings.appendBytesMax)
      if (batches.length === 0) return null
      for (const batch of batches) {
        if (batch.base < sealedEnd) noteBatch(table, sequenced(batch), batch.base, batch.end, chain.nowMs)
        from = batch.end
      }
    }
    local.producers = table
  }
  return [...local.producers.values()]
}

export function onProducers(turn: Turn, from: Peer, { segment }: MessageOf<'producers'>): void {
  const local = turn.chain.segments.get(segment)
  if (local === undefined) return
  const end = local.sealedEnd ?? local.base
  const producers = producersAtEnd(turn, local)
  send(turn, from.nodeId, 'control', { type: 'producersReply', segment, end, producers })
}

/** Bytes of a sealed copy, or, under the fence of a recovery, of what is durable here. */
export function onRead(turn: Turn, asker: Peer, message: MessageOf<'read'>): void {
  const { segment, epoch, from, bytesMax } = message
  const local = turn.chain.segments.get(segment)
  const end = local === undefined ? null : givableEnd(local, epoch)
  let batches: readonly Batch[] = []
  if (local !== undefined && end !== null && from >= local.base && from < end) {
    const read = turn.store.read(segment, from, Math.min(bytesMax, turn.chain.settings.appendBytesMax))
    batches = read[0]?.base === from ? read.filter(batch => batch.end <= end) : []
  }
  const producers = end !== null && from === local?.base ? local.producersAtBase : null
  send(turn, asker.nodeId, 'data', { type: 'readReply', segment, epoch, from, batches, producers })
}

function givableEnd(local: LocalSegment, epoch: number | null): Offset | null {
  if (epoch === null) return local.sealedEnd
  const isFencedSo = local.fenceEpoch === epoch && local.durableFence === epoch
  return isFencedSo && local.standing === 'clean' ? local.durableEnd : null
}

export function onSummary(turn: Turn, asker: Peer, { segment, epoch, end }: MessageOf<'summary'>): void {
  const local = turn.chain.segments.get(segment)
  const held = local === undefined ? null : givableEnd(local, epoch)
  if (held === null || end > held) return
  const facts = turn.store.summary(segment, end)
  if (facts !== null) send(turn, asker.nodeId, 'control', { type: 'summaryReply', segment, epoch, end, ...facts })
}
