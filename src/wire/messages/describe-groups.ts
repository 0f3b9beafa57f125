/**
 * DescribeGroups (15): state and members of groups.
 *
 * - 1: throttle time. 2: throttling begins after the response was sent. 3: authorized operations on request.
 * - 4: static members. 5: flexible. 6: GROUP_ID_NOT_FOUND, and messages.
 */
import {
  array,
  type Body,
  bool,
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
import { operationsNotAsked } from './metadata.ts'

export const describeGroupsRequest = message({
  name: 'DescribeGroupsRequest',
  apiKey: 15,
  versions: [0, 6],
  flexibleSince: 5,
  body: {
    groups: array(string),
    includeAuthorizedOperations: essential(since(3, bool, false)),
  },
})

export const describeGroupsResponse = message({
  name: 'DescribeGroupsResponse',
  apiKey: 15,
  versions: [0, 6],
  flexibleSince: 5,
  body: {
    throttleTimeMs: since(1, int32, 0),
    groups: array(
      struct({
        errorCode: int16,
        errorMessage: essential(since(6, nullableString, null)),
        groupId: string,
        groupState: string,
        protocolType: string,
        protocolData: string,
        members: array(
          struct({
            memberId: string,
            groupInstanceId: since(4, nullableString, null),
            clientId: string,
            clientHost: string,
            memberMetadata: bytes,
            memberAssignment: bytes,
          }),
        ),
        authorizedOperations: essential(since(3, int32, operationsNotAsked)),
      }),
    ),
  },
})

export type DescribeGroupsRequest = Body<typeof describeGroupsRequest>
export type DescribeGroupsResponse = Draft<typeof describeGroupsResponse>
