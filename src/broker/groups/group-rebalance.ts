/**
 * A rebalance, in the order of its life: it is begun, waits until all members have joined or the time is over, makes the next
 * generation, and waits for everybody's sync and the leader's assignment. Anybody's coming or going begins the next one.
 */
import { invariant } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import {
  allJoined,
  assignTo,
  dismiss,
  noAssignment,
  rebalanceTimeoutMs,
  selectProtocol,
  topicsOf,
} from './group-members.ts'
import type { Group, JoinTimer } from './group-state.ts'
import { finishSync, type Turn, takeJoin, tellGeneration, touch } from './group-turn.ts'
import type { GroupState } from './requests.ts'

/** Between two looks at whether anybody joins, whatever the members' own timeouts say: zero must not become a busy loop. */
const postponeMinMs = 1_000

/** Somebody came, went or wants something else: the next rebalance begins, or goes on if one is under way. */
export function rebalance(turn: Turn): void {
  if (turn.group.state === 'PreparingRebalance') completeIfAllJoined(turn)
  else prepare(turn)
}

function prepare(turn: Turn): void {
  const { group, at } = turn
  const initial = group.state === 'Empty'
  if (group.state === 'CompletingRebalance') resetAssignments(turn, 'REBALANCE_IN_PROGRESS')
  forgetSync(group)
  transition(turn, 'PreparingRebalance')
  group.newMemberCame = false
  if (initial) {
    group.joinTimer = initialTimer(group, at.monotonicMs)
    return
  }
  if (allJoined(group)) completeJoin(turn)
  else group.joinTimer = { endMs: at.monotonicMs + rebalanceTimeoutMs(group), initial: null }
}

/** The first rebalance gives others of the group time to come too: they mostly start together. */
function initialTimer(group: Group, nowMs: number): JoinTimer {
  const delayMs = group.settings.initialRebalanceDelayMs
  const remainingMs = Math.max(rebalanceTimeoutMs(group) - delayMs, 0)
  return { endMs: nowMs + delayMs, initial: { delayMs, remainingMs } }
}

/** An initial rebalance takes its time, even if all that are known have joined. */
export function completeIfAllJoined(turn: Turn): void {
  const { group } = turn
  if (group.state !== 'PreparingRebalance' || group.stateBefore === 'Empty') return
  if (allJoined(group)) completeJoin(turn)
}

/** Somebody who was waited for does not come: an initial rebalance too has nothing to wait for when all are there. */
export function completeWithoutMissing(turn: Turn): void {
  if (turn.group.state === 'PreparingRebalance' && allJoined(turn.group)) completeJoin(turn)
}

/** The time to join is over, unless this was an initial rebalance's and somebody came. */
export function onJoinTimer(turn: Turn): void {
  const { group, at } = turn
  const timer = nextInitialTimer(group, at.monotonicMs)
  group.newMemberCame = false
  if (timer === null) completeJoin(turn)
  else group.joinTimer = timer
}

function nextInitialTimer(group: Group, nowMs: number): JoinTimer | null {
  const former = group.joinTimer?.initial ?? null
  if (former === null || !group.newMemberCame) return null
  const delayMs = Math.min(group.settings.initialRebalanceDelayMs, former.remainingMs)
  if (delayMs === 0) return null
  const remainingMs = Math.max(former.remainingMs - former.delayMs, 0)
  return { endMs: nowMs + delayMs, initial: { delayMs, remainingMs } }
}

/**
 * Who has joined makes the next generation. Dynamic members that have not are gone; static ones stay as long as their session
 * does, for they may just be restarting. If only such are left, there is nobody yet to lead.
 */
function completeJoin(turn: Turn): void {
  const { group, at } = turn
  group.joinTimer = null
  for (const member of [...group.members.values()])
    if (member.joining === null && member.instanceId === null) dismiss(turn, member)
  if (group.members.size === 0) {
    becomeEmpty(turn)
  } else if (electJoinedLeader(group)) {
    nextGeneration(turn)
  } else {
    const delayMs = Math.max(rebalanceTimeoutMs(group), postponeMinMs)
    group.joinTimer = { endMs: at.monotonicMs + delayMs, initial: null }
  }
}

/** The leader is one that has joined: the present one, or the first. */
function electJoinedLeader(group: Group): boolean {
  if (group.leader !== null && group.members.get(group.leader)?.joining !== null) return true
  for (const member of group.members.values()) {
    if (member.joining === null) continue
    group.leader = member.memberId
    return true
  }
  return false
}

function nextGeneration(turn: Turn): void {
  const { group, at } = turn
  group.generation += 1
  group.protocol = selectProtocol(group)
  group.subscribed = topicsOf(group)
  transition(turn, 'CompletingRebalance')
  forgetSync(group)
  for (const member of group.members.values()) {
    const request = takeJoin(turn, member)
    if (request !== null) tellGeneration(turn, request, member)
    touch(turn, member)
    member.isNew = false
    group.unsynced.add(member.memberId)
  }
  group.syncEndMs = at.monotonicMs + rebalanceTimeoutMs(group)
}

function becomeEmpty(turn: Turn): void {
  const { group } = turn
  group.generation += 1
  group.protocol = null
  group.leader = null
  group.subscribed = topicsOf(group)
  transition(turn, 'Empty')
  forgetSync(group)
  turn.emptied = true
}

/** Members that joined and never asked for their assignment are gone. */
export function onSyncTimer(turn: Turn): void {
  const { group } = turn
  invariant(group.unsynced.size > 0, 'time runs while somebody has not asked')
  for (const memberId of [...group.unsynced]) {
    const member = group.members.get(memberId)
    if (member !== undefined) dismiss(turn, member)
  }
  rebalance(turn)
}

/** Takes it that a member has asked for its assignment. */
export function noteSync(group: Group, memberId: string): void {
  group.unsynced.delete(memberId)
  if (group.unsynced.size === 0) group.syncEndMs = null
}

function forgetSync(group: Group): void {
  group.unsynced.clear()
  group.syncEndMs = null
  group.assigning = false
}

/** The leader's assignment is durable: it holds, and everybody that has asked for it gets it. */
export function stabilize(turn: Turn, assignments: ReadonlyMap<string, Buffer>): void {
  const { group } = turn
  group.assigning = false
  for (const member of group.members.values()) {
    assignTo(group, member, assignments.get(member.memberId) ?? noAssignment)
    // Whose session ran out while its sync waited has not been taken for gone.
    if (finishSync(turn, member, 'NONE')) touch(turn, member)
  }
  transition(turn, 'Stable')
}

/** The generation gets no assignment; who waits for one has to join again. */
export function resetAssignments(turn: Turn, error: KafkaErrorName): void {
  for (const member of turn.group.members.values()) {
    assignTo(turn.group, member, noAssignment)
    if (finishSync(turn, member, error)) touch(turn, member)
  }
}

function transition(turn: Turn, state: GroupState): void {
  const { group, at } = turn
  group.stateBefore = group.state
  group.state = state
  group.stateSinceMs = at.nowMs
}
