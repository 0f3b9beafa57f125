/**
 * DescribeTopicPartitions (75): the partitions of topics, page by page: where the answer had no room for all, it says where to
 * go on. Flexible from the start.
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
  nullableSince,
  nullableString,
  string,
  struct,
  uuid,
  withDefault,
} from '../schema.ts'
import { operationsNotAsked } from './metadata.ts'

export const describeTopicPartitionsRequest = message({
  name: 'DescribeTopicPartitionsRequest',
  apiKey: 75,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    topics: array(struct({ name: string })),
    responsePartitionLimit: withDefault(int32, 2_000),
    cursor: withDefault(nullableSince(0, struct({ topicName: string, partitionIndex: int32 })), null),
  },
})

export const describeTopicPartitionsResponse = message({
  name: 'DescribeTopicPartitionsResponse',
  apiKey: 75,
  versions: [0, 0],
  flexibleSince: 0,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    topics: array(
      struct({
        errorCode: int16,
        name: nullableString,
        topicId: uuid,
        isInternal: withDefault(bool, false),
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: withDefault(int32, -1),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            eligibleLeaderReplicas: withDefault(nullableArray(int32), null),
            lastKnownElr: withDefault(nullableArray(int32), null),
            offlineReplicas: array(int32),
          }),
        ),
        topicAuthorizedOperations: withDefault(int32, operationsNotAsked),
      }),
    ),
    nextCursor: withDefault(nullableSince(0, struct({ topicName: string, partitionIndex: int32 })), null),
  },
})

export type DescribeTopicPartitionsRequest = Body<typeof describeTopicPartitionsRequest>
export type DescribeTopicPartitionsResponse = Draft<typeof describeTopicPartitionsResponse>
