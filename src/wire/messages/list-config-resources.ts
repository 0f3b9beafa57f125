/**
 * ListConfigResources (74): which resources have configs of their own. Flexible from the start.
 *
 * - 0: client metrics only. 1: by type of resource, and all types when none is named.
 */
import {
  array,
  type Body,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  message,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const listConfigResourcesRequest = message({
  name: 'ListConfigResourcesRequest',
  apiKey: 74,
  versions: [0, 1],
  flexibleSince: 0,
  body: {
    resourceTypes: essential(since(1, array(int8), [])),
  },
})

export const listConfigResourcesResponse = message({
  name: 'ListConfigResourcesResponse',
  apiKey: 74,
  versions: [0, 1],
  flexibleSince: 0,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    errorCode: int16,
    configResources: array(struct({ resourceName: string, resourceType: since(1, int8, 16) })),
  },
})

export type ListConfigResourcesRequest = Body<typeof listConfigResourcesRequest>
export type ListConfigResourcesResponse = Draft<typeof listConfigResourcesResponse>
