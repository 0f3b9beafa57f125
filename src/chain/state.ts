/**
 * The state of the chain's core: plain data that `structuredClone` copies. One `Chain` per node holds what the node knows of
 * all partitions, its copies of segments, and the roles that it plays at the moment: writer, recoverer, copier.
 */
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId } from '../base/ids.ts'
import type { ProducerState, ProducerTable } from '../log/producers.ts'
import type { Acks, ChainCommand, ChainEffect, ChainRecord, NewBatch, ProduceError, SegmentStore } from './events.ts'
import type { ChainMessage, Peer, Standing } from './messages.ts'
import type { Partition, PartitionId, PartitionKey, Placement, Replica, SealReason } from './segment.ts'
import type { ChainSettings } from './settings.ts'

export interface Chain {
  readonly self: Peer
  readonly settings: ChainSettings
  /** The start was unclean and journals are relaxed: a segment that is not known here may have been acknowledged. */
  readonly mayHaveLost: boolean
  /** As of the latest tick. */
  nowMs: number
  /** Time as far as this node took part in it: what waits are counted in. */
  pacedMs: number
  leaseUntilMs: number
  publishedMs: number
  remindedMs: number
  nextWrite: number
  durableWrite: number
  nextProposal: number
  /** Why the node stopped; it answers nothing more. */
  halted: string | null
  /** Writes that somebody waits for, in the journal's order. */
  readonly pending: PendingWrite[]
  readonly peers: Map<NodeId, KnownPeer>
  readonly partitions: Map<PartitionKey, PartitionState>
  readonly segments: Map<SegmentId, LocalSegment>
  readonly writers: Map<SegmentId, Writer>
  readonly recoveries: Map<SegmentId, Recovery>
  readonly repairs: Map<SegmentId, Repair>
  readonly removals: Map<SegmentId, Removal>
  /** Segments written here whose commit offset not all replicas were told. */
  readonly unpublished: Set<SegmentId>
  /** Copies here that hold more than they know to be committed. */
  readonly behind: Set<SegmentId>
}

export interface KnownPeer {
  diskId: DiskId
  incarnation: number
  isDown: boolean
}

export interface PartitionState {
  readonly id: PartitionId
  record: Partition | null
  /** It was deleted; what still comes of it is from before. */
  isGone: boolean
  /** Segments of which this node has bytes, in the order in which it got to know them. */
  readonly copies: Set<SegmentId>
  /** Some of them are not in the record: not yet, or not any more. */
  hasStrays: boolean
  /** The segment that this node writes, or wrote last. */
  writing: SegmentId | null
  /** The segment that this node recovers. */
  recovering: SegmentId | null
  /** The controller found no nodes for the next segment: acks=all is refused. */
  isShort: boolean
}

/** What is done when a write is durable. */
export type PendingWrite =
  | { readonly write: number; readonly kind: 'append'; readonly segment: SegmentId; readonly end: Offset }
  | { readonly write: number; readonly kind: 'recovery'; readonly segment: SegmentId; readonly end: Offset }
  | { readonly write: number; readonly kind: 'copy'; readonly segment: SegmentId; readonly end: Offset }
  /** `to` is told what the copy held when it was fenced; null: nobody asked. */
  | {
      readonly write: number
      readonly kind: 'fence'
      readonly segment: SegmentId
      readonly to: NodeId | null
      readonly epoch: number
      readonly end: Offset
    }
  | { readonly write: number; readonly kind: 'seal'; readonly segment: SegmentId }
  | { readonly write: number; readonly kind: 'drop'; readonly segment: SegmentId }

