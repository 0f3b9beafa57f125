/**
 * OffsetDelete (47): takes back committed offsets of topics to which the group is not subscribed.
 */
import { array, type Body, type Draft, int16, int32, message, string, struct, withDefault } from '../schema.ts'

export const offsetDeleteRequest = message({
  name: 'OffsetDeleteRequest',
  apiKey: 47,
  versions: [0, 0],
  flexibleSince: Number.POSITIVE_INFINITY,
  body: {
    groupId: string,
    topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32 })) })),
  },
})

export const offsetDeleteResponse = message({
  name: 'OffsetDeleteResponse',
  apiKey: 47,
  versions: [0, 0],
  flexibleSince: Number.POSITIVE_INFINITY,
  body: {
    errorCode: int16,
    throttleTimeMs: withDefault(int32, 0),
    topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32, errorCode: int16 })) })),
  },
})

export type OffsetDeleteRequest = Body<typeof offsetDeleteRequest>
export type OffsetDeleteResponse = Draft<typeof offsetDeleteResponse>
