/**
 * ListPartitionReassignments (46): partitions that are moving to other nodes. Flexible from the start.
 */
import {
  array,
  type Body,
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

export const listPartitionReassignmentsRequest = message({
  name: 'ListPartitionReassignmentsRequest',
  apiKey: 46,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    timeoutMs: withDefault(int32, 60_000),
    topics: withDefault(nullableArray(struct({ name: string, partitionIndexes: array(int32) })), null),
  },
})

export const listPartitionReassignmentsResponse = message({
  name: 'ListPartitionReassignmentsResponse',
  apiKey: 46,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: int16,
    errorMessage: nullableString,
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            replicas: array(int32),
            addingReplicas: array(int32),
            removingReplicas: array(int32),
          }),
        ),
      }),
    ),
  },
})

export type ListPartitionReassignmentsRequest = Body<typeof listPartitionReassignmentsRequest>
export type ListPartitionReassignmentsResponse = Draft<typeof listPartitionReassignmentsResponse>
