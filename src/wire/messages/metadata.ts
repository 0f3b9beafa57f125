/**
 * Metadata (3): brokers, topics, partitions and their leaders.
 *
 * - 0: an empty list of topics asks for all. 1: null asks for all, an empty list for none; racks, controller, internal topics.
 * - 2: cluster id. 3: throttle time. 4: the client says whether topics may be created. 5: offline replicas.
 * - 6: throttling begins after the response was sent. 7: leader epochs. 8: authorized operations on request.
 * - 9: flexible. 10: topic ids in answers; requests have the field, but must not use it before version 12.
 * - 11: the cluster's authorized operations moved to DescribeCluster. 12: topics may be asked for by id.
 * - 13: an error code for the whole answer.
 */

import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
  between,
  bool,
  type Draft,
  essential,
  int16,
  int32,
  message,
  nullableSince,
  nullableString,
  since,
  string,
  struct,
  uuid,
} from '../schema.ts'

/** What the authorized operations of an answer are when nobody asked for them. */
export const operationsNotAsked = -0x8000_0000

export const metadataRequest = message({
  name: 'MetadataRequest',
  apiKey: 3,
  versions: [0, 13],
  flexibleSince: 9,
  body: {
    topics: nullableSince(1, array(struct({ topicId: since(10, uuid, noTopicId), name: nullableSince(10, string) }))),
    allowAutoTopicCreation: essential(since(4, bool, true)),
    includeClusterAuthorizedOperations: essential(between(8, 10, bool, false)),
    includeTopicAuthorizedOperations: essential(since(8, bool, false)),
  },
})

export const metadataResponse = message({
  name: 'MetadataResponse',
  apiKey: 3,
  versions: [0, 13],
  flexibleSince: 9,
  body: {
    throttleTimeMs: since(3, int32, 0),
    brokers: array(struct({ nodeId: int32, host: string, port: int32, rack: since(1, nullableString, null) })),
    clusterId: since(2, nullableString, null),
    controllerId: since(1, int32, -1),
    topics: array(
      struct({
        errorCode: int16,
        /** Null only for a topic that was asked for by an id nobody has. */
        name: nullableSince(12, string),
        topicId: since(10, uuid, noTopicId),
        isInternal: since(1, bool, false),
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: since(7, int32, -1),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            offlineReplicas: since(5, array(int32), []),
          }),
        ),
        topicAuthorizedOperations: essential(since(8, int32, operationsNotAsked)),
      }),
    ),
    clusterAuthorizedOperations: essential(between(8, 10, int32, operationsNotAsked)),
    errorCode: since(13, int16, 0),
  },
})

export type MetadataRequest = Body<typeof metadataRequest>
export type MetadataResponse = Draft<typeof metadataResponse>
