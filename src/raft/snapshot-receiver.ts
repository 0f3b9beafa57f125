/**
 * Snapshots at the one who gets them: chunks of the leader's until they are whole, and those that the own state machine
 * takes.
 */

import { crc32c } from '../base/crc32c.ts'
import type { LogIndex } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Snapshot } from './events.ts'
import { acknowledge, advanceTo, dropProposals } from './follower.ts'
import { compact, hasEntry, replace, termAt } from './log.ts'
import { compactMemberships, membershipAfter, restartMemberships } from './membership-history.ts'
import type { SnapshotChunk } from './messages.ts'
import type { IncomingSnapshot, Raft } from './state.ts'
import { saveSnapshot, sendAfterTerm, type Turn } from './turn.ts'

export function onSnapshotChunk(turn: Turn, chunk: SnapshotChunk) {
  const { raft } = turn
  // A log that has the snapshot's last entry needs no snapshot, and keeps what it has behind it.
  if (hasEntry(raft.log, chunk.index, chunk.indexTerm)) advanceTo(raft, chunk.index)
  if (chunk.index <= raft.commit) return acknowledge(turn, chunk, raft.commit)
  const incoming = take(raft, chunk)
  if (incoming.position < chunk.bytesTotal) return acknowledgeChunk(turn, chunk, incoming.position)
  raft.incoming = null
  const data = Buffer.concat(incoming.chunks)
  if (crc32c(data) !== chunk.checksum) return acknowledgeChunk(turn, chunk, 0)
  install(turn, { ...chunkless(chunk), data })
  acknowledge(turn, chunk, chunk.index)
}

/**
 * Adds the chunk when it is the next one of the snapshot that is coming in; another snapshot's chunk begins that one
 * anew.
 */
function take(raft: Raft, chunk: SnapshotChunk): IncomingSnapshot {
  if (raft.incoming === null || !isSameSnapshot(raft.incoming, chunk)) {
    const { index, indexTerm, membership, bytesTotal, checksum } = chunk
    raft.incoming = { index, indexTerm, membership, bytesTotal, checksum, chunks: [], position: 0 }
  }
  const { incoming } = raft
  if (chunk.position === incoming.position && chunk.data.length > 0) {
    incoming.chunks.push(chunk.data)
    incoming.position += chunk.data.length
  }
  return incoming
}

/**
 * Goes on across leaders: the same entries applied make the same bytes, and the checksum of the whole is compared in
 * the end.
 */
function isSameSnapshot(incoming: IncomingSnapshot, chunk: SnapshotChunk): boolean {
  return (
    incoming.index === chunk.index &&
    incoming.indexTerm === chunk.indexTerm &&
    incoming.bytesTotal === chunk.bytesTotal &&
    incoming.checksum === chunk.checksum
  )
}

function acknowledgeChunk(turn: Turn, { from: to, term, index }: SnapshotChunk, position: number): void {
  sendAfterTerm(turn, { type: 'snapshotAck', from: turn.raft.self, to, term, index, position })
}

function chunkless({ index, indexTerm: term, membership, checksum }: SnapshotChunk): Omit<Snapshot, 'data'> {
  return { index, term, membership, checksum }
}

/** The log and the members become the snapshot's; the state machine follows when it is durable. */
function install(turn: Turn, snapshot: Snapshot): void {
  const { raft } = turn
  invariant(snapshot.index > raft.commit, 'a snapshot is installed only to go forward')
  replace(raft.log, snapshot.index, snapshot.term)
  restartMemberships(raft, snapshot.index, snapshot.membership)
  dropProposals(turn, 0 as LogIndex)
  raft.commit = snapshot.index
  saveSnapshot(turn, snapshot, true)
}

/**
 * The own state machine's snapshot: the log behind which it stands makes way, but for a few entries for those who lag a
 * little.
 */
export function onSnapshotTaken(turn: Turn, index: LogIndex, data: Buffer): void {
  const { raft } = turn
  if (index <= (raft.snapshot?.index ?? 0)) return
  invariant(index <= raft.handedOut, 'a snapshot is of what was handed out')
  const term = termAt(raft.log, index)
  invariant(term !== null, 'what is behind the snapshot is in the log')
  const membership = membershipAfter(raft, index)
  saveSnapshot(turn, { index, term, membership, data, checksum: crc32c(data) }, false)
  compact(raft.log, Math.max(raft.log.beforeIndex, index - raft.settings.trailingEntries) as LogIndex)
  compactMemberships(raft, index)
}
