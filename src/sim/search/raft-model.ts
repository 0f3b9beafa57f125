/**
 * The search of Raft: the very core of src/raft with its disk, three members or four, every order of deliveries, of writes that
 * become durable and of the node's own events. Messages stay in flight for ever, so each may come late, again, or never.
 *
 * What each configuration leaves out, it says in its `limits`; what all leave out: the clock (see raft-node.ts), and entries of
 * more than a few bytes. The configurations are in raft-configurations.ts.
 */
import type { LogIndex, NodeId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Member, MembershipChange } from '../../raft/membership.ts'
import type { Message } from '../../raft/messages.ts'
import { membershipOf } from '../../raft/state.ts'
import type { Model, Step } from './model.ts'
import {
  completeWrite,
  crashAndRestart,
  diskOf,
  diskWhenDone,
  emptyDisk,
  memberOf,
  type RaftNode,
  type RaftNote,
  seatsOf,
  seatsOfWord,
  settings,
  settled,
  snapshotData,
  startNode,
  startTurn,
  type Turn,
  take,
  votersOf,
  waitForTimer,
  wordOf,
  wordsOfDisk,
  wordsOfLog,
} from './raft-node.ts'

/** How often each of these may happen in a run; what is left out does not happen at all. */
export interface Budgets {
  readonly crash?: number
  readonly propose?: number
  readonly heartbeat?: number
  readonly read?: number
  readonly change?: number
  readonly snapshot?: number
  readonly transfer?: number
  /** A node comes back with an empty disk, which is another one, and with nobody to name it as a member. */
  readonly wipe?: number
  /** A leader finds that it has not heard a quorum. */
  readonly depose?: number
}

type Budget = keyof Budgets

export interface RaftConfiguration {
  readonly name: string
  readonly title: string
  readonly limits: readonly string[]
  readonly begin: () => RaftBeginning
  readonly budgets: Budgets
  /** Nobody campaigns for a term above this one. */
  readonly termMax: number
  /** Whose election timers run out; without it, everybody's. */
  readonly campaigners?: readonly number[]
  /** `granted`: whoever asks for pre-votes gets them at once; they promise nothing, so this is the harder case. */
  readonly preVote: 'real' | 'granted'
  /** Changes that a leader may be asked for. */
  readonly changes?: readonly MembershipChange[]
  /**
   * Messages that are always lost, which makes for far fewer states: those of a term that the receiver's disk has left behind
   * (they would only tell the sender so), refused votes (they would only end a campaign early), what says again to its receiver
   * what it has acted on (it matters to one that forgot by a crash), appends.
   */
  readonly loses?: readonly ('stale' | 'refusals' | 'known' | 'appends')[]
  /** Whose writes may become durable late or never; without it, everybody's. The others' are durable at once. */
  readonly lateWriters?: readonly number[]
  /** The nodes start alike, so the first one to campaign may as well be the first one. */
  readonly isSymmetric?: boolean
}

export interface RaftBeginning {
  readonly nodes: readonly RaftNode[]
  /** What happened before. */
  readonly history?: readonly RaftNote[]
  /** In flight. */
  readonly messages?: readonly Message[]
}

export type RaftModelEvent =
  | { readonly kind: 'complete' | 'timeout' | 'propose' | 'heartbeat' | 'depose' | 'snapshot' | 'wipe' }
  | { readonly kind: 'crash'; readonly writesKept: number }
  | { readonly kind: 'read'; readonly committed: number }
  | { readonly kind: 'change'; readonly change: MembershipChange }
  | { readonly kind: 'transfer'; readonly to: NodeId }

export interface RaftEnv {
  readonly left: Budgets
  /** Who came to lead each term. */
  readonly leaders: Readonly<Record<number, NodeId>>
  /** What is committed, and in which term that was seen first, which is at its leader. */
  readonly ledger: readonly { readonly word: string; readonly term: number }[]
  /** Somebody has campaigned. */
  readonly hasBegun: boolean
}

