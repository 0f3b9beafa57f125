/**
 * CreateTopics (19).
 *
 * - 2: the lowest version. 3: throttling begins after the response was sent.
 * - 4: -1 partitions or replicas stand for the broker's defaults. 5: flexible; the response tells the topic's configs.
 * - 6: THROTTLING_QUOTA_EXCEEDED may be answered. 7: the response tells the topic's id.
 */
import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
  bool,
  type Draft,
  int8,
  int16,
  int32,
  message,
  nullableArray,
  nullableString,
  since,
  string,
  struct,
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

export const createTopicsRequest = message({
  name: 'CreateTopicsRequest',
  apiKey: 19,
  versions: [2, 7],
  flexibleSince: 5,
  body: {
    topics: array(
      struct({
        name: string,
        numPartitions: int32,
        replicationFactor: int16,
        assignments: array(struct({ partitionIndex: int32, brokerIds: array(int32) })),
        configs: array(struct({ name: string, value: nullableString })),
      }),
    ),
    timeoutMs: withDefault(int32, 60_000),
    validateOnly: withDefault(bool, false),
  },
})

export const createTopicsResponse = message({
  name: 'CreateTopicsResponse',
  apiKey: 19,
  versions: [2, 7],
  flexibleSince: 5,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    topics: array(
      struct({
        name: string,
        topicId: since(7, uuid, noTopicId),
        errorCode: int16,
        errorMessage: nullableString,
        /** Why `configs` is null, where it is. */
        topicConfigErrorCode: tagged(0, 5, int16),
        numPartitions: since(5, int32, -1),
        replicationFactor: since(5, int16, -1),
        configs: since(
          5,
          nullableArray(
            struct({
              name: string,
              value: nullableString,
              readOnly: bool,
              configSource: withDefault(int8, -1),
              isSensitive: bool,
            }),
          ),
          [],
        ),
      }),
    ),
  },
})

export type CreateTopicsRequest = Body<typeof createTopicsRequest>
export type CreateTopicsResponse = Draft<typeof createTopicsResponse>
