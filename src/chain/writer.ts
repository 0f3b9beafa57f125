/**
 * The writer of an open segment: gives offsets, sends to the replicas, counts what is durable where, commits and answers. Its
 * own copy is one of the replicas and goes through the same code (`replica.ts`); sealing and opening are in `roll.ts`.
 *
 *     produce ──► append to the own copy and to the others ──► acks ──► commit ──► answers, readers
 */
import type { NodeId, Offset } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { checkBatch } from '../log/producers.ts'
import type { Acks, ChainEvent, NewBatch, ProduceError } from './events.ts'
import type { Batch, MessageOf, Peer } from './messages.ts'
import { learnCommit, sequenced, stateOf, takeBatch } from './replica.ts'
import { partitionKey, type SealReason } from './segment.ts'
import {
  type Chain,
  type Entry,
  halt,
  isDue,
  type LocalSegment,
  type Produce,
  type Progress,
  refuse,
  send,
  type Turn,
  type Writer,
} from './state.ts'

/** Within its lease a node may be sure that nobody has taken over from it, as far as clocks can be trusted. */
export const hasLease = (chain: Chain): boolean => chain.nowMs < chain.leaseUntilMs

// ── produce

export function onProduce(turn: Turn, event: Extract<ChainEvent, { type: 'produce' }>): void {
  const { chain } = turn
  const { token, acks } = event
  const state = chain.partitions.get(partitionKey(event.partition))
  if (state === undefined || state.record === null) {
    refuse(turn, token, 'UNKNOWN_TOPIC_OR_PARTITION', true)
    return
  }
  const writer = state.writing === null ? undefined : chain.writers.get(state.writing)
  if (writer === undefined || writer.phase === 'stopped') {
    refuse(turn, token, 'NOT_LEADER_OR_FOLLOWER', true)
    return
  }
  const error = whyNot(chain, writer, acks, state.isShort)
  if (error !== null) refuse(turn, token, error, true)
  else if (writer.phase === 'writing') append(turn, writer, event)
  else hold(turn, writer, { token, batch: event.batch, acks })
}

function whyNot(chain: Chain, writer: Writer, acks: Acks, isShort: boolean): ProduceError | null {
  // Only the writer vouches for these; for acks=all the fence is enough.
  if ((acks !== 'all' || writer.isLeaseBound) && !hasLease(chain)) return 'NOT_LEADER_OR_FOLLOWER'
  if (acks === 'all' && isShort) return shortError(chain, 'NOT_ENOUGH_REPLICAS')
  return null
}

/** Short of replicas and without a lease, another one may well be the writer: the client is to look for it. */
export function shortError<Error extends ProduceError>(chain: Chain, error: Error): Error | 'NOT_LEADER_OR_FOLLOWER' {
  return hasLease(chain) ? error : 'NOT_LEADER_OR_FOLLOWER'
}

function hold(turn: Turn, writer: Writer, produce: Produce): void {
  const { bufferBytesMax, bufferBatchesMax } = turn.chain.settings
  const bytes = writer.bufferBytes + produce.batch.bytes
  if (bytes > bufferBytesMax || writer.buffer.length >= bufferBatchesMax) {
    refuse(turn, produce.token, 'THROTTLED', true)
    return
  }
  writer.buffer.push(produce)
  writer.bufferBytes = bytes
}

/** Takes up what was held; the reasons to refuse it may have come meanwhile. */
export function takeUp(turn: Turn, writer: Writer): void {
  const held = writer.buffer.splice(0)
  writer.bufferBytes = 0
  for (const { token, batch, acks } of held) {
    onProduce(turn, { type: 'produce', token, partition: writer.partition, batch, acks })
  }
}

function append(turn: Turn, writer: Writer, { token, batch, acks }: Produce): void {
  const { settings } = turn.chain
  invariant(batch.records > 0, 'a batch has records')
  const local = ownCopy(turn.chain, writer)
  const base = writer.next
  const placed = placedBatch(batch, base)
  const verdict = local.producers === null ? null : checkBatch(local.producers, sequenced(placed))
  if (verdict?.kind === 'refuse') {
    refuse(turn, token, verdict.error, true)
    return
  }
  if (verdict?.kind === 'duplicate') {
    answerDuplicate(turn, writer, { base: verdict.of.base, end: verdict.of.end, token, acks })
    return
  }
  const isFull = writer.bytes + batch.bytes > settings.segmentBytesMax && writer.count > 0
  if (isFull || uncommittedBytes(writer) + batch.bytes > settings.uncommittedBytesMax) {
    refuse(turn, token, 'THROTTLED', true)
    return
  }
  appendHere(turn, writer, local, placed, token, acks)
  sendBatch(turn, writer, local, placed)
  const isLarge = writer.bytes >= settings.rollBytes || writer.next - writer.base >= settings.rollRecords
  if (isLarge && writer.place === null) askPlace(turn, writer, 'size')
}

