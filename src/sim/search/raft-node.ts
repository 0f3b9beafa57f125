/**
 * A member as the search of Raft has it: the core, its disk, the writes and the messages that wait for the disk, and a state
 * machine that remembers what it was given. It does with effects what a driver does, in their order, and watches what no driver
 * can: that nothing is handed out before it is durable here, and everything once and in order.
 *
 * Two things are in a normal form, so that states which differ in nothing that matters are one state. Writes are counted from
 * the last durable one, as the core only compares them. And no clock is ahead: a follower has just stopped believing in a
 * leader, a leader has just checked its quorum, and is about to give up handing over. What a belief in a leader would do, ignore a candidate, is the same as the loss
 * of its message; so nothing that can go wrong is left out by this.
 */
import type { LogIndex, NodeId, Term } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import { createRaft, step } from '../../raft/core.ts'
import type { Effect, RaftEvent, RaftSettings, Snapshot } from '../../raft/events.ts'
import { decodeMembership, type Member, type Membership } from '../../raft/membership.ts'
import type { Message } from '../../raft/messages.ts'
import type { Raft } from '../../raft/state.ts'
import { entryTypes, type HardState, type RaftEntry } from '../../raft/storage.ts'

export interface RaftNode {
  core: Raft
  readonly initialMembership: Membership
  disk: RaftDisk
  /** Given out by the core and not durable yet, oldest first. */
  pending: PendingWrite[]
  /** Sends that wait for a write. */
  held: HeldSend[]
  /** What the state machine was given: a word per entry. */
  applied: string[]
}

export interface RaftDisk {
  readonly hardState: HardState
  readonly snapshot: Snapshot | null
  readonly entries: readonly RaftEntry[]
}

type PendingWrite = Extract<Effect, { readonly do: 'persist' | 'saveSnapshot' }>

interface HeldSend {
  readonly message: Message
  readonly after: number
  /** Orders them: in which order they came to be held makes no difference. */
  readonly text: string
}

/** What the environment hears of a step. */
export type RaftNote =
  | { readonly kind: 'spent'; readonly budget: string }
  | { readonly kind: 'leads'; readonly nodeId: NodeId; readonly term: Term; readonly log: readonly string[] }
  | { readonly kind: 'committed'; readonly term: Term; readonly from: number; readonly words: readonly string[] }
  | { readonly kind: 'read'; readonly token: number; readonly index: LogIndex }

/** One step of a node while it runs. */
export interface Turn {
  readonly node: RaftNode
  readonly sends: Message[]
  readonly notes: RaftNote[]
}

export const settings: RaftSettings = {
  electionTicks: 2,
  heartbeatTicks: 1,
  inflightMessagesMax: 4,
  inflightBytesMax: 1 << 20,
  // One entry per append: more ways to come half through.
  appendBytesMax: 1,
  uncommittedBytesMax: 1 << 20,
  // The snapshots of these states go in two or three chunks.
  snapshotChunkBytes: 64,
  trailingEntries: 0,
  waitingReadsMax: 4,
}

/** The longest draw, so that the moment of doubt and the end of patience are apart. */
const electionTicks = settings.electionTicks * 2 - 1

export const memberOf = (id: number): Member => ({ nodeId: id as NodeId, diskId: `d${id}` as Member['diskId'] })

export const emptyDisk: RaftDisk = { hardState: { term: 0 as Term, votedFor: null }, snapshot: null, entries: [] }

/** What an entry says, in a word: its term and what it carries. */
export function wordOf({ term, type, data }: RaftEntry): string {
  if (type === entryTypes.noop) return `${term}:`
  if (type === entryTypes.command) return `${term}:${data.toString('latin1')}`
  return `${term}:${seatsOf(decodeMembership(data))}`
}

/** Members in a word. */
export const seatsOf = (membership: Membership): string =>
  membership.map(seat => `${seat.role}=${diskOf(seat)}`).join('+')

/** The members that an entry names; null for any other entry. */
export const seatsOfWord = (word: string): string | null =>
  word.includes('=') ? word.slice(word.indexOf(':') + 1) : null

/** A node with its disk, in a word. */
export const diskOf = ({ nodeId, diskId }: Member): string => `${nodeId}/${diskId}`

/** The voters among such members. */
export function votersOf(seats: string): readonly string[] {
  return seats.split('+').flatMap(seat => (seat.startsWith('voter=') ? [seat.slice('voter='.length)] : []))
}

