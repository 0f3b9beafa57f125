/**
 * The driver of the Raft core for a group of one: it performs the core's effects in their order and feeds it what comes of them.
 *
 *     propose → persist → (sync) persisted → apply → the proposer's outcome
 *
 * A group of one has nobody to talk to and elects itself at once, so there are no ticks and no messages. All else is as it is
 * with more members: what is applied is durable, in order, each index once.
 */
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { invariant, unreachable } from '../base/invariant.ts'
import { appliedOf, commitOf, createRaft, leaderOf, membershipOf, type Raft, step, termOf } from '../raft/core.ts'
import type { Effect, RaftEvent, RaftOptions, RaftSettings, Role, Token, Write } from '../raft/events.ts'
import { lastIndex, termAt } from '../raft/log.ts'
import type { Member, Membership } from '../raft/membership.ts'
import { entryTypes, type RaftEntry } from '../raft/storage.ts'
import type { Outcome } from './outcome.ts'
import type { RaftStore } from './raft-store.ts'

/** What the entries are for. */
export interface StateMachine {
  readonly apply: (command: Buffer) => Outcome
  readonly checksum: () => number
  /** The whole state. */
  readonly save: () => Buffer
}

/** How far the group is, as this member knows it; for people. */
export interface RaftStatus {
  readonly term: Term
  /** Null while nobody leads. */
  readonly leader: NodeId | null
  readonly commit: LogIndex
  /** Of this member's own log. */
  readonly last: LogIndex
  readonly membership: Membership
  readonly role: Role
  readonly votedFor: NodeId | null
  readonly applied: LogIndex
  /** What stands for the beginning of the log, once there is one; null before. */
  readonly snapshot: EntryPlace | null
  /** The last entry that has made way for it; null while the log has all. */
  readonly purged: EntryPlace | null
  /** The entry since which the membership holds; null for the initial one. */
  readonly membershipIndex: LogIndex | null
  /** Of an entry of this member's log; null where it is compacted away. */
  readonly termOf: (index: LogIndex) => Term | null
}

export interface EntryPlace {
  readonly index: LogIndex
  readonly term: Term
}

interface Proposal {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

interface Accepted {
  readonly proposal: Proposal
  readonly term: Term
}

/** Nobody campaigns against the only voter, and nobody lags behind it: most of these say nothing here. */
const settings: RaftSettings = {
  electionTicks: 10,
  heartbeatTicks: 1,
  inflightMessagesMax: 64,
  inflightBytesMax: 1 << 20,
  appendBytesMax: 1 << 20,
  uncommittedBytesMax: 16 << 20,
  snapshotChunkBytes: 1 << 20,
  trailingEntries: 0,
  waitingReadsMax: 1000,
}

/** Members compare their states at these indexes. */
const checksumEvery = 64

export class RaftDriver {
  readonly #raft: Raft
  readonly #store: Pick<RaftStore, 'persist' | 'saveSnapshot'>
  readonly #machine: StateMachine
  readonly #events: RaftEvent[] = []
  #isStepping = false
  /** Writes under way, the oldest first. */
  readonly #writes: { readonly write: Write; isDone: boolean }[] = []
  #token: Token = 0
  readonly #proposals = new Map<Token, Proposal>()
  readonly #accepted = new Map<LogIndex, Accepted>()
  /** The newest snapshot that is not known to be in its file. */
  #unsaved: Extract<Effect, { do: 'saveSnapshot' }> | null = null
  readonly #started = Promise.withResolvers<void>()
  #isStarted = false
  #isClosed = false

  constructor(options: {
    self: Member
    store: Pick<RaftStore, 'persist' | 'saveSnapshot'>
    machine: StateMachine
    restored: RaftOptions['restored']
  }) {
    const { self, restored } = options
    this.#store = options.store
    this.#machine = options.machine
    const initialMembership = [{ ...self, role: 'voter' as const }]
    const { electionTicks } = settings
    this.#raft = createRaft({ self, settings, electionTicks, restored, initialMembership })
  }

  get status(): RaftStatus {
    const raft = this.#raft
    return {
      term: termOf(raft),
      leader: leaderOf(raft)?.nodeId ?? null,
      commit: commitOf(raft),
      last: lastIndex(raft.log),
      membership: membershipOf(raft),
      role: raft.role,
      votedFor: raft.votedFor,
      applied: appliedOf(raft),
      snapshot: raft.snapshot === null ? null : { index: raft.snapshot.index, term: raft.snapshot.term },
      purged: raft.log.beforeIndex === 0 ? null : { index: raft.log.beforeIndex, term: raft.log.beforeTerm },
      membershipIndex: raft.memberships.at(-1)?.index || null,
      termOf: index => termAt(raft.log, index),
    }
  }

  /** Wins the election; resolves when all that was there before is applied. */
  start(): Promise<void> {
    this.#feed({ type: 'campaign' })
    return this.#started.promise
  }

