/**
 * ListGroups (16): the groups that this node coordinates.
 *
 * - 1: throttle time. 2: throttling begins after the response was sent. 3: flexible. 4: states, and only those asked for.
 * - 5: types, and only those asked for.
 */
import { array, type Body, type Draft, essential, int16, int32, message, since, string, struct } from '../schema.ts'

export const listGroupsRequest = message({
  name: 'ListGroupsRequest',
  apiKey: 16,
  versions: [0, 5],
  flexibleSince: 3,
  body: {
    statesFilter: essential(since(4, array(string), [])),
    typesFilter: essential(since(5, array(string), [])),
  },
})

export const listGroupsResponse = message({
  name: 'ListGroupsResponse',
  apiKey: 16,
  versions: [0, 5],
  flexibleSince: 3,
  body: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
    groups: array(
      struct({
        groupId: string,
        protocolType: string,
        groupState: since(4, string, ''),
        groupType: since(5, string, ''),
      }),
    ),
  },
})

export type ListGroupsRequest = Body<typeof listGroupsRequest>
export type ListGroupsResponse = Draft<typeof listGroupsResponse>
