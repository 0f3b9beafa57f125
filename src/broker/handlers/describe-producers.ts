/** DescribeProducers: the idempotent producers whose sequences a partition remembers. None is in a transaction yet. */
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeProducersRequest, DescribeProducersResponse } from '../../wire/messages/describe-producers.ts'
import { accessRules } from '../access.ts'
import { byTopic } from '../by-topic.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { Topic } from '../storage.ts'
import { topicNameProblem } from '../topic-names.ts'

type PartitionAnswer = DescribeProducersResponse['topics'][number]['partitions'][number]

export const describeProducers = handler({
  api: apis.describeProducers,

  handle: (request: DescribeProducersRequest, context): DescribeProducersResponse => ({
    topics: [...indexesByTopic(request)].map(([name, indexes]) => {
      const topic = findNamed(name, context)
      return { name, partitions: [...new Set(indexes)].map(index => producersOf(topic, index, context)) }
    }),
  }),

  failed: (request: DescribeProducersRequest, error): DescribeProducersResponse => ({
    topics: [...indexesByTopic(request)].map(([name, indexes]) => ({
      name,
      partitions: [...new Set(indexes)].map(index => refused(index, error)),
    })),
  }),
})

function indexesByTopic({ topics }: DescribeProducersRequest): ReadonlyMap<string, readonly number[]> {
  return byTopic(
    topics,
    ({ name }) => name,
    ({ partitionIndexes }) => partitionIndexes,
  )
}

function findNamed(name: string, context: RequestContext): Topic | KafkaErrorName {
  const found = findTopic(context, accessRules.describeProducers, false, name, noTopicId)
  const isNoName = found === 'UNKNOWN_TOPIC_OR_PARTITION' && topicNameProblem(name) !== null
  return isNoName ? 'INVALID_TOPIC_EXCEPTION' : found
}

function producersOf(topic: Topic | KafkaErrorName, index: number, context: RequestContext): PartitionAnswer {
  const partition = findPartition(context, topic, index, -1)
  if (typeof partition === 'string') return refused(index, partition)
  return {
    partitionIndex: index,
    errorCode: kafkaErrors.NONE,
    activeProducers: partition.producers().map(producer => ({
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      lastSequence: producer.lastSequence,
      lastTimestamp: producer.lastTimestampMs,
      coordinatorEpoch: -1,
    })),
  }
}

function refused(partitionIndex: number, error: KafkaErrorName): PartitionAnswer {
  return { partitionIndex, errorCode: kafkaErrors[error], activeProducers: [] }
}
