/**
 * DescribeConfigs: every config of a topic or of this broker, or those asked for, each with where its value comes from. A
 * resource that is named twice is answered once.
 *
 * A broker without a name stands for what is set for all brokers while they run: nothing, as brokers are configured at their
 * start. Nor have loggers, groups and client metrics any configs here.
 *
 * 1+ synonyms, if asked; 3+ types, and documentation, if asked.
 */
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeConfigsRequest, DescribeConfigsResponse } from '../../wire/messages/describe-configs.ts'
import {
  accessRefusal,
  brokerNameRefusal,
  type ConfigRefusal,
  findNamedTopic,
  isResourceType,
  type ResourceType,
  resourceKey,
  resourceTypes,
} from '../config-resources.ts'
import type { RequestContext } from '../context.ts'
import { type DescribedConfig, describeBrokerConfigs, describeTopicConfigs } from '../described-configs.ts'
import { handler } from '../handler.ts'

type Asked = DescribeConfigsRequest['resources'][number]
type Result = DescribeConfigsResponse['results'][number]

export const describeConfigs = handler({
  api: apis.describeConfigs,

  handle(request: DescribeConfigsRequest, context): DescribeConfigsResponse {
    const once = new Map(request.resources.map(asked => [resourceKey(asked), asked]))
    return { results: [...once.values()].map(asked => answer(asked, request, context)) }
  },

  failed: (request: DescribeConfigsRequest, error): DescribeConfigsResponse => ({
    results: request.resources.map(asked => refused(asked, kafkaErrors[error], null)),
  }),
})

function answer(asked: Asked, request: DescribeConfigsRequest, context: RequestContext): Result {
  const { resourceType, resourceName, configurationKeys } = asked
  const described = describe(resourceType, resourceName, context)
  if ('error' in described) return refused(asked, kafkaErrors[described.error], described.message)
  // Of no names Kafka makes all, as of null.
  const names = new Set(configurationKeys ?? [])
  const wanted = names.size === 0 ? described : described.filter(({ name }) => names.has(name))
  return {
    resourceType,
    resourceName,
    errorCode: kafkaErrors.NONE,
    errorMessage: null,
    configs: wanted.map(config => resultOf(config, request)),
  }
}

function describe(type: number, name: string, context: RequestContext): readonly DescribedConfig[] | ConfigRefusal {
  if (!isResourceType(type)) return { error: 'INVALID_REQUEST', message: `There is no resource type ${type}.` }
  return accessRefusal(context, type, name, 'DESCRIBE_CONFIGS') ?? configsOf(type, name, context)
}

function configsOf(
  type: ResourceType,
  name: string,
  context: RequestContext,
): readonly DescribedConfig[] | ConfigRefusal {
  const { configs } = context.parts
  if (type === resourceTypes.topic) {
    const topic = findNamedTopic(context, name)
    return 'error' in topic ? topic : describeTopicConfigs(configs, topic.configs)
  }
  if (type === resourceTypes.broker) {
    if (name === '') return []
    return brokerNameRefusal(context, name) ?? describeBrokerConfigs(configs, factsOf(context))
  }
  if (name === '') return { error: 'INVALID_REQUEST', message: 'The resource has no name.' }
  return (type === resourceTypes.brokerLogger ? brokerNameRefusal(context, name) : null) ?? []
}

/** What this node's configs are in fact, whether they were chosen by options, by the first start or by the machine. */
function factsOf({ parts, connection }: RequestContext): ReadonlyMap<string, string> {
  const { host, port } = connection.advertised
  return new Map([
    ...parts.configs.facts(),
    ['advertised.listeners', `PLAINTEXT://${host.includes(':') ? `[${host}]` : host}:${port}`],
    ['node.id', String(parts.storage.nodeId)],
    ['process.roles', 'broker,controller'],
  ])
}

function resultOf(config: DescribedConfig, request: DescribeConfigsRequest): Result['configs'][number] {
  return {
    name: config.name,
    value: config.value,
    readOnly: config.readOnly,
    configSource: config.source,
    isSensitive: false,
    synonyms: request.includeSynonyms ? config.synonyms : [],
    configType: config.typeCode,
    documentation: request.includeDocumentation ? config.doc : null,
  }
}

function refused({ resourceType, resourceName }: Asked, errorCode: number, errorMessage: string | null): Result {
  return { resourceType, resourceName, errorCode, errorMessage, configs: [] }
}
