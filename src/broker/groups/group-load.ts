/**
 * A group whose log has been read takes up where its last generation was stored. Its members' sessions begin anew: how long
 * they had been silent nobody knows, and while the broker was away they could not speak.
 */

import { invariant } from '../../base/invariant.ts'
import { putMember, topicsOf } from './group-members.ts'
import { rebalance } from './group-rebalance.ts'
import type { StoredMember } from './group-record.ts'
import type { Member } from './group-state.ts'
import { type Turn, touch } from './group-turn.ts'

export function restore(turn: Turn): void {
  const { group } = turn
  const { stored } = group
  invariant(group.members.size === 0 && group.state === 'Empty', 'a group is loaded before it lives')
  if (stored === null) return
  group.protocolType = stored.protocolType === '' ? null : stored.protocolType
  group.protocol = stored.protocol
  group.generation = stored.generation
  group.stateSinceMs = stored.stateSinceMs
  for (const each of stored.members) {
    const member = restoreMember(each, stored.protocol ?? '')
    putMember(group, member, stored.protocolType)
    touch(turn, member)
  }
  if (stored.leader !== null && group.members.has(stored.leader)) group.leader = stored.leader
  if (group.members.size > 0) {
    group.protocol = stored.protocol ?? ''
    group.state = 'Stable'
  }
  group.subscribed = topicsOf(group)
  // The limit was lowered. Those that join last have to go.
  if (group.members.size > group.settings.membersMax) rebalance(turn)
}

function restoreMember(stored: StoredMember, protocol: string): Member {
  const { memberId, instanceId, clientId, clientHost, sessionTimeoutMs, assignment } = stored
  return {
    memberId,
    instanceId,
    clientId,
    clientHost,
    sessionMs: sessionTimeoutMs,
    // Records of before there were rebalance timeouts.
    rebalanceMs: stored.rebalanceTimeoutMs < 0 ? sessionTimeoutMs : stored.rebalanceTimeoutMs,
    protocols: [{ name: protocol, metadata: stored.subscription }],
    assignment,
    isNew: false,
    joining: null,
    syncing: null,
    sessionEndMs: Number.POSITIVE_INFINITY,
  }
}
