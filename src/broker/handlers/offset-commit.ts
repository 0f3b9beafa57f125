/**
 * OffsetCommit: where a group goes on, each partition with an outcome of its own. Nothing is committed for partitions that
 * do not exist.
 *
 * 2-4 say how long the offsets are kept, later the broker does. 10+ names topics by id.
 */
import { invariant } from '../../base/invariant.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { OffsetCommitRequest, OffsetCommitResponse } from '../../wire/messages/offset-commit.ts'
import { accessRules, topicRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import type { OffsetToCommit } from '../groups/requests.ts'
import { handler } from '../handler.ts'
import { findTopic } from '../partitions.ts'

type AskedTopic = OffsetCommitRequest['topics'][number]

export const offsetCommit = handler({
  api: apis.offsetCommit,

  async handle(request: OffsetCommitRequest, context): Promise<OffsetCommitResponse> {
    const { principal, parts } = context
    const rule = accessRules.offsetCommit
    if (!parts.access.check(principal, rule, request.groupId)) return answered(request, () => rule.refusal)
    // In the order of the request: what is to be committed, or why it is not.
    const items = request.topics.flatMap(topic => itemsOf(topic, context))
    const offsets = items.filter(item => typeof item !== 'string')
    const errors = offsets.length === 0 ? [] : await commit(request, offsets, context)
    const committed = errors.values()
    const outcomes = items.map(item => (typeof item === 'string' ? item : (committed.next().value as KafkaErrorName)))
    const next = outcomes.values()
    return answered(request, () => next.next().value as KafkaErrorName)
  },

  failed: (request: OffsetCommitRequest, error): OffsetCommitResponse => answered(request, () => error),
})

function itemsOf(topic: AskedTopic, context: RequestContext): (OffsetToCommit | KafkaErrorName)[] {
  const found = findTopic(context, topicRules.read, context.version >= 10, topic.name, topic.topicId)
  return topic.partitions.map(asked => {
    if (typeof found === 'string') return found
    if (found.partitions[asked.partitionIndex] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    return {
      topic: found.name,
      topicId: found.id,
      partition: asked.partitionIndex,
      offset: asked.committedOffset,
      leaderEpoch: asked.committedLeaderEpoch,
      metadata: asked.committedMetadata ?? '',
    }
  })
}

async function commit(
  request: OffsetCommitRequest,
  offsets: readonly OffsetToCommit[],
  { version, parts }: RequestContext,
): Promise<readonly KafkaErrorName[]> {
  const { errors } = await parts.groups.commit({
    groupId: request.groupId,
    generation: request.generationIdOrMemberEpoch,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    offsets,
    retentionMs: request.retentionTimeMs,
  })
  invariant(errors.length === offsets.length, 'each offset has an outcome')
  return errors.map(error => inTermsOf(version, error))
}

function inTermsOf(version: number, error: KafkaErrorName): KafkaErrorName {
  // A generation of a group that does not exist: clients before 9 know that as a wrong generation only.
  if (error === 'GROUP_ID_NOT_FOUND' && version < 9) return 'ILLEGAL_GENERATION'
  if (error === 'UNKNOWN_TOPIC_OR_PARTITION' && version >= 10) return 'UNKNOWN_TOPIC_ID'
  return error
}

/** `outcome` is asked for each partition in turn. */
function answered(request: OffsetCommitRequest, outcome: () => KafkaErrorName): OffsetCommitResponse {
  return {
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: kafkaErrors[outcome()] })),
    })),
  }
}