/** This node's copy of a segment. */
export interface LocalSegment {
  readonly partition: PartitionId
  readonly id: SegmentId
  readonly base: Offset
  /** The only epoch under which it is written normally; 0 while only a fence or a recovery told of it. */
  epoch: number
  /** Nothing with a lower epoch is accepted. */
  fenceEpoch: number
  /** As far as it is on disk. */
  durableFence: number
  /** LEO: behind the last batch that was accepted. */
  end: Offset
  /** As far as it is on disk. */
  durableEnd: Offset
  /** The highest commit offset that this node was told of; `base` after a start. */
  commit: Offset
  /** The end of the verified copy. */
  sealedEnd: Offset | null
  isSealDurable: boolean
  /** The metadata says that it is not written any more; nothing but repair may add to it. */
  isClosed: boolean
  standing: Standing
  /** The write that created it: what earlier writes of the same segment come to is of no interest. */
  openedBy: number
  producersAtBase: readonly ProducerState[] | null
  /** At `end`; null: not known, or not needed any more. */
  producers: ProducerTable | null
  /** How to take back from `producers` what is not committed, the oldest first. */
  readonly undo: ProducerUndo[]
  /** Who gets the acks. */
  writer: NodeId | null
  recoverer: NodeId | null
  recoveryEpoch: number
}

export interface ProducerUndo {
  readonly end: Offset
  readonly producerId: number
  readonly before: ProducerState | null
}

export interface Writer {
  readonly partition: PartitionId
  readonly segment: SegmentId
  readonly base: Offset
  readonly epoch: number
  readonly leaderEpoch: LeaderEpoch
  readonly ackQuorum: number
  /** Nobody can fence it: without a lease it must not do anything. */
  readonly isLeaseBound: boolean
  /**
   * starting: asks for the producers' state. draining: a planned roll waits for what is in flight. placing: frozen, and waits
   * for a placement. frozen: a SealAndOpen is under way. stopped: another one goes on.
   */
  phase: 'starting' | 'writing' | 'draining' | 'placing' | 'frozen' | 'stopped'
  next: Offset
  commit: Offset
  /** Of everything appended. */
  bytes: number
  count: number
  readonly replicas: Progress[]
  /** Appended batches, in order; those that all replicas have and that are answered are gone. */
  readonly entries: Entry[]
  /** `bytes` and `count` before the first of `entries`. */
  trimmedBytes: number
  trimmedCount: number
  /** Index in `entries` of the first one that is not committed. */
  committed: number
  /** Index in `entries` of the first one that is not on this node's disk. */
  local: number
  /** Produces that wait for the next segment, or for the producers' state. */
  readonly buffer: Produce[]
  bufferBytes: number
  /** A placement was asked for. */
  place: { readonly reason: SealReason; readonly avoid: NodeId[]; askedMs: number } | null
  roll: Roll | null
  /** Whose holders know the producers' state at `base`; null when nobody has to be asked. */
  readonly before: SegmentId | null
  /** When it asked one of them. */
  askedMs: number
}

export interface Progress {
  readonly nodeId: NodeId
  readonly diskId: DiskId
  /** lost: does not answer, or is too far behind. unfit: cannot vouch for what it holds. */
  state: 'live' | 'lost' | 'unfit'
  durableEnd: Offset
  /** Of `Writer.bytes` and `Writer.count`, what lies below `durableEnd`. */
  durableBytes: number
  durableCount: number
  sentEnd: Offset
  sentBytes: number
  /** When it last got on, or began to owe something. */
  progressMs: number
  /** When something was last sent again. */
  resentMs: number
  /** How far it had been sent then; until it has acknowledged that, it gets one message at a time. */
  resentEnd: Offset
  /** It has answered, so it has the producers' state at the base. */
  hasAnswered: boolean
  toldCommit: Offset
}

export interface Entry {
  readonly base: Offset
  readonly end: Offset
  /** `Writer.bytes` and `Writer.count` behind it. */
  readonly bytes: number
  readonly count: number
  readonly token: number
  readonly acks: Acks
  isAnswered: boolean
  /** Retries that came while it was in flight. */
  retries: { readonly token: number; readonly acks: Acks; isAnswered: boolean }[] | null
}

export interface Produce {
  readonly token: number
  readonly batch: NewBatch
  readonly acks: Acks
}

