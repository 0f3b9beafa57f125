/**
 * Heartbeat (12): a member lives.
 *
 * - 1: throttle time. 2: throttling begins after the response was sent. 3: static members. 4: flexible.
 */
import { type Body, type Draft, essential, int16, int32, message, nullableString, since, string } from '../schema.ts'

export const heartbeatRequest = message({
  name: 'HeartbeatRequest',
  apiKey: 12,
  versions: [0, 4],
  flexibleSince: 4,
  body: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: essential(since(3, nullableString, null)),
  },
})

export const heartbeatResponse = message({
  name: 'HeartbeatResponse',
  apiKey: 12,
  versions: [0, 4],
  flexibleSince: 4,
  body: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: int16,
  },
})

export type HeartbeatRequest = Body<typeof heartbeatRequest>
export type HeartbeatResponse = Draft<typeof heartbeatResponse>
