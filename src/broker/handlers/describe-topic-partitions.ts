/**
 * DescribeTopicPartitions: what Metadata tells of topics, a page at a time, in order of name and partition. Where a page is
 * full, its cursor says where the next one begins.
 *
 * No topics asks for all of them. Of one that was asked for and is gone it is said so; a cursor must be on one of those.
 */
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from '../../wire/messages/describe-topic-partitions.ts'
import { accessRules, authorizedOperations } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { describePartition } from '../partitions.ts'
import type { PartitionStore, Topic } from '../storage.ts'
import { topicNameProblem } from '../topic-names.ts'

type TopicAnswer = DescribeTopicPartitionsResponse['topics'][number]

/** How many partitions a page has, whatever the client allows; Kafka's figure. */
const partitionsPerPageMax = 2_000

export const describeTopicPartitions = handler({
  api: apis.describeTopicPartitions,

  handle(request: DescribeTopicPartitionsRequest, context): DescribeTopicPartitionsResponse {
    const { topics, cursor } = request
    const all = topics.length === 0
    const isOnAsked = cursor === null || topics.some(({ name }) => name === cursor.topicName)
    if (!all && (!isOnAsked || (cursor?.partitionIndex ?? 0) < 0)) return refuseAll(request, 'INVALID_REQUEST')
    const names = all ? context.parts.storage.topics().map(({ name }) => name) : topics.map(({ name }) => name)
    const from = cursor?.topicName ?? ''
    const ahead = [...new Set(names)].filter(name => name >= from).sort()
    const mayBeSeen = (name: string) =>
      context.parts.access.check(context.principal, accessRules.describeTopicPartitions, name)
    const page = pageOf(ahead.filter(mayBeSeen), request, context)
    const hidden = all ? [] : ahead.filter(name => !mayBeSeen(name))
    const { refusal } = accessRules.describeTopicPartitions
    return { ...page, topics: [...page.topics, ...hidden.map(name => problem(name, refusal))] }
  },

  failed: (request: DescribeTopicPartitionsRequest, error) => refuseAll(request, error),
})

/** As many topics as have room, and where to go on. */
function pageOf(
  names: readonly string[],
  { topics: asked, cursor, responsePartitionLimit }: DescribeTopicPartitionsRequest,
  context: RequestContext,
): Pick<DescribeTopicPartitionsResponse, 'topics' | 'nextCursor'> {
  // A page of nothing would be asked for again and again.
  let room = Math.max(1, Math.min(responsePartitionLimit, partitionsPerPageMax))
  const topics: TopicAnswer[] = []
  for (const topicName of names) {
    if (room === 0) return { topics, nextCursor: { topicName, partitionIndex: 0 } }
    const topic = context.parts.storage.topicByName(topicName)
    if (topic === undefined) {
      if (asked.length > 0) topics.push(unknown(topicName, context))
      continue
    }
    const from = cursor?.topicName === topicName ? Math.max(0, cursor.partitionIndex) : 0
    const partitions = topic.partitions.slice(from, from + room)
    topics.push(describe(topic, partitions, context))
    room -= partitions.length
    const next = from + partitions.length
    if (next < topic.partitions.length) return { topics, nextCursor: { topicName, partitionIndex: next } }
  }
  return { topics, nextCursor: null }
}

function describe(topic: Topic, partitions: readonly PartitionStore[], context: RequestContext): TopicAnswer {
  return {
    errorCode: kafkaErrors.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: partitions.map(partition => ({
      ...describePartition(partition),
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
    topicAuthorizedOperations: operationsOn(topic.name, context),
  }
}

function unknown(name: string, context: RequestContext): TopicAnswer {
  const error = topicNameProblem(name) === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION'
  return { ...problem(name, error), topicAuthorizedOperations: operationsOn(name, context) }
}

function operationsOn(name: string, { parts, principal }: RequestContext): number {
  return authorizedOperations(parts.access, principal, 'topic', name)
}

function problem(name: string, error: KafkaErrorName): TopicAnswer {
  return { errorCode: kafkaErrors[error], name, topicId: noTopicId, partitions: [] }
}

function refuseAll({ topics }: DescribeTopicPartitionsRequest, error: KafkaErrorName): DescribeTopicPartitionsResponse {
  return { topics: topics.map(({ name }) => problem(name, error)) }
}
