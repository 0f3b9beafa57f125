/**
 * CreatePartitions: lets topics grow, each with an outcome of its own. A topic that is reported as grown takes requests for
 * its new partitions at once.
 *
 * Brokers' own topics do not grow: the number of their partitions is what tells where a group's offsets are.
 */
import { noTopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { CreatePartitionsRequest, CreatePartitionsResponse } from '../../wire/messages/create-partitions.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin, within } from '../deadline.ts'
import { handler } from '../handler.ts'
import { nodesSeenBy } from '../nodes.ts'
import { findTopic } from '../partitions.ts'
import { repeated } from '../repeated.ts'
import type { GrowOutcome, Topic } from '../storage.ts'

type AskedTopic = CreatePartitionsRequest['topics'][number]
type TopicAnswer = CreatePartitionsResponse['results'][number]

/** How many partitions one request may make; Kafka's figure. */
const partitionsPerRequestMax = 10_000

export const createPartitions = handler({
  api: apis.createPartitions,

  async handle(request: CreatePartitionsRequest, context): Promise<CreatePartitionsResponse> {
    const check = new Checks(context, repeated(request.topics.map(({ name }) => name)))
    const outcomes: (GrowOutcome | Promise<GrowOutcome>)[] = []
    const asked = [...new Map(request.topics.map(topic => [topic.name, topic])).values()]
    for (const { name, count, assignments } of asked) {
      const checked = check.topic(name, count, assignments)
      if ('error' in checked) outcomes.push(checked)
      else outcomes.push(request.validateOnly ? grown : grow(checked, count, request.timeoutMs, context))
    }
    const results = await Promise.all(outcomes)
    return { results: results.map((outcome, index) => topicAnswer(asked[index]!.name, outcome)) }
  },

  failed: (request: CreatePartitionsRequest, error): CreatePartitionsResponse => ({
    results: request.topics.map(({ name }) => topicAnswer(name, { error, message: null })),
  }),
})

const grown: GrowOutcome = { error: 'NONE', message: null }

async function grow(topic: Topic, total: number, timeoutMs: number, context: RequestContext): Promise<GrowOutcome> {
  const { clock, storage } = context.parts
  const outcome = await within(clock, waitMsWithin(context, timeoutMs), storage.createPartitions(topic.id, total))
  return outcome ?? refuse('REQUEST_TIMED_OUT', 'The partitions were not ready in time; they may be made later.')
}

/** What is asked of growing topics, for the length of one request. */
class Checks {
  readonly #context: RequestContext
  readonly #twice: ReadonlySet<string>
  #added = 0

  constructor(context: RequestContext, twice: ReadonlySet<string>) {
    this.#context = context
    this.#twice = twice
  }

  /** The topic, when it may grow like this. */
  topic(name: string, total: number, assignments: AskedTopic['assignments']): Topic | GrowOutcome {
    if (this.#twice.has(name)) return refuse('INVALID_REQUEST', 'The topic is named twice in the request.')
    const topic = findTopic(this.#context, accessRules.createPartitions, false, name, noTopicId)
    if (typeof topic === 'string') return refuse(topic, null)
    if (topic.internal) return refuse('INVALID_TOPIC_EXCEPTION', `${name} is kept by brokers themselves.`)
    const present = topic.partitions.length
    if (total <= present) {
      return refuse('INVALID_PARTITIONS', `The topic has ${present} partitions; ${total} would not be more.`)
    }
    const problem = assignments === null ? null : this.#assignmentProblem(topic, total - present, assignments)
    if (problem !== null) return refuse('INVALID_REPLICA_ASSIGNMENT', problem)
    this.#added += total - present
    if (this.#added <= partitionsPerRequestMax) return topic
    return refuse('POLICY_VIOLATION', `One request makes at most ${partitionsPerRequestMax} partitions.`)
  }

  /** What is wrong with where the new partitions are to lie, as a sentence; null when nothing is. */
  #assignmentProblem(topic: Topic, added: number, assignments: NonNullable<AskedTopic['assignments']>): string | null {
    if (assignments.length !== added) return `${added} partitions are added, ${assignments.length} are assigned.`
    const replicas = topic.partitions[0]?.replicas.length ?? 0
    const nodes = new Set<number>(nodesSeenBy(this.#context).map(({ nodeId }) => nodeId))
    for (const { brokerIds } of assignments) {
      if (brokerIds.length === 0) return 'An assignment is empty.'
      if (new Set(brokerIds).size !== brokerIds.length) return 'An assignment names a node twice.'
      if (!brokerIds.every(id => nodes.has(id))) return 'An assignment names a node that does not exist.'
      if (brokerIds.length !== replicas)
        return `An assignment has another number of replicas than the topic's ${replicas}.`
    }
    return null
  }
}

function refuse(error: KafkaErrorName, message: string | null): GrowOutcome {
  return { error, message }
}

function topicAnswer(name: string, { error, message }: GrowOutcome): TopicAnswer {
  return { name, errorCode: kafkaErrors[error], errorMessage: message }
}
