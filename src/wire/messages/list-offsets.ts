/**
 * ListOffsets (2): the offset of a time in a partition, or of one of the special times below.
 *
 * - 1: the lowest version; one offset per partition. 2: isolation level, throttle time. 3: throttling after the response.
 * - 4: leader epochs. 5: OFFSET_NOT_AVAILABLE may be answered. 6: flexible.
 * - 7: the record with the highest timestamp. 8: the earliest local offset. 9: the last tiered offset.
 * - 10: a timeout for answers out of the tier. 11: the earliest offset that waits for upload.
 */
import {
  array,
  type Body,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  int64,
  int64Saturating,
  message,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

/** The times with a meaning of their own. */
export const listOffsetsTimes = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
} as const

export const listOffsetsRequest = message({
  name: 'ListOffsetsRequest',
  apiKey: 2,
  versions: [1, 11],
  flexibleSince: 6,
  body: {
    replicaId: int32,
    isolationLevel: essential(since(2, int8, 0)),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({ partitionIndex: int32, currentLeaderEpoch: since(4, int32, -1), timestamp: int64Saturating }),
        ),
      }),
    ),
    timeoutMs: since(10, int32, 0),
  },
})

export const listOffsetsResponse = message({
  name: 'ListOffsetsResponse',
  apiKey: 2,
  versions: [1, 11],
  flexibleSince: 6,
  body: {
    throttleTimeMs: since(2, int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            timestamp: withDefault(int64, -1),
            offset: withDefault(int64, -1),
            leaderEpoch: essential(since(4, int32, -1)),
          }),
        ),
      }),
    ),
  },
})

export type ListOffsetsRequest = Body<typeof listOffsetsRequest>
export type ListOffsetsResponse = Draft<typeof listOffsetsResponse>
