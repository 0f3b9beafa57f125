/**
 * Writes that come back: what is durable is taken over, and who waited for it is answered. In the order of the log, whatever
 * order the results come in: a later commit of a partition is not undone by an earlier one's answer.
 */
import { invariant, unreachable } from '../../base/invariant.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { applyRecord } from './group-durable.ts'
import { staticMemberFailed, staticMemberStored } from './group-join.ts'
import { buried, revived } from './group-offsets.ts'
import type { AfterWrite, PendingWrite } from './group-state.ts'
import { assignmentFailed, assignmentStored } from './group-sync.ts'
import { answer, type Turn } from './group-turn.ts'

export function settle(turn: Turn, number: number, outcome: KafkaErrorName): void {
  const { group } = turn
  const settled = group.writes.get(number)
  invariant(settled !== undefined && settled.outcome === null, 'a write comes back once')
  settled.outcome = outcome
  for (const [each, pending] of group.writes) {
    if (pending.outcome === null) return
    group.writes.delete(each)
    if (pending.outcome === 'NONE') stored(turn, pending)
    else failed(turn, pending.then, pending.outcome)
  }
}

function stored(turn: Turn, { records, then }: PendingWrite): void {
  for (const record of records) applyRecord(turn.group, record)
  switch (then.of) {
    case 'nothing':
      return
    case 'commit':
      answer(turn, then.request, { errors: then.errors })
      return
    case 'assignment':
      assignmentStored(turn, then)
      return
    case 'staticMember':
      staticMemberStored(turn, then)
      return
    case 'leave':
      answer(turn, then.request, then.answer)
      return
    case 'delete':
      buried(turn.group)
      if (then.request !== null) answer(turn, then.request, { error: 'NONE' })
      return
    case 'deleteOffsets':
      answer(turn, then.request, { error: 'NONE', partitions: then.errors })
      return
    default:
      unreachable(then)
  }
}

function failed(turn: Turn, then: AfterWrite, error: KafkaErrorName): void {
  switch (then.of) {
    case 'nothing':
      return
    case 'assignment':
      assignmentFailed(turn, then, forGroups(error))
      return
    case 'staticMember':
      staticMemberFailed(turn, then, forGroups(error))
      return
    case 'delete':
      revived(turn.group)
      refuse(turn, then, forGroups(error))
      return
    case 'commit':
      refuse(turn, then, forCommits(error))
      return
    case 'leave':
    case 'deleteOffsets':
      refuse(turn, then, forGroups(error))
      return
    default:
      unreachable(then)
  }
}

/** Answers what waits for a write that does not come; joins and syncs are the members'. */
export function refuse(turn: Turn, then: AfterWrite, error: KafkaErrorName): void {
  switch (then.of) {
    case 'nothing':
    case 'assignment':
    case 'staticMember':
      return
    case 'commit': {
      const errors = then.errors.map(each => (each === 'NONE' ? error : each))
      answer(turn, then.request, { errors })
      return
    }
    case 'leave':
      answer(turn, then.request, { error, members: [] })
      return
    case 'delete':
      if (then.request !== null) answer(turn, then.request, { error })
      return
    case 'deleteOffsets':
      answer(turn, then.request, { error, partitions: [] })
      return
    default:
      unreachable(then)
  }
}

/** What a client makes of it counts: to look for its coordinator again, to wait a little, or to give up. */
function forGroups(error: KafkaErrorName): KafkaErrorName {
  switch (error) {
    case 'UNKNOWN_TOPIC_OR_PARTITION':
    case 'NOT_ENOUGH_REPLICAS':
    case 'NOT_ENOUGH_REPLICAS_AFTER_APPEND':
    case 'REQUEST_TIMED_OUT':
      return 'COORDINATOR_NOT_AVAILABLE'
    case 'NOT_LEADER_OR_FOLLOWER':
    case 'KAFKA_STORAGE_ERROR':
      return 'NOT_COORDINATOR'
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
    case 'INVALID_FETCH_SIZE':
      return 'UNKNOWN_SERVER_ERROR'
    default:
      return error
  }
}

function forCommits(error: KafkaErrorName): KafkaErrorName {
  const mapped = forGroups(error)
  return mapped === 'UNKNOWN_SERVER_ERROR' && mapped !== error ? 'INVALID_COMMIT_OFFSET_SIZE' : mapped
}
