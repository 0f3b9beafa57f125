/**
 * DeleteGroups: groups without members go with all of their offsets, each with an outcome of its own, named once however
 * often it is asked for.
 */
import { apis } from '../../wire/api-keys.ts'
import { type KafkaErrorName, kafkaErrors } from '../../wire/kafka-errors.ts'
import type { DeleteGroupsRequest, DeleteGroupsResponse } from '../../wire/messages/delete-groups.ts'
import { accessRules } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'

export const deleteGroups = handler({
  api: apis.deleteGroups,

  async handle(request: DeleteGroupsRequest, context): Promise<DeleteGroupsResponse> {
    const results = [...new Set(request.groupsNames)].map(async groupId => ({
      groupId,
      errorCode: kafkaErrors[await deleteGroup(groupId, context)],
    }))
    return { results: await Promise.all(results) }
  },

  failed: (request: DeleteGroupsRequest, error): DeleteGroupsResponse => ({
    results: request.groupsNames.map(groupId => ({ groupId, errorCode: kafkaErrors[error] })),
  }),
})

async function deleteGroup(groupId: string, { principal, parts }: RequestContext): Promise<KafkaErrorName> {
  const rule = accessRules.deleteGroups
  return parts.access.check(principal, rule, groupId) ? parts.groups.deleteGroup(groupId) : rule.refusal
}
