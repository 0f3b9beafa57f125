/**
 * ListConfigResources: everything that has configs which can be described. 0 asks for client metrics alone, of which there
 * are none; 1+ for the types named, or for all.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '../../wire/messages/list-config-resources.ts'
import { accessRules, clusterResource } from '../access.ts'
import { isResourceType, type ResourceType, resourceTypes } from '../config-resources.ts'
import { handler } from '../handler.ts'
import type { Storage } from '../storage.ts'

export const listConfigResources = handler({
  api: apis.listConfigResources,

  handle(request: ListConfigResourcesRequest, { parts, principal, version }): ListConfigResourcesResponse {
    const rule = accessRules.listConfigResources
    if (!parts.access.check(principal, rule, clusterResource)) return failure(rule.refusal)
    const asked = version === 0 ? [resourceTypes.clientMetrics] : request.resourceTypes
    const types = asked.length > 0 ? [...new Set(asked)] : Object.values(resourceTypes)
    if (!types.every(isResourceType)) return failure('UNSUPPORTED_VERSION')
    return {
      errorCode: kafkaErrors.NONE,
      configResources: types.flatMap(resourceType =>
        namesOf(resourceType, parts.storage).map(resourceName => ({ resourceName, resourceType })),
      ),
    }
  },

  failed: (_request: ListConfigResourcesRequest, error) => failure(error),
})

function namesOf(type: ResourceType, storage: Storage): readonly string[] {
  switch (type) {
    case resourceTypes.topic:
      return storage.topics().map(({ name }) => name)
    case resourceTypes.broker:
    case resourceTypes.brokerLogger:
      return [String(storage.nodeId)]
    case resourceTypes.clientMetrics:
    case resourceTypes.group:
      return []
  }
}

function failure(error: KafkaErrorName): ListConfigResourcesResponse {
  return { errorCode: kafkaErrors[error], configResources: [] }
}
