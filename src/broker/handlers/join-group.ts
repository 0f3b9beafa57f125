/**
 * JoinGroup: held until the whole group is there or the time for that is over, which may be minutes. The other requests of
 * the connection wait that long for their answers, too: clients keep a connection for it.
 *
 * Before 1 the rebalance may take as long as the session. 4+ tells a new member its id first (KIP-394). Before 7 the
 * protocol's name is never null. 9+ may tell a leader to leave the assignment as it is (KIP-814).
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../wire/messages/join-group.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { isInternalGroup } from '../groups/internal-groups.ts'
import type { JoinAnswer, JoinRequest } from '../groups/requests.ts'
import { handler } from '../handler.ts'

export const joinGroup = handler({
  api: apis.joinGroup,

  async handle(request: JoinGroupRequest, context): Promise<JoinGroupResponse> {
    const { principal, version, parts } = context
    const { groupId, memberId } = request
    const rule = accessRules.joinGroup
    if (!parts.access.check(principal, rule, groupId)) return refused(rule.refusal, '', version)
    if (groupId === '' || isInternalGroup(groupId)) return refused('INVALID_GROUP_ID', memberId, version)
    return answered(await parts.groups.join(joinOf(request, context)), version)
  },

  failed: (_request, error, { version }): JoinGroupResponse => refused(error, '', version),
})

function joinOf(request: JoinGroupRequest, { version, clientId, connection }: RequestContext): JoinRequest {
  const { sessionTimeoutMs, rebalanceTimeoutMs, groupInstanceId, ...rest } = request
  return {
    ...rest,
    instanceId: groupInstanceId,
    clientId: clientId ?? '',
    clientHost: connection.clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: version === 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    requiresKnownMember: version >= 4,
    supportsSkippingAssignment: version >= 9,
  }
}

function answered(answer: JoinAnswer, version: number): JoinGroupResponse {
  return {
    errorCode: kafkaErrors[answer.error],
    generationId: answer.generation,
    protocolType: answer.protocolType,
    protocolName: protocolName(answer.protocol, version),
    leader: answer.leader,
    skipAssignment: answer.skipAssignment,
    memberId: answer.memberId,
    members: answer.members.map(({ memberId, instanceId, metadata }) => ({
      memberId,
      groupInstanceId: instanceId,
      metadata,
    })),
  }
}

function refused(error: KafkaErrorName, memberId: string, version: number): JoinGroupResponse {
  return {
    errorCode: kafkaErrors[error],
    protocolName: protocolName(null, version),
    leader: '',
    memberId,
    members: [],
  }
}

function protocolName(name: string | null, version: number): string | null {
  return version < 7 ? (name ?? '') : name
}
