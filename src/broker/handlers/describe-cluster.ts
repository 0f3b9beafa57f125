/**
 * DescribeCluster: the brokers, the controller and the cluster's id.
 *
 * 1+ says whether brokers or controllers are asked for; controllers have no listener of their own here. 2+ may ask for
 * fenced brokers, of which there are none.
 */
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeClusterRequest, DescribeClusterResponse } from '../../wire/messages/describe-cluster.ts'
import { operationsNotAsked } from '../../wire/messages/metadata.ts'
import { authorizedOperations, clusterResource } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { nodesSeenBy } from '../nodes.ts'

const endpointTypes = { brokers: 1, controllers: 2 } as const

export const describeCluster = handler({
  api: apis.describeCluster,

  handle(request: DescribeClusterRequest, context): DescribeClusterResponse {
    const { storage, access } = context.parts
    const { endpointType, includeClusterAuthorizedOperations } = request
    if (endpointType === endpointTypes.controllers) {
      return failure('MISMATCHED_ENDPOINT_TYPE', 'This listener serves brokers, not controllers.')
    }
    if (endpointType !== endpointTypes.brokers) {
      return failure('UNSUPPORTED_ENDPOINT_TYPE', `There is no endpoint type ${endpointType}.`)
    }
    return {
      throttleTimeMs: 0,
      errorCode: kafkaErrors.NONE,
      clusterId: storage.clusterId,
      controllerId: storage.nodeId,
      brokers: brokers(context),
      clusterAuthorizedOperations: includeClusterAuthorizedOperations
        ? authorizedOperations(access, context.principal, 'cluster', clusterResource)
        : operationsNotAsked,
    }
  },

  failed: (_request, error) => failure(error, null),
})

function brokers(context: RequestContext) {
  return nodesSeenBy(context).map(({ nodeId, ...rest }) => ({ brokerId: nodeId, ...rest }))
}

function failure(error: keyof typeof kafkaErrors, errorMessage: string | null): DescribeClusterResponse {
  return { throttleTimeMs: 0, errorCode: kafkaErrors[error], errorMessage, clusterId: '', brokers: [] }
}
