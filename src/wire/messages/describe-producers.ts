/**
 * DescribeProducers (61): the producers that a partition remembers. Flexible from the start.
 */
import {
  array,
  type Body,
  type Draft,
  int16,
  int32,
  int64,
  message,
  nullableString,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const describeProducersRequest = message({
  name: 'DescribeProducersRequest',
  apiKey: 61,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    topics: array(struct({ name: string, partitionIndexes: array(int32) })),
  },
})

export const describeProducersResponse = message({
  name: 'DescribeProducersResponse',
  apiKey: 61,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: withDefault(nullableString, null),
            activeProducers: array(
              struct({
                producerId: int64,
                producerEpoch: int32,
                lastSequence: withDefault(int32, -1),
                lastTimestamp: withDefault(int64, -1),
                coordinatorEpoch: int32,
                currentTxnStartOffset: withDefault(int64, -1),
              }),
            ),
          }),
        ),
      }),
    ),
  },
})

export type DescribeProducersRequest = Body<typeof describeProducersRequest>
export type DescribeProducersResponse = Draft<typeof describeProducersResponse>
