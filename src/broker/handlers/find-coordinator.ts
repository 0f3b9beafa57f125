/**
 * FindCoordinator: there are no groups yet, so that no node coordinates one: COORDINATOR_NOT_AVAILABLE, which clients take
 * for a reason to ask again later. The API is offered nevertheless, because librdkafka takes its presence for lz4 support.
 *
 * A transactional id is refused for good instead, or a producer that wants transactions would ask for ever. 1+ has kinds of
 * keys and a message, 4+ many keys at once.
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

interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string
}

export const findCoordinator = handler({
  api: apis.findCoordinator,

  handle: (request: FindCoordinatorRequest, context): FindCoordinatorResponse =>
    answer(request, context.version, key => refusal(key, request.keyType, context)),

  failed: (request: FindCoordinatorRequest, error, { version }): FindCoordinatorResponse =>
    answer(request, version, () => ({ error, message: '' })),
})

function answer(
  request: FindCoordinatorRequest,
  version: number,
  refuse: (key: string) => Refusal,
): FindCoordinatorResponse {
  const nowhere = { nodeId: -1, host: '', port: -1 }
  if (version < 4) {
    const { error, message } = refuse(request.key)
    return { ...nowhere, errorCode: kafkaErrors[error], errorMessage: message }
  }
  const coordinators = request.coordinatorKeys.map(key => {
    const { error, message } = refuse(key)
    return { key, ...nowhere, errorCode: kafkaErrors[error], errorMessage: message }
  })
  return { coordinators }
}

function refusal(key: string, keyType: number, { principal, parts }: RequestContext): Refusal {
  if (keyType === coordinatorKeyTypes.transaction) return noTransactions
  if (keyType !== coordinatorKeyTypes.group && keyType !== coordinatorKeyTypes.share) {
    return { error: 'INVALID_REQUEST', message: `There is no coordinator for keys of type ${keyType}.` }
  }
  const rule = accessRules.findCoordinator
  if (!parts.access.check(principal, rule, key))
    return { error: rule.refusal, message: 'Not authorised for the group.' }
  return { error: 'COORDINATOR_NOT_AVAILABLE', message: 'Consumer groups are not supported yet.' }
}
