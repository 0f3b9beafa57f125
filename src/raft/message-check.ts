/**
 * What a message must be before the core looks at it: numbers that count something, entries that follow each other,
 * members that can be read. Whoever sends anything else is ignored; no message makes the core throw.
 */
import { decodeMembership, isOrdered, type Member, type Membership } from './membership.ts'
import type { Append, Message, SnapshotChunk } from './messages.ts'
import { entryTypes, type RaftEntry } from './storage.ts'

export function isSound(message: Message): boolean {
  if (!isCount(message.term) || !isMember(message.from) || !isMember(message.to)) return false
  switch (message.type) {
    case 'preVote':
    case 'vote':
      return isCount(message.lastIndex) && isCount(message.lastTerm) && message.lastTerm < message.term
    case 'append':
      return isSoundAppend(message)
    case 'appendAck':
      return isCount(message.index)
    case 'appendReject':
      return isCount(message.previousIndex) && isCount(message.hintIndex) && isCount(message.hintTerm)
    case 'heartbeat':
      return isCount(message.commit) && isCount(message.round) && isCount(message.applied?.index ?? 0)
    case 'heartbeatAck':
      return isCount(message.round)
    case 'snapshotChunk':
      return isSoundChunk(message)
    case 'snapshotAck':
      return isCount(message.index) && isCount(message.position)
    case 'preVoteReply':
    case 'voteReply':
    case 'timeoutNow':
      return true
    default:
      return false
  }
}

/** Far more than will ever be counted, and room to count on from there. */
const countMax = 2 ** 48

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= countMax
}

function isMember({ nodeId, diskId }: Member): boolean {
  return isCount(nodeId) && typeof diskId === 'string'
}

function isSoundAppend({ term, previousIndex, previousTerm, entries, commit }: Append): boolean {
  if (!isCount(previousIndex) || !isCount(previousTerm) || !isCount(commit)) return false
  let [index, last]: [number, number] = [previousIndex, previousTerm]
  for (const entry of entries) {
    if (entry.index !== ++index || !isCount(entry.term) || entry.term < last || !isReadable(entry)) return false
    last = entry.term
  }
  return last <= term
}

function isReadable({ type, data }: RaftEntry): boolean {
  switch (type) {
    case entryTypes.noop:
    case entryTypes.command:
      return true
    case entryTypes.membership:
      return isReadableMembership(data)
    default:
      return false
  }
}

function isReadableMembership(data: Buffer): boolean {
  try {
    return isUsable(decodeMembership(data))
  } catch {
    return false
  }
}

function isSoundChunk(chunk: SnapshotChunk): boolean {
  const { index, indexTerm, membership, position, bytesTotal, checksum, data, term } = chunk
  if (![index, indexTerm, position, bytesTotal, checksum].every(isCount)) return false
  return indexTerm <= term && position + data.length <= bytesTotal && isUsable(membership)
}

/** A group has a voter, and each node once. */
function isUsable(membership: Membership): boolean {
  return membership.every(isMember) && isOrdered(membership) && membership.some(({ role }) => role === 'voter')
}
