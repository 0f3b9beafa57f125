/**
 * JoinGroup (11): a member comes in, and is answered when all have: the leader with what every member can do.
 *
 * - 1: a timeout for the rebalance apart from the session's. 2: throttle time. 3: throttling begins after the response was sent.
 * - 4: a first join is told the member's id and comes again with it (KIP-394). 5: static members. 6: flexible.
 * - 7: the answer says the kind of protocol, and may name none. 8: why the member joins.
 * - 9: a leader may be told to leave the assignment as it is (KIP-814).
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
  nullableSince,
  nullableString,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const joinGroupRequest = message({
  name: 'JoinGroupRequest',
  apiKey: 11,
  versions: [0, 9],
  flexibleSince: 6,
  body: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: since(1, int32, -1),
    memberId: string,
    groupInstanceId: essential(since(5, nullableString, null)),
    protocolType: string,
    protocols: array(struct({ name: string, metadata: bytes })),
    reason: since(8, nullableString, null),
  },
})

export const joinGroupResponse = message({
  name: 'JoinGroupResponse',
  apiKey: 11,
  versions: [0, 9],
  flexibleSince: 6,
  body: {
    throttleTimeMs: since(2, int32, 0),
    errorCode: int16,
    generationId: withDefault(int32, -1),
    protocolType: since(7, nullableString, null),
    protocolName: nullableSince(7, string),
    leader: string,
    skipAssignment: essential(since(9, bool, false)),
    memberId: string,
    members: array(struct({ memberId: string, groupInstanceId: since(5, nullableString, null), metadata: bytes })),
  },
})

export type JoinGroupRequest = Body<typeof joinGroupRequest>
export type JoinGroupResponse = Draft<typeof joinGroupResponse>