/** What is only ever replaced. */
const replaced: ReadonlySet<string> = new Set([
  'settings',
  'self',
  'member',
  'leader',
  'message',
  'disk',
  'hardState',
  'snapshot',
  'membership',
  'initialMembership',
])

/** On a walk a candidate mostly gets its answers, and a crash leaves something to be lost. */
const likelihoods: Partial<Record<RaftModelEvent['kind'], number>> = {
  timeout: 0.05,
  depose: 0.02,
  crash: 0.03,
  wipe: 0.03,
  transfer: 0.1,
  snapshot: 0.2,
  propose: 0.3,
  heartbeat: 0.3,
}

type RaftModel = Model<RaftNode, Message, RaftModelEvent, RaftNote, RaftEnv>

export function raftModel(configuration: RaftConfiguration): RaftModel {
  const { name, title, limits, budgets } = configuration
  const { nodes, history = [], messages = [] } = configuration.begin()
  const firstSeats = seatsOf(nodes[0]!.initialMembership)
  const indexes = new Map(nodes.map((node, index) => [node.core.self.nodeId, index]))
  return {
    name,
    title,
    limits,
    nodes,
    messages,
    env: history.reduce(observed, {
      left: { ...budgets },
      leaders: {},
      ledger: [],
      hasBegun: configuration.isSymmetric !== true,
    }),
    network: 'keep',
    receiverOf: message => (isLost(configuration, message) ? null : (indexes.get(message.to.nodeId) ?? null)),
    eventsAt: (node, env, index) => eventsAt(configuration, node, env, index),
    act: (node, event) => act(configuration, node, event),
    receive: (node, message) => receive(configuration, node, message),
    observe: (env, notes) => notes.reduce(observed, env),
    isSpent: (node, message) => isSpent(configuration, node, message),
    shared: replaced,
    likelihood: ({ kind }) => likelihoods[kind] ?? 1,
    checkNode,
    checkPair,
    checkAll: (all, env) => checkAll(budgets, firstSeats, all, env),
    sights,
    printNode,
    printMessage,
    printEvent: (event, index) => printEvent(event, nodes[index]!.core.self.nodeId),
  }
}

type RaftStep = Step<RaftNode, Message, RaftNote> & { readonly sends: readonly Message[] }

function turn(
  { lateWriters }: RaftConfiguration,
  node: RaftNode,
  run: (turn: Turn) => void,
  notes: readonly RaftNote[] = [],
): RaftStep {
  const at = startTurn(node)
  run(at)
  const isLate = lateWriters?.includes(node.core.self.nodeId) ?? true
  while (!isLate && node.pending.length > 0) completeWrite(at)
  return { node: settled(node), sends: at.sends, notes: [...notes, ...at.notes] }
}

function eventsAt(configuration: RaftConfiguration, node: RaftNode, env: RaftEnv, index: number): RaftModelEvent[] {
  const { termMax, changes } = configuration
  const { core, pending } = node
  const isLeader = core.role === 'leader'
  const has = (budget: Budget) => (env.left[budget] ?? 0) > 0
  const events: RaftModelEvent[] = []
  if (pending.length > 0) events.push({ kind: 'complete' })
  if (mayCampaign(configuration, node) && (env.hasBegun || index === 0)) events.push({ kind: 'timeout' })
  if (has('crash')) {
    for (let writesKept = 0; writesKept <= pending.length; writesKept++) events.push({ kind: 'crash', writesKept })
  }
  if (has('wipe')) events.push({ kind: 'wipe' })
  if (has('snapshot') && core.applied > (core.snapshot?.index ?? 0)) events.push({ kind: 'snapshot' })
  if (!isLeader) return events
  if (has('propose')) events.push({ kind: 'propose' })
  if (has('heartbeat')) events.push({ kind: 'heartbeat' })
  if (has('depose')) events.push({ kind: 'depose' })
  if (has('read')) events.push({ kind: 'read', committed: env.ledger.length })
  if (has('change')) for (const change of changes ?? []) events.push({ kind: 'change', change })
  if (has('transfer') && core.term < termMax) {
    for (const { nodeId } of membershipOf(core)) {
      if (nodeId !== core.self.nodeId) events.push({ kind: 'transfer', to: nodeId })
    }
  }
  return events
}

