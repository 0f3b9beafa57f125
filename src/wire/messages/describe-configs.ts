/**
 * DescribeConfigs (32): what is set for a topic, a broker or another resource, and where each value comes from.
 *
 * - 1: the lowest version; sources instead of a flag, synonyms. 2: throttling begins after the response was sent.
 * - 3: types, and documentation on request. 4: flexible.
 */
import {
  array,
  type Body,
  bool,
  type Draft,
  essential,
  int8,
  int16,
  int32,
  message,
  nullableArray,
  nullableString,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'

export const describeConfigsRequest = message({
  name: 'DescribeConfigsRequest',
  apiKey: 32,
  versions: [1, 4],
  flexibleSince: 4,
  body: {
    resources: array(struct({ resourceType: int8, resourceName: string, configurationKeys: nullableArray(string) })),
    includeSynonyms: withDefault(bool, false),
    includeDocumentation: essential(since(3, bool, false)),
  },
})

export const describeConfigsResponse = message({
  name: 'DescribeConfigsResponse',
  apiKey: 32,
  versions: [1, 4],
  flexibleSince: 4,
  body: {
    throttleTimeMs: withDefault(int32, 0),
    results: array(
      struct({
        errorCode: int16,
        errorMessage: nullableString,
        resourceType: int8,
        resourceName: string,
        configs: array(
          struct({
            name: string,
            value: nullableString,
            readOnly: bool,
            configSource: withDefault(int8, -1),
            isSensitive: bool,
            synonyms: array(struct({ name: string, value: nullableString, source: int8 })),
            configType: since(3, int8, 0),
            documentation: since(3, nullableString, ''),
          }),
        ),
      }),
    ),
  },
})

export type DescribeConfigsRequest = Body<typeof describeConfigsRequest>
export type DescribeConfigsResponse = Draft<typeof describeConfigsResponse>
