/**
 * DescribeGroups: state and members of groups, each with an outcome of its own, and once however often it is asked for: what
 * is told of a group may be a thousand times as large as its name. A group that does not exist is GROUP_ID_NOT_FOUND from 6
 * on; before, it is Dead, and that is no error.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DescribeGroupsRequest, DescribeGroupsResponse } from '../../wire/messages/describe-groups.ts'
import { operationsNotAsked } from '../../wire/messages/metadata.ts'
import { accessRules, authorizedOperations } from '../access.ts'
import type { RequestContext } from '../context.ts'
import type { DescribedGroup } from '../groups/requests.ts'
import { handler } from '../handler.ts'

type GroupAnswer = DescribeGroupsResponse['groups'][number]

export const describeGroups = handler({
  api: apis.describeGroups,

  handle: async (request: DescribeGroupsRequest, context): Promise<DescribeGroupsResponse> => ({
    groups: await Promise.all([...new Set(request.groups)].map(groupId => describe(groupId, request, context))),
  }),

  failed: (request: DescribeGroupsRequest, error): DescribeGroupsResponse => ({
    groups: request.groups.map(groupId => refused(groupId, error)),
  }),
})

async function describe(
  groupId: string,
  request: DescribeGroupsRequest,
  context: RequestContext,
): Promise<GroupAnswer> {
  const { principal, version, parts } = context
  const rule = accessRules.describeGroups
  if (!parts.access.check(principal, rule, groupId)) return refused(groupId, rule.refusal)
  const described = await parts.groups.describe(groupId)
  const operations =
    request.includeAuthorizedOperations && described.error === 'NONE'
      ? authorizedOperations(parts.access, principal, 'group', groupId)
      : operationsNotAsked
  return { ...answered(described, version), authorizedOperations: operations }
}

function answered(group: DescribedGroup, version: number): GroupAnswer {
  const isDead = version < 6 && group.error === 'GROUP_ID_NOT_FOUND'
  return {
    errorCode: kafkaErrors[isDead ? 'NONE' : group.error],
    ...(version < 6 ? {} : { errorMessage: group.message }),
    groupId: group.groupId,
    groupState: group.state,
    protocolType: group.protocolType,
    protocolData: group.protocol,
    members: group.members.map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: member.metadata,
      memberAssignment: member.assignment,
    })),
  }
}

function refused(groupId: string, error: KafkaErrorName): GroupAnswer {
  return { errorCode: kafkaErrors[error], groupId, groupState: '', protocolType: '', protocolData: '', members: [] }
}
