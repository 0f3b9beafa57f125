/** What has configs, by Kafka's numbers, and who may look at them or change them. */
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import { type AccessRule, clusterResource, type Operation } from './access.ts'
import type { RequestContext } from './context.ts'
import type { Topic } from './storage.ts'
import { topicNameProblem } from './topic-names.ts'

export const resourceTypes = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const
export type ResourceType = (typeof resourceTypes)[keyof typeof resourceTypes]

/** A resource as a request names it. */
export interface NamedResource {
  readonly resourceType: number
  readonly resourceName: string
}

export interface ConfigRefusal {
  readonly error: Exclude<KafkaErrorName, 'NONE'>
  readonly message: string
}

const allTypes: readonly number[] = Object.values(resourceTypes)

export function isResourceType(type: number): type is ResourceType {
  return allTypes.includes(type)
}

/** One text per resource, to find those that a request names twice. */
export function resourceKey({ resourceType, resourceName }: NamedResource): string {
  return `${resourceType}/${resourceName}`
}

/** Why the client may not do that to the resource; null when it may. */
export function accessRefusal(
  context: RequestContext,
  type: ResourceType,
  name: string,
  operation: Extract<Operation, 'DESCRIBE_CONFIGS' | 'ALTER_CONFIGS'>,
): ConfigRefusal | null {
  const { resource, refusal } = guards[type]
  const rule: AccessRule = { resource, operation, refusal }
  const guarded = resource === 'cluster' ? clusterResource : name
  if (context.parts.access.check(context.principal, rule, guarded)) return null
  return { error: refusal, message: 'Not authorised for the configs of this resource.' }
}

const cluster = { resource: 'cluster', refusal: 'CLUSTER_AUTHORIZATION_FAILED' } as const
const guards = {
  [resourceTypes.topic]: { resource: 'topic', refusal: 'TOPIC_AUTHORIZATION_FAILED' },
  [resourceTypes.broker]: cluster,
  [resourceTypes.brokerLogger]: cluster,
  [resourceTypes.clientMetrics]: cluster,
  [resourceTypes.group]: { resource: 'group', refusal: 'GROUP_AUTHORIZATION_FAILED' },
} as const

export function findNamedTopic({ parts }: RequestContext, name: string): Topic | ConfigRefusal {
  const topic = parts.storage.topicByName(name)
  if (topic !== undefined) return topic
  const problem = topicNameProblem(name)
  if (problem !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message: problem }
  return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'There is no such topic.' }
}

/** What is wrong with the name of a broker that a request was sent to; null when it is this one's number. */
export function brokerNameRefusal({ parts }: RequestContext, name: string): ConfigRefusal | null {
  const own = String(parts.storage.nodeId)
  if (name === own) return null
  const what = /^[+-]?\d+$/.test(name) ? 'names another broker' : 'is no number'
  return { error: 'INVALID_REQUEST', message: `The name of the resource ${what}; this broker is ${own}.` }
}
