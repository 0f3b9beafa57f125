/**
 * Changes of configs, as AlterConfigs and IncrementalAlterConfigs ask for them: each resource has an outcome of its own and
 * is changed as a whole or not at all. The two differ only in what a change makes of a topic's overrides.
 *
 * Changes that meet are put one after the other: each is made for a version of the topic, and made anew when somebody was
 * faster.
 */
import { type KafkaErrorName, kafkaErrors } from '../wire/kafka-errors.ts'
import {
  accessRefusal,
  brokerNameRefusal,
  type ConfigRefusal,
  findNamedTopic,
  isResourceType,
  type NamedResource,
  type ResourceType,
  resourceKey,
  resourceTypes,
} from './config-resources.ts'
import type { RequestContext } from './context.ts'
import { waitMsWithin, within } from './deadline.ts'
import { repeated } from './repeated.ts'

/** How often a change is made anew because others were faster. */
const attemptsMax = 100
/** Neither request says how long its client waits. */
const alterMsMax = 30_000

export interface AskedChange extends NamedResource {
  readonly configs: readonly {
    readonly name: string
    readonly value: string | null
    readonly configOperation?: number
  }[]
}

/** As IncrementalAlterConfigs numbers them; AlterConfigs sets. */
export const configOperations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

/** What a change makes of a topic's overrides, already validated, or why it makes nothing of them. */
export type Change<A> = (
  asked: A,
  overrides: ReadonlyMap<string, string>,
  context: RequestContext,
) => ReadonlyMap<string, string> | ConfigRefusal

interface ChangeOutcome extends NamedResource {
  readonly error: KafkaErrorName
  readonly message: string | null
}

interface ChangeAnswer {
  readonly responses: readonly (NamedResource & { readonly errorCode: number; readonly errorMessage: string | null })[]
}

/** The answer to a request that asks for changes. */
export async function answerChanges<A extends AskedChange>(
  resources: readonly A[],
  change: Change<A>,
  validateOnly: boolean,
  context: RequestContext,
): Promise<ChangeAnswer> {
  return answerOf(await changeConfigs(resources, change, validateOnly, context))
}

/** The answer to one that failed as a whole. */
export function failChanges(resources: readonly NamedResource[], error: KafkaErrorName): ChangeAnswer {
  return answerOf(resources.map(resource => ({ ...resource, error, message: null })))
}

function answerOf(outcomes: readonly ChangeOutcome[]): ChangeAnswer {
  return {
    responses: outcomes.map(({ resourceType, resourceName, error, message }) => ({
      resourceType,
      resourceName,
      errorCode: kafkaErrors[error],
      errorMessage: message,
    })),
  }
}

/** The outcomes of a request's changes, one for each resource. */
async function changeConfigs<A extends AskedChange>(
  resources: readonly A[],
  change: Change<A>,
  validateOnly: boolean,
  context: RequestContext,
): Promise<ChangeOutcome[]> {
  const twice = repeated(resources.map(resourceKey))
  const once = new Map(resources.map(asked => [resourceKey(asked), asked]))
  return Promise.all(
    [...once].map(async ([key, asked]): Promise<ChangeOutcome> => {
      const { resourceType, resourceName } = asked
      const refusal = twice.has(key)
        ? invalid('The resource is named twice in the request.')
        : await changeResource(asked, change, validateOnly, context)
      return { resourceType, resourceName, ...(refusal ?? { error: 'NONE', message: null }) }
    }),
  )
}

