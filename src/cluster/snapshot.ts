/**
 * The whole metadata as one record (docs/formats/metadata.md): what a follower that lags gets from the leader, and what lies in
 * the file `metadata` together with Raft's place in it. A restore is equal to what was saved, byte for byte.
 */
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import type { Partition, ReplicationConfig, Segment, SegmentState } from '../chain/segment.ts'
import { decodeSound } from '../log/whole-file.ts'
import type { Snapshot } from '../raft/events.ts'
import type { Membership } from '../raft/membership.ts'
import type { HardState } from '../raft/storage.ts'
import { encodeRecord, onDisk } from '../wire/on-disk.ts'
import {
  array,
  type Body,
  bool,
  bytes,
  type Draft,
  int8,
  int16,
  int32,
  int64,
  message,
  nullableArray,
  since,
  string,
  struct,
  uint32,
  until,
  uuid,
} from '../wire/schema.ts'
import { newestFeatureLevel } from './commands.ts'
import { Metadata, type Topic } from './metadata.ts'
import { oneCopy } from './one-copy.ts'
import type { Outcome, Refusal } from './outcome.ts'
import {
  archivedRange,
  diskId,
  leaderEpoch,
  nodeAddress,
  nodeId,
  offset,
  replica,
  replicationConfig,
  sealReason,
  segmentId,
  topicConfigs,
} from './record-tables.ts'
import { replicationOf } from './replication.ts'

const segmentStates: readonly SegmentState[] = ['open', 'sealed', 'deleting', 'sealing']

/** Version 0 is of one node by itself; it is a part of version 0 of the file. */
const segmentTable = struct({
  id: segmentId,
  base: offset,
  /** -1 while it is not sealed. */
  end: offset,
  state: int8,
  writer: nodeId,
  writerIncarnation: since(1, int64, 0),
  writeEpoch: int64,
  /** -1 where no recovery began. */
  recoveryEpoch: since(1, int64, -1),
  leaderEpoch,
  nodes: until(0, array(nodeId), []),
  replicas: since(1, array(replica), []),
  complete: since(1, nullableArray(nodeId), null),
  ackQuorum: since(1, int32, 1),
  bytes: int64,
  maxTimestamp: int64,
  checksum: since(1, uint32, 0),
  archive: since(1, array(archivedRange), []),
  createdAtMs: int64,
  sealReason: since(1, sealReason, 'none'),
})

const nodeTable = struct({
  id: nodeId,
  diskId,
  incarnation: int64,
  isUp: since(1, bool, true),
  rack: since(1, string, ''),
  addresses: since(1, array(nodeAddress), []),
  wasClean: since(1, bool, false),
  featureLevel: since(1, int16, 1),
  registeredBy: since(1, uuid),
})

const topicTable = struct({
  id: uuid,
  name: string,
  isDeleting: bool,
  version: since(1, int64, 0),
  configs: topicConfigs,
  replication: since(1, replicationConfig),
  partitions: array(
    struct({
      version: int64,
      nextEpoch: int64,
      leaderEpoch,
      logStartOffset: offset,
      chain: array(segmentTable),
    }),
  ),
})

const outcomeTable = struct({ requestId: uuid, ok: bool, value: int64, error: string, message: string })

/** The state by itself. */
export const metadataState = message({
  name: 'MetadataState',
  ...onDisk,
  versions: [1, 1],
  body: {
    featureLevel: int16,
    applied: int64,
    nextSegmentId: int64,
    nextProducerId: int64,
    nodes: array(nodeTable),
    removedNodes: array(struct({ id: nodeId, incarnation: int64 })),
    topics: array(topicTable),
    outcomes: array(outcomeTable),
  },
})

/** The file: Raft's place in its log, and the state there. */
export const metadataFile = message({
  name: 'Metadata',
  ...onDisk,
  versions: [0, 1],
  body: {
    /** The last entry of the Raft log that this state includes. */
    lastIndex: int64,
    lastTerm: int64,
    /** Raft's term and vote when it was saved. */
    term: int64,
    votedFor: int32,
    nextSegmentId: until(0, int64, 0),
    nextProducerId: until(0, int64, 0),
    nodes: until(0, array(nodeTable), []),
    topics: until(0, array(topicTable), []),
    outcomes: until(0, array(outcomeTable), []),
    /** Who belonged to the group there. */
    membership: since(1, array(struct({ nodeId, diskId, isVoter: bool })), []),
    /** The version and the bytes of the state's own record. */
    state: since(1, bytes),
  },
})

type StateBody = Body<typeof metadataState>
type StateDraft = Draft<typeof metadataState>

/** What the file says about Raft besides the snapshot. */
export interface SavedMetadata {
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly hardState: HardState
  /** Null in a file of a node by itself. */
  readonly membership: Membership | null
  /** As `encodeMetadata` makes it. */
  readonly state: Buffer
}

/** The version of the record, then the record. */
export function encodeMetadata(metadata: Metadata): Buffer {
  const version = Buffer.alloc(2)
  version.writeUInt16BE(metadataState.versions[1])
  return Buffer.concat([version, encodeRecord(metadataState, draftOf(metadata))])
}

export function decodeMetadata(encoded: Buffer): Metadata {
  const version = encoded.length < 2 ? 0 : encoded.readUInt16BE(0)
  const [oldest, newest] = metadataState.versions
  if (version < oldest || version > newest) {
    throw new TidelogError('FORMAT', `the metadata has version ${version}, which this program does not know`)
  }
  return restore(decodeSound(metadataState, encoded.subarray(2), 'the metadata', version))
}

