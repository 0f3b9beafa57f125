/**
 * The step of a group: an event in, effects out (`group-events.ts`), the state (`group-state.ts`) changed in place. Here it is
 * told what kind of thing happened; the files named after their nouns decide the rest.
 */
import { invariant, unreachable } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { GroupEffect, GroupEvent } from './group-events.ts'
import { join } from './group-join.ts'
import { restore } from './group-load.ts'
import { storedGroup } from './group-members.ts'
import { commit, deleteGroup, deleteOffsets, expire, topicDeleted } from './group-offsets.ts'
import { onJoinTimer, onSyncTimer } from './group-rebalance.ts'
import { endSessions, heartbeat, leave } from './group-sessions.ts'
import type { Group } from './group-state.ts'
import { sync } from './group-sync.ts'
import { answer, answerSync, failJoin, finishSync, refuseJoin, startTurn, type Turn, write } from './group-turn.ts'
import { refuse, settle } from './group-writes.ts'

/** Advances the group by one event. The driver performs the effects in order. */
export function stepGroup(group: Group, event: GroupEvent): GroupEffect[] {
  const turn = startTurn(group, event.at)
  const refusal = refusalOf(group, event)
  if (refusal === 'NONE') perform(turn, event)
  else refuseRequest(turn, event, refusal)
  finish(turn)
  check(group)
  return turn.effects
}

/** When `time` has something to do next, by the monotonic clock; null: never, as things are. */
export function nextDeadlineMs(group: Group): number | null {
  const next = Math.min(
    group.sessionsCheckMs,
    group.joinTimer?.endMs ?? Number.POSITIVE_INFINITY,
    group.syncEndMs ?? Number.POSITIVE_INFINITY,
  )
  return next === Number.POSITIVE_INFINITY ? null : next
}

function perform(turn: Turn, event: GroupEvent): void {
  switch (event.do) {
    case 'join':
      join(turn, event.request, event.join, event.uuid)
      return
    case 'sync':
      sync(turn, event.request, event.sync)
      return
    case 'heartbeat':
      heartbeat(turn, event.request, event.heartbeat)
      return
    case 'leave':
      leave(turn, event.request, event.leave)
      return
    case 'commit':
      commit(turn, event.request, event.commit)
      return
    case 'delete':
      deleteGroup(turn, event.request)
      return
    case 'deleteOffsets':
      deleteOffsets(turn, event.request, event.partitions)
      return
    case 'topicDeleted':
      topicDeleted(turn, event.topic, event.topicId)
      return
    case 'loaded':
      restore(turn)
      return
    case 'written':
      settle(turn, event.write, event.error)
      return
    case 'time':
      onTime(turn)
      return
    case 'expire':
      expire(turn)
      return
    case 'close':
      close(turn, event.error)
      return
    default:
      unreachable(event)
  }
}

function onTime(turn: Turn): void {
  const { group, at } = turn
  const nowMs = at.monotonicMs
  if (group.joinTimer !== null && group.joinTimer.endMs <= nowMs) onJoinTimer(turn)
  if (group.syncEndMs !== null && group.syncEndMs <= nowMs) onSyncTimer(turn)
  if (group.sessionsCheckMs <= nowMs) endSessions(turn)
}

/** A group that is closed, or about to be gone, takes nothing on any more. */
function refusalOf(group: Group, event: GroupEvent): KafkaErrorName {
  if (group.closed !== null) return group.closed
  if (group.state !== 'Dead') return 'NONE'
  switch (event.do) {
    case 'join':
    case 'sync':
    case 'heartbeat':
    case 'leave':
    case 'commit':
      return 'COORDINATOR_NOT_AVAILABLE'
    case 'delete':
    case 'deleteOffsets':
      return 'GROUP_ID_NOT_FOUND'
    case 'topicDeleted':
    case 'loaded':
    case 'written':
    case 'time':
    case 'expire':
    case 'close':
      return 'NONE'
    default:
      return unreachable(event)
  }
}

function refuseRequest(turn: Turn, event: GroupEvent, error: KafkaErrorName): void {
  switch (event.do) {
    case 'join':
      refuseJoin(turn, event.request, event.join.memberId, error)
      return
    case 'sync':
      answerSync(turn, event.request, error, null)
      return
    case 'heartbeat':
    case 'delete':
      answer(turn, event.request, { error })
      return
    case 'leave':
      answer(turn, event.request, { error, members: [] })
      return
    case 'commit':
      answer(turn, event.request, { errors: event.commit.offsets.map(() => error) })
      return
    case 'deleteOffsets':
      answer(turn, event.request, { error, partitions: [] })
      return
    case 'topicDeleted':
    case 'loaded':
    case 'written':
    case 'time':
    case 'expire':
    case 'close':
      return
    default:
      unreachable(event)
  }
}

/** What is under way may still become durable; nobody here will say so. */
function close(turn: Turn, error: KafkaErrorName): void {
  const { group } = turn
  for (const member of group.members.values()) {
    failJoin(turn, member, member.memberId, error)
    finishSync(turn, member, error)
  }
  for (const { then } of group.writes.values()) refuse(turn, then, error)
  group.writes.clear()
  group.joinTimer = null
  group.syncEndMs = null
  group.sessionsCheckMs = Number.POSITIVE_INFINITY
  group.closed = error
}

/** A group that lost its last member in this step is written; who left is told when that is durable. */
function finish(turn: Turn): void {
  const { group, leave: left } = turn
  if (turn.emptied) {
    const then = left === null ? { of: 'nothing' as const } : { of: 'leave' as const, ...left }
    write(turn, [{ of: 'group', groupId: group.groupId, value: storedGroup(group) }], then)
  } else if (left !== null) {
    answer(turn, left.request, left.answer)
  }
}

function check(group: Group): void {
  const { state, members, joiningCount, leader } = group
  invariant(joiningCount >= 0 && joiningCount <= members.size, 'only members wait to join')
  invariant(group.unsynced.size <= members.size, 'only members are waited for')
  invariant(leader === null ? members.size === 0 : members.has(leader), 'the leader is a member')
  if (state === 'Empty' || state === 'Dead')
    invariant(members.size === 0 || group.closed !== null, 'nobody is in an empty group')
  if (state === 'CompletingRebalance' || state === 'Stable')
    invariant(members.size > 0 && group.protocol !== null, 'a generation has members and a protocol')
  const waits = group.joinTimer !== null || group.closed !== null
  invariant(waits === (state === 'PreparingRebalance') || group.closed !== null, 'a rebalance ends')
}
