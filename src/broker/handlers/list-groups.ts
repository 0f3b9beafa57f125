/**
 * ListGroups: the groups that the principal may see. 4+ may ask for states and is told them, 5+ for types, of which there is
 * one; names are compared without regard to case, and nothing has an unknown one.
 */
import { apis } from '../../wire/api-keys.ts'
import { kafkaErrors } from '../../wire/kafka-errors.ts'
import type { ListGroupsRequest, ListGroupsResponse } from '../../wire/messages/list-groups.ts'
import { accessRules, clusterResource } from '../access.ts'
import type { RequestContext } from '../context.ts'
import { handler } from '../handler.ts'

const groupType = 'classic'

export const listGroups = handler({
  api: apis.listGroups,

  async handle(request: ListGroupsRequest, context): Promise<ListGroupsResponse> {
    const mayBeSeen = visibility(context)
    const isState = filterOf(request.statesFilter)
    const isType = filterOf(request.typesFilter)
    const { error, groups } = await context.parts.groups.list()
    const wanted = groups.filter(({ groupId, state }) => isState(state) && isType(groupType) && mayBeSeen(groupId))
    return {
      errorCode: kafkaErrors[error],
      groups: wanted.map(({ groupId, protocolType, state }) => ({
        groupId,
        protocolType,
        groupState: state,
        groupType,
      })),
    }
  },

  failed: (_request, error): ListGroupsResponse => ({ errorCode: kafkaErrors[error], groups: [] }),
})

/** Who may look at the cluster sees all groups, others those that they may describe. */
function visibility({ principal, parts }: RequestContext): (groupId: string) => boolean {
  const { access } = parts
  if (access.check(principal, accessRules.listGroups, clusterResource)) return () => true
  return groupId => access.check(principal, accessRules.describeGroups, groupId)
}

function filterOf(names: readonly string[]): (name: string) => boolean {
  if (names.length === 0) return () => true
  const wanted = new Set(names.map(name => name.toLowerCase()))
  return name => wanted.has(name.toLowerCase())
}
