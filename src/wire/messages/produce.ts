/**
 * Produce (0): record batches for partitions. With acks=0 there is no response at all.
 *
 * - 0-2: gone, but advertised, because librdkafka decides by them whether it may compress.
 * - 3: batches of magic 2, transactional ids. 4: KAFKA_STORAGE_ERROR may be answered. 5: log start offset in the response.
 * - 7: zstd is allowed. 8: errors per record, and an error message.
 * - 9: flexible. 10: on NOT_LEADER_OR_FOLLOWER the response says who leads, and where that node is.
 * - 11: TRANSACTION_ABORTABLE may be answered. 12: within a transaction, adds the partition to it.
 * - 13: topic ids instead of names.
 */
import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
  type Draft,
  essential,
  int16,
  int32,
  int64,
  message,
  nullableString,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const produceRequest = message({
  name: 'ProduceRequest',
  apiKey: 0,
  versions: [3, 13],
  flexibleSince: 9,
  body: {
    transactionalId: withDefault(nullableString, null),
    acks: int16,
    timeoutMs: int32,
    topicData: array(
      struct({
        name: until(12, string, ''),
        topicId: since(13, uuid, noTopicId),
        partitionData: array(struct({ index: int32, records })),
      }),
    ),
  },
})

export const produceResponse = message({
  name: 'ProduceResponse',
  apiKey: 0,
  versions: [3, 13],
  flexibleSince: 9,
  body: {
    responses: array(
      struct({
        name: until(12, string, ''),
        topicId: since(13, uuid, noTopicId),
        partitionResponses: array(
          struct({
            index: int32,
            errorCode: int16,
            baseOffset: int64,
            /** -1 when the topic keeps the producer's timestamps. */
            logAppendTimeMs: withDefault(int64, -1),
            logStartOffset: since(5, int64, -1),
            recordErrors: since(
              8,
              array(struct({ batchIndex: int32, batchIndexErrorMessage: withDefault(nullableString, null) })),
              [],
            ),
            errorMessage: since(8, nullableString, null),
            currentLeader: essential(
              tagged(0, 10, struct({ leaderId: withDefault(int32, -1), leaderEpoch: withDefault(int32, -1) })),
            ),
          }),
        ),
      }),
    ),
    throttleTimeMs: withDefault(int32, 0),
    nodeEndpoints: essential(
      tagged(
        0,
        10,
        array(struct({ nodeId: int32, host: string, port: int32, rack: withDefault(nullableString, null) })),
      ),
    ),
  },
})

export type ProduceRequest = Body<typeof produceRequest>
export type ProduceResponse = Draft<typeof produceResponse>