export function startNode(self: Member, initialMembership: Membership, disk: RaftDisk): RaftNode {
  const node: RaftNode = {
    core: createRaft({ self, settings, electionTicks, restored: disk, initialMembership }),
    initialMembership,
    disk,
    pending: [],
    held: [],
    applied: disk.snapshot === null ? [] : wordsOf(disk.snapshot),
  }
  return settled(node)
}

/** The disk keeps the first so many of the pending writes; all else is gone. */
export function crashAndRestart(node: RaftNode, writesKept: number): RaftNode {
  const disk = node.pending.slice(0, writesKept).reduce(written, node.disk)
  return startNode(node.core.self, node.initialMembership, disk)
}

export function startTurn(node: RaftNode): Turn {
  return { node, sends: [], notes: [] }
}

/** Lets the core take an event and does what it wants done. */
export function take(turn: Turn, event: RaftEvent): void {
  const { node } = turn
  const before = { commit: node.core.commit, isLeader: node.core.role === 'leader', term: node.core.term }
  for (const effect of step(node.core, event)) perform(turn, effect)
  const { core } = node
  invariant(core.term >= before.term, 'a term never goes back')
  if (core.role === 'leader' && (!before.isLeader || core.term !== before.term)) {
    turn.notes.push({ kind: 'leads', nodeId: core.self.nodeId, term: core.term, log: wordsOfLog(node) })
  }
  invariant(core.commit >= before.commit, 'what is committed stays so')
  if (core.commit > before.commit) noteCommit(turn, before.commit)
}

/** The oldest pending write becomes durable. */
export function completeWrite(turn: Turn): void {
  const { node } = turn
  const [write, ...rest] = node.pending
  invariant(write !== undefined, 'only a pending write becomes durable')
  node.disk = written(node.disk, write)
  node.pending = rest
  const ready = node.held.filter(({ after }) => after <= write.write)
  node.held = node.held.filter(({ after }) => after > write.write)
  for (const { message } of ready) release(turn, message)
  take(turn, { type: 'persisted', write: write.write })
}

/** Ticks until the core does something. */
export function waitForTimer(turn: Turn): void {
  for (let ticks = 0; ticks <= electionTicks; ticks++) {
    const { role, term } = turn.node.core
    const { length } = turn.sends
    take(turn, { type: 'tick', electionTicks })
    if (turn.node.core.role !== role || turn.node.core.term !== term || turn.sends.length !== length) return
  }
}

/** Holds a message until a write is durable. Said twice it goes out with the earlier of the writes: what goes out stays out. */
function hold(node: RaftNode, message: Message, after: number): void {
  const text = JSON.stringify(message)
  const place = node.held.findIndex(other => other.text >= text)
  if (place < 0) node.held.push({ message, after, text })
  else if (node.held[place]!.text !== text) node.held.splice(place, 0, { message, after, text })
  else if (node.held[place]!.after > after) node.held[place] = { message, after, text }
}

/** The normal form; see the head of this file. */
export function settled(node: RaftNode): RaftNode {
  const { core } = node
  const { writes, log } = core
  const shift = writes.durable
  core.electionElapsed = core.role === 'leader' ? 0 : settings.electionTicks
  core.electionTimeout = electionTicks
  core.leading.heartbeatElapsed = 0
  if (core.leading.transfer !== null) core.leading.transfer.elapsed = settings.electionTicks - 1
  for (const follower of core.leading.followers.values()) follower.isActive = false
  if (shift === 0) return node
  writes.durable = 0
  writes.last -= shift
  writes.hardStateWrite = Math.max(writes.hardStateWrite - shift, 0)
  for (const writing of log.writing) Object.assign(writing, { write: writing.write - shift })
  if (core.restoring !== null) core.restoring.write -= shift
  node.pending = node.pending.map(write => ({ ...write, write: write.write - shift }))
  node.held = node.held.map(held => ({ ...held, after: held.after - shift }))
  return node
}