  /** Resolves with the state machine's outcome once the command is durable and applied. */
  propose(data: Buffer): Promise<Outcome> {
    if (this.#isClosed) return Promise.reject(closed())
    return new Promise((resolve, reject) => {
      const token = ++this.#token
      this.#proposals.set(token, { resolve, reject })
      this.#feed({ type: 'propose', token, data })
    })
  }

  /** Saves the state as it is now; resolves when the file is durable and the journal need not hold what it stands for. */
  async saveSnapshot(): Promise<void> {
    const index = appliedOf(this.#raft)
    if (index > (this.#raft.snapshot?.index ?? 0)) {
      this.#feed({ type: 'snapshotTaken', index, data: this.#machine.save() })
    }
    const saving = this.#unsaved
    if (saving === null) return
    await this.#store.saveSnapshot(saving.snapshot, saving.hardState)
    if (this.#unsaved === saving) this.#unsaved = null
  }

  /** Takes nothing any more. */
  close(): void {
    this.#isClosed = true
  }

  /** The journal is closed: what is not durable now is left unanswered by it. */
  abandon(): void {
    this.close()
    this.#rejectAll(closed())
  }

  #feed(event: RaftEvent): void {
    this.#events.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of step(this.#raft, next)) this.#perform(effect)
      }
    } catch (error) {
      this.#events.length = 0
      this.#rejectAll(error)
      // Whoever starts the node hears of it that way.
      if (this.#isStarted) throw error
    } finally {
      this.#isStepping = false
    }
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'persist':
        this.#persist(effect)
        break
      case 'saveSnapshot':
        invariant(!effect.replacesLog, 'a group of one takes its own snapshots only')
        this.#unsaved = effect
        // It promises nothing that the journal does not hold: as long as the file is not there, no entry is let go.
        this.#settle(this.#begin(effect.write))
        break
      case 'apply':
        for (const entry of effect.entries) this.#apply(entry)
        break
      case 'accepted':
        this.#accept(effect)
        break
      case 'refused':
        this.#refuse(effect)
        break
      case 'role':
      case 'membership':
        break
      case 'send':
      case 'restore':
      case 'dropped':
      case 'readReady':
      case 'readRefused':
      case 'diverged':
        invariant(false, `a group of one has nothing to ${effect.do}`)
        break
      default:
        unreachable(effect)
    }
  }

  #persist({ write, hardState, entries }: Extract<Effect, { do: 'persist' }>): void {
    const begun = this.#begin(write)
    this.#store.persist(hardState, entries, () => this.#settle(begun))
  }

  #begin(write: Write): { readonly write: Write; isDone: boolean } {
    const begun = { write, isDone: false }
    this.#writes.push(begun)
    return begun
  }

  /** The core hears of a write when all before it are durable as well. */
  #settle(begun: { isDone: boolean }): void {
    begun.isDone = true
    let count = 0
    while (this.#writes[count]?.isDone === true) count++
    const last = this.#writes.splice(0, count).at(-1)
    if (last !== undefined) this.#feed({ type: 'persisted', write: last.write })
  }

  #apply(entry: RaftEntry): void {
    const { index, term, type, data } = entry
    const outcome = type === entryTypes.command ? this.#machine.apply(data) : null
    const checksum = index % checksumEvery === 0 ? this.#machine.checksum() : null
    this.#events.push({ type: 'applied', index, checksum })
    const accepted = this.#accepted.get(index)
    if (accepted !== undefined) {
      this.#accepted.delete(index)
      invariant(accepted.term === term && outcome !== null, 'the only voter’s entries are never replaced')
      accepted.proposal.resolve(outcome)
    }
    // The first entry of the leader's own term commits all before it.
    if (term !== this.#raft.term) return
    this.#isStarted = true
    this.#started.resolve()
  }

  #accept({ token, index, term }: Extract<Effect, { do: 'accepted' }>): void {
    this.#accepted.set(index, { proposal: this.#take(token), term })
  }

  #refuse({ token, reason }: Extract<Effect, { do: 'refused' }>): void {
    const why = reason === 'overloaded' ? 'too many metadata changes wait for the disk' : `not now: ${reason}`
    this.#take(token).reject(new TidelogError('OVERLOADED', why))
  }

  #take(token: Token): Proposal {
    const proposal = this.#proposals.get(token)
    invariant(proposal !== undefined, 'a proposal is answered once')
    this.#proposals.delete(token)
    return proposal
  }

  #rejectAll(error: unknown): void {
    this.#started.promise.catch(() => {})
    this.#started.reject(error)
    for (const proposal of this.#proposals.values()) proposal.reject(error)
    for (const { proposal } of this.#accepted.values()) proposal.reject(error)
    this.#proposals.clear()
    this.#accepted.clear()
  }
}

function closed(): TidelogError {
  return new TidelogError('CLOSED', 'the node is stopping')
}
