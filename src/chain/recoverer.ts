/**
 * Ends a segment whose writer is gone, on the controller's order. The recoverer's own copy, if it has one, is asked like the
 * others, by messages to itself.
 *
 *     beginning ──epoch──► fencing ──fence quorum──► copying ──quorum has the tail──► completing ──record──► over
 *                             ▲                                                          │
 *                             └───────────── a replica has started again ────────────────┘
 *
 * Why the longest clean copy is the end: whatever was committed was acknowledged by an acknowledgement quorum, and every fence
 * quorum has one of those, which acknowledged before it was fenced. What is longer than that was never denied to anybody.
 *
 * A crash at any point leaves nothing behind that matters: another recovery starts with a higher epoch, and a replica obeys the
 * highest.
 */
import type { Offset } from '../base/ids.ts'
import type { ChainCommand, ChainEvent, ProposalOutcome } from './events.ts'
import type { Batch, ChainMessage, MessageOf, Peer } from './messages.ts'
import { stateOf } from './replica.ts'
import { fenceQuorumOf, type Partition, type Replica, unsealed } from './segment.ts'
import {
  type CopyTarget,
  halt,
  isDue,
  type PartitionState,
  propose,
  proposeAgain,
  type Recovery,
  send,
  type Turn,
} from './state.ts'

export function onRecover(turn: Turn, order: Extract<ChainEvent, { type: 'recover' }>): void {
  const { chain } = turn
  const { partition, next, spares } = order
  const state = stateOf(chain, partition)
  const segment = state.record === null ? null : unsealed(state.record)
  if (state.record === null || segment === null || segment.id !== order.segment) return
  const known = chain.recoveries.get(segment.id)
  if (known !== undefined) {
    known.next = next
    known.spares = spares
    return
  }
  const { id, base, ackQuorum, replicas, writeEpoch } = segment
  const recoverer = chain.self.nodeId
  state.recovering = id
  chain.recoveries.set(id, {
    partition,
    segment: id,
    base,
    ackQuorum,
    fenceQuorum: fenceQuorumOf(segment),
    replicas,
    next,
    spares,
    isUncleanAllowed: replicas.length === 1 && state.record.config.uncleanSeal,
    phase: 'beginning',
    epoch: 0,
    proposal: propose(turn, { do: 'beginRecovery', partition, segment: id, epoch: writeEpoch, recoverer }),
    replies: new Map(),
    commit: base,
    fencingSinceMs: 0,
    sentMs: 0,
    progressMs: 0,
    end: base,
    targets: new Map(),
  })
}

export function onRecoveryOutcome(turn: Turn, recovery: Recovery, outcome: ProposalOutcome): void {
  if (outcome.kind === 'unknown') return
  if (recovery.phase === 'beginning') {
    if (outcome.kind === 'refused') endRecovery(turn, recovery)
    else begun(turn, recovery, outcome.value)
    return
  }
  if (recovery.phase !== 'completing') return
  recovery.proposal = null
  if (outcome.kind === 'done') recovery.phase = 'done'
  // A replica has started again, or the placement is stale; if somebody else recovers, the record will end this.
  else startFencing(turn, recovery)
}

function begun(turn: Turn, recovery: Recovery, epoch: number): void {
  recovery.epoch = epoch
  recovery.proposal = null
  const { record } = stateOf(turn.chain, recovery.partition)
  if (record !== null && isOver(recovery, record)) {
    endRecovery(turn, recovery)
    return
  }
  startFencing(turn, recovery)
  sendFences(turn, recovery)
}

function endRecovery({ chain }: Turn, recovery: Recovery): void {
  chain.recoveries.delete(recovery.segment)
  const state = stateOf(chain, recovery.partition)
  if (state.recovering === recovery.segment) state.recovering = null
}

/** The record shows a seal, or a recovery that began after this one. */
export function noteRecovered(turn: Turn, state: PartitionState, record: Partition): void {
  const recovery = state.recovering === null ? undefined : turn.chain.recoveries.get(state.recovering)
  if (recovery !== undefined && isOver(recovery, record)) endRecovery(turn, recovery)
}

