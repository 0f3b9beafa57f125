/**
 * Heartbeat: a member lives, and learns whether the group is being rebalanced.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { HeartbeatRequest, HeartbeatResponse } from '../../wire/messages/heartbeat.ts'
import { accessRules } from '../access.ts'
import { handler } from '../handler.ts'

export const heartbeat = handler({
  api: apis.heartbeat,

  async handle(request: HeartbeatRequest, { principal, parts }): Promise<HeartbeatResponse> {
    const { groupId, generationId, memberId, groupInstanceId } = request
    const rule = accessRules.heartbeat
    if (!parts.access.check(principal, rule, groupId)) return answered(rule.refusal)
    if (groupId === '') return answered('INVALID_GROUP_ID')
    const asked = { groupId, generation: generationId, memberId, instanceId: groupInstanceId }
    const { error } = await parts.groups.heartbeat(asked)
    return answered(error)
  },

  failed: (_request, error): HeartbeatResponse => answered(error),
})

function answered(error: KafkaErrorName): HeartbeatResponse {
  return { errorCode: kafkaErrors[error] }
}
