/**
 * The door of the chain's core: one state per node, one function that moves it. `step` takes an event and tells what to do;
 * the driver performs the effects in order, and reads nothing from the state but through the queries.
 *
 * The driver's part of the contract:
 *
 * - Writes are numbered 1, 2, 3 … and become durable in that order; `durable` names the last. They are visible in the store
 *   before the next step.
 * - Messages may be lost, doubled, delayed and overtake each other. Who sent one is told by the connection.
 * - Ticks carry a monotonic clock. All waits are counted in ticks alone, and a tick counts for no more than `tickMsMax` of
 *   silence of the others: a node that stalled does not count its stall.
 * - After a `halt` nothing comes out any more.
 */
import type { Offset, SegmentId } from '../base/ids.ts'
import { unreachable } from '../base/invariant.ts'
import { onProducers, onRead, onSummary } from './copies.ts'
import type { ChainEffect, ChainEvent, ProposalOutcome, RestoredSegment, SegmentStore } from './events.ts'
import type { ChainMessage, Peer } from './messages.ts'
import { publish } from './publication.ts'
import { onRecord } from './record.ts'
import {
  onFenceReply,
  onRecover,
  onRecovererFenced,
  onRecoveryAck,
  onRecoveryOutcome,
  onSummaryReply,
  onTailRead,
  onTargetUnfit,
  watchRecovery,
} from './recoverer.ts'
import { onDropped, onRemovalOutcome, watchRemoval } from './removal.ts'
import { onCopied, onCopyRead, onRepair, onRepairOutcome, onSealDurable, watchRepair } from './repair.ts'
import { onAppend, onCommits, onDurable, onFence, onRecoveryAppend, remindWriters, stateOf } from './replica.ts'
import { drain, onPlacement, onProducersReply, onSealOutcome, onWriterFenced, watchRoll } from './roll.ts'
import { type ChainSettings, defaultChainSettings } from './settings.ts'
import { isSound } from './soundness.ts'
import { type Chain, isDue, type LocalSegment, type Turn, type Writer } from './state.ts'
import { loseReplica, onAck, onGap, onProduce, onUnfit, probe, revive, settle, watchReplicas } from './writer.ts'

export { endOf, highWatermark, logEnd, type ReadLimit, type Role, readLimit, roleOf, strays } from './queries.ts'
export type { Chain } from './state.ts'

export interface ChainOptions {
  readonly self: Peer
  readonly settings?: ChainSettings
  readonly restored: readonly RestoredSegment[]
  /**
   * The last stop was unclean and acknowledgements did not wait for syncs (flush: relaxed): a segment of which nothing is left
   * may have been acknowledged here.
   */
  readonly mayHaveLost?: boolean
}

/** A node at its start. Restored copies have no role before the record gives them one. */
export function createChain({ self, settings, restored, mayHaveLost }: ChainOptions): Chain {
  const chain: Chain = {
    self,
    settings: settings ?? defaultChainSettings,
    mayHaveLost: mayHaveLost ?? false,
    nowMs: 0,
    pacedMs: 0,
    leaseUntilMs: 0,
    publishedMs: 0,
    remindedMs: 0,
    nextWrite: 1,
    durableWrite: 0,
    nextProposal: 1,
    halted: null,
    pending: [],
    peers: new Map(),
    partitions: new Map(),
    segments: new Map(),
    writers: new Map(),
    recoveries: new Map(),
    repairs: new Map(),
    removals: new Map(),
    unpublished: new Set(),
    behind: new Set(),
  }
  for (const segment of restored) {
    chain.segments.set(segment.segment, restoredCopy(segment))
    stateOf(chain, segment.partition).copies.add(segment.segment)
  }
  return chain
}

function restoredCopy(restored: RestoredSegment): LocalSegment {
  const { partition, segment, base, epoch, fenceEpoch, end, sealedEnd, standing, producersAtBase } = restored
  return {
    partition,
    id: segment,
    base,
    epoch,
    fenceEpoch: Math.max(fenceEpoch, epoch),
    durableFence: Math.max(fenceEpoch, epoch),
    end,
    durableEnd: end,
    commit: sealedEnd ?? base,
    sealedEnd,
    isSealDurable: sealedEnd !== null,
    isClosed: sealedEnd !== null,
    standing,
    openedBy: 0,
    producersAtBase,
    producers: null,
    undo: [],
    writer: null,
    recoverer: null,
    recoveryEpoch: 0,
  }
}