function isOver(recovery: Recovery, record: Partition): boolean {
  const segment = unsealed(record)
  if (segment?.id !== recovery.segment) return true
  return recovery.epoch > 0 && (segment.recoveryEpoch ?? 0) > recovery.epoch
}

/** A replica obeys a later recovery. */
export function onRecovererFenced(turn: Turn, message: MessageOf<'fenced'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  if (recovery === undefined || recovery.epoch !== message.epoch || message.fenceEpoch <= recovery.epoch) return
  endRecovery(turn, recovery)
}

// ── fencing

function startFencing({ chain }: Turn, recovery: Recovery): void {
  recovery.phase = 'fencing'
  recovery.replies.clear()
  recovery.targets.clear()
  recovery.fencingSinceMs = chain.pacedMs
  recovery.sentMs = chain.pacedMs
}

function sendFences(turn: Turn, recovery: Recovery): void {
  const { partition, segment, base, epoch, replicas, replies } = recovery
  recovery.sentMs = turn.chain.pacedMs
  for (const { nodeId } of replicas) {
    if (replies.has(nodeId)) continue
    send(turn, nodeId, 'control', { type: 'fence', partition, segment, segmentBase: base, epoch })
  }
}

export function onFenceReply(turn: Turn, from: Peer, message: MessageOf<'fenceReply'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  if (recovery === undefined || recovery.epoch !== message.epoch) return
  const recorded = recovery.replicas.find(({ nodeId }) => nodeId === from.nodeId)
  if (recorded === undefined || message.end < recovery.base) return
  // CLEAN: the disk that acknowledged, and it vouches for what it holds.
  const isClean = message.standing === 'clean' && recorded.diskId === from.diskId
  if (isClean) recovery.commit = Math.max(recovery.commit, message.commit) as Offset
  recovery.replies.set(from.nodeId, { replica: replicaOf(from), isClean, end: message.end })
  if (recovery.phase === 'fencing') decide(turn, recovery, false)
  else if (isClean && recovery.phase === 'copying') addLate(turn, recovery, from, message.end)
  checkCommit(turn, recovery)
}

const replicaOf = ({ nodeId, diskId, incarnation }: Peer): Replica => ({ nodeId, diskId, incarnation })

/** `isLate`: the wait for replicas beyond the quorum is over. */
function decide(turn: Turn, recovery: Recovery, isLate: boolean): void {
  const { replies, replicas, fenceQuorum, base } = recovery
  const clean = [...replies.values()].filter(({ isClean }) => isClean)
  if (clean.length < fenceQuorum) return
  if (replies.size < replicas.length && !isLate) return
  // MAX: what the longest clean copy holds. It has everything that was ever committed.
  recovery.end = clean.reduce<number>((end, reply) => Math.max(end, reply.end), base) as Offset
  recovery.phase = 'copying'
  recovery.progressMs = turn.chain.pacedMs
  checkCommit(turn, recovery)
  for (const { replica, end } of clean) addTarget(recovery, replica, end)
  copy(turn, recovery)
}

function checkCommit(turn: Turn, { phase, commit, end, segment }: Recovery): void {
  if (phase === 'fencing' || commit <= end) return
  halt(turn, `the recovery of segment ${segment} finds its end at ${end}, but ${commit} was committed`)
}

function addTarget({ targets }: Recovery, replica: Replica, durableEnd: Offset): void {
  targets.set(replica.nodeId, { replica, durableEnd, askedMs: -1, isUnfit: false })
}

function addLate(turn: Turn, recovery: Recovery, from: Peer, end: Offset): void {
  const known = recovery.targets.get(from.nodeId)
  if (known === undefined) addTarget(recovery, replicaOf(from), end)
  else if (known.replica.incarnation !== from.incarnation) known.replica = replicaOf(from)
  copy(turn, recovery)
}

// ── copying the tail

