/**
 * OffsetDelete: takes back what a group has committed for partitions, each with an outcome of its own: a topic to which the
 * group is subscribed keeps its offsets. What fails for the whole has no partitions in its answer.
 */

import { noTopicId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from '../../wire/messages/offset-delete.ts'
import { accessRules, topicRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import type { TopicPartition } from '../groups/requests.ts'
import { handler } from '../handler.ts'
import { findTopic } from '../partitions.ts'

export const offsetDelete = handler({
  api: apis.offsetDelete,

  async handle(request: OffsetDeleteRequest, context): Promise<OffsetDeleteResponse> {
    const { principal, parts } = context
    const { groupId } = request
    const rule = accessRules.offsetDelete
    if (!parts.access.check(principal, rule, groupId)) return refused(rule.refusal)
    if (groupId === '') return refused('INVALID_GROUP_ID')
    const topics = request.topics.map(topic => itemsOf(topic, context))
    const wanted = topics.flatMap(({ items }) => items.filter(item => typeof item !== 'string'))
    const answer = await parts.groups.deleteOffsets(groupId, wanted)
    if (answer.error !== 'NONE') return refused(answer.error)
    invariant(answer.partitions.length === wanted.length, 'each partition has an outcome')
    const outcomes = answer.partitions.values()
    return {
      errorCode: kafkaErrors.NONE,
      topics: topics.map(({ name, indexes, items }) => ({
        name,
        partitions: items.map((item, i) => {
          const error = typeof item === 'string' ? item : (outcomes.next().value as KafkaErrorName)
          return { partitionIndex: indexes[i] as number, errorCode: kafkaErrors[error] }
        }),
      })),
    }
  },

  failed: (_request, error): OffsetDeleteResponse => refused(error),
})

interface AskedItems {
  readonly name: string
  readonly indexes: readonly number[]
  /** What is to be taken back, or why it is not. */
  readonly items: readonly (TopicPartition | KafkaErrorName)[]
}

function itemsOf(topic: OffsetDeleteRequest['topics'][number], context: RequestContext): AskedItems {
  const found = findTopic(context, topicRules.read, false, topic.name, noTopicId)
  const indexes = topic.partitions.map(({ partitionIndex }) => partitionIndex)
  const items = indexes.map(partition => {
    if (typeof found === 'string') return found
    return found.partitions[partition] === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : { topic: found.name, partition }
  })
  return { name: topic.name, indexes, items }
}

function refused(error: KafkaErrorName): OffsetDeleteResponse {
  return { errorCode: kafkaErrors[error], topics: [] }
}
