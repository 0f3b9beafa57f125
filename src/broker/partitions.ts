/** How a request finds a topic and a partition, and what it is told where there is none that this node can serve. */
import type { TopicId } from '../base/ids.ts'
import { type KafkaErrorName, kafkaErrors } from '../wire/kafka-errors.ts'
import type { AccessRule } from './access.ts'
import type { RequestContext } from './context.ts'
import type { PartitionStore, Topic } from './storage.ts'

/** Who asks, of which broker. */
type Asker = Pick<RequestContext, 'principal' | 'parts'>

/** A topic of a request, named by id where the version has ids; `byId` says which. */
export function findTopic(
  context: Asker,
  rule: AccessRule,
  byId: boolean,
  name: string,
  id: TopicId,
): Topic | KafkaErrorName {
  const { storage, access } = context.parts
  const topic = byId ? storage.topicById(id) : storage.topicByName(name)
  // Who may not use a name is told the same whether there is such a topic or not. An id cannot be guessed.
  const known = topic?.name ?? (byId ? null : name)
  if (known !== null && !access.check(context.principal, rule, known)) return rule.refusal
  return topic ?? (byId ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION')
}

/**
 * A partition of a topic that this node leads. A client that states a leader epoch has learnt it from metadata: when it is
 * older than ours the client must refresh, when it is newer we must.
 */
export function findPartition(
  context: Pick<Asker, 'parts'>,
  topic: Topic | KafkaErrorName,
  index: number,
  currentLeaderEpoch: number,
): PartitionStore | KafkaErrorName {
  if (typeof topic === 'string') return topic
  const partition = topic.partitions[index]
  if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  if (partition.leader !== context.parts.storage.nodeId) return 'NOT_LEADER_OR_FOLLOWER'
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === partition.leaderEpoch) return partition
  return currentLeaderEpoch < partition.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

/** Where a partition is, as Metadata and DescribeTopicPartitions tell it. */
export function describePartition(partition: PartitionStore) {
  return {
    errorCode: partition.leader < 0 ? kafkaErrors.LEADER_NOT_AVAILABLE : kafkaErrors.NONE,
    partitionIndex: partition.index,
    leaderId: partition.leader,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.inSyncReplicas,
  }
}
