/**
 * OffsetForLeaderEpoch: where a leader epoch ends. A client that has read further than that under it has read what was lost
 * with its writer, and goes back. Of an epoch without records the newest one before it is told instead.
 *
 * 2+ checks the leader epoch that the client knows; 3+ says who asks, which changes nothing here.
 */
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '../../wire/messages/offset-for-leader-epoch.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { findPartition, findTopic } from '../partitions.ts'
import type { Topic } from '../storage.ts'

type AskedPartition = OffsetForLeaderEpochRequest['topics'][number]['partitions'][number]
type PartitionAnswer = OffsetForLeaderEpochResponse['topics'][number]['partitions'][number]

export const offsetForLeaderEpoch = handler({
  api: apis.offsetForLeaderEpoch,

  handle: (request: OffsetForLeaderEpochRequest, context): OffsetForLeaderEpochResponse => ({
    topics: request.topics.map(({ topic: name, partitions }) => {
      const topic = findTopic(context, accessRules.offsetForLeaderEpoch, false, name, noTopicId)
      return { topic: name, partitions: partitions.map(asked => endOf(asked, topic, context)) }
    }),
  }),

  failed: (request: OffsetForLeaderEpochRequest, error): OffsetForLeaderEpochResponse => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => refused(partition, error)),
    })),
  }),
})

function endOf(asked: AskedPartition, topic: Topic | KafkaErrorName, context: RequestContext): PartitionAnswer {
  const partition = findPartition(context, topic, asked.partition, asked.currentLeaderEpoch)
  if (typeof partition === 'string') return refused(asked.partition, partition)
  const { epoch, endOffset } = partition.endOfEpoch(asked.leaderEpoch)
  return { errorCode: kafkaErrors.NONE, partition: asked.partition, leaderEpoch: epoch, endOffset }
}

function refused(partition: number, error: KafkaErrorName): PartitionAnswer {
  return { errorCode: kafkaErrors[error], partition, leaderEpoch: -1, endOffset: -1 }
}
