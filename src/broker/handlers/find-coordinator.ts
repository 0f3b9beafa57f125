/**
 * FindCoordinator: which node has a group. The answer waits until the group can be used there.
 *
 * A transactional id is refused for good, or a producer that wants transactions would ask for ever. 1+ has kinds of keys and
 * a message, 4+ many keys at once.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import {
  coordinatorKeyTypes,
  type FindCoordinatorRequest,
  type FindCoordinatorResponse,
} from '../../wire/messages/find-coordinator.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { noTransactions } from '../no-transactions.ts'
import { nodesSeenBy } from '../nodes.ts'

interface Found {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const findCoordinator = handler({
  api: apis.findCoordinator,

  async handle(request: FindCoordinatorRequest, context): Promise<FindCoordinatorResponse> {
    if (context.version < 4) return find(request.key, request.keyType, context)
    const keys = request.coordinatorKeys
    const found = await Promise.all(keys.map(key => find(key, request.keyType, context)))
    return { coordinators: found.map((answer, i) => ({ key: keys[i] as string, ...answer })) }
  },

  failed(request: FindCoordinatorRequest, error, { version }): FindCoordinatorResponse {
    const answer = nowhere(error, '')
    return version < 4 ? answer : { coordinators: request.coordinatorKeys.map(key => ({ key, ...answer })) }
  },
})

async function find(key: string, keyType: number, context: RequestContext): Promise<Found> {
  const { principal, parts } = context
  if (keyType === coordinatorKeyTypes.transaction) return nowhere(noTransactions.error, noTransactions.message)
  if (keyType !== coordinatorKeyTypes.group) {
    return nowhere('INVALID_REQUEST', `There is no coordinator for keys of type ${keyType}.`)
  }
  const rule = accessRules.findCoordinator
  if (!parts.access.check(principal, rule, key)) return nowhere(rule.refusal, 'Not authorised for the group.')
  const error = await parts.groups.find(key)
  if (error !== 'NONE') return nowhere(error, 'The group cannot be used yet.')
  const node = nodesSeenBy(context).find(({ nodeId }) => nodeId === parts.storage.nodeId)
  if (node === undefined) return nowhere('COORDINATOR_NOT_AVAILABLE', 'The node is not in the cluster yet.')
  const { nodeId, host, port } = node
  return { nodeId, host, port, errorCode: kafkaErrors.NONE, errorMessage: null }
}

function nowhere(error: KafkaErrorName, message: string): Found {
  return { nodeId: -1, host: '', port: -1, errorCode: kafkaErrors[error], errorMessage: message }
}