function placedBatch(batch: NewBatch, base: Offset): Batch {
  return {
    base,
    end: (base + batch.records) as Offset,
    bytes: batch.bytes,
    crc: batch.crc,
    maxTimestamp: batch.maxTimestamp,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    payload: batch.payload,
  }
}

/** Writes the batch to the own copy, and notes who waits for it. The others are sent it by the caller. */
export function appendHere(
  turn: Turn,
  writer: Writer,
  local: LocalSegment,
  batch: Batch,
  token: number,
  acks: Acks,
): Entry {
  writer.next = batch.end
  writer.bytes += batch.bytes
  writer.count += 1
  const { bytes, count } = writer
  const entry: Entry = {
    base: batch.base,
    end: batch.end,
    bytes,
    count,
    token,
    acks,
    isAnswered: acks === 0,
    retries: null,
  }
  writer.entries.push(entry)
  takeBatch(turn, local, batch, 'append')
  return entry
}

export const ownCopy = (chain: Chain, writer: Writer): LocalSegment =>
  chain.segments.get(writer.segment) as LocalSegment

function uncommittedBytes(writer: Writer): number {
  const first = writer.entries[writer.committed]
  const before = writer.committed === 0 ? writer.trimmedBytes : writer.entries[writer.committed - 1]!.bytes
  return first === undefined ? 0 : writer.bytes - before
}

/** A retry of what is in flight is answered with it, in the end. */
function answerDuplicate(
  turn: Turn,
  writer: Writer,
  retry: { readonly base: Offset; readonly end: Offset; readonly token: number; readonly acks: Acks },
): void {
  const { base, end, token, acks } = retry
  const at = indexBehind(writer.entries, end) - 1
  const entry = writer.entries[at]
  if (acks === 0) return
  const isDone = end <= writer.commit || (acks === 1 && at < writer.local && entry !== undefined)
  if (isDone || entry === undefined) answer(turn, writer, token, base)
  else {
    entry.retries ??= []
    entry.retries.push({ token, acks, isAnswered: false })
  }
}

// ── to the replicas

function sendBatch(turn: Turn, writer: Writer, local: LocalSegment, batch: Batch): void {
  const { chain } = turn
  let shared: MessageOf<'append'> | null = null
  for (const progress of writer.replicas) {
    if (progress.nodeId === chain.self.nodeId) {
      progress.sentEnd = batch.end
      if (progress.durableEnd === batch.base) progress.progressMs = chain.pacedMs
      continue
    }
    if (progress.state !== 'live') continue
    if (progress.durableEnd === batch.base) progress.progressMs = chain.pacedMs
    // What does not fit into the window, or comes behind such, is read back when there is room.
    if (progress.sentEnd !== batch.base || isWindowFull(chain, progress)) continue
    if (progress.hasAnswered) shared ??= appendMessage(writer, local, [batch], true)
    const message = progress.hasAnswered ? shared : null
    sendAppend(turn, writer, progress, message ?? appendMessage(writer, local, [batch], false))
  }
}

/** Of a segment that begins with what the one before did not commit: the same as one by one, in as few messages as may be. */
export function sendCarried(turn: Turn, writer: Writer, batches: readonly Batch[]): void {
  const { chain } = turn
  const local = ownCopy(chain, writer)
  for (const progress of writer.replicas) {
    const isSelf = progress.nodeId === chain.self.nodeId
    if (isSelf) progress.sentEnd = writer.next
    let rest = batches
    while (!isSelf && progress.state === 'live' && rest.length > 0 && !isWindowFull(chain, progress)) {
      const count = countWithin(rest, chain.settings.appendBytesMax)
      sendAppend(turn, writer, progress, appendMessage(writer, local, rest.slice(0, count), progress.hasAnswered))
      rest = rest.slice(count)
    }
  }
}