/** Until an acknowledgement quorum holds everything below the end. */
function copy(turn: Turn, recovery: Recovery): void {
  if (recovery.phase !== 'copying' || turn.chain.halted !== null) return
  const holders = holdersOf(recovery)
  // Nothing needs no copies: the segment is replaced in place.
  const isEmpty = recovery.end === recovery.base
  // TAIL: what is sealed is committed, so a quorum must hold it.
  if (isEmpty || holders.length >= recovery.ackQuorum) {
    complete(turn, recovery, holders)
    return
  }
  addSpares(recovery)
  for (const target of recovery.targets.values()) {
    if (target.durableEnd < recovery.end && !target.isUnfit && target.askedMs < 0) feed(turn, recovery, target)
  }
}

const holdersOf = ({ targets, end }: Recovery): readonly CopyTarget[] =>
  [...targets.values()].filter(({ durableEnd, isUnfit }) => durableEnd >= end && !isUnfit)

/** Nodes outside the segment take part where too few replicas are left. */
function addSpares(recovery: Recovery): void {
  const fit = [...recovery.targets.values()].filter(({ isUnfit }) => !isUnfit).length
  if (fit >= recovery.ackQuorum) return
  for (const spare of recovery.spares) {
    // A node whose disk was replaced may take the place of itself.
    const isReplica = recovery.replicas.some(({ nodeId, diskId }) => nodeId === spare.nodeId && diskId === spare.diskId)
    if (!isReplica && !recovery.targets.has(spare.nodeId)) addTarget(recovery, spare, recovery.base)
  }
}

/** From the own copy where that is complete, else through another one's. */
function feed(turn: Turn, recovery: Recovery, target: CopyTarget): void {
  const { chain, store } = turn
  const { segment, epoch, targets, end } = recovery
  const from = target.durableEnd
  const bytesMax = chain.settings.appendBytesMax
  target.askedMs = chain.pacedMs
  const own = targets.get(chain.self.nodeId)
  if (own !== undefined && own.durableEnd >= end) {
    sendTail(
      turn,
      recovery,
      target,
      store.read(segment, from, bytesMax),
      chain.segments.get(segment)?.producersAtBase ?? null,
    )
    return
  }
  for (const holder of holdersOf(recovery)) {
    send(turn, holder.replica.nodeId, 'control', { type: 'read', segment, epoch, from, bytesMax })
  }
}

function sendTail(
  turn: Turn,
  recovery: Recovery,
  target: CopyTarget,
  read: readonly Batch[],
  producers: Extract<ChainMessage, { type: 'recoveryAppend' }>['producers'],
): void {
  const { partition, segment, base, epoch, end } = recovery
  const batches = read.filter(batch => batch.end <= end)
  if (batches.length === 0 || batches[0]!.base !== target.durableEnd) return
  send(turn, target.replica.nodeId, 'control', {
    type: 'recoveryAppend',
    partition,
    segment,
    segmentBase: base,
    epoch,
    batches,
    producers: target.durableEnd === base ? producers : null,
  })
}

export function onTailRead(turn: Turn, message: MessageOf<'readReply'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  if (recovery === undefined || recovery.epoch !== message.epoch || recovery.phase !== 'copying') return
  for (const target of recovery.targets.values()) {
    if (target.askedMs < 0 || target.durableEnd !== message.from || target.durableEnd >= recovery.end) continue
    sendTail(turn, recovery, target, message.batches, message.producers)
  }
}

export function onRecoveryAck(turn: Turn, from: Peer, message: MessageOf<'recoveryAck'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  if (recovery === undefined || recovery.epoch !== message.epoch || recovery.phase !== 'copying') return
  const target = recovery.targets.get(from.nodeId)
  if (target === undefined || target.replica.diskId !== from.diskId) return
  target.replica = replicaOf(from)
  if (message.isGap ? message.end < target.durableEnd : message.end > target.durableEnd) {
    target.durableEnd = message.end
    target.askedMs = -1
    recovery.progressMs = turn.chain.pacedMs
  }
  copy(turn, recovery)
}