function perform(turn: Turn, effect: Effect): void {
  const { node } = turn
  switch (effect.do) {
    case 'persist':
    case 'saveSnapshot':
      invariant(effect.write === lastWrite(node) + 1, 'writes are numbered one after the other')
      node.pending.push(effect)
      return
    case 'send':
      if (effect.after === null) release(turn, effect.message)
      else hold(node, effect.message, effect.after)
      return
    case 'apply':
      apply(turn, effect.entries)
      return
    case 'restore':
      invariant(node.disk.snapshot?.index === effect.snapshot.index, 'a snapshot is durable before it is restored')
      node.applied = wordsOf(effect.snapshot)
      take(turn, { type: 'applied', index: effect.snapshot.index, checksum: null })
      return
    case 'readReady':
      turn.notes.push({ kind: 'read', token: effect.token, index: effect.index })
      return
    case 'diverged':
      invariant(false, 'applied states are equal')
      return
    case 'accepted':
    case 'refused':
    case 'dropped':
    case 'readRefused':
    case 'role':
    case 'membership':
      return
  }
}

const lastWrite = ({ pending, core }: RaftNode) => pending.at(-1)?.write ?? core.writes.durable

/**
 * A vote that goes out is on the disk, be it for oneself or for another. Together with what `written` demands this is one vote
 * per term and disk, whatever happens in between.
 */
function release({ node, sends }: Turn, message: Message): void {
  const candidate = message.type === 'vote' ? node.core.self : message.to
  if (message.type === 'vote' || (message.type === 'voteReply' && message.isGranted)) {
    const { term, votedFor } = node.disk.hardState
    invariant(term === message.term && votedFor === candidate.nodeId, 'a vote is on the disk before it goes out')
  }
  sends.push(message)
}

function apply(turn: Turn, entries: readonly RaftEntry[]): void {
  const { node } = turn
  for (const entry of entries) {
    invariant(entry.index === node.applied.length + 1, 'every entry is applied once, in order')
    invariant(entry.index <= node.core.commit, 'only what is committed is applied')
    const durable = durableEntry(node.disk, entry.index)
    invariant(
      durable !== undefined && wordOf(durable) === wordOf(entry),
      'nothing is applied before it is durable here',
    )
    node.applied.push(wordOf(entry))
  }
  take(turn, { type: 'applied', index: node.applied.length as LogIndex, checksum: null })
}

function noteCommit(turn: Turn, before: number): void {
  const { core } = turn.node
  const log = wordsOfLog(turn.node)
  invariant(core.commit <= log.length, 'a member knows what it calls committed')
  turn.notes.push({ kind: 'committed', term: core.term, from: before, words: log.slice(before, core.commit) })
}

function durableEntry(disk: RaftDisk, index: number): RaftEntry | undefined {
  return disk.entries.find(entry => entry.index === index)
}

/** The whole log in words, with what the snapshot stands for. */
export function wordsOfLog({ core }: RaftNode): readonly string[] {
  const snapshot = core.snapshot === null ? [] : wordsOf(core.snapshot).slice(0, core.log.beforeIndex)
  return [...snapshot, ...core.log.entries.map(wordOf)]
}

export function wordsOfDisk({ snapshot, entries }: RaftDisk): readonly string[] {
  const first = entries[0]?.index ?? Number.POSITIVE_INFINITY
  return [...(snapshot === null ? [] : wordsOf(snapshot).slice(0, first - 1)), ...entries.map(wordOf)]
}

/** A state machine's snapshot is the words that it was given. */
export const snapshotData = (applied: readonly string[]): Buffer => Buffer.from(applied.join(' '), 'latin1')

const wordsOf = ({ data }: Snapshot): string[] => (data.length === 0 ? [] : data.toString('latin1').split(' '))

/** What the disk holds after a write. */
function written(disk: RaftDisk, write: PendingWrite): RaftDisk {
  checkVote(disk.hardState, write.hardState ?? disk.hardState)
  if (write.do === 'saveSnapshot') {
    const { snapshot, hardState, replacesLog } = write
    const entries = replacesLog ? [] : disk.entries.filter(({ index }) => index > snapshot.index)
    return { hardState, snapshot, entries }
  }
  const { truncateFrom } = write
  const kept = truncateFrom === null ? disk.entries : disk.entries.filter(({ index }) => index < truncateFrom)
  return { ...disk, hardState: write.hardState ?? disk.hardState, entries: [...kept, ...write.entries] }
}

/** What the disk will hold when nothing more is lost. */
export function diskWhenDone({ disk, pending }: RaftNode): RaftDisk {
  return pending.reduce(written, disk)
}

function checkVote(before: HardState, after: HardState): void {
  invariant(after.term >= before.term, 'the term on a disk never goes back')
  const isKept = after.term > before.term || before.votedFor === null || after.votedFor === before.votedFor
  invariant(isKept, 'a disk gives one vote per term')
}
