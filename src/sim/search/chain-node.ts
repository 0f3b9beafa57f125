/**
 * One node of the chain's search: the very core, a disk, and the way of its commands to the register. What the core asks for is
 * performed here; when it comes true (a sync, an outcome, news of the record) is an action of the search.
 */
import type { DiskId, NodeId, Offset, SegmentId, TopicId } from '../../base/ids.ts'
import { invariant, unreachable } from '../../base/invariant.ts'
import { createChain, highWatermark, readLimit, step } from '../../chain/core.ts'
import type { ChainCommand, ChainEffect, ChainEvent, NewBatch, ProposalOutcome } from '../../chain/events.ts'
import type { ChainMessage, Peer } from '../../chain/messages.ts'
import {
  type Partition,
  type PartitionId,
  type Placement,
  type Replica,
  type SealReason,
  segmentAt,
} from '../../chain/segment.ts'
import { type ChainSettings, defaultChainSettings } from '../../chain/settings.ts'
import type { Chain } from '../../chain/state.ts'
import type { ChainConfiguration } from './chain-configurations.ts'
import {
  type ChainDisk,
  crashed,
  emptyDisk,
  type HeldSegment,
  heldOf,
  type PendingWrite,
  restoredOf,
  storeOf,
  synced,
  visibleOf,
  withWrite,
} from './chain-disk.ts'
import type { Note } from './chain-promises.ts'
import type { Decision } from './chain-register.ts'
import { canonicalText } from './plain-data.ts'

/** The one partition that is searched. */
export const partition: PartitionId = { topicId: '1'.padStart(32, '0') as TopicId, index: 0 }

/** No time passes in the search: what is to happen after 0 ms happens at every tick, what after 1 ms never. */
const now = 0
const never = 1

/** What is sent is never lost for good, so nothing need be sent again; a replica that is silent may just be slow. */
export function settingsOf({ publishes, drains }: Pick<ChainConfiguration, 'publishes' | 'drains'>): ChainSettings {
  return {
    ...defaultChainSettings,
    replicaTimeoutMs: never,
    resendMs: never,
    placeRetryMs: never,
    uncleanWaitMs: never,
    drainMs: drains ? never : now,
    proposeRetryMs: now,
    fenceWaitMs: now,
    publishMs: publishes ? now : never,
  }
}

/** A command on its way to the register. */
export interface Proposal {
  readonly proposal: number
  readonly command: ChainCommand
  /** What the register made of it; null while it has not got there. */
  readonly outcome: ProposalOutcome | null
  /** The proposer's core is waiting to hear of it. */
  readonly isAwaited: boolean
}

/** A disk that was thrown away: what it held counts as lost, not as never written. */
export interface LostDisk {
  readonly diskId: DiskId
  readonly segments: readonly HeldSegment[]
}

export interface ChainNode {
  readonly settings: ChainSettings
  readonly peer: Peer
  /** Null while the node is down. */
  readonly chain: Chain | null
  readonly disk: ChainDisk
  /** The partition's record as this node knows it; null while it is down. */
  readonly record: Partition | null
  readonly proposals: readonly Proposal[]
  /** Commands of earlier boots that the register has not seen yet, and may still see. */
  readonly orphans: readonly ChainCommand[]
  readonly lost: readonly LostDisk[]
}

/** A message on its way, as the connection tells who sent it. */
export interface Parcel {
  readonly to: NodeId
  readonly from: Peer
  readonly message: ChainMessage
}

export type NodeEvent = Happening & {
  /** Nothing else happens before it: in this configuration it is never late. */
  readonly isUrgent?: boolean
}

type Happening =
  /** A client's record comes in; its checksum tells it from others. */
  | { readonly do: 'produce'; readonly crc: number }
  /** Everything written so far is durable. */
  | { readonly do: 'sync' }
  /** Whatever the core does when time passes. */
  | { readonly do: 'tick' }
  | { readonly do: 'roll'; readonly reason: SealReason; readonly next: Placement }
  | {
      readonly do: 'recover'
      readonly segment: SegmentId
      readonly next: Placement
      readonly spares: readonly Replica[]
    }
  /** News of the next version of the record. */
  | { readonly do: 'learn'; readonly record: Partition }
  | { readonly do: 'decide'; readonly proposal: number; readonly decision: Decision }
  | { readonly do: 'decideOrphan'; readonly at: number; readonly decision: Decision }
  | { readonly do: 'outcome'; readonly proposal: number; readonly isKnown: boolean }
  /** `luckless`: what is not safe is lost. `lucky`: all that the core takes for durable is still there. `wiped`: nothing is. */
  | { readonly do: 'crash'; readonly how: 'luckless' | 'lucky' | 'wiped' }
  | { readonly do: 'restart'; readonly peer: Peer; readonly record: Partition }

export interface NodeStep {
  readonly node: ChainNode
  readonly sends: readonly Parcel[]
  readonly notes: readonly Note[]
}

/** A node on the way through one step. */
interface Turn {
  node: ChainNode
  readonly sends: Parcel[]
  readonly notes: Note[]
  /** A producer was turned away, and its record is nowhere. */
  isRefused: boolean
}