/** Advances the state by one event. The effects are to be performed in order. */
export function step(chain: Chain, event: ChainEvent, store: SegmentStore): ChainEffect[] {
  if (chain.halted !== null) return []
  const turn: Turn = { chain, store, effects: [], own: [] }
  onEvent(turn, event)
  // What this node says to itself; the list grows while it is read.
  for (let i = 0; i < turn.own.length && chain.halted === null; i++) onMessage(turn, chain.self, turn.own[i]!)
  return turn.effects
}

function onEvent(turn: Turn, event: ChainEvent): void {
  switch (event.type) {
    case 'produce':
      onProduce(turn, event)
      break
    case 'message':
      if (isFromNow(turn.chain, event.from) && isSound(event.message)) onMessage(turn, event.from, event.message)
      break
    case 'durable':
      onWritten(turn, event.write)
      break
    case 'metadata':
      onRecord(turn, event.partition, event.record)
      break
    case 'outcome':
      onOutcome(turn, event.proposal, event.outcome)
      break
    case 'tick':
      onTick(turn, event.nowMs)
      break
    case 'lease':
      onLease(turn, event.untilMs)
      break
    case 'placement':
      onPlaced(turn, event)
      break
    case 'recover':
      onRecover(turn, event)
      break
    case 'repair':
      onRepair(turn, event)
      break
    case 'peerDown':
      onPeerDown(turn, event.nodeId)
      break
    case 'peerUp':
      onPeerUp(turn, event.peer)
      break
    default:
      unreachable(event)
  }
}

/** What an earlier boot of a node said may be untrue by now. */
function isFromNow(chain: Chain, from: Peer): boolean {
  const known = chain.peers.get(from.nodeId)
  if (from.nodeId === chain.self.nodeId || !Number.isSafeInteger(from.incarnation)) return false
  if (known !== undefined && from.incarnation < known.incarnation) return false
  if (known === undefined || from.incarnation > known.incarnation) {
    const { nodeId, diskId, incarnation } = from
    chain.peers.set(nodeId, { diskId, incarnation, isDown: false })
  }
  return true
}

function onMessage(turn: Turn, from: Peer, message: ChainMessage): void {
  switch (message.type) {
    case 'append':
      onAppend(turn, from, message)
      break
    case 'ack':
      onAck(turn, from, message)
      drainOf(turn, message.segment)
      break
    case 'gap':
      onGap(turn, from, message)
      break
    case 'commits':
      onCommits(turn, from, message)
      break
    case 'fenced':
      onWriterFenced(turn, message.segment, message.epoch, message.fenceEpoch)
      onRecovererFenced(turn, message)
      break
    case 'unfit':
      onUnfit(turn, from, message)
      onTargetUnfit(turn, from, message)
      break
    case 'fence':
      onFence(turn, from, message)
      stopIfFenced(turn, message.segment)
      break
    case 'fenceReply':
      onFenceReply(turn, from, message)
      break
    case 'recoveryAppend':
      onRecoveryAppend(turn, from, message)
      stopIfFenced(turn, message.segment)
      break
    case 'recoveryAck':
      onRecoveryAck(turn, from, message)
      break
    case 'read':
      onRead(turn, from, message)
      break
    case 'readReply':
      onTailRead(turn, message)
      onCopyRead(turn, message)
      break
    case 'summary':
      onSummary(turn, from, message)
      break
    case 'summaryReply':
      onSummaryReply(turn, message)
      break
    case 'producers':
      onProducers(turn, from, message)
      break
    case 'producersReply':
      onProducersReply(turn, message)
      break
    default:
      unreachable(message)
  }
}

function drainOf(turn: Turn, segment: SegmentId): void {
  const writer = turn.chain.writers.get(segment)
  if (writer !== undefined && writer.roll !== null) drain(turn, writer)
}

/** The writer's own copy obeys a recovery: then so does the writer. */
function stopIfFenced(turn: Turn, segment: SegmentId): void {
  const writer = turn.chain.writers.get(segment)
  if (writer === undefined) return
  const fenceEpoch = turn.chain.segments.get(segment)?.fenceEpoch ?? 0
  onWriterFenced(turn, segment, writer.epoch, fenceEpoch)
}

function onWritten(turn: Turn, write: number): void {
  const { segments } = turn.chain
  for (const done of onDurable(turn, write)) {
    if (done.kind === 'drop') onDropped(turn, done.segment)
    const local = segments.get(done.segment)
    if (local === undefined) continue
    if (done.kind === 'copy') onCopied(turn, local)
    if (done.kind === 'seal') onSealDurable(turn, local)
  }
}