function mayCampaign({ termMax, campaigners }: RaftConfiguration, { core }: RaftNode): boolean {
  if (core.role === 'leader' || core.term >= termMax) return false
  return campaigners?.includes(core.self.nodeId) ?? true
}

function receive(configuration: RaftConfiguration, node: RaftNode, message: Message): RaftStep | null {
  const { loses = [] } = configuration
  if (loses.includes('stale') && isOfThePast(node, message)) return null
  if (loses.includes('known') && isKnown(node, message)) return null
  return turn(configuration, node, at => take(at, { type: 'message', message }))
}

function isLost({ loses = [] }: RaftConfiguration, message: Message): boolean {
  return (loses.includes('refusals') && isRefusal(message)) || (loses.includes('appends') && message.type === 'append')
}

/** Of a term below one that the receiver has on its disk, and so will never be in again. */
function isOfThePast({ disk }: RaftNode, { type, term }: Message): boolean {
  return type !== 'preVote' && type !== 'preVoteReply' && term < disk.hardState.term
}

/** Acknowledged long ago, or a known acknowledgement. */
function isKnown({ core, disk }: RaftNode, message: Message): boolean {
  if (message.term !== core.term || disk.hardState.term !== core.term) return false
  if (message.type === 'append') {
    const last = message.previousIndex + message.entries.length
    // An entry of the leader's term came with one of its appends, and was acknowledged when it became durable.
    const isAnswered = (disk.entries.findLast(({ term }) => term === message.term)?.index ?? 0) >= last
    return isAnswered && core.commit >= Math.min(message.commit, last)
  }
  if (message.type !== 'appendAck' && message.type !== 'appendReject') return false
  const progress = core.leading.followers.get(message.from.nodeId)
  if (progress === undefined || progress.state !== 'replicate') return false
  return progress.match >= (message.type === 'appendAck' ? message.index : message.previousIndex)
}

function isRefusal(message: Message): boolean {
  return (message.type === 'voteReply' || message.type === 'preVoteReply') && !message.isGranted
}

function act(configuration: RaftConfiguration, node: RaftNode, event: RaftModelEvent): RaftStep | null {
  const step = (run: (turn: Turn) => void, notes: readonly RaftNote[] = spend) => turn(configuration, node, run, notes)
  const spend: RaftNote[] = [{ kind: 'spent', budget: event.kind }]
  switch (event.kind) {
    case 'complete':
      return step(completeWrite, [])
    case 'timeout':
      return step(configuration.preVote === 'granted' ? campaignAtOnce : waitForTimer)
    case 'crash':
      return { node: crashAndRestart(node, event.writesKept), sends: [], notes: spend }
    case 'wipe':
      return { node: startNode(otherDisk(node.core.self), [], emptyDisk), sends: [], notes: spend }
    case 'propose': {
      const token = node.core.log.entries.length
      return step(at => take(at, { type: 'propose', token, data: Buffer.from('x') }))
    }
    case 'heartbeat':
      return step(waitForTimer)
    case 'depose':
      return step(loseQuorum)
    case 'snapshot': {
      const data = snapshotData(node.applied)
      const index = node.applied.length as LogIndex
      return step(at => take(at, { type: 'snapshotTaken', index, data }))
    }
    case 'read':
      return step(at => take(at, { type: 'read', token: event.committed }))
    case 'change':
      return step(at => take(at, { type: 'changeMembership', token: 0, change: event.change }))
    case 'transfer':
      return step(at => take(at, { type: 'transfer', to: event.to }))
  }
}

const otherDisk = ({ nodeId, diskId }: Member): Member => ({ nodeId, diskId: `${diskId}x` as Member['diskId'] })

/** The pre-votes of an election, granted before anything else happens. */
function campaignAtOnce(at: Turn): void {
  const { core } = at.node
  waitForTimer(at)
  at.sends.length = 0
  for (const { nodeId } of membershipOf(core)) {
    if (core.role !== 'preCandidate') return
    if (nodeId === core.self.nodeId) continue
    const from = memberOf(nodeId)
    const term = (core.term + 1) as typeof core.term
    take(at, { type: 'message', message: { type: 'preVoteReply', from, to: core.self, term, isGranted: true } })
  }
}

