/**
 * One step while it runs: what it wants written and done. Sends say what they promise; which write that is, is settled
 * at the end of the step, when it is known whether the step writes: one write at most, given out before all else.
 */
import type { LogIndex } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import type { Effect, RefusalReason, Snapshot, Token, Write } from './events.ts'
import { append, entriesBetween, finishWrites, lastIndex, startWrite, truncate } from './log.ts'
import type { Message } from './messages.ts'
import type { Raft } from './state.ts'
import type { RaftEntry } from './storage.ts'

export interface Turn {
  readonly raft: Raft
  readonly effects: Effect[]
  readonly held: HeldSend[]
  /** Appended in this step. */
  readonly appended: RaftEntry[]
  truncateFrom: LogIndex | null
  saving: { readonly snapshot: Snapshot; readonly replacesLog: boolean } | null
}

/** A send whose `after` is settled at the end of the step. */
interface HeldSend {
  readonly effect: { after: Write | null }
  readonly promises: 'term' | 'log'
}

export function startTurn(raft: Raft): Turn {
  return { raft, effects: [], held: [], appended: [], truncateFrom: null, saving: null }
}

/** Promises nothing that a crash could take back: goes out at once, in parallel with this step's write. */
export function send(turn: Turn, message: Message): void {
  turn.effects.push({ do: 'send', message, after: null })
}

/** Tells that this member is in its term, or voted in it: goes out when the hard state is durable. */
export function sendAfterTerm(turn: Turn, message: Message): void {
  hold(turn, message, 'term')
}

/** Tells what this member's log holds: goes out when all that was written is durable. */
export function sendAfterLog(turn: Turn, message: Message): void {
  hold(turn, message, 'log')
}

function hold(turn: Turn, message: Message, promises: HeldSend['promises']): void {
  const effect = { do: 'send' as const, message, after: null as Write | null }
  turn.effects.push(effect)
  turn.held.push({ effect, promises })
}

export function refuse(turn: Turn, token: Token, reason: RefusalReason): void {
  turn.effects.push({ do: 'refused', token, reason, leader: turn.raft.leader })
}

export function refuseRead(turn: Turn, token: Token, reason: RefusalReason): void {
  turn.effects.push({ do: 'readRefused', token, reason, leader: turn.raft.leader })
}

/** Puts an entry at the end of the log; it is written at the end of the step. */
export function appendEntry(turn: Turn, entry: RaftEntry): void {
  append(turn.raft.log, entry)
  turn.appended.push(entry)
}

/** Cuts the log; the write at the end of the step does so on the disk. */
export function truncateLog(turn: Turn, from: LogIndex): void {
  invariant(from > turn.raft.commit, 'what is committed is never cut off')
  invariant(turn.appended.length === 0, 'a step cuts before it appends')
  truncate(turn.raft.log, from)
  turn.truncateFrom = from
}

export function saveSnapshot(turn: Turn, snapshot: Snapshot, replacesLog: boolean): void {
  invariant(turn.appended.length === 0 && turn.saving === null, 'a step saves a snapshot or appends, not both')
  turn.raft.snapshot = snapshot
  turn.saving = { snapshot, replacesLog }
}

/** The step's effects: its write first, then the rest in order, then what can be applied now. */
export function finishTurn(turn: Turn): Effect[] {
  const { raft, effects } = turn
  const write = takeWrite(turn)
  if (write !== null) effects.unshift(write)
  for (const { effect, promises } of turn.held) effect.after = writeHeldFor(raft, promises)
  const entries = takeApplicable(raft)
  if (entries !== null) effects.push({ do: 'apply', entries })
  return effects
}

/** What the disk does not have yet: the hard state where it changed, and the step's entries or snapshot. */
function takeWrite(turn: Turn): Effect | null {
  const { raft, saving, appended, truncateFrom } = turn
  const { writes } = raft
  const isStateNew = raft.term !== writes.hardState.term || raft.votedFor !== writes.hardState.votedFor
  if (!isStateNew && saving === null && appended.length === 0) return null
  const write = ++writes.last
  if (isStateNew) {
    writes.hardState = { term: raft.term, votedFor: raft.votedFor }
    writes.hardStateWrite = write
  }
  if (saving !== null) {
    if (saving.replacesLog) {
      raft.restoring = { snapshot: saving.snapshot, write }
      startWrite(raft.log, write)
    }
    return { do: 'saveSnapshot', write, ...saving, hardState: writes.hardState }
  }
  if (appended.length > 0) startWrite(raft.log, write)
  invariant(
    truncateFrom === null || truncateFrom === appended[0]?.index,
    'what is cut off is replaced by the same write',
  )
  return { do: 'persist', write, hardState: isStateNew ? writes.hardState : null, truncateFrom, entries: appended }
}

function writeHeldFor(raft: Raft, promises: HeldSend['promises']): Write | null {
  const { last, durable, hardStateWrite } = raft.writes
  const needed = promises === 'log' ? last : hardStateWrite
  return needed > durable ? needed : null
}

/**
 * Entries are handed out when they are committed and durable here, never before: a crash must not take back what was
 * applied.
 */
function takeApplicable(raft: Raft): RaftEntry[] | null {
  if (raft.restoring !== null) return null
  const through = Math.min(raft.commit, raft.log.durable) as LogIndex
  if (through <= raft.handedOut) return null
  const entries = entriesBetween(raft.log, raft.handedOut, through)
  if (raft.proposals.size > 0) for (const { index } of entries) raft.proposals.delete(index)
  raft.handedOut = through
  return entries
}

/** All writes up to `write` are durable. Numbers that go back say nothing new. */
export function settleWrites(turn: Turn, write: Write): void {
  const { raft } = turn
  invariant(write <= raft.writes.last, 'only a write that was given out can become durable')
  if (write <= raft.writes.durable) return
  raft.writes.durable = write
  finishWrites(raft.log, write)
  if (raft.restoring !== null && raft.restoring.write <= write) {
    turn.effects.push({ do: 'restore', snapshot: raft.restoring.snapshot })
    raft.handedOut = raft.restoring.snapshot.index
    raft.restoring = null
  }
  invariant(raft.log.durable <= lastIndex(raft.log), 'no more is durable than there is')
}
