/**
 * FindCoordinator (10): which node coordinates a group, a transaction or a share group.
 *
 * - 1: the kind of key; throttle time, error message. 2: throttling begins after the response was sent. 3: flexible.
 * - 4: many keys at once. 5: TRANSACTION_ABORTABLE may be answered. 6: share groups, with `group:topicId:partition` as key.
 */
import {
  array,
  type Body,
  between,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  message,
  nullableString,
  since,
  string,
  struct,
  until,
} from '../schema.ts'

export const coordinatorKeyTypes = { group: 0, transaction: 1, share: 2 } as const

export const findCoordinatorRequest = message({
  name: 'FindCoordinatorRequest',
  apiKey: 10,
  versions: [0, 6],
  flexibleSince: 3,
  body: {
    key: essential(until(3, string, '')),
    keyType: essential(since(1, int8, 0)),
    coordinatorKeys: essential(since(4, array(string), [])),
  },
})

export const findCoordinatorResponse = message({
  name: 'FindCoordinatorResponse',
  apiKey: 10,
  versions: [0, 6],
  flexibleSince: 3,
  body: {
    throttleTimeMs: since(1, int32, 0),
    errorCode: essential(until(3, int16, 0)),
    errorMessage: between(1, 3, nullableString, ''),
    nodeId: essential(until(3, int32, 0)),
    host: essential(until(3, string, '')),
    port: essential(until(3, int32, 0)),
    coordinators: essential(
      since(
        4,
        array(
          struct({
            key: string,
            nodeId: int32,
            host: string,
            port: int32,
            errorCode: int16,
            errorMessage: nullableString,
          }),
        ),
        [],
      ),
    ),
  },
})

export type FindCoordinatorRequest = Body<typeof findCoordinatorRequest>
export type FindCoordinatorResponse = Draft<typeof findCoordinatorResponse>
