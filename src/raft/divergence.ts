/**
 * Members that applied the same entries must have the same state. The leader sends the checksum of a state with its
 * heartbeats; a follower compares when it has applied as much. A difference means a fault of the program or of memory:
 * the follower stops.
 */
import type { LogIndex } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { AppliedChecksum } from './messages.ts'
import type { Raft } from './state.ts'
import type { Turn } from './turn.ts'

/** How many of the newest states a member can be compared at. */
const checksumsMax = 16

export function newestChecksum(raft: Raft): AppliedChecksum | null {
  return raft.checksums.at(-1) ?? null
}

export function onApplied(turn: Turn, index: LogIndex, checksum: number | null): void {
  const { raft } = turn
  invariant(index <= raft.handedOut, 'only what was handed out can be applied')
  if (index <= raft.applied) return
  raft.applied = index
  if (checksum !== null) {
    raft.checksums.push({ index, checksum })
    if (raft.checksums.length > checksumsMax) raft.checksums.shift()
  }
  if (raft.expected !== null && raft.expected.index <= index) {
    compare(turn, raft.expected)
    raft.expected = null
  }
}

/** What the leader has applied. One that is ahead of this member waits for it; a newer one does not push it out. */
export function onLeadersChecksum(turn: Turn, theirs: AppliedChecksum): void {
  const { raft } = turn
  if (theirs.index <= raft.applied) compare(turn, theirs)
  else raft.expected ??= theirs
}

function compare(turn: Turn, theirs: AppliedChecksum): void {
  const ours = turn.raft.checksums.find(({ index }) => index === theirs.index)
  if (ours === undefined || ours.checksum === theirs.checksum) return
  turn.effects.push({ do: 'diverged', index: theirs.index, expected: theirs.checksum, actual: ours.checksum })
}
