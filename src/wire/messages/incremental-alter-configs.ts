/**
 * IncrementalAlterConfigs (44): changes single configs of a resource and leaves the others as they are.
 *
 * - 1: flexible.
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

export const incrementalAlterConfigsRequest = message({
  name: 'IncrementalAlterConfigsRequest',
  apiKey: 44,
  versions: [0, 1],
  flexibleSince: 1,
  body: {
    resources: array(
      struct({
        resourceType: int8,
        resourceName: string,
        configs: array(struct({ name: string, configOperation: int8, value: nullableString })),
      }),
    ),
    validateOnly: bool,
  },
})

export const incrementalAlterConfigsResponse = message({
  name: 'IncrementalAlterConfigsResponse',
  apiKey: 44,
  versions: [0, 1],
  flexibleSince: 1,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    responses: array(
      struct({ errorCode: int16, errorMessage: nullableString, resourceType: int8, resourceName: string }),
    ),
  },
})

export type IncrementalAlterConfigsRequest = Body<typeof incrementalAlterConfigsRequest>
export type IncrementalAlterConfigsResponse = Draft<typeof incrementalAlterConfigsResponse>