export function createNode(peer: Peer, record: Partition, settings: ChainSettings): ChainNode {
  const disk = emptyDisk(record.config.flush === 'relaxed')
  return booted({ settings, peer, chain: null, disk, record: null, proposals: [], orphans: [], lost: [] }, record).node
}

/** Null: nothing comes of it. */
export function act(node: ChainNode, event: NodeEvent): NodeStep | null {
  const turn: Turn = { node, sends: [], notes: [], isRefused: false }
  switch (event.do) {
    case 'produce':
      return produce(turn, event.crc)
    case 'sync':
      return sync(turn)
    case 'tick':
      return stepped(turn, { type: 'tick', nowMs: 0 })
    case 'roll':
      return spending(turn, 'rolls', { type: 'placement', partition, reason: event.reason, next: event.next })
    case 'recover': {
      const { segment, next, spares } = event
      return spending(turn, 'recoveries', { type: 'recover', partition, segment, next, spares })
    }
    case 'learn':
      turn.node = { ...node, record: event.record }
      return stepped(turn, { type: 'metadata', partition, record: event.record })
    case 'decide':
      return decided(turn, event.proposal, event.decision)
    case 'decideOrphan':
      turn.node = { ...node, orphans: node.orphans.toSpliced(event.at, 1) }
      return withNote(turn, event.decision.note)
    case 'outcome':
      return answered(turn, event.proposal, event.isKnown)
    case 'crash':
      return crash(turn, event.how)
    case 'restart':
      return { ...booted({ ...node, peer: event.peer }, event.record), notes: [{ note: 'boot', peer: event.peer }] }
    default:
      return unreachable(event)
  }
}

export function receive(node: ChainNode, { from, message }: Parcel): NodeStep | null {
  return stepped({ node, sends: [], notes: [], isRefused: false }, { type: 'message', from, message })
}

// ── what happens to a node

/** A record that is turned away at once is one that never came. */
function produce(turn: Turn, crc: number): NodeStep | null {
  const batch: NewBatch = {
    records: 1,
    bytes: 1,
    crc,
    maxTimestamp: 0,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    payload: null,
  }
  turn.notes.push({ note: 'spend', of: 'batches' })
  const next = stepped(turn, { type: 'produce', token: crc, partition, batch, acks: 'all' })
  return turn.isRefused ? null : next
}

function sync(turn: Turn): NodeStep | null {
  const { node } = turn
  const { write } = node.disk.pending.at(-1) as PendingWrite
  turn.node = { ...node, disk: synced(node.disk) }
  return stepped(turn, { type: 'durable', write })
}

/** An order that is ignored is one that never came. */
function spending(turn: Turn, of: 'rolls' | 'recoveries', event: ChainEvent): NodeStep | null {
  turn.notes.push({ note: 'spend', of })
  const before = canonicalText(turn.node.chain)
  const next = stepped(turn, event)
  return canonicalText(turn.node.chain) === before ? null : next
}

function decided(turn: Turn, proposal: number, { outcome, note }: Decision): NodeStep {
  const { node } = turn
  const proposals = node.proposals.map(each => (each.proposal === proposal ? { ...each, outcome } : each))
  turn.node = { ...node, proposals }
  return withNote(turn, note)
}

function withNote({ node }: Turn, note: Note | null): NodeStep {
  return { node, sends: [], notes: note === null ? [] : [note] }
}

/** The proposer hears what became of its command, once, or that nobody knows; then it may ask again. */
function answered(turn: Turn, proposal: number, isKnown: boolean): NodeStep | null {
  const { node } = turn
  const asked = node.proposals.find(each => each.proposal === proposal) as Proposal
  const outcome: ProposalOutcome = isKnown && asked.outcome !== null ? asked.outcome : { kind: 'unknown' }
  const proposals = isKnown
    ? node.proposals.filter(each => each !== asked)
    : node.proposals.map(each => (each === asked ? { ...asked, isAwaited: false } : each))
  turn.node = { ...node, proposals }
  if (!isKnown) turn.notes.push({ note: 'spend', of: 'unknowns' })
  return stepped(turn, { type: 'outcome', proposal, outcome })
}

/** A crash takes what is not durable. What was sent or proposed before goes its way. */
function crash({ node }: Turn, how: Extract<Happening, { do: 'crash' }>['how']): NodeStep {
  const { settings, peer, disk, lost } = node
  const isWipe = how === 'wiped'
  const undecided = node.proposals.filter(({ outcome }) => outcome === null)
  return {
    node: {
      settings,
      peer: isWipe ? { ...peer, diskId: `${peer.diskId}'` as DiskId } : peer,
      chain: null,
      disk: isWipe ? emptyDisk(disk.safe !== null) : crashed(disk, how === 'luckless'),
      record: null,
      proposals: [],
      orphans: [...node.orphans, ...undecided.map(({ command }) => command)],
      lost: isWipe ? [...lost, { diskId: peer.diskId, segments: disk.durable }] : lost,
    },
    sends: [],
    notes: [{ note: 'spend', of: isWipe ? 'wipes' : 'crashes' }],
  }
}

