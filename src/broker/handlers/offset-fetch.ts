/**
 * OffsetFetch: what groups have committed. A partition without a commit has offset -1, which is no error, whether or not
 * there is such a partition or such a group.
 *
 * 1 has no error for the whole, so that each partition has it. 2+ may ask for all that a group has. 8+ asks for many groups,
 * each with an outcome of its own. 10+ names topics by id. There are no open transactions to wait for (7+).
 */
import type { TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { OffsetFetchRequest, OffsetFetchResponse } from '../../wire/messages/offset-fetch.ts'
import { accessRules, topicRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import type { FetchOffsetsAnswer, TopicPartition } from '../groups/requests.ts'
import { handler } from '../handler.ts'
import { findTopic } from '../partitions.ts'

type AskedGroup = Omit<OffsetFetchRequest['groups'][number], 'topics'> & {
  readonly topics: readonly AskedTopic[] | null
}
interface AskedTopic {
  readonly name: string
  readonly topicId?: TopicId
  readonly partitionIndexes: readonly number[]
}
type TopicAnswer = NonNullable<OffsetFetchResponse['groups']>[number]['topics'][number] & { readonly name: string }
interface GroupAnswer {
  readonly groupId: string
  readonly topics: readonly TopicAnswer[]
  readonly errorCode?: number
}
type FetchedOffset = FetchOffsetsAnswer['partitions'][number]

export const offsetFetch = handler({
  api: apis.offsetFetch,

  async handle(request: OffsetFetchRequest, context): Promise<OffsetFetchResponse> {
    if (context.version >= 8) {
      const groups = withoutRepeats(request.groups)
      return { groups: await Promise.all(groups.map(group => fetchGroup(group, context))) }
    }
    const { groupId, topics } = request
    const group = await fetchGroup({ groupId, topics, memberId: null, memberEpoch: -1 }, context)
    return { topics: group.topics, errorCode: group.errorCode }
  },

  failed(request: OffsetFetchRequest, error, { version }): OffsetFetchResponse {
    if (version >= 8) return { groups: request.groups.map(group => refused(group, error, version)) }
    const { groupId, topics } = request
    const group = refused({ groupId, topics, memberId: null, memberEpoch: -1 }, error, version)
    return { topics: group.topics, errorCode: group.errorCode }
  },
})

/** All that a group has is told once in an answer: a few bytes that ask for it again would cost as much as it has. */
function withoutRepeats(groups: OffsetFetchRequest['groups']): OffsetFetchRequest['groups'] {
  const told = new Set<string>()
  return groups.filter(({ groupId, topics }) => topics !== null || (!told.has(groupId) && told.add(groupId)))
}

function fetchGroup(asked: AskedGroup, context: RequestContext): Promise<GroupAnswer> | GroupAnswer {
  const { principal, version, parts } = context
  const rule = accessRules.offsetFetch
  if (!parts.access.check(principal, rule, asked.groupId)) return refused(asked, rule.refusal, version)
  return asked.topics === null ? fetchAll(asked, context) : fetchAsked(asked, asked.topics, context)
}

/** Everything that the group has of topics that the principal may see; by id, also only of topics that still exist. */
async function fetchAll(asked: AskedGroup, context: RequestContext): Promise<GroupAnswer> {
  const { principal, version, parts } = context
  const { error, partitions } = await parts.groups.fetchOffsets({ ...asked, partitions: null })
  if (error !== 'NONE') return refused(asked, error, version)
  const topics = [...Map.groupBy(partitions, ({ topic }) => topic)]
    .filter(([name]) => parts.access.check(principal, topicRules.describe, name))
    .flatMap(([name, offsets]) => {
      const topicId = parts.storage.topicByName(name)?.id
      return version >= 10 && topicId === undefined ? [] : { name, topicId, partitions: offsets.map(offsetAnswer) }
    })
  return { groupId: asked.groupId, topics }
}

async function fetchAsked(
  asked: AskedGroup,
  askedTopics: readonly AskedTopic[],
  context: RequestContext,
): Promise<GroupAnswer> {
  const topics = askedTopics.map(topic => ({ ...topic, found: nameOf(topic, context) }))
  const partitions = topics.flatMap(({ found, partitionIndexes }): TopicPartition[] =>
    'error' in found ? [] : partitionIndexes.map(partition => ({ topic: found.name, partition })),
  )
  const { groupId, memberId, memberEpoch } = asked
  const answer = await context.parts.groups.fetchOffsets({ groupId, memberId, memberEpoch, partitions })
  if (answer.error !== 'NONE') return refused(asked, answer.error, context.version)
  const offsets = answer.partitions.values()
  return {
    groupId,
    topics: topics.map(topic => {
      if ('error' in topic.found) return refusedTopic(topic, topic.found.error)
      const answers = topic.partitionIndexes.map(() => offsetAnswer(offsets.next().value as FetchedOffset))
      return { name: topic.name, topicId: topic.topicId, partitions: answers }
    }),
  }
}

/** By name, a topic need not exist: who asks for it learns that nothing is committed. */
function nameOf(topic: AskedTopic, context: RequestContext): { name: string } | { error: KafkaErrorName } {
  const rule = topicRules.describe
  if (context.version < 10) {
    const allowed = context.parts.access.check(context.principal, rule, topic.name)
    return allowed ? { name: topic.name } : { error: rule.refusal }
  }
  const found = findTopic(context, rule, true, '', topic.topicId as TopicId)
  return typeof found === 'string' ? { error: found } : { name: found.name }
}

function offsetAnswer({ partition, offset, leaderEpoch, metadata, error }: FetchedOffset) {
  return {
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: kafkaErrors[error],
  }
}

function refused({ groupId, topics }: AskedGroup, error: KafkaErrorName, version: number): GroupAnswer {
  if (version >= 2) return { groupId, topics: [], errorCode: kafkaErrors[error] }
  return { groupId, topics: (topics ?? []).map(topic => refusedTopic(topic, error)) }
}

function refusedTopic({ name, topicId, partitionIndexes }: AskedTopic, error: KafkaErrorName): TopicAnswer {
  const partitions = partitionIndexes.map(partition =>
    offsetAnswer({ topic: name, partition, offset: -1, leaderEpoch: -1, metadata: '', error }),
  )
  return { name, topicId, partitions }
}
