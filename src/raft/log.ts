/**
 * A member's log in memory, and how much of it is on its disk. Metadata is small: what is not compacted is held whole.
 *
 *     beforeIndex       durable        lastIndex
 *          │ first … ────── │ ── being written ── │
 *
 * Entries up to `beforeIndex` have made way for the snapshot. Whatever is not durable may be gone after a crash, so it
 * is neither applied nor acknowledged, not even to this member itself when it leads.
 */
import type { LogIndex, Term } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Write } from './events.ts'
import type { RaftEntry } from './storage.ts'

export interface Log {
  beforeIndex: LogIndex
  beforeTerm: Term
  readonly entries: RaftEntry[]
  /** Every entry up to here is on this disk as it stands above. */
  durable: LogIndex
  /** Writes of entries that are under way, oldest first. */
  readonly writing: WritingEntries[]
}

/** When `write` is durable, so is the log up to `proves`: its last entry, or less when it was cut off meanwhile. */
interface WritingEntries {
  readonly write: Write
  proves: LogIndex
}

/** What an entry costs besides its data, so that empty ones are bounded too. */
const entryOverheadBytes = 32

export function entryBytes(entry: RaftEntry): number {
  return entry.data.length + entryOverheadBytes
}

/** A log whose entries are all durable. */
export function restoredLog(beforeIndex: LogIndex, beforeTerm: Term, entries: readonly RaftEntry[]): Log {
  let [index, term]: [number, number] = [beforeIndex, beforeTerm]
  for (const entry of entries) {
    invariant(entry.index === index + 1, 'restored entries are dense and begin behind the snapshot')
    invariant(entry.term >= term, 'terms do not fall along a log')
    index = entry.index
    term = entry.term
  }
  return { beforeIndex, beforeTerm, entries: [...entries], durable: index as LogIndex, writing: [] }
}

export function lastIndex(log: Log): LogIndex {
  return (log.beforeIndex + log.entries.length) as LogIndex
}

export function lastTerm(log: Log): Term {
  return log.entries.at(-1)?.term ?? log.beforeTerm
}

/** The term of the entry at `index`; null where it is compacted away or not there yet. */
export function termAt(log: Log, index: LogIndex): Term | null {
  if (index === log.beforeIndex) return log.beforeTerm
  return entryAt(log, index)?.term ?? null
}

export function entryAt(log: Log, index: LogIndex): RaftEntry | null {
  return log.entries[index - log.beforeIndex - 1] ?? null
}

/** Whether the log has this entry, so that by log matching it has all before it. */
export function hasEntry(log: Log, index: LogIndex, term: Term): boolean {
  return termAt(log, index) === term
}

/** Whether one who ends at `index` and `term` has everything that could be committed here: the rule of a vote. */
export function isUpToDate(log: Log, index: LogIndex, term: Term): boolean {
  const ours = lastTerm(log)
  return term > ours || (term === ours && index >= lastIndex(log))
}

/** The entries from `from` on, as many as fit; one at least. */
export function entriesFrom(log: Log, from: LogIndex, bytesMax: number): RaftEntry[] {
  invariant(from > log.beforeIndex, 'compacted entries are not read')
  const start = from - log.beforeIndex - 1
  let bytes = 0
  let end = start
  while (end < log.entries.length) {
    bytes += entryBytes(log.entries[end]!)
    if (bytes > bytesMax && end > start) break
    end++
  }
  return log.entries.slice(start, end)
}

/** The entries in (after, through]. */
export function entriesBetween(log: Log, after: LogIndex, through: LogIndex): RaftEntry[] {
  invariant(after >= log.beforeIndex && through <= lastIndex(log), 'entries are read where the log has them')
  return log.entries.slice(after - log.beforeIndex, through - log.beforeIndex)
}

/**
 * Cuts off everything from `from` on, which the leader does not have. Writes that are still under way prove no more
 * than what is left: one that becomes durable after the cut may hold an entry of the same index and term that has been
 * cut off and come back since, and that the disk loses with the next write.
 */
export function truncate(log: Log, from: LogIndex): void {
  invariant(from > log.beforeIndex, 'what a snapshot stands for is never cut off')
  log.entries.length = from - log.beforeIndex - 1
  const left = (from - 1) as LogIndex
  if (log.durable > left) log.durable = left
  for (const writing of log.writing) if (writing.proves > left) writing.proves = left
}

export function append(log: Log, entry: RaftEntry): void {
  invariant(entry.index === lastIndex(log) + 1, 'entries are appended one behind the other')
  invariant(entry.term >= lastTerm(log), 'terms do not fall along a log')
  log.entries.push(entry)
}

/** The log up to its end goes to the disk with `write`. */
export function startWrite(log: Log, write: Write): void {
  log.writing.push({ write, proves: lastIndex(log) })
}

/** All writes up to `write` are on the disk. */
export function finishWrites(log: Log, write: Write): void {
  while (log.writing.length > 0 && log.writing[0]!.write <= write) {
    const { proves } = log.writing.shift()!
    if (proves > log.durable) log.durable = proves
  }
}

/** Entries up to `index` make way; what is durable stays durable. */
export function compact(log: Log, index: LogIndex): void {
  if (index <= log.beforeIndex) return
  const term = termAt(log, index)
  invariant(term !== null && index <= log.durable, 'only what is durable is compacted')
  log.entries.splice(0, index - log.beforeIndex)
  log.beforeIndex = index
  log.beforeTerm = term
}

/**
 * The log becomes what a snapshot from the leader stands for, and nothing behind it. None of it is durable before that
 * write.
 */
export function replace(log: Log, index: LogIndex, term: Term): void {
  log.entries.length = 0
  log.writing.length = 0
  log.durable = 0 as LogIndex
  log.beforeIndex = index
  log.beforeTerm = term
}

/**
 * The last place at or below `index` where this log can agree with one that has an entry of `term` there: terms never
 * fall along a log, so entries of higher terms cannot agree. Lets a leader pass over a whole term of disagreement at
 * once.
 */
export function lastPossibleMatch(log: Log, index: LogIndex, term: Term): LogIndex {
  let at = Math.min(index, lastIndex(log))
  while (at > log.beforeIndex && termAt(log, at as LogIndex)! > term) at--
  return at as LogIndex
}
