/**
 * ListOffsets: the offset that belongs to a time, per partition; -1 where no record is that late. Nothing is transactional
 * yet, so that both isolation levels end at the high watermark.
 *
 * 1+ one offset. 4+ leader epochs. Times with a meaning of their own: latest and earliest always, 7+ the highest
 * timestamp, 8+ the earliest local offset, 9+ the last tiered one (none), 11+ the first waiting for upload (none).
 */
import { type LeaderEpoch, noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import {
  type ListOffsetsRequest,
  type ListOffsetsResponse,
  listOffsetsTimes,
} from '../../wire/messages/list-offsets.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { FoundRecord, PartitionStore } from '../storage.ts'

type AskedTopic = ListOffsetsRequest['topics'][number]
type AskedPartition = AskedTopic['partitions'][number]

interface Listed {
  readonly error: KafkaErrorName
  readonly offset: number
  readonly timestamp: number
  readonly leaderEpoch: number
}

const nothing: Listed = { error: 'NONE', offset: -1, timestamp: -1, leaderEpoch: -1 }

export const listOffsets = handler({
  api: apis.listOffsets,

  async handle(request: ListOffsetsRequest, context): Promise<ListOffsetsResponse> {
    const topics = []
    for (const asked of request.topics) topics.push(await listTopic(asked, request.replicaId, context))
    return { topics }
  },

  failed: (request: ListOffsetsRequest, error): ListOffsetsResponse => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: kafkaErrors[error] })),
    })),
  }),
})

async function listTopic({ name, partitions }: AskedTopic, replicaId: number, context: RequestContext) {
  const topic = findTopic(context, accessRules.listOffsets, false, name, noTopicId)
  const listed = []
  const seen = new Set<number>()
  for (const asked of partitions) {
    const { partitionIndex, currentLeaderEpoch } = asked
    const partition = seen.has(partitionIndex)
      ? 'INVALID_REQUEST'
      : replicaId >= 0
        ? accessRules.listOffsets.refusal
        : findPartition(context, topic, partitionIndex, currentLeaderEpoch)
    seen.add(partitionIndex)
    const { error, leaderEpoch, ...place } =
      typeof partition === 'string' ? failure(partition) : await list(partition, asked, context.version)
    const epoch = context.version >= 4 ? { leaderEpoch } : {}
    listed.push({ partitionIndex, errorCode: kafkaErrors[error], ...place, ...epoch })
  }
  return { name, partitions: listed }
}

async function list(partition: PartitionStore, { timestamp }: AskedPartition, version: number): Promise<Listed> {
  if (timestamp < 0 && version < (firstVersionOf.get(timestamp) ?? Number.POSITIVE_INFINITY)) {
    return failure('UNSUPPORTED_VERSION')
  }
  switch (timestamp) {
    case listOffsetsTimes.latest:
      return at(partition.highWatermark, partition.leaderEpoch)
    case listOffsetsTimes.earliest:
    case listOffsetsTimes.earliestLocal:
      return at(partition.logStartOffset, partition.epochOf(partition.logStartOffset))
    case listOffsetsTimes.latestTiered:
    case listOffsetsTimes.earliestPendingUpload:
      return nothing
    case listOffsetsTimes.maxTimestamp:
      return found(await partition.findMaxTimestamp())
    default:
      return found(await partition.findByTime(timestamp))
  }
}

const firstVersionOf: ReadonlyMap<number, number> = new Map([
  [listOffsetsTimes.latest, 0],
  [listOffsetsTimes.earliest, 0],
  [listOffsetsTimes.maxTimestamp, 7],
  [listOffsetsTimes.earliestLocal, 8],
  [listOffsetsTimes.latestTiered, 9],
  [listOffsetsTimes.earliestPendingUpload, 11],
])

function at(offset: number, leaderEpoch: LeaderEpoch | -1): Listed {
  return { error: 'NONE', offset, timestamp: -1, leaderEpoch }
}

function found(record: FoundRecord | null): Listed {
  if (record === null) return nothing
  return { error: 'NONE', offset: record.offset, timestamp: record.timestampMs, leaderEpoch: record.leaderEpoch }
}

function failure(error: KafkaErrorName): Listed {
  return { ...nothing, error }
}
