/**
 * What a node by itself did to its metadata before there were clusters, kept so that its data directory goes on as it was: the
 * segments of such a time are segments of one copy. New commands never come here.
 */
import type { DiskId, LeaderEpoch, NodeId, SegmentId } from '../base/ids.ts'
import { noTopicId } from '../base/ids.ts'
import type { Partition, Placement } from '../chain/segment.ts'
import { type Changed, openSegment, type RegisteredNode } from './chain-changes.ts'
import type { CommandOf } from './commands.ts'
import { type Refused, refused } from './outcome.ts'

/** One copy, at the node that writes it. A node that nobody registered is only in tests of that time. */
export function oneCopy(writer: NodeId, nodes: ReadonlyMap<NodeId, RegisteredNode>): Placement {
  const { diskId, incarnation } = nodes.get(writer) ?? { diskId: noTopicId as string as DiskId, incarnation: 0 }
  return {
    writer,
    writerIncarnation: incarnation,
    replicas: [{ nodeId: writer, diskId, incarnation }],
    ackQuorum: 1,
  }
}

/** The leader epoch rose with another node only, not with another start of the same. */
export function rollOneCopy(
  partition: Partition,
  command: CommandOf<'rollOneCopy'>,
  context: { readonly nodes: ReadonlyMap<NodeId, RegisteredNode>; readonly nextSegmentId: SegmentId },
): Changed | Refused {
  if (partition.version !== command.version) {
    return refused('STALE', `the partition is at version ${partition.version}, not ${command.version}`)
  }
  const last = partition.chain.at(-1)
  if (last === undefined || last.end !== null) return refused('INVALID', 'the chain has no open segment')
  const { end, bytes, maxTimestamp, writer, nowMs } = command
  if (end <= last.base) return refused('INVALID', 'an empty segment is not sealed')
  const leaderEpoch = (partition.leaderEpoch + (last.writer === writer ? 0 : 1)) as LeaderEpoch
  const writeEpoch = partition.nextEpoch + 1
  const complete = last.replicas.map(replica => replica.nodeId)
  const sealed = { ...last, end, state: 'sealed', bytes, maxTimestamp, complete } as const
  const next = oneCopy(writer, context.nodes)
  const opened = openSegment({ id: context.nextSegmentId, base: end, leaderEpoch, writeEpoch, next, nowMs })
  const chain = [...partition.chain.slice(0, -1), sealed, opened]
  const version = partition.version + 1
  return {
    ok: true,
    partition: { ...partition, version, nextEpoch: writeEpoch, leaderEpoch, chain },
    value: 0,
    takesSegmentId: true,
  }
}
