/**
 * The chain core as a model for the search: a few nodes that share one partition, a writer that is never told that it is over,
 * rolls, recoveries by several nodes at once, and a network that keeps every message for ever. Time is one action: everything
 * that the core does when time passes happens in `tick`, whenever the search likes.
 *
 * A configuration bounds how often each thing may happen in a run. Together they cover what one that had everything could
 * not in the time of a build (docs/search.md).
 */
import type { DiskId, NodeId, Offset, SegmentId } from '../../base/ids.ts'
import type { Peer } from '../../chain/messages.ts'
import { ackQuorumOf, type Placement, unsealed } from '../../chain/segment.ts'
import { type ChainConfiguration, chainConfigurations, limitsOf } from './chain-configurations.ts'
import { checkCopies, checkKept } from './chain-invariants.ts'
import {
  act,
  type ChainNode,
  createNode,
  type NodeEvent,
  type NodeStep,
  type Parcel,
  receive,
  settingsOf,
} from './chain-node.ts'
import { printChainNode, printNodeEvent, printParcel } from './chain-print.ts'
import { projected } from './chain-project.ts'
import { type Note, observed, type Promises, recordOf } from './chain-promises.ts'
import { decide, firstRecord } from './chain-register.ts'
import { chainSights } from './chain-sights.ts'
import { isHeld, isOver, isRefused } from './chain-spent.ts'
import type { Model } from './model.ts'
import { type Searchable, searchableLater } from './searchable.ts'

/** Records, messages and what lies on disks are replaced, never changed. */
const unchanged: ReadonlySet<string> = new Set([
  ...['settings', 'self', 'peer', 'record', 'records', 'disk', 'lost', 'partition', 'next', 'command', 'spares'],
  ...['batch', 'producersAtBase', 'boots', 'orphans', 'proposals', 'promised', 'ends', 'commits'],
])

export function chainModel(configuration: ChainConfiguration): Model<ChainNode, Parcel, NodeEvent, Note, Promises> {
  const { name, title, minInsync, flush, budgets, spares } = configuration
  const boots = Array.from({ length: configuration.nodes }, (_, index) => bootOf(index))
  const first = boots.filter(({ nodeId }) => !spares.includes(nodeId))
  const config = { replicas: first.length, minInsync, flush, uncleanSeal: false }
  const settings = settingsOf(configuration)
  const record = firstRecord(config, boots, placementOf(first, 0, minInsync))
  return {
    name,
    title,
    limits: limitsOf(configuration),
    network: 'keep',
    nodes: boots.map(peer => createNode(peer, record, settings)),
    env: {
      records: [record],
      nextSegment: (record.chain.length + 1) as SegmentId,
      boots,
      promised: [],
      commits: [],
      ends: [],
      highWatermark: 0 as Offset,
      left: budgets,
    },
    shared: unchanged,
    receiverOf: ({ to, message }) => (configuration.lost.includes(message.type) ? null : to),
    eventsAt: (node, env) => [...eventsAt(configuration, node, env)],
    act,
    receive: (node, parcel) => receiveOnce(configuration, node, parcel),
    isSpent: (node, parcel) => isRepeat(configuration, node, parcel) || isRefused(node, parcel),
    isUrgent: ({ isUrgent }) => isUrgent === true,
    observe: observed,
    project: node => projected(node, configuration),
    checkPair: checkCopies,
    checkAll: checkKept,
    sights: chainSights,
    printNode: printChainNode,
    printMessage: printParcel,
    printEvent: printNodeEvent,
  }
}

/** What it would answer was answered before. Where nodes crash, a copy may lose what it holds, and answer anew. */
function isRepeat({ budgets }: ChainConfiguration, node: ChainNode, parcel: Parcel): boolean {
  const isStable = budgets.crashes + budgets.wipes === 0
  return isOver(node, parcel) || (isStable && isHeld(node, parcel))
}

function receiveOnce(configuration: ChainConfiguration, node: ChainNode, parcel: Parcel): NodeStep | null {
  const asks = parcel.message.type === 'read' || parcel.message.type === 'summary'
  const repeats = isRepeat(configuration, node, parcel) || (asks && isRefused(node, parcel))
  const next = receive(node, parcel)
  return next !== null && repeats ? { ...next, sends: [] } : next
}

function bootOf(index: number): Peer {
  return { nodeId: index as NodeId, diskId: `disk${index}` as DiskId, incarnation: 1 }
}

