/**
 * DescribeCluster (60): brokers, controller and cluster id. Flexible from the start.
 *
 * - 1: which kind of nodes is asked for (1 brokers, 2 controllers), and errors for the wrong kind.
 * - 2: fenced brokers may be asked for, and are marked.
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
  nullableString,
  since,
  string,
  struct,
  withDefault,
} from '../schema.ts'
import { operationsNotAsked } from './metadata.ts'

export const describeClusterRequest = message({
  name: 'DescribeClusterRequest',
  apiKey: 60,
  versions: [0, 2],
  flexibleSince: 0,
  body: {
    includeClusterAuthorizedOperations: bool,
    endpointType: essential(since(1, int8, 1)),
    includeFencedBrokers: essential(since(2, bool, false)),
  },
})

export const describeClusterResponse = message({
  name: 'DescribeClusterResponse',
  apiKey: 60,
  versions: [0, 2],
  flexibleSince: 0,
  body: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: withDefault(nullableString, null),
    endpointType: essential(since(1, int8, 1)),
    clusterId: string,
    controllerId: withDefault(int32, -1),
    brokers: array(
      struct({
        brokerId: int32,
        host: string,
        port: int32,
        rack: withDefault(nullableString, null),
        isFenced: essential(since(2, bool, false)),
      }),
    ),
    clusterAuthorizedOperations: withDefault(int32, operationsNotAsked),
  },
})

export type DescribeClusterRequest = Body<typeof describeClusterRequest>
export type DescribeClusterResponse = Draft<typeof describeClusterResponse>
