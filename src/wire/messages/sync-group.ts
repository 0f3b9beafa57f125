/**
 * SyncGroup (14): the leader brings the assignment, every member takes its own.
 *
 * - 1: throttle time. 2: throttling begins after the response was sent. 3: static members. 4: flexible.
 * - 5: both sides say which protocol they mean.
 */
import {
  array,
  type Body,
  bytes,
  type Draft,
  essential,
  int16,
  int32,
  message,
  nullableString,
  since,
  string,
  struct,
} from '../schema.ts'

export const syncGroupRequest = message({
  name: 'SyncGroupRequest',
  apiKey: 14,
  versions: [0, 5],
  flexibleSince: 4,
  body: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: essential(since(3, nullableString, null)),
    protocolType: since(5, nullableString, null),
    protocolName: since(5, nullableString, null),
    assignments: array(struct({ memberId: string, assignment: bytes })),
  },
})

export const syncGroupResponse = message({
  name: 'SyncGroupResponse',
  apiKey: 14,
  versions: [0, 5],
  flexibleSince: 4,
  body: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    protocolType: since(5, nullableString, null),
    protocolName: since(5, nullableString, null),
    assignment: bytes,
  },
})

export type SyncGroupRequest = Body<typeof syncGroupRequest>
export type SyncGroupResponse = Draft<typeof syncGroupResponse>