/** A node registers before anything else, so it knows the record as it was then. */
function booted(node: ChainNode, record: Partition): NodeStep {
  const { peer, disk, settings } = node
  const mayHaveLost = record.config.flush === 'relaxed' && peer.incarnation > 1
  const chain = createChain({ self: peer, settings, restored: restoredOf(disk), mayHaveLost })
  const turn: Turn = { node: { ...node, chain, record }, sends: [], notes: [], isRefused: false }
  return stepped(turn, { type: 'metadata', partition, record }) as NodeStep
}

// ── what the core asks for

/** Hands the core an event and performs what it asks for. */
function stepped(turn: Turn, event: ChainEvent): NodeStep | null {
  const { node } = turn
  if (node.chain === null) return null
  const before = promisedBy(node.chain)
  const effects = step(node.chain, event, storeOf(visibleOf(node.disk)))
  for (const effect of effects) perform(turn, effect)
  notePromises(turn, before, promisedBy(node.chain))
  return turn
}

function perform(turn: Turn, effect: ChainEffect): void {
  const { node } = turn
  switch (effect.do) {
    case 'write':
      turn.node = { ...node, disk: withWrite(node.disk, { write: effect.write, record: effect.record }) }
      break
    case 'send':
      if (effect.message.type === 'append') checkWriter(node, effect.message)
      turn.sends.push({ to: effect.to, from: node.peer, message: withProducers(effect.message) })
      break
    case 'answer':
      answer(turn, effect)
      break
    case 'propose':
      turn.node = { ...node, proposals: withProposal(node.proposals, effect.proposal, effect.command) }
      break
    case 'halt':
      invariant(false, `a node halts: ${effect.sentence}`)
      break
    // The controller's answer is the action `roll`, which comes when it likes; readers are asked after every step.
    case 'place':
    case 'readable':
      break
    default:
      unreachable(effect)
  }
}

/** I1: a segment is written by the one boot of the one node that the record names, under its one epoch. */
function checkWriter({ peer, record }: ChainNode, { segment, epoch }: Extract<ChainMessage, { type: 'append' }>): void {
  const recorded = record?.chain.find(({ id }) => id === segment)
  invariant(
    recorded?.writer === peer.nodeId &&
      recorded.writerIncarnation === peer.incarnation &&
      recorded.writeEpoch === epoch,
    `I1 SingleWriter: node ${peer.nodeId} sends appends of segment ${segment} that are not its to send`,
  )
}

/** What idempotent producers did is not searched, so nobody lacks it. */
function withProducers(message: ChainMessage): ChainMessage {
  return 'producers' in message && message.type !== 'producersReply' ? { ...message, producers: [] } : message
}

/** The same number again is the same request: only the wait for its outcome begins anew. */
function withProposal(proposals: readonly Proposal[], proposal: number, command: ChainCommand): readonly Proposal[] {
  const known = proposals.find(each => each.proposal === proposal)
  if (known === undefined) return [...proposals, { proposal, command, outcome: null, isAwaited: true }]
  return proposals.map(each => (each === known ? { ...known, isAwaited: true } : each))
}

function answer(turn: Turn, { token, result }: Extract<ChainEffect, { do: 'answer' }>): void {
  const { node, notes } = turn
  turn.isRefused = !result.ok && result.isDefinite
  if (!result.ok) return
  const segment = node.record === null ? null : segmentAt(node.record, result.base)
  invariant(segment !== null, 'a node acknowledges records of segments that it knows')
  notes.push({ note: 'acknowledged', segment: segment.id, base: result.base, crc: token })
}

// ── what a node promises by its state

interface PromisedByNode {
  /** What this node, as a writer, has computed to be committed, by segment: where that is more than nothing. */
  readonly commits: ReadonlyMap<SegmentId, Offset>
  readonly readable: Offset
}

function promisedBy(chain: Chain): PromisedByNode {
  const writers = [...chain.writers.values()].filter(({ base, commit }) => commit > base)
  const commits = new Map(writers.map(({ segment, commit }) => [segment, commit]))
  return { commits, readable: highWatermark(chain, partition) }
}

function notePromises({ node, notes }: Turn, before: PromisedByNode, after: PromisedByNode): void {
  for (const [segment, commit] of after.commits) {
    if (commit > (before.commits.get(segment) ?? -1)) notes.push({ note: 'commit', segment, commit })
  }
  if (after.readable > before.readable) {
    notes.push({ note: 'readable', end: after.readable, crcs: readableCrcs(node, after.readable) })
  }
}

/** What a client that reads here is shown, by offset; null where this node sends it to another. */
function readableCrcs({ chain, disk }: ChainNode, end: Offset): readonly (number | null)[] {
  const held = visibleOf(disk)
  return Array.from({ length: end }, (_, at) => {
    const limit = chain === null ? null : readLimit(chain, partition, at as Offset)
    if (limit?.kind !== 'here') return null
    return heldOf(held, limit.segment)?.batches.find(({ base }) => base === at)?.crc ?? null
  })
}
