/**
 * The APIs that are served: exactly these are told to clients by ApiVersions, each with the version range of Apache Kafka
 * 4.3.1. What is not implemented is absent, not stubbed.
 */
import { apiVersionsRequest, apiVersionsResponse } from './messages/api-versions.ts'
import { createTopicsRequest, createTopicsResponse } from './messages/create-topics.ts'
import { deleteTopicsRequest, deleteTopicsResponse } from './messages/delete-topics.ts'
import { describeClusterRequest, describeClusterResponse } from './messages/describe-cluster.ts'
import { fetchRequest, fetchResponse } from './messages/fetch.ts'
import { findCoordinatorRequest, findCoordinatorResponse } from './messages/find-coordinator.ts'
import { initProducerIdRequest, initProducerIdResponse } from './messages/init-producer-id.ts'
import { listOffsetsRequest, listOffsetsResponse } from './messages/list-offsets.ts'
import { metadataRequest, metadataResponse } from './messages/metadata.ts'
import { produceRequest, produceResponse } from './messages/produce.ts'
import { isFlexible, type Message } from './schema.ts'

export interface Api<Request extends Message = Message, Response extends Message = Message> {
  readonly key: number
  readonly name: string
  readonly request: Request
  readonly response: Response
  /** Lowest and highest version that is answered. */
  readonly versions: readonly [number, number]
  /** What ApiVersions says; differs from `versions` only for Produce. */
  readonly advertised: readonly [number, number]
  readonly flexibleSince: number
}

function api<Request extends Message, Response extends Message>(
  name: string,
  request: Request,
  response: Response,
  advertised: readonly [number, number] = request.versions,
): Api<Request, Response> {
  const { apiKey: key, versions, flexibleSince } = request
  return { key, name, request, response, versions, advertised, flexibleSince }
}

export const apis = {
  // librdkafka before 2.11.1 compresses only where Produce 0 is offered; versions 0-2 are refused when they come.
  produce: api('Produce', produceRequest, produceResponse, [0, 13]),
  fetch: api('Fetch', fetchRequest, fetchResponse),
  listOffsets: api('ListOffsets', listOffsetsRequest, listOffsetsResponse),
  metadata: api('Metadata', metadataRequest, metadataResponse),
  findCoordinator: api('FindCoordinator', findCoordinatorRequest, findCoordinatorResponse),
  apiVersions: api('ApiVersions', apiVersionsRequest, apiVersionsResponse),
  createTopics: api('CreateTopics', createTopicsRequest, createTopicsResponse),
  deleteTopics: api('DeleteTopics', deleteTopicsRequest, deleteTopicsResponse),
  initProducerId: api('InitProducerId', initProducerIdRequest, initProducerIdResponse),
  describeCluster: api('DescribeCluster', describeClusterRequest, describeClusterResponse),
} as const

export type ApiName = keyof typeof apis

/** All of them, by key. */
export const apiList: readonly Api[] = Object.values<Api>(apis).sort((a, b) => a.key - b.key)

const byKey = new Map<number, Api>(apiList.map(api => [api.key, api]))

export function apiByKey(key: number): Api | undefined {
  return byKey.get(key)
}

export function servesVersion(api: Api, version: number): boolean {
  return version >= api.versions[0] && version <= api.versions[1]
}

export function requestHeaderVersion(api: Api, version: number): 1 | 2 {
  return isFlexible(api.request, version) ? 2 : 1
}

export function responseHeaderVersion(api: Api, version: number): 0 | 1 {
  return api.key !== apis.apiVersions.key && isFlexible(api.response, version) ? 1 : 0
}
