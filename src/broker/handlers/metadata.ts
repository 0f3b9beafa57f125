/**
 * Metadata: nodes, topics, partitions and who leads them. A topic that does not exist is made when the client and the broker
 * both allow it; the answer waits until it takes requests, so that the client has a leader the first time.
 *
 * An empty list asks for all topics in 0 and for none from 1 on, where null asks for all. 4+ says whether topics may be
 * made. 10+ answers with topic ids, 12+ also takes them. 8+ tells authorised operations, if asked.
 */
import { noTopicId, type TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import { type MetadataRequest, type MetadataResponse, operationsNotAsked } from '../../wire/messages/metadata.ts'
import { type AccessRule, accessRules, authorizedOperations, clusterResource } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin, within } from '../deadline.ts'
import { handler } from '../handler.ts'
import { nodesSeenBy } from '../nodes.ts'
import { describePartition, findTopic } from '../partitions.ts'
import type { CreateOutcome, Topic } from '../storage.ts'
import { NewNames } from '../topic-maker.ts'
import { topicNameProblem } from '../topic-names.ts'

type AskedTopic = NonNullable<MetadataRequest['topics']>[number]
type TopicAnswer = MetadataResponse['topics'][number]

/** How long an answer waits for a topic in the making; the client asks again. */
const makingMsMax = 5_000
/** How many topics one request may make; the rest is made when the client asks again. */
const madePerRequestMax = 1_000

const mayMake: AccessRule = { resource: 'topic', operation: 'CREATE', refusal: 'TOPIC_AUTHORIZATION_FAILED' }

export const metadata = handler({
  api: apis.metadata,

  async handle(request: MetadataRequest, context): Promise<MetadataResponse> {
    const { topics: asked } = request
    const all = asked === null || (context.version === 0 && asked.length === 0)
    if (!all && context.version < 12 && asked.some(usesId)) return failure(request, 'INVALID_REQUEST', context)
    const topics = all ? allTopics(request, context) : await askedTopics(asked, request, context)
    return { ...clusterPart(request, context), topics }
  },

  failed(request: MetadataRequest, error, context): MetadataResponse | null {
    // Without topics, and before the error code of 13, a failure would look as if there were no topics.
    const hasRoom = context.version >= 13 || (request.topics ?? []).length > 0
    return hasRoom ? failure(request, error, context) : null
  },
})

function clusterPart(request: MetadataRequest, context: RequestContext) {
  const { storage, access } = context.parts
  const operations = request.includeClusterAuthorizedOperations
    ? authorizedOperations(access, context.principal, 'cluster', clusterResource)
    : operationsNotAsked
  return {
    brokers: nodesSeenBy(context),
    clusterId: storage.clusterId,
    controllerId: storage.nodeId,
    clusterAuthorizedOperations: operations,
  }
}

function allTopics(request: MetadataRequest, context: RequestContext): TopicAnswer[] {
  const { storage, access } = context.parts
  return storage
    .topics()
    .filter(({ name }) => access.check(context.principal, accessRules.metadata, name))
    .map(topic => describe(topic, request, context))
}

async function askedTopics(
  asked: readonly AskedTopic[],
  request: MetadataRequest,
  context: RequestContext,
): Promise<TopicAnswer[]> {
  const making = new Making(request, context)
  const answers: (TopicAnswer | Promise<TopicAnswer>)[] = []
  const names = new Set<string>()
  for (const { topicId, name } of asked) {
    if (topicId !== noTopicId) {
      answers.push(describeById(topicId, request, context))
    } else if (name === null) {
      answers.push(problem('INVALID_REQUEST', null))
    } else if (!names.has(name)) {
      names.add(name)
      answers.push(describeByName(name, request, context, making))
    }
  }
  return Promise.all(answers)
}

function describeById(id: TopicId, request: MetadataRequest, context: RequestContext): TopicAnswer {
  const topic = findTopic(context, accessRules.metadata, true, '', id)
  // No name either way: it is what somebody who may not see the topic must not learn.
  return typeof topic === 'string' ? { ...problem(topic, null), topicId: id } : describe(topic, request, context)
}

function describeByName(
  name: string,
  request: MetadataRequest,
  context: RequestContext,
  making: Making,
): TopicAnswer | Promise<TopicAnswer> {
  const { storage, access } = context.parts
  const rule = accessRules.metadata
  if (!access.check(context.principal, rule, name)) return problem(rule.refusal, name)
  const topic = storage.topicByName(name)
  if (topic !== undefined) return describe(topic, request, context)
  if (topicNameProblem(name) !== null) return problem('INVALID_TOPIC_EXCEPTION', name)
  return making.allowed ? making.make(name) : problem('UNKNOWN_TOPIC_OR_PARTITION', name)
}

/** The topics that one request makes. */
class Making {
  readonly allowed: boolean
  readonly #request: MetadataRequest
  readonly #context: RequestContext
  #newNames: NewNames | null = null
  #made = 0

  constructor(request: MetadataRequest, context: RequestContext) {
    this.#request = request
    this.#context = context
    this.allowed = request.allowAutoTopicCreation && context.parts.configs.settings.autoCreateTopics
  }

  async make(name: string): Promise<TopicAnswer> {
    const { storage, access, topicMaker, clock } = this.#context.parts
    if (!access.check(this.#context.principal, mayMake, name)) return problem(mayMake.refusal, name)
    this.#newNames ??= new NewNames(storage)
    if (this.#newNames.claim(name) !== null) return problem('INVALID_TOPIC_EXCEPTION', name)
    if (++this.#made > madePerRequestMax) return problem('UNKNOWN_TOPIC_OR_PARTITION', name)
    const outcome = await within(clock, waitMsWithin(this.#context, makingMsMax), topicMaker.ensure(name))
    if (outcome?.error === 'NONE') return describe(outcome.topic, this.#request, this.#context)
    return problem(toldOf(outcome), name)
  }
}

/** What cannot come right is said; all else is told as the topic being made, which makes every client ask again. */
function toldOf(outcome: CreateOutcome | null): KafkaErrorName {
  switch (outcome?.error) {
    case 'INVALID_REPLICATION_FACTOR':
    case 'INVALID_PARTITIONS':
    case 'INVALID_TOPIC_EXCEPTION':
    case 'POLICY_VIOLATION':
      return outcome.error
    default:
      return 'UNKNOWN_TOPIC_OR_PARTITION'
  }
}

function describe(topic: Topic, request: MetadataRequest, context: RequestContext): TopicAnswer {
  const operations = request.includeTopicAuthorizedOperations
    ? authorizedOperations(context.parts.access, context.principal, 'topic', topic.name)
    : operationsNotAsked
  return {
    errorCode: kafkaErrors.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.partitions.map(describePartition),
    topicAuthorizedOperations: operations,
  }
}

function problem(error: KafkaErrorName, name: string | null): TopicAnswer {
  return { errorCode: kafkaErrors[error], name, partitions: [] }
}

function failure(request: MetadataRequest, error: KafkaErrorName, { version }: RequestContext): MetadataResponse {
  const topics = (request.topics ?? []).map(({ name, topicId }) => ({
    ...problem(error, name ?? (version < 12 ? '' : null)),
    topicId,
  }))
  return { brokers: [], topics, errorCode: kafkaErrors[error] }
}

function usesId({ topicId, name }: AskedTopic): boolean {
  return topicId !== noTopicId || name === null
}