/** What is written to the file for a snapshot of Raft's. */
export function toFile(
  { index, term: lastTerm, membership, data }: Snapshot,
  { term, votedFor }: HardState,
): Draft<typeof metadataFile> {
  return {
    lastIndex: index,
    lastTerm,
    term,
    votedFor: votedFor ?? -1,
    membership: membership.map(seat => ({ nodeId: seat.nodeId, diskId: seat.diskId, isVoter: seat.role === 'voter' })),
    state: data,
  }
}

export function fromFile(file: Body<typeof metadataFile>): SavedMetadata {
  const { lastIndex, lastTerm, term, votedFor, membership, state } = file
  const isOneNode = state.length === 0
  return {
    lastIndex: lastIndex as LogIndex,
    lastTerm: lastTerm as Term,
    hardState: { term: term as Term, votedFor: votedFor < 0 ? null : (votedFor as NodeId) },
    membership: isOneNode
      ? null
      : membership.map(({ isVoter, ...seat }) => ({ ...seat, role: isVoter ? 'voter' : 'learner' })),
    state: isOneNode ? encodeMetadata(restoreOneNode(file)) : state,
  }
}

function draftOf(metadata: Metadata): StateDraft {
  return {
    featureLevel: metadata.featureLevel,
    applied: metadata.applied,
    nextSegmentId: metadata.nextSegmentId,
    nextProducerId: metadata.nextProducerId,
    nodes: [...metadata.nodes].map(([id, node]) => ({ id, ...node })),
    removedNodes: [...metadata.removedNodes].map(([id, incarnation]) => ({ id, incarnation })),
    topics: [...metadata.topics.values()].map(topic => ({
      ...topic,
      configs: [...topic.configs].map(([name, value]) => ({ name, value })),
      partitions: topic.partitions.map(partition => ({ ...partition, chain: partition.chain.map(fromSegment) })),
    })),
    outcomes: [...metadata.outcomes].map(([requestId, outcome]) =>
      outcome.ok
        ? { requestId, ok: true, value: outcome.value, error: '', message: '' }
        : { requestId, ok: false, value: 0, error: outcome.error, message: outcome.message },
    ),
  }
}

function restore(state: StateBody): Metadata {
  if (state.featureLevel > newestFeatureLevel) {
    throw new TidelogError(
      'FORMAT',
      `the cluster is at feature level ${state.featureLevel}; this program is too old for it`,
    )
  }
  const metadata = new Metadata()
  metadata.featureLevel = state.featureLevel
  metadata.applied = state.applied
  metadata.nextSegmentId = state.nextSegmentId
  metadata.nextProducerId = state.nextProducerId
  for (const { id, ...node } of state.nodes) metadata.nodes.set(id, node)
  for (const { id, incarnation } of state.removedNodes) metadata.removedNodes.set(id, incarnation)
  for (const row of state.topics) metadata.putTopic(toTopic(row))
  for (const row of state.outcomes) metadata.putOutcome(row.requestId, toOutcome(row))
  return metadata
}

/** All copies are at the node that wrote them, complete as far as they are sealed. */
function restoreOneNode(file: Body<typeof metadataFile>): Metadata {
  const nodes = new Map(file.nodes.map(node => [node.id, node]))
  const topics = file.topics.map(topic => ({
    ...topic,
    replication: replicationOf(1, new Map(topic.configs.map(({ name, value }) => [name, value]))),
    partitions: topic.partitions.map(partition => ({
      ...partition,
      chain: partition.chain.map(segment => {
        const { writer, writerIncarnation, replicas } = oneCopy(segment.writer, nodes)
        return { ...segment, writerIncarnation, replicas, complete: segment.end < 0 ? null : [writer] }
      }),
    })),
  }))
  const { nextSegmentId, nextProducerId, outcomes } = file
  const counters = { featureLevel: 1, applied: outcomes.length, nextSegmentId, nextProducerId }
  return restore({ ...counters, nodes: file.nodes, removedNodes: [], topics, outcomes })
}

function toTopic(row: StateBody['topics'][number]): Topic {
  const { partitions, configs, ...topic } = row
  return {
    ...topic,
    configs: new Map(configs.map(config => [config.name, config.value])),
    partitions: partitions.map(partition => toPartition(partition, topic.replication)),
  }
}

function toPartition(row: StateBody['topics'][number]['partitions'][number], config: ReplicationConfig): Partition {
  return { ...row, chain: row.chain.map(toSegment), config }
}

function toOutcome({ ok, value, error, message }: StateBody['outcomes'][number]): Outcome {
  return ok ? { ok, value } : { ok, error: error as Refusal, message }
}

function fromSegment(segment: Segment) {
  return {
    ...segment,
    end: segment.end ?? (-1 as Segment['base']),
    state: segmentStates.indexOf(segment.state),
    recoveryEpoch: segment.recoveryEpoch ?? -1,
  }
}

function toSegment(row: StateBody['topics'][number]['partitions'][number]['chain'][number]): Segment {
  const { nodes: _, ...segment } = row
  return {
    ...segment,
    end: segment.end < 0 ? null : segment.end,
    state: segmentStates[segment.state] ?? 'sealed',
    recoveryEpoch: segment.recoveryEpoch < 0 ? null : segment.recoveryEpoch,
  }
}