/** So many ticks without an answer that a leader gives up. */
function loseQuorum(at: Turn): void {
  for (let ticks = 0; ticks <= settings.electionTicks && at.node.core.role === 'leader'; ticks++) {
    take(at, { type: 'tick', electionTicks: settings.electionTicks * 2 - 1 })
  }
  // What the leader said while it lost its quorum is what heartbeats are for; here it is lost.
  at.sends.length = 0
}

function observed(env: RaftEnv, note: RaftNote): RaftEnv {
  switch (note.kind) {
    case 'spent':
      return spent(env, note.budget)
    case 'leads':
      return led(env, note)
    case 'committed':
      return committed(env, note)
    case 'read':
      invariant(note.index >= note.token, 'a read sees everything that was committed when it was asked')
      return env
  }
}

function spent(env: RaftEnv, budget: string): RaftEnv {
  if (budget === 'timeout') return { ...env, hasBegun: true }
  return { ...env, left: { ...env.left, [budget]: env.left[budget as Budget]! - 1 } }
}

function led(env: RaftEnv, { nodeId, term, log }: Extract<RaftNote, { kind: 'leads' }>): RaftEnv {
  invariant(env.leaders[term] === undefined || env.leaders[term] === nodeId, 'a term has one leader')
  for (const [at, entry] of env.ledger.entries()) {
    if (entry.term >= term) break
    invariant(log[at] === entry.word, 'a leader has everything that was committed in terms before its own')
  }
  return { ...env, leaders: { ...env.leaders, [term]: nodeId } }
}

function committed(env: RaftEnv, { term, from, words }: Extract<RaftNote, { kind: 'committed' }>): RaftEnv {
  invariant(from <= env.ledger.length, 'nobody skips what is committed')
  const ledger = [...env.ledger]
  for (const [at, word] of words.entries()) {
    const known = ledger[from + at]
    if (known === undefined) ledger.push({ word, term })
    else invariant(known.word === word, 'what is committed is never another entry')
  }
  return { ...env, ledger }
}

/** Of a term that is over here for ever, or an answer to what the node has stopped asking in this term, or too late for a vote. */
function isSpent({ loses = [] }: RaftConfiguration, node: RaftNode, message: Message): boolean {
  const { core, disk } = node
  if (isOfThePast(node, message)) return true
  if (loses.includes('known') && isKnown(node, message)) return true
  if (disk.hardState.term !== core.term || message.term !== core.term) return false
  switch (message.type) {
    case 'vote':
      return loses.includes('refusals') && disk.hardState.votedFor !== null
    case 'voteReply':
      return core.role !== 'candidate'
    case 'appendAck':
    case 'appendReject':
    case 'heartbeatAck':
    case 'snapshotAck':
      return core.role !== 'leader'
    default:
      return false
  }
}

function checkNode(node: RaftNode, env: RaftEnv): void {
  const { core } = node
  const done = diskWhenDone(node)
  invariant(done.hardState.term === core.term, 'the term is on the disk, or on its way')
  invariant(done.hardState.votedFor === core.votedFor, 'the vote is on the disk, or on its way')
  invariant(isEqual(wordsOfDisk(done), wordsOfLog(node)), 'the log is on the disk, or on its way')
  invariant(
    isEqual(wordsOfLog(node).slice(0, core.commit), wordsOf(env, core.commit)),
    'what is committed is in the log',
  )
  invariant(node.applied.length <= core.commit, 'nothing is applied before it is committed')
  const first = core.log.beforeIndex === 0 ? node.initialMembership : core.snapshot!.membership
  const named = wordsOfLog(node).reduce((seats, word) => seatsOfWord(word) ?? seats, seatsOf(first))
  invariant(seatsOf(membershipOf(core)) === named, 'the members are those that the log names last')
}

