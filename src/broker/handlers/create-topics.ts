/**
 * CreateTopics: each topic has an outcome of its own, whatever becomes of the others. A topic that is reported as made takes
 * requests at once.
 *
 * -1 partitions or replicas stand for the broker's defaults, or for a manual assignment. 5+ answers with the topic's
 * configs, 7+ with its id.
 */
import type { TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../wire/messages/create-topics.ts'
import { accessRules, clusterResource } from '../access.ts'
import { checkTopicConfigs } from '../configs.ts'
import type { RequestContext } from '../context.ts'
import { waitMsWithin, within } from '../deadline.ts'
import { describeTopicConfigs } from '../described-configs.ts'
import { handler } from '../handler.ts'
import { nodesSeenBy } from '../nodes.ts'
import { repeated } from '../repeated.ts'
import type { CreateOutcome, TopicSpec } from '../storage.ts'
import { alreadyExists, NewNames } from '../topic-maker.ts'

type AskedTopic = CreateTopicsRequest['topics'][number]
type TopicAnswer = CreateTopicsResponse['topics'][number]
type Checked<T> = { readonly error: 'NONE'; readonly value: T } | Refusal
type Refusal = Exclude<CreateOutcome, { readonly error: 'NONE' }>

/** How many partitions one request may make; Kafka's figure. */
const partitionsPerRequestMax = 10_000

export const createTopics = handler({
  api: apis.createTopics,

  async handle(request: CreateTopicsRequest, context): Promise<CreateTopicsResponse> {
    const check = new Checks(context, repeated(request.topics.map(({ name }) => name)))
    const answers: (TopicAnswer | Promise<TopicAnswer>)[] = []
    for (const asked of new Map(request.topics.map(topic => [topic.name, topic])).values()) {
      const checked = check.topic(asked)
      if (checked.error !== 'NONE') answers.push(refused(asked.name, checked))
      else if (request.validateOnly) answers.push(made(checked.value, undefined, context))
      else answers.push(make(checked.value, request.timeoutMs, context))
    }
    return { topics: await Promise.all(answers) }
  },

  failed: (request: CreateTopicsRequest, error): CreateTopicsResponse => ({
    topics: request.topics.map(({ name }) => ({ ...noDetails, name, errorCode: kafkaErrors[error] })),
  }),
})

async function make(spec: TopicSpec, timeoutMs: number, context: RequestContext): Promise<TopicAnswer> {
  const { clock, topicMaker } = context.parts
  const outcome = await within(clock, waitMsWithin(context, timeoutMs), topicMaker.create(spec))
  if (outcome === null) {
    return refused(spec.name, refuse('REQUEST_TIMED_OUT', 'The topic was not ready in time; it may be made later.'))
  }
  return outcome.error === 'NONE' ? made(spec, outcome.topic.id, context) : refused(spec.name, outcome)
}

/** What is asked of new topics, for the length of one request. */
class Checks {
  readonly #context: RequestContext
  readonly #twice: ReadonlySet<string>
  readonly #newNames: NewNames
  #partitions = 0

  constructor(context: RequestContext, twice: ReadonlySet<string>) {
    this.#context = context
    this.#twice = twice
    this.#newNames = new NewNames(context.parts.storage)
  }

  topic(asked: AskedTopic): Checked<TopicSpec> {
    const { name } = asked
    const { storage } = this.#context.parts
    if (this.#twice.has(name)) return refuse('INVALID_REQUEST', 'The topic is named twice in the request.')
    const rule = accessRules.createTopics
    if (!this.#mayCreate(name)) return refuse(rule.refusal, 'Not authorised to create the topic.')
    const existing = storage.topicByName(name)
    if (existing !== undefined) return alreadyExists(name) as Refusal
    const problem = this.#newNames.claim(name)
    if (problem !== null) return refuse('INVALID_TOPIC_EXCEPTION', problem)
    const size = asked.assignments.length > 0 ? this.#assignedSize(asked) : this.#askedSize(asked)
    if (size.error !== 'NONE') return size
    this.#partitions += size.value.partitions
    if (this.#partitions > partitionsPerRequestMax) {
      return refuse('POLICY_VIOLATION', `One request makes at most ${partitionsPerRequestMax} partitions.`)
    }
    const configs = checkTopicConfigs(asked.configs.map(config => [config.name, config.value]))
    if (configs.error !== null) return refuse('INVALID_CONFIG', configs.error)
    return { error: 'NONE', value: { name, ...size.value, configs: configs.configs } }
  }

  #mayCreate(name: string): boolean {
    const { principal, parts } = this.#context
    const rule = accessRules.createTopics
    const anywhere = { ...rule, resource: 'cluster' } as const
    return parts.access.check(principal, anywhere, clusterResource) || parts.access.check(principal, rule, name)
  }

  #askedSize({ numPartitions, replicationFactor: asked }: AskedTopic): Checked<Size> {
    const { partitionsDefault, replicationFactorDefault } = this.#context.parts.configs.settings
    const partitions = numPartitions === -1 ? partitionsDefault : numPartitions
    const replicationFactor = asked === -1 ? replicationFactorDefault : asked
    if (partitions < 1) return refuse('INVALID_PARTITIONS', 'A topic has at least one partition.')
    if (replicationFactor < 1) return refuse('INVALID_REPLICATION_FACTOR', 'A partition has at least one replica.')
    const nodes = nodesSeenBy(this.#context).length
    if (replicationFactor > nodes) {
      const available = nodes === 1 ? 'there is one node' : `there are ${nodes} nodes`
      return refuse('INVALID_REPLICATION_FACTOR', `${replicationFactor} replicas are asked for, but ${available}.`)
    }
    return { error: 'NONE', value: { partitions, replicationFactor } }
  }

  #assignedSize({ numPartitions, replicationFactor, assignments }: AskedTopic): Checked<Size> {
    if (numPartitions !== -1 || replicationFactor !== -1) {
      return refuse('INVALID_REQUEST', 'With a manual assignment, partitions and replication factor must be -1.')
    }
    const wrong = (what: string) => refuse('INVALID_REPLICA_ASSIGNMENT', what)
    const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex))
    const gapless = indexes.size === assignments.length && assignments.every((_, index) => indexes.has(index))
    if (!gapless) return wrong('Partitions must be numbered from 0 without gaps.')
    const replicas = assignments[0]?.brokerIds.length ?? 0
    const nodes = new Set<number>(nodesSeenBy(this.#context).map(({ nodeId }) => nodeId))
    for (const { partitionIndex, brokerIds } of assignments) {
      const which = `The assignment of partition ${partitionIndex}`
      if (brokerIds.length === 0) return wrong(`${which} is empty.`)
      if (brokerIds.length !== replicas) return wrong(`${which} has another number of replicas than the first.`)
      if (new Set(brokerIds).size !== brokerIds.length) return wrong(`${which} names a node twice.`)
      if (!brokerIds.every(id => nodes.has(id))) return wrong(`${which} names a node that does not exist.`)
    }
    return { error: 'NONE', value: { partitions: assignments.length, replicationFactor: replicas } }
  }
}

interface Size {
  readonly partitions: number
  readonly replicationFactor: number
}

function refuse(error: Refusal['error'], message: string): Refusal {
  return { error, message }
}

const noDetails = { errorMessage: null, configs: null } as const

function refused(name: string, { error, message }: { error: KafkaErrorName; message: string }): TopicAnswer {
  return { ...noDetails, name, errorCode: kafkaErrors[error], errorMessage: message }
}

/** A topic that was made, or (without an id) that could be. */
function made(spec: TopicSpec, topicId: TopicId | undefined, context: RequestContext): TopicAnswer {
  return {
    name: spec.name,
    topicId,
    errorCode: kafkaErrors.NONE,
    errorMessage: null,
    ...detailsOf(spec, context),
  }
}

/** What 5+ is told of the topic: to those who may see its configs. */
function detailsOf(spec: TopicSpec, { parts, principal }: RequestContext): Partial<TopicAnswer> {
  const rule = accessRules.describeConfigs
  if (!parts.access.check(principal, rule, spec.name)) return { topicConfigErrorCode: kafkaErrors[rule.refusal] }
  return {
    numPartitions: spec.partitions,
    replicationFactor: spec.replicationFactor,
    configs: describeTopicConfigs(parts.configs, spec.configs).map(config => ({
      name: config.name,
      value: config.value,
      readOnly: config.readOnly,
      configSource: config.source,
      isSensitive: false,
    })),
  }
}
