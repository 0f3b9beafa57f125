/**
 * DeleteTopics: by name, in 6+ also by id. A topic reported as deleted is gone from the metadata; a topic made under its
 * name afterwards has another id. Brokers' own topics are not deleted: what groups committed would go with them.
 *
 * 3+ is told TOPIC_DELETION_DISABLED where deleting is switched off, 5+ gets messages.
 */
import { noTopicId, type TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../wire/messages/delete-topics.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin, within } from '../deadline.ts'
import { handler } from '../handler.ts'
import { findTopic } from '../partitions.ts'
import { repeated } from '../repeated.ts'
import type { Topic } from '../storage.ts'

type TopicAnswer = DeleteTopicsResponse['responses'][number]

interface Asked {
  readonly name: string | null
  readonly topicId: TopicId
}

export const deleteTopics = handler({
  api: apis.deleteTopics,

  async handle(request: DeleteTopicsRequest, context): Promise<DeleteTopicsResponse> {
    const asked = askedTopics(request)
    const { deleteTopics } = context.parts.configs.settings
    if (!deleteTopics) return refuseAll(asked, context.version < 3 ? 'INVALID_REQUEST' : 'TOPIC_DELETION_DISABLED')
    const twice = repeated(asked.map(keyOf))
    const once = [...new Map(asked.map(topic => [keyOf(topic), topic])).values()]
    const answers = once.map(topic =>
      twice.has(keyOf(topic))
        ? refused(topic, 'INVALID_REQUEST', 'The topic is named twice in the request.')
        : remove(topic, request.timeoutMs, context),
    )
    return { responses: await Promise.all(answers) }
  },

  failed: (request: DeleteTopicsRequest, error) => refuseAll(askedTopics(request), error),
})

async function remove(asked: Asked, timeoutMs: number, context: RequestContext): Promise<TopicAnswer> {
  const { name, topicId } = asked
  const byId = topicId !== noTopicId
  if (byId === (name !== null)) {
    return refused(asked, 'INVALID_REQUEST', 'A topic is named either by its name or by its id.')
  }
  const topic = findTopic(context, accessRules.deleteTopics, byId, name ?? '', topicId)
  if (typeof topic === 'string') return refused(asked, topic, null)
  if (topic.internal) return refused(asked, 'INVALID_TOPIC_EXCEPTION', `${topic.name} is kept by brokers themselves.`)
  const { clock } = context.parts
  const error = await within(clock, waitMsWithin(context, timeoutMs), removeWhole(topic, context))
  const answer = topicAnswer({ name: topic.name, topicId: topic.id }, error ?? 'REQUEST_TIMED_OUT')
  // Somebody else was faster. Who asked by name may not know the error of ids, nor be helped by it.
  return error === 'UNKNOWN_TOPIC_ID' && !byId
    ? refused(asked, 'UNKNOWN_TOPIC_OR_PARTITION', null)
    : { ...answer, errorMessage: null }
}

/** What groups have committed goes with the topic, also where nobody waits for the answer any more. */
async function removeWhole({ id, name }: Topic, { parts }: RequestContext): Promise<KafkaErrorName> {
  const error = await parts.storage.deleteTopic(id)
  if (error === 'NONE') parts.groups.topicDeleted(name, id)
  return error
}

function askedTopics({ topics, topicNames }: DeleteTopicsRequest): readonly Asked[] {
  return topicNames.length > 0 ? topicNames.map(name => ({ name, topicId: noTopicId })) : topics
}

function keyOf({ name, topicId }: Asked): string {
  return `${topicId}/${name ?? ''}`
}

function refuseAll(asked: readonly Asked[], error: KafkaErrorName): DeleteTopicsResponse {
  return { responses: asked.map(topic => refused(topic, error, null)) }
}

function refused(asked: Asked, error: KafkaErrorName, errorMessage: string | null): TopicAnswer {
  return { ...topicAnswer(asked, error), errorMessage }
}

function topicAnswer({ name, topicId }: Asked, error: KafkaErrorName) {
  return { name, topicId, errorCode: kafkaErrors[error] }
}
