/** How scripts print what the core wants done. */
import { unreachable } from '../../base/invariant.ts'
import type { Effect } from '../events.ts'
import { decodeMembership, type Member, type Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import { entryTypes, type HardState, type RaftEntry } from '../storage.ts'

export function printEffect(effect: Effect): string {
  switch (effect.do) {
    case 'persist': {
      const parts = [`persist #${effect.write}`]
      if (effect.hardState !== null) parts.push(printHardState(effect.hardState))
      if (effect.truncateFrom !== null) parts.push(`cut-from=${effect.truncateFrom}`)
      if (effect.entries.length > 0) parts.push(printEntries(effect.entries))
      return parts.join(' ')
    }
    case 'saveSnapshot': {
      const { write, snapshot, hardState, replacesLog } = effect
      const members = printMembership(snapshot.membership)
      const what = `index=${snapshot.index}/${snapshot.term} members=[${members}] data=${JSON.stringify(snapshot.data.toString())}`
      return `save-snapshot #${write} ${what} ${printHardState(hardState)}${replacesLog ? ' replaces-log' : ''}`
    }
    case 'send':
      return `send ${printMessage(effect.message)}${effect.after === null ? '' : ` after #${effect.after}`}`
    case 'apply':
      return `apply ${printEntries(effect.entries)}`
    case 'restore':
      return `restore ${effect.snapshot.index}/${effect.snapshot.term}`
    case 'accepted':
      return `accepted token=${effect.token} as ${effect.index}/${effect.term}`
    case 'refused':
      return `refused token=${effect.token} ${effect.reason}${printLeader(effect.leader)}`
    case 'dropped':
      return `dropped token=${effect.token}, outcome unknown`
    case 'readReady':
      return `read token=${effect.token} ready at ${effect.index}`
    case 'readRefused':
      return `read token=${effect.token} refused ${effect.reason}${printLeader(effect.leader)}`
    case 'role':
      return `is ${effect.role} in term ${effect.term}${printLeader(effect.leader)}`
    case 'membership':
      return `members=[${printMembership(effect.membership)}] since ${effect.index}`
    case 'diverged':
      return `diverged at ${effect.index}`
    default:
      return unreachable(effect)
  }
}

/** `type to n term …`, the rest as the kind has it. */
export function printMessage(message: Message): string {
  return `${message.type} to ${message.to.nodeId} term=${message.term}${printFields(message)}`
}

function printFields(message: Message): string {
  switch (message.type) {
    case 'preVote':
      return ` last=${message.lastIndex}/${message.lastTerm}`
    case 'vote':
      return ` last=${message.lastIndex}/${message.lastTerm}${message.isTransfer ? ' transfer' : ''}`
    case 'preVoteReply':
    case 'voteReply':
      return message.isGranted ? ' granted' : ' refused'
    case 'append': {
      const { previousIndex, previousTerm, entries, commit } = message
      return ` prev=${previousIndex}/${previousTerm} ${printEntries(entries)} commit=${commit}`
    }
    case 'appendAck':
      return ` index=${message.index}`
    case 'appendReject':
      return ` prev=${message.previousIndex} hint=${message.hintIndex}/${message.hintTerm}`
    case 'heartbeat': {
      const { applied } = message
      return ` commit=${message.commit} round=${message.round}${applied === null ? '' : ` applied=${applied.index}`}`
    }
    case 'heartbeatAck':
      return ` round=${message.round}`
    case 'snapshotChunk': {
      const { index, indexTerm, position, bytesTotal, data } = message
      return ` index=${index}/${indexTerm} bytes ${position}-${position + data.length} of ${bytesTotal}`
    }
    case 'snapshotAck':
      return ` index=${message.index} position=${message.position}`
    case 'timeoutNow':
      return ''
    default:
      return unreachable(message)
  }
}

export function printEntries(entries: readonly RaftEntry[]): string {
  return `[${entries.map(printEntry).join(', ')}]`
}

function printEntry({ index, term, type, data }: RaftEntry): string {
  const place = `${index}/${term}`
  switch (type) {
    case entryTypes.noop:
      return `${place} no-op`
    case entryTypes.command:
      return `${place} ${data.toString()}`
    case entryTypes.membership:
      return `${place} members=${printMembership(decodeMembership(data))}`
    default:
      return unreachable(type)
  }
}

/** Voters by number, learners with a `~`; a disk that is not the node's first is named. */
export function printMembership(membership: Membership): string {
  return membership
    .map(
      ({ nodeId, diskId, role }) =>
        `${role === 'learner' ? '~' : ''}${nodeId}${diskId === `d${nodeId}` ? '' : `:${diskId}`}`,
    )
    .join(' ')
}

function printHardState({ term, votedFor }: HardState): string {
  return `term=${term} vote=${votedFor ?? '-'}`
}

function printLeader(leader: Member | null): string {
  return leader === null ? '' : `, leader ${leader.nodeId}`
}
