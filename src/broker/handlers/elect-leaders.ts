/**
 * ElectLeaders: asks for leaders to be chosen anew, the preferred ones or, unclean, any. A partition that is led as was asked
 * for needs no election, which is said where it was named and passed over where all were meant.
 *
 * 1+ the kind of election, and an error for the whole.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from '../../wire/messages/elect-leaders.ts'
import { accessRules, clusterResource } from '../access.ts'
import { byTopic } from '../by-topic.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'
import type { PartitionStore, Topic } from '../storage.ts'

type PartitionAnswer = ElectLeadersResponse['replicaElectionResults'][number]['partitionResult'][number]

const electionTypes = { preferred: 0, unclean: 1 } as const

export const electLeaders = handler({
  api: apis.electLeaders,

  handle(request: ElectLeadersRequest, context): ElectLeadersResponse | null {
    const { electionType, topicPartitions } = request
    const rule = accessRules.electLeaders
    const { access, storage } = context.parts
    if (!access.check(context.principal, rule, clusterResource)) return failure(request, rule.refusal, context)
    const isKnown = electionType === electionTypes.preferred || electionType === electionTypes.unclean
    if (!isKnown) return failure(request, 'INVALID_REQUEST', context)
    const results =
      topicPartitions === null
        ? storage.topics().map(topic => ({ topic: topic.name, partitionResult: electAll(topic, electionType) }))
        : [...indexesByTopic(topicPartitions)].map(([topic, indexes]) => ({
            topic,
            partitionResult: electNamed(storage.topicByName(topic), indexes, electionType),
          }))
    return { replicaElectionResults: results }
  },

  failed: failure,
})

function indexesByTopic(asked: NonNullable<ElectLeadersRequest['topicPartitions']>) {
  return byTopic(
    asked,
    ({ topic }) => topic,
    ({ partitions }) => partitions,
  )
}

function electAll(topic: Topic, electionType: number): PartitionAnswer[] {
  return topic.partitions
    .map(partition => answer(partition.index, outcomeOf(partition, electionType)))
    .filter(({ errorCode }) => errorCode !== kafkaErrors.ELECTION_NOT_NEEDED)
}

function electNamed(topic: Topic | undefined, indexes: readonly number[], electionType: number): PartitionAnswer[] {
  return [...new Set(indexes)].map(index => {
    const partition = topic?.partitions[index]
    return answer(index, partition === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : outcomeOf(partition, electionType))
  })
}

function outcomeOf({ leader, replicas }: PartitionStore, electionType: number): KafkaErrorName {
  if (electionType === electionTypes.preferred) {
    return leader === replicas[0] ? 'ELECTION_NOT_NEEDED' : 'PREFERRED_LEADER_NOT_AVAILABLE'
  }
  // A replica that may lack acknowledged records never leads, so that there is none to choose.
  return leader >= 0 ? 'ELECTION_NOT_NEEDED' : 'ELIGIBLE_LEADERS_NOT_AVAILABLE'
}

function answer(partitionId: number, error: KafkaErrorName): PartitionAnswer {
  return { partitionId, errorCode: kafkaErrors[error], errorMessage: null }
}

/** Before the error code of 1, all partitions at once have no place to be refused in. */
function failure(
  { topicPartitions }: ElectLeadersRequest,
  error: KafkaErrorName,
  { version }: RequestContext,
): ElectLeadersResponse | null {
  if (version < 1 && topicPartitions === null) return null
  const replicaElectionResults = [...indexesByTopic(topicPartitions ?? [])].map(([topic, indexes]) => ({
    topic,
    partitionResult: [...new Set(indexes)].map(index => answer(index, error)),
  }))
  return version < 1 ? { replicaElectionResults } : { errorCode: kafkaErrors[error], replicaElectionResults }
}
