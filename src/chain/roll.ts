/**
 * How a writer ends its segment and the next one begins, while it lives: a roll. A planned one waits until what is in flight is
 * committed; one without a lost replica does not wait. What is not committed then goes into the next segment, with the same
 * offsets, if this node writes that one too.
 *
 *     writing ──placement──► draining ──committed──► frozen ──record──► the next segment's writer
 *                 └─(replica lost)────────────────────┘ └─refused──► placing ──placement──► frozen
 *
 * Once frozen a writer never goes back: what was proposed may be applied at any time, even after a refusal was heard, when its
 * request was sent twice. Only the record tells how it ended.
 */
import type { NodeId, Offset, SegmentId } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { ProducerState } from '../log/producers.ts'
import type { ChainCommand, ProposalOutcome } from './events.ts'
import type { Batch, MessageOf } from './messages.ts'
import { learnProducers, openLocal, segmentRecord, stateOf } from './replica.ts'
import {
  type Partition,
  type PartitionId,
  type Placement,
  predecessor,
  type SealReason,
  type Segment,
} from './segment.ts'
import {
  type Chain,
  type Entry,
  halt,
  isDue,
  type Progress,
  propose,
  proposeAgain,
  type Roll,
  refuse,
  send,
  type Turn,
  type Writer,
} from './state.ts'
import { appendHere, askPlace, isFrozen, ownCopy, probeLost, sendCarried, shortError, takeUp } from './writer.ts'

// ── ending a segment

/** Where the next segment goes; null: there are not enough live nodes for one. */
export function onPlacement(turn: Turn, writer: Writer, reason: SealReason, next: Placement | null): void {
  if (writer.phase === 'stopped' || writer.phase === 'frozen') return
  if (next === null) {
    writer.place ??= { reason, avoid: [], askedMs: turn.chain.pacedMs }
    refuseForShortness(turn, writer)
    return
  }
  writer.place = null
  if (writer.phase === 'placing') {
    sealAndOpen(turn, writer, { ...(writer.roll as Roll), next })
    return
  }
  writer.roll = { reason, next, startedMs: turn.chain.pacedMs, end: null, proposal: null }
  if (reason === 'replica lost') freeze(turn, writer)
  else {
    if (writer.phase === 'writing') writer.phase = 'draining'
    drain(turn, writer)
  }
}