/** How many fit into so many bytes; at least one. */
function countWithin(batches: readonly Batch[], bytesMax: number): number {
  let bytes = 0
  const first = batches.findIndex(batch => {
    bytes += batch.bytes
    return bytes > bytesMax
  })
  return first < 0 ? batches.length : Math.max(1, first)
}

/** After a loss one message at a time, so that nothing can overtake it, until what was in doubt is acknowledged. */
function isWindowFull({ settings }: Chain, progress: Progress): boolean {
  const { durableEnd, resentEnd, sentEnd, sentBytes, durableBytes } = progress
  if (durableEnd < resentEnd) return sentEnd > durableEnd
  return sentBytes - durableBytes >= settings.inflightBytesMax
}

function appendMessage(
  writer: Writer,
  local: LocalSegment,
  batches: readonly Batch[],
  hasAnswered: boolean,
): MessageOf<'append'> {
  return {
    type: 'append',
    partition: writer.partition,
    segment: writer.segment,
    epoch: writer.epoch,
    segmentBase: writer.base,
    batches,
    commit: writer.commit,
    producers: hasAnswered ? null : local.producersAtBase,
  }
}

function sendAppend(turn: Turn, writer: Writer, progress: Progress, message: MessageOf<'append'>): void {
  for (const batch of message.batches) {
    progress.sentEnd = batch.end
    progress.sentBytes += batch.bytes
  }
  progress.toldCommit = writer.commit
  send(turn, progress.nodeId, 'data', message)
}

/** Sends what the replica has not been sent, as far as its window goes. */
export function pump(turn: Turn, writer: Writer, progress: Progress): void {
  const { chain, store } = turn
  if (progress.state !== 'live' || progress.nodeId === chain.self.nodeId) return
  const local = ownCopy(chain, writer)
  while (progress.sentEnd < writer.next && !isWindowFull(chain, progress)) {
    const batches = store.read(writer.segment, progress.sentEnd, chain.settings.appendBytesMax)
    // What was written in this very step is not in the store yet; the next ack or tick comes back to it.
    if (batches.length === 0) return
    if (batches[0]!.base !== progress.sentEnd) {
      halt(turn, `the writer's own copy of segment ${writer.segment} has no batch at ${progress.sentEnd}`)
      return
    }
    sendAppend(turn, writer, progress, appendMessage(writer, local, batches, progress.hasAnswered))
  }
}

/** Goes back to what the replica has acknowledged. */
function sendAgain(turn: Turn, writer: Writer, progress: Progress, from: Offset): void {
  progress.resentMs = turn.chain.pacedMs
  progress.resentEnd = Math.max(progress.resentEnd, progress.sentEnd) as Offset
  progress.sentEnd = from
  progress.sentBytes = progress.durableBytes
  pump(turn, writer, progress)
}

// ── from the replicas

export function onAck(turn: Turn, from: Peer, message: MessageOf<'ack'>): void {
  const { chain } = turn
  const writer = chain.writers.get(message.segment)
  const progress = writer && progressOf(writer, from)
  if (writer === undefined || progress === undefined || !isCurrent(writer, message.epoch)) return
  if (message.end > writer.next || message.end < writer.base) return
  progress.hasAnswered = true
  if (message.end <= progress.durableEnd) {
    revive(turn, writer, progress)
    // Said twice: it misses something, perhaps the commit offset.
    if (writer.commit > writer.base && from.nodeId !== chain.self.nodeId) tellCommit(turn, writer, progress)
    return
  }
  progress.durableEnd = message.end
  progress.progressMs = chain.pacedMs
  countDurable(writer, progress)
  if (progress.sentEnd < message.end) {
    progress.sentEnd = message.end
    progress.sentBytes = progress.durableBytes
  }
  revive(turn, writer, progress)
  settle(turn, writer)
  pump(turn, writer, progress)
}

function tellCommit(turn: Turn, { segment, epoch, commit }: Writer, progress: Progress): void {
  progress.toldCommit = commit
  send(turn, progress.nodeId, 'data', { type: 'commits', commits: [{ segment, epoch, commit }] })
}

const isCurrent = (writer: Writer, epoch: number) => writer.epoch === epoch && writer.phase !== 'stopped'

/** Another disk under the same node id is another replica. */
function progressOf(writer: Writer, from: Peer): Progress | undefined {
  return writer.replicas.find(({ nodeId, diskId }) => nodeId === from.nodeId && diskId === from.diskId)
}

