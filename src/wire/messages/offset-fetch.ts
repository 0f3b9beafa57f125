/**
 * OffsetFetch (9): the offsets that groups have committed.
 *
 * - 1: the lowest version. 2: null asks for all topics; an error for the whole answer. 3: throttle time.
 * - 4: throttling begins after the response was sent. 5: leader epochs. 6: flexible.
 * - 7: whether to wait for open transactions. 8: many groups at once, each with an error of its own.
 * - 9: the asking member and its epoch (KIP-848). 10: topic ids instead of names.
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
  int64Saturating,
  message,
  nullableArray,
  nullableSince,
  nullableString,
  since,
  string,
  struct,
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const offsetFetchRequest = message({
  name: 'OffsetFetchRequest',
  apiKey: 9,
  versions: [1, 10],
  flexibleSince: 6,
  body: {
    groupId: essential(until(7, string, '')),
    topics: essential(until(7, nullableSince(2, array(struct({ name: string, partitionIndexes: array(int32) }))), [])),
    groups: essential(
      since(
        8,
        array(
          struct({
            groupId: string,
            memberId: since(9, nullableString, null),
            memberEpoch: since(9, int32, -1),
            topics: nullableArray(
              struct({
                name: until(9, string, ''),
                topicId: since(10, uuid, noTopicId),
                partitionIndexes: array(int32),
              }),
            ),
          }),
        ),
        [],
      ),
    ),
    requireStable: essential(since(7, bool, false)),
  },
})

export const offsetFetchResponse = message({
  name: 'OffsetFetchResponse',
  apiKey: 9,
  versions: [1, 10],
  flexibleSince: 6,
  body: {
    throttleTimeMs: since(3, int32, 0),
    topics: essential(
      until(
        7,
        array(
          struct({
            name: string,
            partitions: array(
              struct({
                partitionIndex: int32,
                committedOffset: int64Saturating,
                committedLeaderEpoch: since(5, int32, -1),
                metadata: nullableString,
                errorCode: int16,
              }),
            ),
          }),
        ),
        [],
      ),
    ),
    errorCode: between(2, 7, int16, 0),
    groups: essential(
      since(
        8,
        array(
          struct({
            groupId: string,
            topics: array(
              struct({
                name: until(9, string, ''),
                topicId: since(10, uuid, noTopicId),
                partitions: array(
                  struct({
                    partitionIndex: int32,
                    committedOffset: int64Saturating,
                    committedLeaderEpoch: withDefault(int32, -1),
                    metadata: nullableString,
                    errorCode: int16,
                  }),
                ),
              }),
            ),
            errorCode: withDefault(int16, 0),
          }),
        ),
        [],
      ),
    ),
  },
})

export type OffsetFetchRequest = Body<typeof offsetFetchRequest>
export type OffsetFetchResponse = Draft<typeof offsetFetchResponse>
