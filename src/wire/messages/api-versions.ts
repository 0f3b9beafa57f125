/**
 * ApiVersions (18): which requests in which versions the broker takes, and which features it has. A client's first question.
 *
 * - 1: throttle time in the response. 2: throttling begins only after the response was sent.
 * - 3: flexible; the client says what software it is; features. The response header stays as in version 0, because a client
 *   must be able to read the answer before it knows what the broker can do.
 * - 4: a feature's lowest version may be 0.
 */
import {
  array,
  type Body,
  bool,
  type Draft,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  struct,
  tagged,
} from '../schema.ts'

export const apiVersionsRequest = message({
  name: 'ApiVersionsRequest',
  apiKey: 18,
  versions: [0, 4],
  flexibleSince: 3,
  body: {
    clientSoftwareName: since(3, string, ''),
    clientSoftwareVersion: since(3, string, ''),
  },
})

export const apiVersionsResponse = message({
  name: 'ApiVersionsResponse',
  apiKey: 18,
  versions: [0, 4],
  flexibleSince: 3,
  body: {
    errorCode: int16,
    apiKeys: array(struct({ apiKey: int16, minVersion: int16, maxVersion: int16 })),
    throttleTimeMs: since(1, int32, 0),
    /** Before version 4, features whose lowest version is 0 must be left out. */
    supportedFeatures: tagged(0, 3, array(struct({ name: string, minVersion: int16, maxVersion: int16 }))),
    /** -1 for unknown. */
    finalizedFeaturesEpoch: tagged(1, 3, int64, -1),
    finalizedFeatures: tagged(2, 3, array(struct({ name: string, maxVersionLevel: int16, minVersionLevel: int16 }))),
    zkMigrationReady: tagged(3, 3, bool),
  },
})

export type ApiVersionsRequest = Body<typeof apiVersionsRequest>
export type ApiVersionsResponse = Draft<typeof apiVersionsResponse>