export function onGap(turn: Turn, from: Peer, message: MessageOf<'gap'>): void {
  const { chain } = turn
  const writer = chain.writers.get(message.segment)
  const progress = writer && progressOf(writer, from)
  if (writer === undefined || progress === undefined || !isCurrent(writer, message.epoch)) return
  // Below what it has acknowledged: an old message. At what it was sent already: each of several in flight says the same.
  if (message.end < progress.durableEnd || message.end >= progress.sentEnd) return
  // Where messages overtake each other, each that comes early is answered by a gap. To go back for each would send more and more:
  // once is enough, until what was sent then is acknowledged.
  const isOnItsWay =
    progress.durableEnd < progress.resentEnd && !isDue(chain, progress.resentMs, chain.settings.resendMs)
  if (progress.state === 'lost') revive(turn, writer, progress)
  else if (!isOnItsWay) sendAgain(turn, writer, progress, message.end)
}

export function onUnfit(turn: Turn, from: Peer, message: MessageOf<'unfit'>): void {
  const writer = turn.chain.writers.get(message.segment)
  const progress = writer?.replicas.find(({ nodeId }) => nodeId === from.nodeId)
  if (writer === undefined || progress === undefined || !isCurrent(writer, message.epoch)) return
  loseReplica(turn, writer, progress, 'unfit')
}

function countDurable(writer: Writer, progress: Progress): void {
  const at = indexBehind(writer.entries, progress.durableEnd) - 1
  const entry = writer.entries[at]
  progress.durableBytes = Math.max(progress.durableBytes, entry?.bytes ?? writer.trimmedBytes)
  progress.durableCount = Math.max(progress.durableCount, entry?.count ?? writer.trimmedCount)
}

/** How many entries end at or below `end`. */
function indexBehind(entries: readonly Entry[], end: Offset): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (entries[middle]!.end <= end) low = middle + 1
    else high = middle
  }
  return low
}

// ── commit and answers

/** After an acknowledgement: what is committed now, and who can be answered. */
export function settle(turn: Turn, writer: Writer): void {
  advanceCommit(turn, writer)
  answerLocal(turn, writer)
  trim(writer)
}

function advanceCommit(turn: Turn, writer: Writer): void {
  const { chain } = turn
  // FREEZE: while the own seal is under way, nothing behind its end may be acknowledged.
  if (isFrozen(writer)) return
  if (writer.isLeaseBound && !hasLease(chain)) return
  const commit = quorumEnd(writer)
  if (commit <= writer.commit) return
  writer.commit = commit
  chain.unpublished.add(writer.segment)
  learnCommit(turn, ownCopy(chain, writer), commit)
  const { entries } = writer
  while (writer.committed < entries.length && entries[writer.committed]!.end <= commit) {
    answerEntry(turn, writer, entries[writer.committed]!, true)
    writer.committed += 1
  }
}

export const isFrozen = (writer: Writer): boolean =>
  writer.phase === 'frozen' || writer.phase === 'placing' || writer.phase === 'stopped'

/** The acknowledgement quorum's end: so many replicas have at least this durably. */
function quorumEnd({ replicas, ackQuorum, base }: Writer): Offset {
  let best = base
  for (const { durableEnd } of replicas) {
    if (durableEnd <= best) continue
    let count = 0
    for (const other of replicas) if (other.durableEnd >= durableEnd) count += 1
    if (count >= ackQuorum) best = durableEnd
  }
  return best
}

/** acks=1: this node's disk has it. */
function answerLocal(turn: Turn, writer: Writer): void {
  if (isFrozen(writer)) return
  const { entries } = writer
  const { durableEnd } = ownCopy(turn.chain, writer)
  // Without a lease another writer may have begun, and only a commit still tells the truth.
  const vouches = hasLease(turn.chain)
  while (writer.local < entries.length && entries[writer.local]!.end <= durableEnd) {
    if (vouches) answerEntry(turn, writer, entries[writer.local]!, false)
    writer.local += 1
  }
}

function answerEntry(turn: Turn, writer: Writer, entry: Entry, isCommitted: boolean): void {
  if (!entry.isAnswered && (isCommitted || entry.acks === 1)) {
    entry.isAnswered = true
    answer(turn, writer, entry.token, entry.base)
  }
  if (entry.retries === null) return
  for (const retry of entry.retries) {
    if (retry.isAnswered || !(isCommitted || retry.acks === 1)) continue
    retry.isAnswered = true
    answer(turn, writer, retry.token, entry.base)
  }
}