export function onTargetUnfit(turn: Turn, from: Peer, message: MessageOf<'unfit'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  const target = recovery?.targets.get(from.nodeId)
  if (recovery === undefined || target === undefined || recovery.epoch !== message.epoch) return
  target.isUnfit = true
  copy(turn, recovery)
}

// ── completing

function complete(turn: Turn, recovery: Recovery, holders: readonly CopyTarget[]): void {
  const { chain, store } = turn
  const { segment, epoch, base, end } = recovery
  if (end === base) {
    proposeCompletion(turn, recovery, holders, { bytes: 0, maxTimestamp: -1, checksum: 0 })
    return
  }
  const own = holders.some(({ replica }) => replica.nodeId === chain.self.nodeId)
  const facts = own ? store.summary(segment, end) : null
  if (facts !== null) {
    proposeCompletion(turn, recovery, holders, facts)
    return
  }
  recovery.sentMs = chain.pacedMs
  for (const { replica } of holders) {
    if (replica.nodeId !== chain.self.nodeId)
      send(turn, replica.nodeId, 'control', { type: 'summary', segment, epoch, end })
  }
}

export function onSummaryReply(turn: Turn, message: MessageOf<'summaryReply'>): void {
  const recovery = turn.chain.recoveries.get(message.segment)
  if (recovery === undefined || recovery.epoch !== message.epoch || recovery.phase !== 'copying') return
  const holders = holdersOf(recovery)
  if (message.end !== recovery.end || holders.length < recovery.ackQuorum) return
  const { bytes, maxTimestamp, checksum } = message
  proposeCompletion(turn, recovery, holders, { bytes, maxTimestamp, checksum })
}

function proposeCompletion(
  turn: Turn,
  recovery: Recovery,
  holders: readonly CopyTarget[],
  facts: { readonly bytes: number; readonly maxTimestamp: number; readonly checksum: number },
): void {
  const { partition, segment, epoch, end, next } = recovery
  const { bytes, maxTimestamp, checksum } = facts
  const command: ChainCommand = {
    do: 'completeRecovery',
    partition,
    segment,
    epoch,
    end,
    bytes,
    maxTimestamp,
    checksum,
    complete: holders.map(({ replica }) => replica),
    next,
  }
  recovery.phase = 'completing'
  recovery.proposal = propose(turn, command)
}

// ── time

export function watchRecovery(turn: Turn, recovery: Recovery): void {
  const { chain } = turn
  const { fenceWaitMs, uncleanWaitMs, resendMs } = chain.settings
  if (recovery.proposal !== null) proposeAgain(turn, recovery.proposal)
  if (recovery.phase === 'fencing') {
    if (isDue(chain, recovery.fencingSinceMs, fenceWaitMs)) decide(turn, recovery, true)
    if (recovery.phase === 'fencing' && isDue(chain, recovery.sentMs, resendMs)) sendFences(turn, recovery)
    if (
      recovery.phase === 'fencing' &&
      recovery.isUncleanAllowed &&
      isDue(chain, recovery.fencingSinceMs, uncleanWaitMs)
    )
      giveUp(turn, recovery)
  } else if (recovery.phase === 'copying') watchCopying(turn, recovery)
}

function watchCopying(turn: Turn, recovery: Recovery): void {
  const { chain } = turn
  const { resendMs, replicaTimeoutMs } = chain.settings
  if (isDue(chain, recovery.progressMs, replicaTimeoutMs)) {
    // Whoever holds the tail may be gone for ever. Any fence quorum that answers now knows a sound end, if perhaps a lower one.
    startFencing(turn, recovery)
    sendFences(turn, recovery)
  } else if (isDue(chain, recovery.sentMs, resendMs)) {
    recovery.sentMs = chain.pacedMs
    for (const target of recovery.targets.values()) target.askedMs = -1
    copy(turn, recovery)
  }
}

/** The topic would rather lose what its only copy holds than wait for it. */
function giveUp(turn: Turn, recovery: Recovery): void {
  recovery.end = recovery.base
  proposeCompletion(turn, recovery, [], { bytes: 0, maxTimestamp: -1, checksum: 0 })
}
