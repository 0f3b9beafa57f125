/**
 * The parts that commands and snapshots have in common, as tables; and the types of the fields, so that what is read from a
 * table has the names that the rest of the program uses.
 */
import type { DiskId, LeaderEpoch, NodeId, Offset, SegmentId } from '../base/ids.ts'
import type { ReplicationConfig, SealReason } from '../chain/segment.ts'
import { array, bool, int32, int64, string, struct, type Type, uint32, uuid } from '../wire/schema.ts'

export const nodeId = int32 as Type<NodeId>
export const diskId = uuid as unknown as Type<DiskId>
export const segmentId = int64 as Type<SegmentId>
export const offset = int64 as Type<Offset>
export const leaderEpoch = int32 as Type<LeaderEpoch>
const flush = string as unknown as Type<ReplicationConfig['flush']>
export const sealReason = string as unknown as Type<SealReason>

export const replica = struct({ nodeId, diskId, incarnation: int64 })

export const placement = struct({
  writer: nodeId,
  writerIncarnation: int64,
  replicas: array(replica),
  ackQuorum: int32,
})

export const archivedRange = struct({
  object: string,
  position: int64,
  length: int64,
  base: offset,
  end: offset,
  crc: uint32,
  etag: string,
})

export const replicationConfig = struct({ replicas: int32, minInsync: int32, flush, uncleanSeal: bool })

export const topicConfigs = array(struct({ name: string, value: string }))

/** Where clients and peers reach a node: `name` is the listener's. */
export const nodeAddress = struct({ name: string, host: string, port: int32 })
