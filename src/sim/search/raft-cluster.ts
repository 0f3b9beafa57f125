/**
 * Where a configuration begins when it does not begin with empty disks: a cluster that has been led to some point without
 * faults. Every message arrives at once and every write is durable at once, unless a step says otherwise.
 */
import type { NodeId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { RaftEvent } from '../../raft/events.ts'
import type { Message } from '../../raft/messages.ts'
import {
  completeWrite,
  type RaftNode,
  type RaftNote,
  settled,
  startTurn,
  type Turn,
  take,
  waitForTimer,
} from './raft-node.ts'

export interface RaftCluster {
  readonly nodes: RaftNode[]
  readonly notes: RaftNote[]
  /** Nodes that nothing reaches and nothing leaves. */
  readonly cutOff: Set<number>
  /** What was sent to them last. */
  undelivered: Message[]
}

/** More than any of these clusters has to say. */
const deliveriesMax = 10_000

export function clusterOf(nodes: RaftNode[]): RaftCluster {
  return { nodes, notes: [], cutOff: new Set(), undelivered: [] }
}

/** A member campaigns; it leads when all is quiet. */
export function elect(cluster: RaftCluster, id: number): void {
  const node = nodeOf(cluster, id)
  run(cluster, node, waitForTimer)
  invariant(node.core.role === 'leader', 'a campaign without faults is won')
}

export function feed(cluster: RaftCluster, id: number, event: RaftEvent): void {
  run(cluster, nodeOf(cluster, id), turn => take(turn, event))
}

/** As often as an election and a quorum check need, so that everybody knows what is committed. */
export function beat(cluster: RaftCluster, id: number): void {
  run(cluster, nodeOf(cluster, id), waitForTimer)
}

export function nodeOf({ nodes }: RaftCluster, id: number): RaftNode {
  const node = nodes.find(({ core }) => core.self.nodeId === (id as NodeId))
  invariant(node !== undefined, 'a script names a node that exists')
  return node
}

function run(cluster: RaftCluster, node: RaftNode, first: (turn: Turn) => void): void {
  const messages = stepOf(cluster, node, first)
  cluster.undelivered = []
  for (let count = 0; messages.length > 0; count++) {
    invariant(count < deliveriesMax, 'a cluster without faults comes to rest')
    const message = messages.shift()!
    if (cluster.cutOff.has(message.to.nodeId)) {
      cluster.undelivered.push(message)
      continue
    }
    const receiver = cluster.nodes.find(({ core }) => core.self.nodeId === message.to.nodeId)
    if (receiver === undefined) continue
    messages.push(...stepOf(cluster, receiver, turn => take(turn, { type: 'message', message })))
  }
}

function stepOf({ notes, cutOff }: RaftCluster, node: RaftNode, work: (turn: Turn) => void): Message[] {
  const turn = startTurn(node)
  work(turn)
  while (node.pending.length > 0) completeWrite(turn)
  settled(node)
  notes.push(...turn.notes)
  return cutOff.has(node.core.self.nodeId) ? [] : turn.sends
}
