/** How much each node has to do with unsealed segments, kept as partitions change: what placement balances. */
import type { NodeId } from '../base/ids.ts'
import { type Partition, unsealed } from '../chain/segment.ts'

export interface NodeLoad {
  /** Unsealed segments that it writes. */
  readonly writers: number
  /** Unsealed segments of which it has a copy. */
  readonly copies: number
}

export type LoadByNode = Map<NodeId, NodeLoad>

const none: NodeLoad = { writers: 0, copies: 0 }

export function loadOf(loads: ReadonlyMap<NodeId, NodeLoad>, nodeId: NodeId): NodeLoad {
  return loads.get(nodeId) ?? none
}

export function addLoad(loads: LoadByNode, nodeId: NodeId, writers: number, copies: number): void {
  const load = loadOf(loads, nodeId)
  const sum = { writers: load.writers + writers, copies: load.copies + copies }
  if (sum.writers === 0 && sum.copies === 0) loads.delete(nodeId)
  else loads.set(nodeId, sum)
}

/** `sign` is 1 for a record that comes and -1 for one that goes. */
export function countPartition(loads: LoadByNode, partition: Partition | null, sign: 1 | -1): void {
  const segment = partition === null ? null : unsealed(partition)
  if (segment === null) return
  for (const { nodeId } of segment.replicas) addLoad(loads, nodeId, nodeId === segment.writer ? sign : 0, sign)
}
