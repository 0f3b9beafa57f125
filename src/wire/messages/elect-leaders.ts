/**
 * ElectLeaders (43): makes the preferred replica, or any that is alive, the leader.
 *
 * - 1: the kind of election, and an error for the whole answer. 2: flexible.
 */
import {
  array,
  type Body,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  message,
  nullableArray,
  nullableString,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const electLeadersRequest = message({
  name: 'ElectLeadersRequest',
  apiKey: 43,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    electionType: essential(since(1, int8, 0)),
    topicPartitions: nullableArray(struct({ topic: string, partitions: array(int32) })),
    timeoutMs: withDefault(int32, 60_000),
  },
})

export const electLeadersResponse = message({
  name: 'ElectLeadersResponse',
  apiKey: 43,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: essential(since(1, int16, 0)),
    replicaElectionResults: array(
      struct({
        topic: string,
        partitionResult: array(struct({ partitionId: int32, errorCode: int16, errorMessage: nullableString })),
      }),
    ),
  },
})

export type ElectLeadersRequest = Body<typeof electLeadersRequest>
export type ElectLeadersResponse = Draft<typeof electLeadersResponse>
