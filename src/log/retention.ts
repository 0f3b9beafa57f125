/** Which of a partition's oldest segments have had their time. Decided here, purely; done by a command to the metadata. */
import type { Offset } from '../base/ids.ts'

export interface RetainedSegment {
  readonly base: Offset
  /** Where the next one starts. */
  readonly end: Offset
  readonly bytes: number
  readonly maxTimestamp: number
}

export interface RetentionRules {
  /** -1 for no limit. */
  readonly retentionMs: number
  /** -1 for no limit. */
  readonly retentionBytes: number
}

/**
 * The log start that the rules ask for, at least `logStartOffset`. `sealed` are the closed segments, the oldest first;
 * `openBytes` is what the open one holds. A segment goes when its newest record is too old, or when the rest alone is at
 * least as long as the limit.
 */
export function retainedFrom(
  sealed: readonly RetainedSegment[],
  openBytes: number,
  logStartOffset: Offset,
  rules: RetentionRules,
  nowMs: number,
): Offset {
  let start = logStartOffset
  let bytes = openBytes
  for (const segment of sealed) bytes += segment.bytes
  for (const segment of sealed) {
    const isOld =
      rules.retentionMs >= 0 && segment.maxTimestamp >= 0 && nowMs - segment.maxTimestamp > rules.retentionMs
    const isOver = rules.retentionBytes >= 0 && bytes - segment.bytes >= rules.retentionBytes
    const isBelow = segment.end <= logStartOffset
    if (!isOld && !isOver && !isBelow) break
    bytes -= segment.bytes
    if (segment.end > start) start = segment.end
  }
  return start
}
