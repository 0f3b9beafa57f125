/**
 * Makes topics for CreateTopics and for the first mention in Metadata. Two requests for the same new name meet here: the
 * second joins the first, so that each is answered with the topic and not with the other's being underway.
 */
import type { BrokerConfigs } from './configs.ts'
import type { CreateOutcome, Storage, TopicSpec } from './storage.ts'
import { canCollide, collisionKey, newTopicNameProblem } from './topic-names.ts'

export class TopicMaker {
  readonly #storage: Storage
  readonly #configs: BrokerConfigs
  readonly #underway = new Map<string, Promise<CreateOutcome>>()

  constructor(storage: Storage, configs: BrokerConfigs) {
    this.#storage = storage
    this.#configs = configs
  }

  /** Makes a topic that must not exist. */
  async create(spec: TopicSpec): Promise<CreateOutcome> {
    const other = this.#underway.get(spec.name)
    if (other !== undefined && (await other).error === 'NONE') return alreadyExists(spec.name)
    return this.#make(spec)
  }

  /** The topic of that name, made with the broker's defaults where there is none. */
  async ensure(name: string): Promise<CreateOutcome> {
    const outcome = await (this.#underway.get(name) ?? this.#make(this.#defaultSpec(name)))
    // Somebody was faster, on this node or another: the topic is what was wanted.
    const topic = outcome.error === 'TOPIC_ALREADY_EXISTS' ? this.#storage.topicByName(name) : undefined
    return topic === undefined ? outcome : { error: 'NONE', topic }
  }

  #defaultSpec(name: string): TopicSpec {
    const { partitionsDefault, replicationFactorDefault } = this.#configs.settings
    return { name, partitions: partitionsDefault, replicationFactor: replicationFactorDefault, configs: new Map() }
  }

  async #make(spec: TopicSpec): Promise<CreateOutcome> {
    const made = this.#storage.createTopic(spec)
    this.#underway.set(spec.name, made)
    try {
      return await made
    } finally {
      if (this.#underway.get(spec.name) === made) this.#underway.delete(spec.name)
    }
  }
}

/** What new topics may be called, given those that exist; for the length of one request. */
export class NewNames {
  readonly #takenByKey = new Map<string, string>()

  constructor(storage: Storage) {
    for (const { name } of storage.topics()) if (canCollide(name)) this.#takenByKey.set(collisionKey(name), name)
  }

  /** What is wrong with a new topic's name, as a sentence; null when nothing is. The name counts as taken from then on. */
  claim(name: string): string | null {
    const problem = newTopicNameProblem(name)
    if (problem !== null || !canCollide(name)) return problem
    const key = collisionKey(name)
    const taken = this.#takenByKey.get(key)
    if (taken !== undefined && taken !== name) return `The topic name ${name} collides with the topic ${taken}.`
    this.#takenByKey.set(key, name)
    return null
  }
}

export function alreadyExists(name: string): CreateOutcome {
  return { error: 'TOPIC_ALREADY_EXISTS', message: `The topic ${name} exists already.` }
}
