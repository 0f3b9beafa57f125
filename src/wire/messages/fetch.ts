/**
 * Fetch (1): record batches from partitions, in the order in which the request names them.
 *
 * - 4: the lowest version; isolation level, aborted transactions. 5: log start offset. 6: KAFKA_STORAGE_ERROR may be answered.
 * - 7: sessions: a request says only what changed, a response only what is new. 8: throttling begins after the response.
 * - 9: the client's leader epoch. 10: zstd may come back. 11: rack of the client, a better replica to read from.
 * - 12: flexible; last fetched epoch, diverging epoch, current leader, snapshot id (the last three are tagged).
 * - 13: topic ids instead of names. 14: OFFSET_MOVED_TO_TIERED_STORAGE may be answered.
 * - 15: the replica's id moved into a tagged field. 16: where the new leaders are. 17: directory id. 18: high watermark.
 */
import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
  between,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  int64,
  int64Saturating,
  message,
  nullableArray,
  nullableString,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const fetchRequest = message({
  name: 'FetchRequest',
  apiKey: 1,
  versions: [4, 18],
  flexibleSince: 12,
  body: {
    clusterId: tagged(0, 12, nullableString, null),
    /** -1 for a consumer; nothing else is served on a client's connection. */
    replicaId: essential(until(14, int32, -1)),
    replicaState: essential(
      tagged(1, 15, struct({ replicaId: withDefault(int32, -1), replicaEpoch: withDefault(int64, -1) })),
    ),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: withDefault(int32, 0x7fff_ffff),
    isolationLevel: withDefault(int8, 0),
    sessionId: since(7, int32, 0),
    sessionEpoch: since(7, int32, -1),
    topics: array(
      struct({
        topic: until(12, string, ''),
        topicId: since(13, uuid, noTopicId),
        partitions: array(
          struct({
            partition: int32,
            currentLeaderEpoch: since(9, int32, -1),
            fetchOffset: int64Saturating,
            lastFetchedEpoch: essential(since(12, int32, -1)),
            logStartOffset: since(5, int64Saturating, -1),
            partitionMaxBytes: int32,
            replicaDirectoryId: tagged(0, 17, uuid, noTopicId),
            highWatermark: tagged(1, 18, int64Saturating, Number.MAX_SAFE_INTEGER),
          }),
        ),
      }),
    ),
    forgottenTopicsData: essential(
      since(
        7,
        array(
          struct({
            topic: between(7, 12, string, ''),
            topicId: since(13, uuid, noTopicId),
            partitions: array(int32),
          }),
        ),
        [],
      ),
    ),
    rackId: since(11, string, ''),
  },
})

export const fetchResponse = message({
  name: 'FetchResponse',
  apiKey: 1,
  versions: [4, 18],
  flexibleSince: 12,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: since(7, int16, 0),
    sessionId: essential(since(7, int32, 0)),
    responses: array(
      struct({
        topic: until(12, string, ''),
        topicId: since(13, uuid, noTopicId),
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            highWatermark: int64,
            lastStableOffset: withDefault(int64, -1),
            logStartOffset: since(5, int64, -1),
            divergingEpoch: essential(
              tagged(0, 12, struct({ epoch: withDefault(int32, -1), endOffset: withDefault(int64, -1) })),
            ),
            currentLeader: essential(
              tagged(1, 12, struct({ leaderId: withDefault(int32, -1), leaderEpoch: withDefault(int32, -1) })),
            ),
            snapshotId: essential(
              tagged(2, 12, struct({ endOffset: withDefault(int64, -1), epoch: withDefault(int32, -1) })),
            ),
            abortedTransactions: withDefault(nullableArray(struct({ producerId: int64, firstOffset: int64 })), []),
            preferredReadReplica: essential(since(11, int32, -1)),
            records,
          }),
        ),
      }),
    ),
    nodeEndpoints: essential(
      tagged(
        0,
        16,
        array(struct({ nodeId: int32, host: string, port: int32, rack: withDefault(nullableString, null) })),
      ),
    ),
  },
})

export type FetchRequest = Body<typeof fetchRequest>
export type FetchResponse = Draft<typeof fetchResponse>
