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
    else failed(turn, pending.then, forClient(pending.outcome))
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
      assignmentFailed(turn, then, error)
      return
    case 'staticMember':
      staticMemberFailed(turn, then, error)
      return
    case 'delete':
      revived(turn.group)
      refuse(turn, then, error)
      return
    case 'commit':
    case 'leave':
    case 'deleteOffsets':
      refuse(turn, then, error)
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

/**
 * What a client makes of it counts: to come again in a moment, also when a disk is full, for somebody will see to that; or to
 * give up, since what is too large for the log now will be so then.
 */
function forClient(error: KafkaErrorName): KafkaErrorName {
  return error === 'MESSAGE_TOO_LARGE' ? 'UNKNOWN_SERVER_ERROR' : 'COORDINATOR_NOT_AVAILABLE'
}
