/**
 * DeleteRecords: moves the start of partitions forward, to -1 for everything that can be read. Answered with the new start,
 * which fetches and offset listings see from then on; what lies before it is removed from disk in the background. Of a
 * partition that is named twice the last start counts, as with Apache Kafka.
 */
import { noTopicId, offset } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DeleteRecordsRequest, DeleteRecordsResponse } from '../../wire/messages/delete-records.ts'
import { accessRules } from '../access.ts'
import { byTopic } from '../by-topic.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin, within } from '../deadline.ts'
import { handler } from '../handler.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { PartitionStore, Topic } from '../storage.ts'

type AskedPartition = DeleteRecordsRequest['topics'][number]['partitions'][number]
type PartitionAnswer = DeleteRecordsResponse['topics'][number]['partitions'][number]

const toTheEnd = -1

export const deleteRecords = handler({
  api: apis.deleteRecords,

  async handle(request: DeleteRecordsRequest, context): Promise<DeleteRecordsResponse> {
    const { timeoutMs } = request
    const topics = [...partitionsByTopic(request)].map(async ([name, partitions]) => ({
      name,
      partitions: await Promise.all(deleteFrom(name, partitions, timeoutMs, context)),
    }))
    return { topics: await Promise.all(topics) }
  },

  failed: (request: DeleteRecordsRequest, error): DeleteRecordsResponse => ({
    topics: [...partitionsByTopic(request)].map(([name, partitions]) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => refused(partitionIndex, error)),
    })),
  }),
})

function partitionsByTopic({ topics }: DeleteRecordsRequest): ReadonlyMap<string, readonly AskedPartition[]> {
  return byTopic(
    topics,
    ({ name }) => name,
    ({ partitions }) => partitions,
  )
}

function deleteFrom(
  name: string,
  asked: readonly AskedPartition[],
  timeoutMs: number,
  context: RequestContext,
): (PartitionAnswer | Promise<PartitionAnswer>)[] {
  const found = findTopic(context, accessRules.deleteRecords, false, name, noTopicId)
  const topic = typeof found === 'string' ? found : (refusalOf(found) ?? found)
  const once = new Map(asked.map(partition => [partition.partitionIndex, partition]))
  return [...once.values()].map(({ partitionIndex, offset: before }) => {
    const partition = findPartition(context, topic, partitionIndex, -1)
    if (typeof partition === 'string') return refused(partitionIndex, partition)
    return deleteBefore(partition, before, timeoutMs, context)
  })
}

/** Why nobody deletes records of this topic by hand; null when one may. */
function refusalOf({ internal, settings }: Topic): KafkaErrorName | null {
  if (internal) return 'INVALID_TOPIC_EXCEPTION'
  // What compaction keeps by key has no beginning that could be cut off.
  return settings.compacts && !settings.deletesOld ? 'POLICY_VIOLATION' : null
}

async function deleteBefore(
  partition: PartitionStore,
  asked: number,
  timeoutMs: number,
  context: RequestContext,
): Promise<PartitionAnswer> {
  const { index, highWatermark } = partition
  const before = asked === toTheEnd ? highWatermark : asked
  if (before < 0 || before > highWatermark) return refused(index, 'OFFSET_OUT_OF_RANGE')
  if (before <= partition.logStartOffset) return deleted(index, partition.logStartOffset)
  const waitMs = waitMsWithin(context, timeoutMs)
  const outcome = await within(context.parts.clock, waitMs, partition.deleteRecords(offset(before)))
  if (outcome === null) return refused(index, 'REQUEST_TIMED_OUT')
  return outcome.error === 'NONE' ? deleted(index, outcome.logStartOffset) : refused(index, outcome.error)
}

function deleted(partitionIndex: number, lowWatermark: number): PartitionAnswer {
  return { partitionIndex, lowWatermark, errorCode: kafkaErrors.NONE }
}

function refused(partitionIndex: number, error: KafkaErrorName): PartitionAnswer {
  return { partitionIndex, lowWatermark: -1, errorCode: kafkaErrors[error] }
}
