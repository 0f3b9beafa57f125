/** The whole metadata as one record (docs/formats/metadata.md). A restore is equal to what was saved, byte for byte. */
import type { LeaderEpoch, NodeId, Offset, SegmentId } from '../base/ids.ts'
import { onDisk } from '../wire/on-disk.ts'
import {
  array,
  type Body,
  bool,
  type Draft,
  int8,
  int32,
  int64,
  message,
  string,
  struct,
  uuid,
} from '../wire/schema.ts'
import { Metadata, type Partition, type Segment, type Topic } from './metadata.ts'
import type { Outcome, Refusal } from './outcome.ts'

const segmentStates = ['open', 'sealed', 'deleting'] as const

const segmentTable = struct({
  id: int64,
  base: int64,
  /** -1 while it is open. */
  end: int64,
  state: int8,
  writer: int32,
  writeEpoch: int64,
  leaderEpoch: int32,
  replicas: array(int32),
  bytes: int64,
  maxTimestamp: int64,
  createdAtMs: int64,
})

export const metadataSnapshot = message({
  name: 'Metadata',
  ...onDisk,
  versions: [0, 0],
  body: {
    /** The last entry of the Raft log that this state includes. */
    lastIndex: int64,
    lastTerm: int64,
    /** Raft's term and vote when it was saved. */
    term: int64,
    votedFor: int32,
    nextSegmentId: int64,
    nextProducerId: int64,
    nodes: array(struct({ id: int32, diskId: uuid, incarnation: int64 })),
    topics: array(
      struct({
        id: uuid,
        name: string,
        isDeleting: bool,
        configs: array(struct({ name: string, value: string })),
        partitions: array(
          struct({
            version: int64,
            nextEpoch: int64,
            leaderEpoch: int32,
            logStartOffset: int64,
            chain: array(segmentTable),
          }),
        ),
      }),
    ),
    outcomes: array(struct({ requestId: uuid, ok: bool, value: int64, error: string, message: string })),
  },
})

export type MetadataSnapshot = Body<typeof metadataSnapshot>

export function saveMetadata(
  metadata: Metadata,
  raft: { lastIndex: number; lastTerm: number; term: number; votedFor: number },
): Draft<typeof metadataSnapshot> {
  return {
    ...raft,
    nextSegmentId: metadata.nextSegmentId,
    nextProducerId: metadata.nextProducerId,
    nodes: [...metadata.nodes].map(([id, node]) => ({ id, ...node })),
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

export function restoreMetadata(snapshot: MetadataSnapshot): Metadata {
  const metadata = new Metadata()
  metadata.nextSegmentId = snapshot.nextSegmentId
  metadata.nextProducerId = snapshot.nextProducerId
  for (const { id, ...node } of snapshot.nodes) metadata.nodes.set(id as NodeId, node)
  for (const row of snapshot.topics) {
    const topic: Topic = {
      ...row,
      configs: new Map(row.configs.map(config => [config.name, config.value])),
      partitions: row.partitions.map(toPartition),
    }
    metadata.topics.set(topic.id, topic)
    if (!topic.isDeleting) metadata.byName.set(topic.name, topic.id)
  }
  for (const row of snapshot.outcomes) {
    const outcome: Outcome = row.ok
      ? { ok: true, value: row.value }
      : { ok: false, error: row.error as Refusal, message: row.message }
    metadata.outcomes.set(row.requestId, outcome)
  }
  return metadata
}

function fromSegment(segment: Segment) {
  return { ...segment, end: segment.end ?? -1, state: segmentStates.indexOf(segment.state) }
}

function toPartition(row: MetadataSnapshot['topics'][number]['partitions'][number]): Partition {
  return {
    version: row.version,
    nextEpoch: row.nextEpoch,
    leaderEpoch: row.leaderEpoch as LeaderEpoch,
    logStartOffset: row.logStartOffset as Offset,
    chain: row.chain.map(segment => ({
      id: segment.id as SegmentId,
      base: segment.base as Offset,
      end: segment.end < 0 ? null : (segment.end as Offset),
      state: segmentStates[segment.state] ?? 'sealed',
      writer: segment.writer as NodeId,
      writeEpoch: segment.writeEpoch,
      leaderEpoch: segment.leaderEpoch as LeaderEpoch,
      replicas: segment.replicas as readonly NodeId[],
      bytes: segment.bytes,
      maxTimestamp: segment.maxTimestamp,
      createdAtMs: segment.createdAtMs,
    })),
  }
}
