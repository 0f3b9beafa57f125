/**
 * ApiVersions: what this broker speaks, and nothing that it does not. Any request may come first; most clients ask this one.
 *
 * 3+ says what software the client is, which must look like a name and a version. No features are offered: without
 * `transaction.version` clients stay on the older transaction protocol, the one that will come first.
 */
import { type Api, apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { ApiVersionsRequest, ApiVersionsResponse } from '../../wire/messages/api-versions.ts'
import { handler } from '../handler.ts'

const softwareForm = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export const apiVersions = handler({
  api: apis.apiVersions,

  handle(request: ApiVersionsRequest, { version, parts }): ApiVersionsResponse {
    const named = softwareForm.test(request.clientSoftwareName) && softwareForm.test(request.clientSoftwareVersion)
    if (version >= 3 && !named) return { errorCode: kafkaErrors.INVALID_REQUEST, apiKeys: [] }
    return { errorCode: kafkaErrors.NONE, apiKeys: parts.served.map(advertisement), finalizedFeaturesEpoch: 0 }
  },

  failed: (_request, error) => ({ errorCode: kafkaErrors[error], apiKeys: [] }),
})

/**
 * The answer to a version of ApiVersions that we do not know, always encoded as version 0 (KIP-511): from the one range in
 * it the client learns which version to ask again with.
 */
export const unknownApiVersionsVersion: ApiVersionsResponse = {
  errorCode: kafkaErrors.UNSUPPORTED_VERSION,
  apiKeys: [advertisement(apis.apiVersions)],
}

function advertisement(api: Api) {
  return { apiKey: api.key, minVersion: api.advertised[0], maxVersion: api.advertised[1] }
}