const wordsOf = ({ ledger }: RaftEnv, count: number) => ledger.slice(0, count).map(({ word }) => word)

const isEqual = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((word, at) => word === other[at])

/** Log matching: the same term at an index, the same log up to there. */
function checkPair(one: RaftNode, other: RaftNode): void {
  const [a, b] = [wordsOfLog(one), wordsOfLog(other)]
  let at = Math.min(a.length, b.length) - 1
  while (at >= 0 && termOfWord(a[at]!) !== termOfWord(b[at]!)) at -= 1
  for (; at >= 0; at--) invariant(a[at] === b[at], 'logs with the same term at an index are equal up to there')
}

const termOfWord = (word: string) => word.slice(0, word.indexOf(':'))

/** What is committed is on the disks of a majority of those who are voters by what is committed; a wiped disk is excused. */
function checkAll(budgets: Budgets, firstSeats: string, nodes: readonly RaftNode[], env: RaftEnv): void {
  const voters = votersOf(env.ledger.reduce((seats, { word }) => seatsOfWord(word) ?? seats, firstSeats))
  const wiped = (budgets.wipe ?? 0) - (env.left.wipe ?? 0)
  const disks = nodes.filter(({ core }) => voters.includes(diskOf(core.self))).map(({ disk }) => wordsOfDisk(disk))
  for (const [at, { word }] of env.ledger.entries()) {
    const holders = disks.filter(disk => disk[at] === word).length
    invariant(holders + wiped > voters.length / 2, 'what is committed is on the disks of a majority')
  }
}

function sights({ core, applied, disk }: RaftNode): string[] {
  const names = [`${core.role} of term ${core.term}`]
  if (applied.length > 0) names.push(`${applied.length} applied`)
  if (core.log.entries.length > core.log.durable - core.log.beforeIndex) names.push('entries not durable')
  if (disk.snapshot !== null) names.push('a snapshot')
  return names
}

function printNode(node: RaftNode): string {
  const { core, disk, pending, held, applied } = node
  const log = wordsOfLog(node).join(' ')
  const vote = core.votedFor === null ? '' : ` voted ${core.votedFor}`
  const waits = pending.length === 0 ? '' : `, ${pending.length} writes pending, ${held.length} messages held`
  return [
    `${core.self.nodeId}: ${core.role} of term ${core.term}${vote}, log [${log}], commit ${core.commit}, applied ${applied.length},`,
    `disk term ${disk.hardState.term} vote ${disk.hardState.votedFor} [${wordsOfDisk(disk).join(' ')}]${waits}`,
  ].join(' ')
}

function printMessage(message: Message): string {
  const { type, from, to, term, ...rest } = message
  const details = Object.entries(rest).map(([key, value]) => `${key}=${printValue(value)}`)
  return `${type} ${from.nodeId}→${to.nodeId} term=${term} ${details.join(' ')}`.trimEnd()
}

function printValue(value: unknown): string {
  if (Buffer.isBuffer(value)) return JSON.stringify(value.toString('latin1'))
  if (Array.isArray(value))
    return `[${value.map(item => ('term' in item ? wordOf(item) : JSON.stringify(item))).join(' ')}]`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function printEvent(event: RaftModelEvent, id: number): string {
  switch (event.kind) {
    case 'complete':
      return `${id}: its oldest write becomes durable`
    case 'timeout':
      return `${id}: its election timer runs out`
    case 'crash':
      return `${id}: crashes and starts again; ${event.writesKept} pending writes are on its disk`
    case 'propose':
      return `${id}: is asked to write`
    case 'heartbeat':
      return `${id}: sends heartbeats`
    case 'depose':
      return `${id}: has not heard a quorum for long`
    case 'snapshot':
      return `${id}: takes a snapshot`
    case 'read':
      return `${id}: is asked to read when ${event.committed} entries are committed`
    case 'change':
      return `${id}: is asked to ${event.change.kind} ${event.change.member.nodeId}`
    case 'wipe':
      return `${id}: comes back with an empty disk`
    case 'transfer':
      return `${id}: is asked to hand over to ${event.to}`
  }
}
