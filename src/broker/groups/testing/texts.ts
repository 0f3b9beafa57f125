/** Answers and records in words, short enough for a line. What is as usual is left out. */
import type { GroupAnswer, GroupEffect } from '../group-events.ts'
import type { GroupRecord, StoredGroup } from '../group-record.ts'
import type { JoinAnswer, LeaveAnswer, SyncAnswer } from '../requests.ts'

export function effectText(effect: GroupEffect): string {
  if (effect.do === 'answer') return answerText(effect.answer)
  return effect.records.map(recordText).join('; ')
}

export function answerText(answer: GroupAnswer): string {
  if ('generation' in answer) return joinText(answer)
  if ('assignment' in answer) return syncText(answer)
  if ('errors' in answer) return answer.errors.join(' ')
  if ('partitions' in answer) return [answer.error, ...answer.partitions].join(' ')
  if ('members' in answer) return leaveText(answer)
  return answer.error
}

function joinText(answer: JoinAnswer): string {
  const words: string[] = [answer.error]
  words.push(answer.memberId === '' ? 'no id' : answer.memberId)
  if (answer.generation >= 0) words.push(`gen=${answer.generation}`)
  if (answer.protocol !== null) words.push(`${answer.protocolType}/${answer.protocol}`)
  if (answer.leader !== '') words.push(`leader=${answer.leader}`)
  if (answer.skipAssignment) words.push('skip-assignment')
  if (answer.members.length > 0) words.push(`members=${answer.members.map(memberText).join(',')}`)
  return words.join(' ')
}

function memberText({ memberId, instanceId, metadata }: JoinAnswer['members'][number]): string {
  const name = instanceId === null ? memberId : `${memberId}/${instanceId}`
  return `${name}(${metadataText(metadata)})`
}

function syncText(answer: SyncAnswer): string {
  if (answer.error !== 'NONE') return answer.error
  return `NONE ${answer.protocolType}/${answer.protocol} [${textOf(answer.assignment)}]`
}

function leaveText({ error, members }: LeaveAnswer): string {
  const each = members.map(member => `${identityText(member.memberId, member.instanceId)}=${member.error}`)
  return [error, ...each].join(' ')
}

export function identityText(memberId: string, instanceId: string | null): string {
  return instanceId === null ? memberId : `${memberId}/${instanceId}`
}

/** Copies of a state have bytes that are no Buffers any more. */
function textOf(bytes: Uint8Array): string {
  return shortened(Buffer.from(bytes).toString())
}

/** A subscription as its topics, anything else as it is. */
export function metadataText(bytes: Uint8Array): string {
  const metadata = Buffer.from(bytes)
  return metadata.length > 0 && metadata[0] === 0 ? topicsText(metadata) : shortened(metadata.toString())
}

function topicsText(metadata: Buffer): string {
  const topics: string[] = []
  let at = 6
  for (let left = metadata.readInt32BE(2); left > 0; left--) {
    const end = at + 2 + metadata.readInt16BE(at)
    topics.push(metadata.toString('utf8', at + 2, end))
    at = end
  }
  return topics.join('+')
}

export function recordText(record: GroupRecord): string {
  if (record.of === 'group') return record.value === null ? 'no group' : storedText(record.value)
  const key = `${record.topic}-${record.partition}`
  if (record.value === null) return `no ${key}`
  const { offset, leaderEpoch, metadata, commitMs, expireMs } = record.value
  const words = [`${key}=${offset}`, `at=${commitMs}`]
  if (leaderEpoch !== -1) words.push(`epoch=${leaderEpoch}`)
  if (metadata !== '') words.push(noteText(metadata))
  if (expireMs !== -1) words.push(`until=${expireMs}`)
  return words.join(' ')
}

/** What a client wrote to its offset. */
export function noteText(metadata: string): string {
  return `"${shortened(metadata)}"`
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.length} characters` : text
}

function storedText(stored: StoredGroup): string {
  const words = [`group gen=${stored.generation} ${stored.protocolType}/${stored.protocol ?? '-'}`]
  words.push(`since=${stored.stateSinceMs}`)
  if (stored.leader !== null) words.push(`leader=${stored.leader}`)
  for (const { memberId, instanceId, assignment } of stored.members)
    words.push(`${identityText(memberId, instanceId)}[${textOf(assignment)}]`)
  return words.join(' ')
}
