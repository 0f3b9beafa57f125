/**
 * DescribeQuorum: who agrees on the metadata, and how far each is. There is one quorum, under the name of Kafka's metadata
 * topic, which is no topic of its own here.
 *
 * 1+ when each was last heard of; 2+ disks, the nodes' addresses, and messages.
 */
import type { TopicId } from '../../base/ids.ts'
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeQuorumRequest, DescribeQuorumResponse } from '../../wire/messages/describe-quorum.ts'
import { accessRules, clusterResource } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import { nodesSeenBy } from '../nodes.ts'
import type { QuorumMember } from '../storage.ts'

type PartitionAnswer = DescribeQuorumResponse['topics'][number]['partitions'][number]

const metadataTopic = '__cluster_metadata'

export const describeQuorum = handler({
  api: apis.describeQuorum,

  handle(request: DescribeQuorumRequest, context): DescribeQuorumResponse {
    const { access } = context.parts
    const rule = accessRules.describeQuorum
    if (!access.check(context.principal, rule, clusterResource)) return failure(rule.refusal)
    const [topic] = request.topics
    const asksForQuorum =
      request.topics.length === 1 &&
      topic?.topicName === metadataTopic &&
      topic.partitions.length === 1 &&
      topic.partitions[0]?.partitionIndex === 0
    if (!asksForQuorum) return unknown(request)
    const nodes = context.version >= 2 ? { nodes: nodesOf(context) } : {}
    return { ...noError, topics: [{ topicName: metadataTopic, partitions: [quorumOf(context)] }], ...nodes }
  },

  failed: (_request: DescribeQuorumRequest, error) => failure(error),
})

function quorumOf({ parts, version }: RequestContext): PartitionAnswer {
  const { leaderId, leaderEpoch, highWatermark, voters, observers } = parts.storage.quorum()
  const replicaOf = (member: QuorumMember) => replica(member, version)
  return {
    partitionIndex: 0,
    ...noError,
    leaderId,
    leaderEpoch,
    highWatermark,
    currentVoters: voters.map(replicaOf),
    observers: observers.map(replicaOf),
  }
}

function replica({ nodeId, directoryId, logEndOffset, lastFetchMs, lastCaughtUpMs }: QuorumMember, version: number) {
  return {
    replicaId: nodeId,
    // The bytes of an id are an id, whatever it names.
    ...(version >= 2 ? { replicaDirectoryId: directoryId as string as TopicId } : {}),
    logEndOffset,
    lastFetchTimestamp: lastFetchMs,
    lastCaughtUpTimestamp: lastCaughtUpMs,
  }
}

function nodesOf(context: RequestContext) {
  return nodesSeenBy(context).map(({ nodeId, host, port }) => ({
    nodeId,
    listeners: [{ name: 'PLAINTEXT', host, port }],
  }))
}

function unknown({ topics }: DescribeQuorumRequest): DescribeQuorumResponse {
  return {
    ...noError,
    topics: topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION,
        errorMessage: `The quorum is that of ${metadataTopic}-0.`,
        leaderId: -1,
        leaderEpoch: -1,
        highWatermark: -1,
        currentVoters: [],
        observers: [],
      })),
    })),
  }
}

const noError = { errorCode: kafkaErrors.NONE, errorMessage: null } as const

function failure(error: KafkaErrorName): DescribeQuorumResponse {
  return { errorCode: kafkaErrors[error], errorMessage: null, topics: [] }
}
