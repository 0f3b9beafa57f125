/**
 * InitProducerId (22): an id and an epoch for an idempotent or transactional producer.
 *
 * - 1: throttling begins after the response was sent. 2: flexible. 3: the producer's present id and epoch, to go on with.
 * - 4: PRODUCER_FENCED may be answered. 5: TRANSACTION_ABORTABLE may be answered.
 * - Version 6 (two-phase commit) is marked unstable by Kafka and not offered.
 */
import {
  type Body,
  type Draft,
  essential,
  int16,
  int32,
  int64,
  message,
  nullableString,
  since,
  withDefault,
} from '../schema.ts'

export const initProducerIdRequest = message({
  name: 'InitProducerIdRequest',
  apiKey: 22,
  versions: [0, 5],
  flexibleSince: 2,
  body: {
    transactionalId: nullableString,
    transactionTimeoutMs: int32,
    producerId: essential(since(3, int64, -1)),
    producerEpoch: essential(since(3, int16, -1)),
  },
})

export const initProducerIdResponse = message({
  name: 'InitProducerIdResponse',
  apiKey: 22,
  versions: [0, 5],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: int16,
    producerId: withDefault(int64, -1),
    producerEpoch: int16,
  },
})

export type InitProducerIdRequest = Body<typeof initProducerIdRequest>
export type InitProducerIdResponse = Draft<typeof initProducerIdResponse>
