/**
 * What must never be seen of a cluster from outside, by name. The names are those of the one-node simulator where they mean
 * the same; each has a planted history in `anomalies.test.ts`.
 */
export const anomalyKinds = [
  /** A record of an idempotent producer lies at two offsets, or one of a plain producer more often than it was sent. */
  'duplicate',
  /** The log starts behind what anybody asked to trim. */
  'early deletion',
  /** Along the log, leader epochs go back. */
  'epoch regress',
  /** A read jumps over offsets, or gives nothing where the node says that there is something. */
  'hole',
  /** Two records were seen at one offset. */
  'inconsistent offsets',
  /** Acknowledged, and not there. */
  'lost write',
  /** A writer that was replaced long ago still vouches for records on its own. */
  'lease ignored',
  /** A node's high watermark or log start went back while it ran. */
  'offset regress',
  /** Sequences of a producer lie in another order than it gave them, or with a gap. */
  'out of order',
  /** Nobody sent it there. */
  'phantom',
  'read above the high watermark',
  /** The broker vouched that it is not there. */
  'refused write is visible',
  /** Acknowledged before a reader asked the writer, who does not count it as committed. */
  'stale watermark',
  /** A part of a batch lies without the rest. */
  'torn batch',
  /** A trim was confirmed, and the log starts below it. */
  'trim undone',
  /** Two nodes were the writer of one leader epoch. */
  'two writers',
  /** An epoch that nothing newer follows is refused as an old one. */
  'unjustified refusal',
  /** At the end, fewer nodes than promised give an offset. */
  'unreadable',
  /** A leader epoch shows a lower high watermark than an older one has shown. */
  'watermark regress',
  /** It lies below what was acknowledged before it was first sent. */
  'written in the past',
  /** A record of an older producer epoch lies behind one of a newer. */
  'zombie write',
] as const
export type AnomalyKind = (typeof anomalyKinds)[number]

export interface Anomaly {
  readonly kind: AnomalyKind
  readonly text: string
  readonly atMs: number
}