async function changeResource<A extends AskedChange>(
  asked: A,
  change: Change<A>,
  validateOnly: boolean,
  context: RequestContext,
): Promise<ConfigRefusal | null> {
  const { resourceType: type, resourceName: name, configs } = asked
  if (!isResourceType(type)) return invalid(`There is no resource type ${type}.`)
  if (repeated(configs.map(config => config.name)).size > 0) return invalid('A config is named twice.')
  const denied = accessRefusal(context, type, name, 'ALTER_CONFIGS')
  if (denied !== null) return denied
  if (type !== resourceTypes.topic) {
    const given = configs.find(({ configOperation }) => configOperation !== configOperations.delete)
    return refuseFixed(type, name, given?.name, context)
  }
  if (name === '') return invalid('Topics have no configs in common; those of brokers give them their defaults.')
  const work = changeTopic(asked, change, validateOnly, context)
  const outcome = await within(context.parts.clock, waitMsWithin(context, alterMsMax), work)
  return outcome === null ? tooLate : outcome.refusal
}

const tooLate: ConfigRefusal = {
  error: 'REQUEST_TIMED_OUT',
  message: 'The change was not made in time; it may be made later.',
}

async function changeTopic<A extends AskedChange>(
  asked: A,
  change: Change<A>,
  validateOnly: boolean,
  context: RequestContext,
): Promise<{ readonly refusal: ConfigRefusal | null }> {
  const { storage } = context.parts
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const topic = findNamedTopic(context, asked.resourceName)
    if ('error' in topic) return { refusal: topic }
    const changed = change(asked, topic.configs, context)
    if ('error' in changed) return { refusal: changed }
    const keptBy = topic.internal ? brokersNeed(topic.configs, changed) : null
    if (keptBy !== null) return { refusal: keptBy }
    if (validateOnly || areEqual(topic.configs, changed)) return { refusal: null }
    const error = await storage.configureTopic(topic.id, topic.version, changed)
    if (error === 'NONE') return { refusal: null }
    // A topic that went meanwhile is looked for once more, by its name: there may be another.
    if (error === 'STALE' || error === 'UNKNOWN_TOPIC_ID') continue
    return { refusal: { error, message: 'The change was refused.' } }
  }
  return { refusal: { error: 'REQUEST_TIMED_OUT', message: 'Others kept changing the topic.' } }
}

/** Of brokers' own topics: nothing in them is ever too old, and it is read as it was written. */
const neededByBrokers = ['cleanup.policy', 'compression.type']

/** Without these the next start of the broker would not find what it had promised. */
function brokersNeed(
  overrides: ReadonlyMap<string, string>,
  changed: ReadonlyMap<string, string>,
): ConfigRefusal | null {
  const lost = neededByBrokers.find(name => changed.get(name) !== overrides.get(name))
  if (lost === undefined) return null
  const message = `The config ${lost} of this topic cannot be changed: brokers keep their own state in it.`
  return { error: 'INVALID_CONFIG', message }
}

/** What has no configs that can be altered: to alter none of them, or to reset them, is to succeed. */
function refuseFixed(
  type: Exclude<ResourceType, typeof resourceTypes.topic>,
  name: string,
  config: string | undefined,
  context: RequestContext,
): ConfigRefusal | null {
  const isBroker = type === resourceTypes.broker || type === resourceTypes.brokerLogger
  const wrongName = isBroker && name !== '' ? brokerNameRefusal(context, name) : null
  if (wrongName !== null) return wrongName
  if (name === '' && type !== resourceTypes.broker) return invalid('The resource has no name.')
  if (config === undefined) return null
  const shown = config.slice(0, 100)
  switch (type) {
    case resourceTypes.broker:
      return invalid(`A broker's configs are set at its start: tidelog --set ${shown}=VALUE, then start it again.`)
    case resourceTypes.brokerLogger:
      return { error: 'INVALID_CONFIG', message: `There is no logger ${shown}; the level of all is --log-level.` }
    case resourceTypes.group:
      return { error: 'INVALID_CONFIG', message: `Groups have no config ${shown}.` }
    case resourceTypes.clientMetrics:
      return invalid(`Client metrics have no config ${shown}.`)
  }
}

export function invalid(message: string): ConfigRefusal {
  return { error: 'INVALID_REQUEST', message }
}

function areEqual(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value)
}
