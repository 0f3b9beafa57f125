/**
 * Whole requests and responses: frame, header and body together. The broker's side decodes requests and encodes responses;
 * the other two are for tests, tools and the simulator's clients.
 */
import type { Rope } from '../base/rope.ts'
import { type Api, requestHeaderVersion, responseHeaderVersion } from './api-keys.ts'
import { readBody, writeBody } from './compile.ts'
import { writeFrame } from './frame.ts'
import {
  type RequestHeader,
  readRequestHeader,
  readResponseHeader,
  writeRequestHeader,
  writeResponseHeader,
} from './headers.ts'
import { WireReader } from './reader.ts'
import type { Body, Draft } from './schema.ts'

/** A response may list far more than any request: each partition of a cluster with its replicas. */
const responseElementsMax = 1 << 24

export interface DecodedRequest<A extends Api> {
  readonly header: RequestHeader
  readonly body: Body<A['request']>
}

/**
 * Reads a request out of its frame (the length left out). `peekRequest` has said which API it is, and `servesVersion` that
 * the version is known. Throws `ProtocolError` for whatever is wrong with it. Bytes left over are none of it, as with Apache Kafka:
 * librdkafka 2.0 sends one too many with ListGroups 4.
 */
export function decodeRequest<A extends Api>(api: A, version: number, frame: Rope): DecodedRequest<A> {
  const from = new WireReader(frame)
  const header = readRequestHeader(from, requestHeaderVersion(api, version))
  const body = readBody<A['request']>(api.request, version, from)
  return { header, body }
}

/** A response as it goes on the wire, length included. */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  body: Draft<A['response']>,
): Rope {
  return writeFrame(to => {
    writeResponseHeader(to, responseHeaderVersion(api, version), correlationId)
    writeBody<A['response']>(api.response, version, to, body)
  })
}

/** A request as it goes on the wire, length included. */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  from: { readonly correlationId: number; readonly clientId: string | null },
  body: Draft<A['request']>,
): Rope {
  return writeFrame(to => {
    const header = { apiKey: api.key, apiVersion: version, ...from }
    writeRequestHeader(to, requestHeaderVersion(api, version), header)
    writeBody<A['request']>(api.request, version, to, body)
  })
}

/** Reads a response out of its frame (the length left out). */
export function decodeResponse<A extends Api>(
  api: A,
  version: number,
  frame: Rope,
): { readonly correlationId: number; readonly body: Body<A['response']> } {
  const from = new WireReader(frame, responseElementsMax)
  const correlationId = readResponseHeader(from, responseHeaderVersion(api, version))
  const body = readBody<A['response']>(api.response, version, from)
  from.finish()
  return { correlationId, body }
}
