/**
 * DeleteGroups (42): groups without members, and their offsets.
 *
 * - 1: throttling begins after the response was sent. 2: flexible.
 */
import { array, type Body, type Draft, int16, int32, message, string, struct, withDefault } from '../schema.ts'

export const deleteGroupsRequest = message({
  name: 'DeleteGroupsRequest',
  apiKey: 42,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    groupsNames: array(string),
  },
})

export const deleteGroupsResponse = message({
  name: 'DeleteGroupsResponse',
  apiKey: 42,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    results: array(struct({ groupId: string, errorCode: int16 })),
  },
})

export type DeleteGroupsRequest = Body<typeof deleteGroupsRequest>
export type DeleteGroupsResponse = Draft<typeof deleteGroupsResponse>
