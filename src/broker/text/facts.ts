/** What `STATE` and `METRICS` tell: Walrus' keys first, with what they mean there, then our own. All of it is known, or null. */
import type { LogIndex, NodeId } from '../../base/ids.ts'
import type { RaftStatus } from '../../cluster/raft-driver.ts'
import type { PartitionStore, SegmentFacts, Topic } from '../storage.ts'

/** Told of a topic besides Walrus' keys; of larger ones the first partitions, and the newest segments of each. */
const partitionsMax = 100
const segmentsMax = 100

export interface NodeFacts {
  readonly nodeId: NodeId
  /** Where this door is reached. */
  readonly address: string
  readonly clusterId: string
  readonly topics: number
  readonly partitions: number
  readonly nowMs: number
}

/** The chain as it is numbered here: from 1, beginning with the oldest that can be read. */
export function chainOf(partition: PartitionStore): readonly SegmentFacts[] {
  return partition.segments().filter(({ state }) => state !== 'deleting')
}

export function stateOf(topic: Topic): object {
  const first = topic.partitions[0] as PartitionStore
  const chain = chainOf(first)
  const numbered = chain.map((segment, i) => [String(i + 1), segment] as const)
  const sealed = numbered.flatMap(([number, { base, end }]) => (end === null ? [] : [[number, end - base] as const]))
  return {
    current_segment: chain.length,
    leader_node: first.leader,
    last_sealed_entry_offset: sealed.reduce((sum, [, count]) => sum + count, 0),
    sealed_segments: Object.fromEntries(sealed),
    segment_leaders: Object.fromEntries(numbered.map(([number, { writer }]) => [number, writer])),
    partition_count: topic.partitions.length,
    partitions: topic.partitions.slice(0, partitionsMax).map(partitionState),
  }
}

function partitionState(partition: PartitionStore) {
  const chain = chainOf(partition)
  const leftOut = Math.max(chain.length - segmentsMax, 0)
  return {
    partition: partition.index,
    leader: partition.leader,
    leader_epoch: partition.leaderEpoch,
    log_start_offset: partition.logStartOffset,
    high_watermark: partition.highWatermark,
    left_out: leftOut,
    segments: chain.slice(leftOut).map((segment, i) => ({
      segment: leftOut + i + 1,
      id: segment.id,
      base: segment.base,
      end: segment.end,
      state: segment.state,
      writer: segment.writer,
      write_epoch: segment.writeEpoch,
      bytes: segment.bytes,
    })),
  }
}

export function metricsOf(raft: RaftStatus, node: NodeFacts): object {
  const { term, role, leader, membership } = raft
  const voters = membership.filter(seat => seat.role === 'voter')
  const leads = role === 'leader' && leader === node.nodeId
  // Who leads a group of one has its quorum at every moment, and nobody to hear from.
  const isAlone = voters.length === 1 && membership.length === 1
  const logId = (index: LogIndex) => logIdOf(raft, index)
  const nodes = membership.map(({ nodeId }) => [nodeId, { addr: nodeId === node.nodeId ? node.address : null }])
  return {
    running_state: { Ok: null },
    id: node.nodeId,
    current_term: term,
    vote: { leader_id: { term, node_id: leader ?? raft.votedFor }, committed: leader !== null },
    last_log_index: raft.last,
    last_applied: logId(raft.applied),
    snapshot: raft.snapshot === null ? null : logId(raft.snapshot.index),
    purged: raft.purged === null ? null : logId(raft.purged.index),
    state: roleNames[role],
    current_leader: leader,
    millis_since_quorum_ack: leads && isAlone ? 0 : null,
    last_quorum_acked: leads && isAlone ? node.nowMs * 1_000_000 : null,
    membership_config: {
      log_id: raft.membershipIndex === null ? null : logId(raft.membershipIndex),
      membership: { configs: [voters.map(({ nodeId }) => nodeId)], nodes: Object.fromEntries(nodes) },
    },
    heartbeat: leads && isAlone ? {} : null,
    replication: leads && isAlone ? { [node.nodeId]: logId(raft.last) } : null,
    commit_index: raft.commit,
    cluster_id: node.clusterId,
    topics: node.topics,
    partitions: node.partitions,
  }
}

const roleNames = {
  leader: 'Leader',
  candidate: 'Candidate',
  preCandidate: 'Candidate',
  follower: 'Follower',
} as const satisfies Record<RaftStatus['role'], string>

function logIdOf(raft: RaftStatus, index: LogIndex) {
  const places = [raft.snapshot, raft.purged].filter(place => place !== null)
  const term = raft.termOf(index) ?? places.find(place => place.index === index)?.term ?? null
  // Of a group of one there has been no other leader in any term.
  const [only] = raft.membership
  const isAlone = raft.membership.length === 1
  const leader = isAlone ? (only?.nodeId ?? null) : term === raft.term ? raft.leader : null
  return { leader_id: { term, node_id: leader }, index }
}
