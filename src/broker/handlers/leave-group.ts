/**
 * LeaveGroup: members go, each with an outcome of its own. Before 3 there is one, and its outcome is the answer's.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../wire/messages/leave-group.ts'
import { accessRules } from '../access.ts'
import type { LeaveRequest } from '../groups/requests.ts'
import { handler } from '../handler.ts'

export const leaveGroup = handler({
  api: apis.leaveGroup,

  async handle(request: LeaveGroupRequest, { principal, version, parts }): Promise<LeaveGroupResponse> {
    const { groupId } = request
    const rule = accessRules.leaveGroup
    if (!parts.access.check(principal, rule, groupId)) return refused(rule.refusal)
    if (groupId === '') return refused('INVALID_GROUP_ID')
    const { error, members } = await parts.groups.leave({ groupId, members: leavingOf(request, version) })
    if (version < 3) return refused(error === 'NONE' ? (members[0]?.error ?? 'NONE') : error)
    return {
      errorCode: kafkaErrors[error],
      members: members.map(member => ({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        errorCode: kafkaErrors[member.error],
      })),
    }
  },

  failed: (_request, error): LeaveGroupResponse => refused(error),
})

function leavingOf({ memberId, members }: LeaveGroupRequest, version: number): LeaveRequest['members'] {
  if (version < 3) return [{ memberId, instanceId: null, reason: null }]
  return members.map(member => ({
    memberId: member.memberId,
    instanceId: member.groupInstanceId,
    reason: member.reason,
  }))
}

function refused(error: KafkaErrorName): LeaveGroupResponse {
  return { errorCode: kafkaErrors[error] }
}
