/** ListPartitionReassignments: which partitions move between nodes. None does; of unknown ones, too, nothing is said. */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../wire/messages/list-partition-reassignments.ts'
import { accessRules, clusterResource } from '../access.ts'
import { handler } from '../handler.ts'

export const listPartitionReassignments = handler({
  api: apis.listPartitionReassignments,

  handle(_request: ListPartitionReassignmentsRequest, { parts, principal }): ListPartitionReassignmentsResponse {
    const rule = accessRules.listPartitionReassignments
    return answer(parts.access.check(principal, rule, clusterResource) ? 'NONE' : rule.refusal)
  },

  failed: (_request: ListPartitionReassignmentsRequest, error) => answer(error),
})

function answer(error: KafkaErrorName): ListPartitionReassignmentsResponse {
  return { errorCode: kafkaErrors[error], errorMessage: null, topics: [] }
}
