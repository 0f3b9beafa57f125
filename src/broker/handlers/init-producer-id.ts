/**
 * InitProducerId: an id that nobody else has, with epoch 0, for a producer that wants no duplicates.
 *
 * 3+ may state the producer's present id and epoch. As in Kafka that matters to transactional producers only: one without
 * a transactional id gets a new id, which nothing sent under the old one can disturb. Transactional ids are refused.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { InitProducerIdRequest, InitProducerIdResponse } from '../../wire/messages/init-producer-id.ts'
import { accessRules, clusterResource } from '../access.ts'
import { handler } from '../handler.ts'
import { noTransactions } from '../no-transactions.ts'

export const initProducerId = handler({
  api: apis.initProducerId,

  async handle(request: InitProducerIdRequest, { principal, parts }): Promise<InitProducerIdResponse> {
    const { transactionalId, producerId, producerEpoch } = request
    if (transactionalId === '') return failure('INVALID_REQUEST')
    if (transactionalId !== null) return failure(noTransactions.error)
    if (!parts.access.check(principal, accessRules.initProducerId, clusterResource)) {
      return failure(accessRules.initProducerId.refusal)
    }
    // Both or neither: half of the pair is nobody's state.
    if ((producerId === -1) !== (producerEpoch === -1)) return failure('INVALID_REQUEST')
    return { errorCode: kafkaErrors.NONE, producerId: await parts.producerIds.next(), producerEpoch: 0 }
  },

  failed: (_request, error) => failure(error),
})

function failure(error: KafkaErrorName): InitProducerIdResponse {
  return { errorCode: kafkaErrors[error], producerId: -1, producerEpoch: -1 }
}
