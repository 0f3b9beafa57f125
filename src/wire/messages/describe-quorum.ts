/**
 * DescribeQuorum (55): who agrees on the metadata, and how far each is. Flexible from the start.
 *
 * - 1: when each fetched last, and when it was up to date. 2: error messages, directory ids, the nodes' addresses.
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
  since,
  string,
  struct,
  uint16,
  uuid,
} from '../schema.ts'

const replicas = array(
  struct({
    replicaId: int32,
    replicaDirectoryId: essential(since(2, uuid, noTopicId)),
    logEndOffset: int64,
    lastFetchTimestamp: since(1, int64, -1),
    lastCaughtUpTimestamp: since(1, int64, -1),
  }),
)

export const describeQuorumRequest = message({
  name: 'DescribeQuorumRequest',
  apiKey: 55,
  versions: [0, 2],
  flexibleSince: 0,
  body: {
    topics: array(struct({ topicName: string, partitions: array(struct({ partitionIndex: int32 })) })),
  },
})

export const describeQuorumResponse = message({
  name: 'DescribeQuorumResponse',
  apiKey: 55,
  versions: [0, 2],
  flexibleSince: 0,
  body: {
    errorCode: int16,
    errorMessage: since(2, nullableString, ''),
    topics: array(
      struct({
        topicName: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: since(2, nullableString, ''),
            leaderId: int32,
            leaderEpoch: int32,
            highWatermark: int64,
            currentVoters: replicas,
            observers: replicas,
          }),
        ),
      }),
    ),
    nodes: essential(
      since(
        2,
        array(struct({ nodeId: int32, listeners: array(struct({ name: string, host: string, port: uint16 })) })),
        [],
      ),
    ),
  },
})

export type DescribeQuorumRequest = Body<typeof describeQuorumRequest>
export type DescribeQuorumResponse = Draft<typeof describeQuorumResponse>