export interface Roll {
  readonly reason: SealReason
  readonly next: Placement | null
  readonly startedMs: number
  /** Where the segment is to end; from then on nothing at or behind it is acknowledged. Null while draining. */
  end: Offset | null
  proposal: Proposal | null
}

export interface Proposal {
  readonly number: number
  readonly command: ChainCommand
  askedMs: number
}

export interface Recovery {
  readonly partition: PartitionId
  readonly segment: SegmentId
  readonly base: Offset
  readonly ackQuorum: number
  readonly fenceQuorum: number
  readonly replicas: readonly Replica[]
  next: Placement
  spares: readonly Replica[]
  /** The only replica may be given up. */
  readonly isUncleanAllowed: boolean
  phase: 'beginning' | 'fencing' | 'copying' | 'completing' | 'done'
  epoch: number
  proposal: Proposal | null
  readonly replies: Map<NodeId, FenceAnswer>
  /** The highest commit offset that a reply told of. */
  commit: Offset
  fencingSinceMs: number
  sentMs: number
  /** When a copy of the tail last got on. */
  progressMs: number
  /** Decided when the fence quorum has answered. */
  end: Offset
  readonly targets: Map<NodeId, CopyTarget>
}

export interface FenceAnswer {
  readonly replica: Replica
  readonly isClean: boolean
  readonly end: Offset
}

/** A replica that lacks some of the tail. */
export interface CopyTarget {
  replica: Replica
  durableEnd: Offset
  /** When the read or the append for it was sent; -1: nothing is under way. */
  askedMs: number
  isUnfit: boolean
}

export interface Repair {
  readonly partition: PartitionId
  readonly segment: SegmentId
  sources: readonly NodeId[]
  /** Which source is asked. */
  source: number
  askedMs: number
  /** When the next read may be sent. */
  nextMs: number
  isReading: boolean
  proposal: Proposal | null
}

/** A deleted segment whose bytes are gone here. */
export interface Removal {
  readonly partition: PartitionId
  readonly segment: SegmentId
  proposal: Proposal | null
}

/** One step under way: the state, what it reads, and what comes out. */
export interface Turn {
  readonly chain: Chain
  readonly store: SegmentStore
  readonly effects: ChainEffect[]
  /** What this node says to itself, taken up before the step ends. */
  readonly own: ChainMessage[]
}

// ── what comes out

export function write(turn: Turn, record: ChainRecord): number {
  const number = turn.chain.nextWrite++
  turn.effects.push({ do: 'write', write: number, record })
  return number
}

/** A message to this node itself does not go over the network. */
export function send(turn: Turn, to: NodeId, channel: 'data' | 'control', message: ChainMessage): void {
  if (to === turn.chain.self.nodeId) turn.own.push(message)
  else turn.effects.push({ do: 'send', to, channel, message })
}

export function refuse(turn: Turn, token: number, error: ProduceError, isDefinite: boolean): void {
  turn.effects.push({ do: 'answer', token, result: { ok: false, error, isDefinite } })
}

export function propose(turn: Turn, command: ChainCommand): Proposal {
  const number = turn.chain.nextProposal++
  turn.effects.push({ do: 'propose', proposal: number, command })
  return { number, command, askedMs: turn.chain.pacedMs }
}

/** Asks again, as the same request, when the wait for the outcome is over. */
export function proposeAgain(turn: Turn, proposal: Proposal): void {
  if (!isDue(turn.chain, proposal.askedMs, turn.chain.settings.proposeRetryMs)) return
  proposal.askedMs = turn.chain.pacedMs
  turn.effects.push({ do: 'propose', proposal: proposal.number, command: proposal.command })
}

/** Something that must never be was found: the node stops. */
export function halt(turn: Turn, sentence: string): void {
  if (turn.chain.halted !== null) return
  turn.chain.halted = sentence
  turn.effects.push({ do: 'halt', sentence })
}

export const isDue = (chain: Chain, sinceMs: number, waitMs: number): boolean => chain.pacedMs - sinceMs >= waitMs
