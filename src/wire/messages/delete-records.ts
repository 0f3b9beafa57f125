/**
 * DeleteRecords (21): moves the start of partitions up to an offset; -1 stands for the high watermark.
 *
 * - 1: throttling begins after the response was sent. 2: flexible.
 */
import {
  array,
  type Body,
  type Draft,
  int16,
  int32,
  int64,
  int64Saturating,
  message,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const deleteRecordsRequest = message({
  name: 'DeleteRecordsRequest',
  apiKey: 21,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    topics: array(
      struct({ name: string, partitions: array(struct({ partitionIndex: int32, offset: int64Saturating })) }),
    ),
    timeoutMs: int32,
  },
})

export const deleteRecordsResponse = message({
  name: 'DeleteRecordsResponse',
  apiKey: 21,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(struct({ partitionIndex: int32, lowWatermark: int64, errorCode: int16 })),
      }),
    ),
  },
})

export type DeleteRecordsRequest = Body<typeof deleteRecordsRequest>
export type DeleteRecordsResponse = Draft<typeof deleteRecordsResponse>
