/**
 * Who may do what. Until authentication exists everybody may do everything, but each API already states what it will ask,
 * and asks it: a test fails for an API without a rule.
 */
import type { ApiName } from '../wire/api-keys.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'

/** Kafka's operations, with the code by which clients see them in sets of authorised operations. */
const operations = {
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
} as const

export type Operation = keyof typeof operations
export type Resource = 'topic' | 'group' | 'cluster'

/** The name of the one resource of type cluster. */
export const clusterResource = 'kafka-cluster'

export interface AccessRule {
  readonly resource: Resource
  readonly operation: Operation
  /** What somebody is told who may not. */
  readonly refusal: Exclude<KafkaErrorName, 'NONE'>
}

export interface OpenRule {
  /** Why nothing is asked. */
  readonly open: string
}

const topicRule = (operation: Operation): AccessRule => ({
  resource: 'topic',
  operation,
  refusal: 'TOPIC_AUTHORIZATION_FAILED',
})
const groupRule = (operation: Operation): AccessRule => ({
  resource: 'group',
  operation,
  refusal: 'GROUP_AUTHORIZATION_FAILED',
})
const clusterRule = (operation: Operation): AccessRule => ({
  resource: 'cluster',
  operation,
  refusal: 'CLUSTER_AUTHORIZATION_FAILED',
})

export const accessRules = {
  produce: topicRule('WRITE'),
  fetch: topicRule('READ'),
  listOffsets: topicRule('DESCRIBE'),
  metadata: topicRule('DESCRIBE'),
  offsetCommit: groupRule('READ'),
  offsetFetch: groupRule('DESCRIBE'),
  findCoordinator: groupRule('DESCRIBE'),
  joinGroup: groupRule('READ'),
  heartbeat: groupRule('READ'),
  leaveGroup: groupRule('READ'),
  syncGroup: groupRule('READ'),
  describeGroups: groupRule('DESCRIBE'),
  listGroups: clusterRule('DESCRIBE'),
  apiVersions: { open: 'a client must learn what the broker speaks before it can say who it is' },
  createTopics: topicRule('CREATE'),
  deleteTopics: topicRule('DELETE'),
  deleteRecords: topicRule('DELETE'),
  initProducerId: clusterRule('IDEMPOTENT_WRITE'),
  offsetForLeaderEpoch: topicRule('DESCRIBE'),
  describeConfigs: topicRule('DESCRIBE_CONFIGS'),
  alterConfigs: topicRule('ALTER_CONFIGS'),
  describeLogDirs: clusterRule('DESCRIBE'),
  createPartitions: topicRule('ALTER'),
  deleteGroups: groupRule('DELETE'),
  electLeaders: clusterRule('ALTER'),
  incrementalAlterConfigs: topicRule('ALTER_CONFIGS'),
  listPartitionReassignments: clusterRule('DESCRIBE'),
  offsetDelete: groupRule('DELETE'),
  describeQuorum: clusterRule('DESCRIBE'),
  describeCluster: { open: 'Metadata tells every client the same' },
  describeProducers: topicRule('READ'),
  listConfigResources: clusterRule('DESCRIBE_CONFIGS'),
  describeTopicPartitions: topicRule('DESCRIBE'),
} as const satisfies Record<ApiName, AccessRule | OpenRule>

/** What some APIs ask besides their own rule. */
export const topicRules = {
  /** OffsetCommit and OffsetDelete. */
  read: topicRule('READ'),
  /** OffsetFetch. */
  describe: topicRule('DESCRIBE'),
} as const

export interface Access {
  /** Whether the principal may do what the rule asks on the resource of that name. */
  check(principal: string, rule: AccessRule, resourceName: string): boolean
}

export const allowAll: Access = { check: () => true }

const supportedOperations: Record<Resource, readonly Operation[]> = {
  topic: ['READ', 'WRITE', 'CREATE', 'DELETE', 'ALTER', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'],
  group: ['READ', 'DESCRIBE', 'DELETE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'],
  cluster: ['CREATE', 'ALTER', 'DESCRIBE', 'CLUSTER_ACTION', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS', 'IDEMPOTENT_WRITE'],
}

/** The operations that the principal may do on a resource, as the set of bits that Kafka sends. */
export function authorizedOperations(
  access: Access,
  principal: string,
  resource: Resource,
  resourceName: string,
): number {
  let bits = 0
  for (const operation of supportedOperations[resource]) {
    const rule = { resource, operation, refusal: 'UNKNOWN_SERVER_ERROR' } as const
    if (access.check(principal, rule, resourceName)) bits |= 1 << operations[operation]
  }
  return bits
}