/** What is not appended yet is refused; so is what cannot be committed by the replicas that are left. */
function refuseForShortness(turn: Turn, writer: Writer): void {
  const kept = writer.buffer.splice(0)
  writer.bufferBytes = 0
  for (const produce of kept) {
    if (produce.acks === 'all') refuse(turn, produce.token, shortError(turn.chain, 'NOT_ENOUGH_REPLICAS'), true)
    else {
      writer.buffer.push(produce)
      writer.bufferBytes += produce.batch.bytes
    }
  }
  const live = writer.replicas.filter(({ state }) => state === 'live').length
  if (live >= writer.ackQuorum) return
  for (const entry of writer.entries) {
    if (entry.acks === 'all') refuseEntry(turn, entry, shortError(turn.chain, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'))
  }
}

function refuseEntry(
  turn: Turn,
  entry: Entry,
  error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' | 'NOT_LEADER_OR_FOLLOWER',
): void {
  if (!entry.isAnswered) refuse(turn, entry.token, error, false)
  entry.isAnswered = true
  for (const retry of entry.retries ?? []) if (!retry.isAnswered) refuse(turn, retry.token, error, false)
  entry.retries = null
}

/** A planned roll freezes when everything is committed, or when it has waited long enough for that. */
export function drain(turn: Turn, writer: Writer): void {
  const { roll } = writer
  if (roll === null || isFrozen(writer)) return
  const isLate = isDue(turn.chain, roll.startedMs, turn.chain.settings.drainMs)
  if (writer.commit === writer.next || isLate) freeze(turn, writer)
}

function freeze(turn: Turn, writer: Writer): void {
  const roll = writer.roll as Roll
  sealAndOpen(turn, writer, { ...roll, end: writer.commit })
}

function sealAndOpen(turn: Turn, writer: Writer, roll: Roll): void {
  const { partition, segment, epoch } = writer
  const { next, reason } = roll
  const end = roll.end as Offset
  const facts = factsOf(turn, writer, end)
  if (facts === null || next === null) return
  const complete = writer.replicas.filter(replica => isComplete(replica, end)).map(({ nodeId }) => nodeId)
  const command: ChainCommand = { do: 'sealAndOpen', partition, segment, epoch, end, ...facts, complete, reason, next }
  writer.phase = 'frozen'
  writer.place = null
  writer.roll = { ...roll, proposal: propose(turn, command) }
}

const isComplete = ({ state, durableEnd }: Progress, end: Offset) => state !== 'unfit' && durableEnd >= end

function factsOf(turn: Turn, writer: Writer, end: Offset) {
  if (end === writer.base) return { bytes: 0, maxTimestamp: -1, checksum: 0 }
  const facts = turn.store.summary(writer.segment, end)
  if (facts === null) halt(turn, `the writer's own copy of segment ${writer.segment} does not reach ${end}`)
  return facts
}

export function onSealOutcome({ chain }: Turn, writer: Writer, outcome: ProposalOutcome): void {
  const { roll } = writer
  if (writer.phase !== 'frozen' || roll === null || roll.proposal === null) return
  // Done: the record will show it. Unknown: asked again in time.
  if (outcome.kind !== 'refused') return
  // Somebody recovers the segment, as the record will show; or the placement is stale, and another one may do. That is asked for
  // in time: at once would be a loop where no placement helps.
  writer.phase = 'placing'
  writer.roll = { ...roll, proposal: null }
  writer.place = { reason: roll.reason, avoid: [], askedMs: chain.pacedMs }
}

// ── the record tells how it ended

/** What goes from one segment of this writer to its next. */
export interface Carried {
  /** Appended, and not in the sealed segment. */
  readonly batches: readonly Batch[]
  readonly entries: readonly Entry[]
  readonly buffer: Writer['buffer']
  /** Known where the sealed segment was empty; else its own copy tells. */
  readonly producers: readonly ProducerState[] | null
}

/**
 * The segment is not this writer's to write any more. What it held is carried over only if the record shows that its own seal
 * made the next segment: it follows at the very end that was proposed, under the same leader epoch. Else everything is
 * answered: what was appended may be in the log.
 */
export function endWriting(turn: Turn, writer: Writer, record: Partition): Carried | null {
  const { chain } = turn
  const carried = isOwnRoll(chain, writer, record) ? carry(turn, writer) : null
  if (carried === null) stopWriting(turn, writer)
  chain.writers.delete(writer.segment)
  chain.unpublished.delete(writer.segment)
  return carried
}

function isOwnRoll(chain: Chain, writer: Writer, record: Partition): boolean {
  const end = writer.roll?.end ?? null
  const next = record.chain.at(-1)
  if (!(writer.phase === 'frozen' || writer.phase === 'placing') || end === null || next === undefined) return false
  const before = record.chain.at(-2)
  const isNext = end === writer.base ? before?.id !== writer.segment : before?.id === writer.segment
  const { nodeId, incarnation } = chain.self
  const isMine = next.state === 'open' && next.writer === nodeId && next.writerIncarnation === incarnation
  return isMine && isNext && next.base === end && next.leaderEpoch === writer.leaderEpoch
}

function carry(turn: Turn, writer: Writer): Carried | null {
  const end = (writer.roll as Roll).end as Offset
  const batches: Batch[] = []
  let from = end
  while (from < writer.next) {
    const read = turn.store.read(writer.segment, from, turn.chain.settings.appendBytesMax)
    if (read[0]?.base !== from) {
      halt(turn, `the writer's own copy of segment ${writer.segment} has no batch at ${from}`)
      return null
    }
    batches.push(...read)
    from = read.at(-1)!.end
  }
  const entries = writer.entries.slice(writer.committed)
  invariant(batches.length === entries.length, 'a writer knows every batch that is not committed')
  const producers = end === writer.base ? ownCopy(turn.chain, writer).producersAtBase : null
  return { batches, entries, buffer: writer.buffer, producers }
}

/** Fenced, recovered by another, or the partition is gone. */
export function stopWriting(turn: Turn, writer: Writer): void {
  if (writer.phase === 'stopped') return
  writer.phase = 'stopped'
  refuseWaiting(turn, writer)
  writer.entries.length = 0
  writer.committed = 0
  writer.local = 0
  writer.buffer.length = 0
  writer.bufferBytes = 0
  writer.place = null
  writer.roll = null
}

/** What was appended may be in the log, what was only held is not. */
export function refuseWaiting(turn: Turn, { entries, buffer }: Pick<Carried, 'entries' | 'buffer'>): void {
  for (const entry of entries) refuseEntry(turn, entry, 'NOT_LEADER_OR_FOLLOWER')
  for (const { token } of buffer) refuse(turn, token, 'NOT_LEADER_OR_FOLLOWER', true)
}

/** Another epoch stands above this writer's; while its own seal is under way the record tells more than this. */
export function onWriterFenced(turn: Turn, segment: SegmentId, epoch: number, fenceEpoch: number): void {
  const writer = turn.chain.writers.get(segment)
  if (writer === undefined || writer.epoch !== epoch || fenceEpoch <= epoch) return
  if (writer.phase !== 'frozen') stopWriting(turn, writer)
}

// ── beginning a segment

/**
 * The record says that this node writes `segment`. `producers`: at its base; null: others are asked for them. The caller has made
 * sure that there is no copy yet: one that a fence has made belongs to a recovery.
 */
export function beginWriting(
  turn: Turn,
  partition: PartitionId,
  segment: Segment,
  isLeaseBound: boolean,
  producers: readonly ProducerState[] | null,
  carried: Carried | null,
): void {
  const { chain } = turn
  const { id, base, writeEpoch, leaderEpoch, ackQuorum } = segment
  const record = stateOf(chain, partition).record
  const before = record === null ? undefined : predecessor(record, id)
  const writer: Writer = {
    partition,
    segment: id,
    base,
    epoch: writeEpoch,
    leaderEpoch,
    ackQuorum,
    isLeaseBound,
    phase: 'starting',
    next: base,
    commit: base,
    bytes: 0,
    count: 0,
    replicas: segment.replicas.map(({ nodeId, diskId }) => progressOf(chain, nodeId, diskId, base)),
    entries: [],
    trimmedBytes: 0,
    trimmedCount: 0,
    committed: 0,
    local: 0,
    buffer: [],
    bufferBytes: 0,
    place: null,
    roll: null,
    before: producers === null ? (before?.id ?? null) : null,
    askedMs: chain.pacedMs,
  }
  chain.writers.set(id, writer)
  const local = openLocal(turn, partition, id, base, writeEpoch, producers)
  local.writer = chain.self.nodeId
  if (carried !== null) takeOver(turn, writer, carried)
  if (producers !== null) startWriting(turn, writer)
  const isCut = writer.replicas.some(({ state }) => state !== 'live')
  if (isCut && writer.place === null) askPlace(turn, writer, 'replica lost')
}

function progressOf(chain: Chain, nodeId: NodeId, diskId: Progress['diskId'], base: Offset): Progress {
  const isDown = chain.peers.get(nodeId)?.isDown === true
  return {
    nodeId,
    diskId,
    state: isDown ? 'lost' : 'live',
    durableEnd: base,
    durableBytes: 0,
    durableCount: 0,
    sentEnd: base,
    sentBytes: 0,
    progressMs: chain.pacedMs,
    resentMs: chain.pacedMs,
    resentEnd: base,
    hasAnswered: false,
    toldCommit: base,
  }
}

/** What was appended behind the seal goes on with the offsets that it has; its sequences were judged then. */
function takeOver(turn: Turn, writer: Writer, { batches, entries, buffer }: Carried): void {
  const local = ownCopy(turn.chain, writer)
  for (const [i, batch] of batches.entries()) {
    const { token, acks, isAnswered, retries } = entries[i]!
    const entry = appendHere(turn, writer, local, batch, token, acks)
    entry.isAnswered = isAnswered
    entry.retries = retries
  }
  sendCarried(turn, writer, batches)
  for (const produce of buffer) {
    writer.buffer.push(produce)
    writer.bufferBytes += produce.batch.bytes
  }
}

/** The producers' state is known: sequences can be judged. */
export function startWriting(turn: Turn, writer: Writer): void {
  if (writer.phase !== 'starting') return
  writer.phase = 'writing'
  takeUp(turn, writer)
}

/** Nothing is appended before the sequences of producers can be judged. */
export function askProducers(turn: Turn, writer: Writer): void {
  const { chain } = turn
  const before = writer.before === null ? undefined : segmentRecord(chain, writer.partition, writer.before)
  writer.askedMs = chain.pacedMs
  for (const nodeId of before?.complete ?? []) {
    if (nodeId !== chain.self.nodeId) send(turn, nodeId, 'control', { type: 'producers', segment: before!.id })
  }
}

export function onProducersReply(turn: Turn, { segment, end, producers }: MessageOf<'producersReply'>): void {
  for (const writer of turn.chain.writers.values()) {
    if (writer.phase !== 'starting' || writer.before !== segment || end !== writer.base || producers === null) continue
    learnProducers(turn, ownCopy(turn.chain, writer), producers)
    startWriting(turn, writer)
  }
}

// ── time

export function watchRoll(turn: Turn, writer: Writer): void {
  const { chain } = turn
  const { place, roll } = writer
  if (writer.phase === 'stopped') return
  if (writer.phase === 'starting' && isDue(chain, writer.askedMs, chain.settings.resendMs)) askProducers(turn, writer)
  if (roll?.proposal != null) proposeAgain(turn, roll.proposal)
  else if (place !== null && isDue(chain, place.askedMs, chain.settings.placeRetryMs)) {
    writer.place = null
    askPlace(turn, writer, place.reason)
    probeLost(turn, writer)
  }
  drain(turn, writer)
}
