/**
 * OffsetForLeaderEpoch (23): where a leader epoch ended, by which a client notices that what it read is gone.
 *
 * - 2: the lowest version; the epoch that the client takes for the current one. 3: the replica's id. 4: flexible.
 */
import {
  array,
  type Body,
  type Draft,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const offsetForLeaderEpochRequest = message({
  name: 'OffsetForLeaderEpochRequest',
  apiKey: 23,
  versions: [2, 4],
  flexibleSince: 4,
  body: {
    replicaId: since(3, int32, -2),
    topics: array(
      struct({
        topic: string,
        partitions: array(struct({ partition: int32, currentLeaderEpoch: withDefault(int32, -1), leaderEpoch: int32 })),
      }),
    ),
  },
})

export const offsetForLeaderEpochResponse = message({
  name: 'OffsetForLeaderEpochResponse',
  apiKey: 23,
  versions: [2, 4],
  flexibleSince: 4,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    topics: array(
      struct({
        topic: string,
        partitions: array(
          struct({
            errorCode: int16,
            partition: int32,
            leaderEpoch: withDefault(int32, -1),
            endOffset: withDefault(int64, -1),
          }),
        ),
      }),
    ),
  },
})

export type OffsetForLeaderEpochRequest = Body<typeof offsetForLeaderEpochRequest>
export type OffsetForLeaderEpochResponse = Draft<typeof offsetForLeaderEpochResponse>