/** Late outcomes of what nobody waits for any more find nobody. */
function onOutcome(turn: Turn, proposal: number, outcome: ProposalOutcome): void {
  const { writers, recoveries, repairs, removals } = turn.chain
  for (const writer of writers.values()) {
    if (writer.roll?.proposal?.number === proposal) onSealOutcome(turn, writer, outcome)
  }
  for (const recovery of recoveries.values()) {
    if (recovery.proposal?.number === proposal) onRecoveryOutcome(turn, recovery, outcome)
  }
  for (const repair of repairs.values()) {
    if (repair.proposal?.number === proposal) onRepairOutcome(turn, repair, outcome)
  }
  for (const removal of removals.values()) {
    if (removal.proposal?.number === proposal) onRemovalOutcome(turn, removal, outcome)
  }
}

function onTick(turn: Turn, nowMs: number): void {
  const { chain } = turn
  const passedMs = nowMs - chain.nowMs
  if (!Number.isFinite(passedMs) || passedMs < 0) return
  chain.nowMs = nowMs
  chain.pacedMs += Math.min(passedMs, chain.settings.tickMsMax)
  for (const writer of chain.writers.values()) {
    if (writer.phase === 'stopped') continue
    watchReplicas(turn, writer)
    watchRoll(turn, writer)
  }
  for (const recovery of chain.recoveries.values()) watchRecovery(turn, recovery)
  for (const repair of chain.repairs.values()) watchRepair(turn, repair)
  for (const removal of chain.removals.values()) watchRemoval(turn, removal)
  publish(turn)
  if (chain.behind.size > 0 && isDue(chain, chain.remindedMs, chain.settings.resendMs)) {
    chain.remindedMs = chain.pacedMs
    remindWriters(turn)
  }
}

function onLease(turn: Turn, untilMs: number): void {
  const { chain } = turn
  chain.leaseUntilMs = Math.max(chain.leaseUntilMs, untilMs)
  for (const writer of chain.writers.values()) if (writer.isLeaseBound) settle(turn, writer)
}

function onPlaced(turn: Turn, { partition, reason, next }: Extract<ChainEvent, { type: 'placement' }>): void {
  const state = stateOf(turn.chain, partition)
  const writer = state.writing === null ? undefined : turn.chain.writers.get(state.writing)
  if (writer === undefined || writer.phase === 'stopped') return
  state.isShort = next === null
  onPlacement(turn, writer, reason, next)
}

function onPeerDown(turn: Turn, nodeId: Peer['nodeId']): void {
  const { chain } = turn
  const known = chain.peers.get(nodeId)
  if (known !== undefined) known.isDown = true
  else chain.peers.set(nodeId, { diskId: '' as Peer['diskId'], incarnation: -1, isDown: true })
  for (const writer of chain.writers.values()) {
    const progress = writer.replicas.find(replica => replica.nodeId === nodeId)
    if (progress !== undefined && writer.phase !== 'stopped') loseReplica(turn, writer, progress, 'lost')
  }
}

function onPeerUp(turn: Turn, peer: Peer): void {
  const { chain } = turn
  const { nodeId, diskId, incarnation } = peer
  const known = chain.peers.get(nodeId)
  if (known !== undefined && incarnation < known.incarnation) return
  chain.peers.set(nodeId, { diskId, incarnation, isDown: false })
  for (const writer of chain.writers.values()) onReplicaUp(turn, writer, peer)
}

function onReplicaUp(turn: Turn, writer: Writer, { nodeId, diskId }: Peer): void {
  const progress = writer.replicas.find(replica => replica.nodeId === nodeId)
  if (progress === undefined || writer.phase === 'stopped') return
  if (progress.diskId !== diskId) loseReplica(turn, writer, progress, 'unfit')
  else if (progress.state === 'lost') revive(turn, writer, progress)
  // Started again, it may not be able to vouch any more.
  else probe(turn, writer, progress)
}

/** The commit offset that this node knows as the writer of the partition; null when it is not. */
export function commitOf(chain: Chain, partition: Parameters<typeof stateOf>[1]): Offset | null {
  const { writing } = stateOf(chain, partition)
  const writer = writing === null ? undefined : chain.writers.get(writing)
  return writer === undefined || writer.phase === 'stopped' ? null : writer.commit
}