function placementOf(boots: readonly Peer[], writer: number, minInsync: number): Placement {
  const { incarnation } = boots.find(({ nodeId }) => nodeId === writer) as Peer
  return {
    writer: writer as NodeId,
    writerIncarnation: incarnation,
    replicas: boots,
    ackQuorum: ackQuorumOf(boots.length, minInsync),
  }
}

function* eventsAt(configuration: ChainConfiguration, node: ChainNode, env: Promises): Generator<NodeEvent> {
  const { left } = env
  if (node.chain === null) {
    yield { do: 'restart', peer: { ...node.peer, incarnation: node.peer.incarnation + 1 }, record: recordOf(env) }
    return
  }
  yield* syncsOf(configuration, node)
  yield { do: 'tick' }
  if (left.batches > 0 && configuration.producersAt.includes(node.peer.nodeId)) {
    const crc = configuration.budgets.batches - left.batches + 1
    yield { do: 'produce', crc, isUrgent: crc <= configuration.produced }
  }
  yield* newsFor(configuration, node, env)
  yield* ordersFor(configuration, node, env)
  if (left.crashes > 0) yield { do: 'crash', how: 'luckless' }
  if (left.crashes > 0 && node.disk.safe !== null) yield { do: 'crash', how: 'lucky' }
  if (left.wipes > 0) yield { do: 'crash', how: 'wiped' }
}

/** All that is pending at once: a run in which only the first of two writes is synced is one in which the second came later. */
function* syncsOf({ late }: ChainConfiguration, { peer, disk }: ChainNode): Generator<NodeEvent> {
  if (disk.pending.length > 0) yield { do: 'sync', isUrgent: !late.syncs.includes(peer.nodeId) }
}

/** The register's side: what it decides, and what a node hears of it, in order but at any time. */
function* newsFor({ late }: ChainConfiguration, node: ChainNode, env: Promises): Generator<NodeEvent> {
  const { nodeId } = node.peer
  const version = node.record?.version ?? 0
  const record = env.records.find(each => each.version === version + 1)
  if (record !== undefined) yield { do: 'learn', record, isUrgent: !late.news.includes(nodeId) }
  const isPrompt = !late.outcomes.includes(nodeId)
  for (const { proposal, command, outcome, isAwaited } of node.proposals) {
    // A recovery that begins late is one that was ordered late.
    const isUrgent = isPrompt && command.do === 'beginRecovery'
    if (outcome === null) yield { do: 'decide', proposal, decision: decide(env, command), isUrgent }
    if (isAwaited && outcome !== null) yield { do: 'outcome', proposal, isKnown: true, isUrgent: isPrompt }
    if (isAwaited && env.left.unknowns > 0) yield { do: 'outcome', proposal, isKnown: false }
  }
  for (const [at, command] of node.orphans.entries()) yield { do: 'decideOrphan', at, decision: decide(env, command) }
}

/** The controller's side. It may err: it takes a writer for dead that is not. */
function* ordersFor(
  { recoverers, minInsync, budgets, spares, rollsTo }: ChainConfiguration,
  { peer, record, chain }: ChainNode,
  { left, boots }: Promises,
): Generator<NodeEvent> {
  const segment = record === null ? null : unsealed(record)
  if (segment === null) return
  if (left.rolls > 0 && segment.writer === peer.nodeId) {
    const replicas = boots.filter(({ nodeId }) => rollsTo.includes(nodeId))
    const reason = replicas.length < segment.replicas.length ? 'replica lost' : 'rotation'
    yield { do: 'roll', reason, next: placementOf(replicas, peer.nodeId, minInsync) }
  }
  const isRecovering = chain?.recoveries.has(segment.id) === true
  // Nodes that do not write start alike, so the first of them to recover may as well be the first.
  const isFirst = left.recoveries === budgets.recoveries && !recoverers.includes(0)
  const candidates = isFirst ? recoverers.slice(0, 1) : recoverers
  if (left.recoveries > 0 && candidates.includes(peer.nodeId) && !isRecovering) {
    const others = boots.filter(({ nodeId }) => nodeId !== segment.writer || nodeId === peer.nodeId)
    const replicas = others.length > 1 && others.length >= minInsync ? others : boots
    yield {
      do: 'recover',
      segment: segment.id,
      next: placementOf(replicas, peer.nodeId, minInsync),
      spares: boots.filter(({ nodeId }) => spares.includes(nodeId)),
    }
  }
}

export const chainModels: readonly Searchable[] = chainConfigurations.map(configuration => {
  const { name, title } = configuration
  return searchableLater({ name, title, limits: limitsOf(configuration) }, () => chainModel(configuration))
})
