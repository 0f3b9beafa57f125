/**
 * LeaveGroup (13): members go at once, instead of being missed.
 *
 * - 1: throttle time. 2: throttling begins after the response was sent. 3: many members at once, static ones by instance id.
 * - 4: flexible. 5: why.
 */
import {
  array,
  type Body,
  type Draft,
  essential,
  int16,
  int32,
  message,
  nullableString,
  since,
  string,
  struct,
  until,
  withDefault,
} from '../schema.ts'

export const leaveGroupRequest = message({
  name: 'LeaveGroupRequest',
  apiKey: 13,
  versions: [0, 5],
  flexibleSince: 4,
  body: {
    groupId: string,
    memberId: essential(until(2, string, '')),
    members: essential(
      since(
        3,
        array(
          struct({
            memberId: string,
            groupInstanceId: withDefault(nullableString, null),
            reason: since(5, nullableString, null),
          }),
        ),
        [],
      ),
    ),
  },
})

export const leaveGroupResponse = message({
  name: 'LeaveGroupResponse',
  apiKey: 13,
  versions: [0, 5],
  flexibleSince: 4,
  body: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    members: essential(
      since(3, array(struct({ memberId: string, groupInstanceId: nullableString, errorCode: int16 })), []),
    ),
  },
})

export type LeaveGroupRequest = Body<typeof leaveGroupRequest>
export type LeaveGroupResponse = Draft<typeof leaveGroupResponse>
