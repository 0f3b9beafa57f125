/**
 * Which leader epoch wrote which offsets of a partition. The chain of segments remembers it: a segment has one epoch, and one
 * that takes over begins with a segment of its own. What retention or a client has deleted is forgotten with its segments.
 */
import type { LeaderEpoch, Offset } from '../base/ids.ts'
import type { EpochEnd } from './storage.ts'

interface Stretch {
  readonly base: Offset
  /** Null for the open one. */
  readonly end: Offset | null
  readonly leaderEpoch: LeaderEpoch
}

/** A partition's log: its segments in order, and what is left of them. */
export interface EpochLog {
  readonly segments: readonly Stretch[]
  readonly logStartOffset: Offset
  readonly nextOffset: Offset
}

/**
 * Kafka's OffsetForLeaderEpoch: the newest epoch at or below the one asked for, and where the next one begins. An epoch older
 * than all that is left ends where the oldest begins; one that has not been yet is unknown, and is answered with -1.
 */
export function endOfEpoch(log: EpochLog, epoch: number): EpochEnd {
  const left = leftOf(log)
  const next = left.find(({ leaderEpoch }) => leaderEpoch > epoch)
  const newest = left.findLast(({ leaderEpoch }) => leaderEpoch <= epoch)
  if (epoch < 0 || (next === undefined && newest?.leaderEpoch !== epoch)) return { epoch: -1, endOffset: -1 }
  const endOffset = next === undefined ? log.nextOffset : Math.max(next.base, log.logStartOffset)
  return { epoch: newest?.leaderEpoch ?? epoch, endOffset }
}

/** The epoch of the record at an offset, at the log's end of the one that comes next; -1 outside the log. */
export function epochOf(log: EpochLog, offset: Offset): LeaderEpoch | -1 {
  if (offset < log.logStartOffset || offset > log.nextOffset) return -1
  return leftOf(log).findLast(({ base }) => base <= offset)?.leaderEpoch ?? -1
}

/** Deleted segments stay for a while, for the readers that still have them. */
function leftOf({ segments, logStartOffset }: EpochLog): readonly Stretch[] {
  return segments.filter(({ end }) => end === null || end > logStartOffset)
}
