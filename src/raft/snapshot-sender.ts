/**
 * A follower that needs entries which are compacted away gets the snapshot, in chunks: each on the ack of the one
 * before. A lost chunk or ack is made good by the next heartbeat that is answered; the follower says where it wants to
 * go on.
 */
import { invariant } from '../base/invariant.ts'
import type { SnapshotAck } from './messages.ts'
import { becomeSnapshot, type Progress } from './progress.ts'
import type { Raft } from './state.ts'
import { send, type Turn } from './turn.ts'

export function startTransfer(turn: Turn, progress: Progress): void {
  const { raft } = turn
  invariant(raft.snapshot !== null, 'the log is compacted only behind a snapshot')
  becomeSnapshot(progress, raft.snapshot, raft.leading.round)
  sendChunk(raft, turn, progress)
}

/** An answered heartbeat of a later round than the chunk, and still no ack: one of the two was lost. */
export function resendChunk(turn: Turn, progress: Progress, answeredRound: number) {
  const transfer = progress.transfer!
  if (answeredRound <= transfer.sentInRound) return
  // Nothing of it has arrived, perhaps for a long time: then rather the newest.
  if (transfer.position === 0 && transfer.snapshot.index < turn.raft.snapshot!.index)
    return startTransfer(turn, progress)
  transfer.isResent = true
  sendChunk(turn.raft, turn, progress)
}

export function onSnapshotAck(turn: Turn, progress: Progress, { index, position }: SnapshotAck): void {
  const { transfer } = progress
  if (transfer === null || transfer.snapshot.index !== index || position > transfer.snapshot.data.length) return
  // A follower that restarted has lost its chunks and asks for earlier ones; unasked, that is an old ack that was
  // overtaken.
  const isNews = position > transfer.position || (position < transfer.position && transfer.isResent)
  if (!isNews) return
  transfer.position = position
  transfer.isResent = false
  sendChunk(turn.raft, turn, progress)
}

function sendChunk(raft: Raft, turn: Turn, { member: to, transfer }: Progress): void {
  const { snapshot, position } = transfer!
  const { index, term: indexTerm, membership, checksum } = snapshot
  const data = snapshot.data.subarray(position, position + raft.settings.snapshotChunkBytes)
  transfer!.sentInRound = raft.leading.round
  const chunk = { index, indexTerm, membership, position, bytesTotal: snapshot.data.length, checksum, data }
  send(turn, { type: 'snapshotChunk', from: raft.self, to, term: raft.term, ...chunk })
}