function answer(turn: Turn, { leaderEpoch }: Writer, token: number, base: Offset): void {
  turn.effects.push({ do: 'answer', token, result: { ok: true, base, leaderEpoch } })
}

/** Forgets entries that are committed, on this disk, and acknowledged by every replica that is followed. */
function trim(writer: Writer): void {
  const { entries, replicas } = writer
  let count = Math.min(writer.committed, writer.local)
  for (const progress of replicas) {
    if (progress.state === 'live') count = Math.min(count, indexBehind(entries, progress.durableEnd))
  }
  // Moving the rest is not worth it for a few.
  if (count === 0 || (count < 32 && count < entries.length)) return
  const last = entries[count - 1]!
  writer.trimmedBytes = last.bytes
  writer.trimmedCount = last.count
  entries.splice(0, count)
  writer.committed -= count
  writer.local -= count
}

// ── replicas that are lost

export function loseReplica(turn: Turn, writer: Writer, progress: Progress, state: 'lost' | 'unfit'): void {
  if (progress.state === state || progress.state === 'unfit') return
  progress.state = state
  if (!isFrozen(writer)) askPlace(turn, writer, 'replica lost')
}

/** It speaks again. What it missed is read from the store, however much that is. */
export function revive(turn: Turn, writer: Writer, progress: Progress): void {
  if (progress.state !== 'lost') return
  progress.state = 'live'
  progress.progressMs = turn.chain.pacedMs
  progress.durableBytes = Math.max(progress.durableBytes, writer.trimmedBytes)
  progress.durableCount = Math.max(progress.durableCount, writer.trimmedCount)
  if (progress.nodeId !== turn.chain.self.nodeId) sendAgain(turn, writer, progress, progress.durableEnd)
  if (writer.replicas.some(({ state }) => state !== 'live')) return
  stateOf(turn.chain, writer.partition).isShort = false
  if (writer.place?.reason === 'replica lost' && !isFrozen(writer)) writer.place = null
}

/** Nothing is sent to a lost replica; so that it can show that it is back, it is asked now and then. */
export function probeLost(turn: Turn, writer: Writer): void {
  for (const progress of writer.replicas) {
    if (progress.state === 'lost' && progress.nodeId !== turn.chain.self.nodeId) probe(turn, writer, progress)
  }
}

/** Nothing but the commit offset: the answer tells whether the replica is there, and fit. */
export function probe(turn: Turn, writer: Writer, progress: Progress): void {
  const message = appendMessage(writer, ownCopy(turn.chain, writer), [], progress.hasAnswered)
  progress.toldCommit = writer.commit
  send(turn, progress.nodeId, 'data', message)
}

export function askPlace(turn: Turn, writer: Writer, reason: SealReason): void {
  // A node that is unfit for this segment is as good as any for the next.
  const avoid = writer.replicas.filter(({ state }) => state === 'lost').map(({ nodeId }) => nodeId)
  const { place } = writer
  if (place !== null && place.reason === reason && isEqual(place.avoid, avoid)) return
  writer.place = { reason, avoid, askedMs: turn.chain.pacedMs }
  turn.effects.push({ do: 'place', partition: writer.partition, reason, avoid })
}

const isEqual = (a: readonly NodeId[], b: readonly NodeId[]) =>
  a.length === b.length && a.every((value, i) => value === b[i])

/** What is long without an answer is sent again, and after a longer time its replica counts as lost. */
export function watchReplicas(turn: Turn, writer: Writer): void {
  const { chain } = turn
  const { settings } = chain
  for (const progress of writer.replicas) {
    if (progress.state !== 'live' || progress.durableEnd >= writer.next) continue
    const isBehind =
      writer.bytes - progress.durableBytes > settings.backlogBytesMax ||
      writer.count - progress.durableCount > settings.backlogBatchesMax
    if (isBehind || isDue(chain, progress.progressMs, settings.replicaTimeoutMs)) {
      loseReplica(turn, writer, progress, 'lost')
      continue
    }
    if (progress.nodeId === chain.self.nodeId) continue
    const sinceMs = Math.max(progress.progressMs, progress.resentMs)
    if (isDue(chain, sinceMs, settings.resendMs)) sendAgain(turn, writer, progress, progress.durableEnd)
    else pump(turn, writer, progress)
  }
}
