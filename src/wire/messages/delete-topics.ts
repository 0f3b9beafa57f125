/**
 * DeleteTopics (20).
 *
 * - 1: the lowest version. 2: throttling begins after the response was sent. 3: TOPIC_DELETION_DISABLED may be answered.
 * - 4: flexible. 5: error messages. 6: topics by name or by id, in a list of its own; the response tells both.
 */
import { noTopicId } from '../../base/ids.ts'
import {
  array,
  type Body,
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
  until,
  uuid,
  withDefault,
} from '../schema.ts'

export const deleteTopicsRequest = message({
  name: 'DeleteTopicsRequest',
  apiKey: 20,
  versions: [1, 6],
  flexibleSince: 4,
  body: {
    topics: essential(
      since(6, array(struct({ name: withDefault(nullableString, null), topicId: withDefault(uuid, noTopicId) })), []),
    ),
    topicNames: until(5, array(string), []),
    timeoutMs: int32,
  },
})

export const deleteTopicsResponse = message({
  name: 'DeleteTopicsResponse',
  apiKey: 20,
  versions: [1, 6],
  flexibleSince: 4,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    responses: array(
      struct({
        name: nullableSince(6, string),
        topicId: since(6, uuid, noTopicId),
        errorCode: int16,
        errorMessage: since(5, nullableString, null),
      }),
    ),
  },
})

export type DeleteTopicsRequest = Body<typeof deleteTopicsRequest>
export type DeleteTopicsResponse = Draft<typeof deleteTopicsResponse>
