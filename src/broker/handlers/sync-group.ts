/**
 * SyncGroup: held until the leader has brought the assignment. 5+ must say which protocol is meant.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../wire/messages/sync-group.ts'
import { accessRules } from '../access.ts'
import { handler } from '../handler.ts'

export const syncGroup = handler({
  api: apis.syncGroup,

  async handle(request: SyncGroupRequest, { principal, version, parts }): Promise<SyncGroupResponse> {
    const { groupId, generationId, memberId, groupInstanceId, protocolType, protocolName, assignments } = request
    const rule = accessRules.syncGroup
    const unnamed = protocolType === null || protocolName === null
    if (version >= 5 && unnamed) return refused('INCONSISTENT_GROUP_PROTOCOL')
    if (!parts.access.check(principal, rule, groupId)) return refused(rule.refusal)
    if (groupId === '') return refused('INVALID_GROUP_ID')
    const answer = await parts.groups.sync({
      groupId,
      generation: generationId,
      memberId,
      instanceId: groupInstanceId,
      protocolType,
      protocol: protocolName,
      assignments,
    })
    return {
      errorCode: kafkaErrors[answer.error],
      protocolType: answer.protocolType,
      protocolName: answer.protocol,
      assignment: answer.assignment,
    }
  },

  failed: (_request, error): SyncGroupResponse => refused(error),
})

function refused(error: KafkaErrorName): SyncGroupResponse {
  return { errorCode: kafkaErrors[error], assignment: Buffer.alloc(0) }
}
