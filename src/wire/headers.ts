/**
 * What stands before a body: request headers 0, 1 and 2, response headers 0 and 1.
 *
 *     request   apiKey int16 | apiVersion int16 | correlationId int32   all versions
 *               clientId nullable string with an int16 length           from 1 on; never compact, not even in 2
 *               tagged fields                                           from 2 on
 *     response  correlationId int32                                     all versions
 *               tagged fields                                           from 1 on
 *
 * A flexible body has header 2 (request) and 1 (response). The one exception is the response of ApiVersions, which has header
 * 0 in every version: a client that guessed the version wrong must still be able to read it.
 */
import type { Rope } from '../base/rope.ts'
import { peekRope } from '../base/rope.ts'
import { ProtocolError } from './protocol-error.ts'
import type { WireReader } from './reader.ts'
import type { WireWriter } from './writer.ts'

export type RequestHeaderVersion = 0 | 1 | 2
export type ResponseHeaderVersion = 0 | 1

/** The part of a request header that has the same place in every version. */
export interface RequestPrefix {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
}

export interface RequestHeader extends RequestPrefix {
  readonly clientId: string | null
}

/** The least that a request can be: a header of version 0. */
export const requestPrefixBytes = 8

/** Who asks for what: all that may be read of a request whose API or version is not known. */
export function peekRequest(frame: Rope): RequestPrefix {
  if (frame.length < requestPrefixBytes) throw new ProtocolError('a request is shorter than its header')
  const prefix = peekRope(frame, 0, requestPrefixBytes)
  return {
    apiKey: prefix.readInt16BE(0),
    apiVersion: prefix.readInt16BE(2),
    correlationId: prefix.readInt32BE(4),
  }
}

export function readRequestHeader(from: WireReader, version: RequestHeaderVersion): RequestHeader {
  const apiKey = from.int16()
  const apiVersion = from.int16()
  const correlationId = from.int32()
  let clientId: string | null = null
  if (version >= 1) {
    const length = from.length16()
    clientId = length < 0 ? null : from.string(length)
  }
  if (version >= 2) from.taggedFields(knowsNoTag)
  return { apiKey, apiVersion, correlationId, clientId }
}

export function writeRequestHeader(to: WireWriter, version: RequestHeaderVersion, header: RequestHeader): void {
  to.int16(header.apiKey)
  to.int16(header.apiVersion)
  to.int32(header.correlationId)
  if (version >= 1) to.string(header.clientId, false)
  if (version >= 2) to.uvarint(0)
}

/** Reads the correlation id. */
export function readResponseHeader(from: WireReader, version: ResponseHeaderVersion): number {
  const correlationId = from.int32()
  if (version >= 1) from.taggedFields(knowsNoTag)
  return correlationId
}

export function writeResponseHeader(to: WireWriter, version: ResponseHeaderVersion, correlationId: number): void {
  to.int32(correlationId)
  if (version >= 1) to.uvarint(0)
}

const knowsNoTag = (): boolean => false
