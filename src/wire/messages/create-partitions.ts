/**
 * CreatePartitions (37): more partitions for topics that exist.
 *
 * - 1: throttling begins after the response was sent. 2: flexible. 3: THROTTLING_QUOTA_EXCEEDED may be answered.
 */
import {
  array,
  type Body,
  bool,
  type Draft,
  int16,
  int32,
  message,
  nullableArray,
  nullableString,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const createPartitionsRequest = message({
  name: 'CreatePartitionsRequest',
  apiKey: 37,
  versions: [0, 3],
  flexibleSince: 2,
  body: {
    topics: array(
      struct({ name: string, count: int32, assignments: nullableArray(struct({ brokerIds: array(int32) })) }),
    ),
    timeoutMs: int32,
    validateOnly: bool,
  },
})

export const createPartitionsResponse = message({
  name: 'CreatePartitionsResponse',
  apiKey: 37,
  versions: [0, 3],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    results: array(struct({ name: string, errorCode: int16, errorMessage: withDefault(nullableString, null) })),
  },
})

export type CreatePartitionsRequest = Body<typeof createPartitionsRequest>
export type CreatePartitionsResponse = Draft<typeof createPartitionsResponse>
