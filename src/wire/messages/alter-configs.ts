/**
 * AlterConfigs (33): replaces all that is set for a resource; what is not named goes back to its default.
 *
 * - 1: throttling begins after the response was sent. 2: flexible.
 */
import {
  array,
  type Body,
  bool,
  type Draft,
  int8,
  int16,
  int32,
  message,
  nullableString,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const alterConfigsRequest = message({
  name: 'AlterConfigsRequest',
  apiKey: 33,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        configs: array(struct({ name: string, value: nullableString })),
      }),
    ),
    validateOnly: bool,
  },
})

export const alterConfigsResponse = message({
  name: 'AlterConfigsResponse',
  apiKey: 33,
  versions: [0, 2],
  flexibleSince: 2,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    responses: array(
      struct({ errorCode: int16, errorMessage: nullableString, resourceType: int8, resourceName: string }),
    ),
  },
})

export type AlterConfigsRequest = Body<typeof alterConfigsRequest>
export type AlterConfigsResponse = Draft<typeof alterConfigsResponse>
