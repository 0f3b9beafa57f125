/**
 * The APIs whose messages we can read and write, each with the version range of Apache Kafka 4.3.1. Told to clients by
 * ApiVersions, and answered, are those with a handler (`broker/broker.ts`). What is not implemented is absent, not stubbed.
 */
import { alterConfigsRequest, alterConfigsResponse } from './messages/alter-configs.ts'
import { apiVersionsRequest, apiVersionsResponse } from './messages/api-versions.ts'
import { createPartitionsRequest, createPartitionsResponse } from './messages/create-partitions.ts'
import { createTopicsRequest, createTopicsResponse } from './messages/create-topics.ts'
import { deleteGroupsRequest, deleteGroupsResponse } from './messages/delete-groups.ts'
import { deleteRecordsRequest, deleteRecordsResponse } from './messages/delete-records.ts'
import { deleteTopicsRequest, deleteTopicsResponse } from './messages/delete-topics.ts'
import { describeClusterRequest, describeClusterResponse } from './messages/describe-cluster.ts'
import { describeConfigsRequest, describeConfigsResponse } from './messages/describe-configs.ts'
import { describeGroupsRequest, describeGroupsResponse } from './messages/describe-groups.ts'
import { describeLogDirsRequest, describeLogDirsResponse } from './messages/describe-log-dirs.ts'
import { describeProducersRequest, describeProducersResponse } from './messages/describe-producers.ts'
import { describeQuorumRequest, describeQuorumResponse } from './messages/describe-quorum.ts'
import {
  describeTopicPartitionsRequest,
  describeTopicPartitionsResponse,
} from './messages/describe-topic-partitions.ts'
import { electLeadersRequest, electLeadersResponse } from './messages/elect-leaders.ts'
import { fetchRequest, fetchResponse } from './messages/fetch.ts'
import { findCoordinatorRequest, findCoordinatorResponse } from './messages/find-coordinator.ts'
import { heartbeatRequest, heartbeatResponse } from './messages/heartbeat.ts'
import {
  incrementalAlterConfigsRequest,
  incrementalAlterConfigsResponse,
} from './messages/incremental-alter-configs.ts'
import { initProducerIdRequest, initProducerIdResponse } from './messages/init-producer-id.ts'
import { joinGroupRequest, joinGroupResponse } from './messages/join-group.ts'
import { leaveGroupRequest, leaveGroupResponse } from './messages/leave-group.ts'
import { listConfigResourcesRequest, listConfigResourcesResponse } from './messages/list-config-resources.ts'
import { listGroupsRequest, listGroupsResponse } from './messages/list-groups.ts'
import { listOffsetsRequest, listOffsetsResponse } from './messages/list-offsets.ts'
import {
  listPartitionReassignmentsRequest,
  listPartitionReassignmentsResponse,
} from './messages/list-partition-reassignments.ts'
import { metadataRequest, metadataResponse } from './messages/metadata.ts'
import { offsetCommitRequest, offsetCommitResponse } from './messages/offset-commit.ts'
import { offsetDeleteRequest, offsetDeleteResponse } from './messages/offset-delete.ts'
import { offsetFetchRequest, offsetFetchResponse } from './messages/offset-fetch.ts'
import { offsetForLeaderEpochRequest, offsetForLeaderEpochResponse } from './messages/offset-for-leader-epoch.ts'
import { produceRequest, produceResponse } from './messages/produce.ts'
import { syncGroupRequest, syncGroupResponse } from './messages/sync-group.ts'
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
  offsetCommit: api('OffsetCommit', offsetCommitRequest, offsetCommitResponse),
  offsetFetch: api('OffsetFetch', offsetFetchRequest, offsetFetchResponse),
  findCoordinator: api('FindCoordinator', findCoordinatorRequest, findCoordinatorResponse),
  joinGroup: api('JoinGroup', joinGroupRequest, joinGroupResponse),
  heartbeat: api('Heartbeat', heartbeatRequest, heartbeatResponse),
  leaveGroup: api('LeaveGroup', leaveGroupRequest, leaveGroupResponse),
  syncGroup: api('SyncGroup', syncGroupRequest, syncGroupResponse),
  describeGroups: api('DescribeGroups', describeGroupsRequest, describeGroupsResponse),
  listGroups: api('ListGroups', listGroupsRequest, listGroupsResponse),
  apiVersions: api('ApiVersions', apiVersionsRequest, apiVersionsResponse),
  createTopics: api('CreateTopics', createTopicsRequest, createTopicsResponse),
  deleteTopics: api('DeleteTopics', deleteTopicsRequest, deleteTopicsResponse),
  deleteRecords: api('DeleteRecords', deleteRecordsRequest, deleteRecordsResponse),
  initProducerId: api('InitProducerId', initProducerIdRequest, initProducerIdResponse),
  offsetForLeaderEpoch: api('OffsetForLeaderEpoch', offsetForLeaderEpochRequest, offsetForLeaderEpochResponse),
  describeConfigs: api('DescribeConfigs', describeConfigsRequest, describeConfigsResponse),
  alterConfigs: api('AlterConfigs', alterConfigsRequest, alterConfigsResponse),
  describeLogDirs: api('DescribeLogDirs', describeLogDirsRequest, describeLogDirsResponse),
  createPartitions: api('CreatePartitions', createPartitionsRequest, createPartitionsResponse),
  deleteGroups: api('DeleteGroups', deleteGroupsRequest, deleteGroupsResponse),
  electLeaders: api('ElectLeaders', electLeadersRequest, electLeadersResponse),
  incrementalAlterConfigs: api(
    'IncrementalAlterConfigs',
    incrementalAlterConfigsRequest,
    incrementalAlterConfigsResponse,
  ),
  listPartitionReassignments: api(
    'ListPartitionReassignments',
    listPartitionReassignmentsRequest,
    listPartitionReassignmentsResponse,
  ),
  offsetDelete: api('OffsetDelete', offsetDeleteRequest, offsetDeleteResponse),
  describeQuorum: api('DescribeQuorum', describeQuorumRequest, describeQuorumResponse),
  describeCluster: api('DescribeCluster', describeClusterRequest, describeClusterResponse),
  describeProducers: api('DescribeProducers', describeProducersRequest, describeProducersResponse),
  listConfigResources: api('ListConfigResources', listConfigResourcesRequest, listConfigResourcesResponse),
  describeTopicPartitions: api(
    'DescribeTopicPartitions',
    describeTopicPartitionsRequest,
    describeTopicPartitionsResponse,
  ),
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
