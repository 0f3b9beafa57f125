/**
 * OffsetCommit (8): the offsets from which a group goes on.
 *
 * - 2: the lowest version; how long to keep them. 3: throttle time. 4: throttling begins after the response was sent.
 * - 5: how long they are kept is the broker's matter. 6: leader epochs. 7: static members. 8: flexible.
 * - 9: the generation may be an epoch of KIP-848's protocol. 10: topic ids instead of names.
 */
import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
  type Draft,
  essential,
  int16,
  int32,
  int64Saturating,
  message,
  nullableString,
  since,
  string,
  struct,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const offsetCommitRequest = message({
  name: 'OffsetCommitRequest',
  apiKey: 8,
  versions: [2, 10],
  flexibleSince: 8,
  body: {
    groupId: string,
    generationIdOrMemberEpoch: withDefault(int32, -1),
    memberId: string,
    groupInstanceId: essential(since(7, nullableString, null)),
    retentionTimeMs: until(4, int64Saturating, -1),
    topics: array(
      struct({
        name: until(9, string, ''),
        topicId: since(10, uuid, noTopicId),
        partitions: array(
          struct({
            partitionIndex: int32,
            committedOffset: int64Saturating,
            committedLeaderEpoch: since(6, int32, -1),
            committedMetadata: nullableString,
          }),
        ),
      }),
    ),
  },
})

export const offsetCommitResponse = message({
  name: 'OffsetCommitResponse',
  apiKey: 8,
  versions: [2, 10],
  flexibleSince: 8,
  body: {
    throttleTimeMs: since(3, int32, 0),
    topics: array(
      struct({
        name: until(9, string, ''),
        topicId: since(10, uuid, noTopicId),
        partitions: array(struct({ partitionIndex: int32, errorCode: int16 })),
      }),
    ),
  },
})

export type OffsetCommitRequest = Body<typeof offsetCommitRequest>
export type OffsetCommitResponse = Draft<typeof offsetCommitResponse>
