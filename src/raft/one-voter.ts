/**
 * Raft with one voter: the metadata log of a single node. An election is a term with a vote for oneself, made durable; an
 * entry is committed when it is durable here. What it writes is Raft's own format, so that more voters can join later.
 *
 * Entries are applied in order, each once, after they are durable: never before.
 */
import { TidelogError } from '../base/errors.ts'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { encodeHardState, encodeRaftEntry, entryTypes, type HardState, type RaftEntry } from './storage.ts'

/** The journal, as far as Raft is concerned. `durable` runs after the sync. */
export interface RaftLog {
  append(kind: 'entry' | 'state', body: Buffer, durable: () => void): void
}

export interface VoterState {
  readonly hardState: HardState
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
}

/** Proposals waiting to become durable. Metadata changes are rare; a backlog like this means that the disk does not answer. */
const pendingMax = 10_000

export class OneVoter<Outcome> {
  readonly #log: RaftLog
  readonly #nodeId: NodeId
  readonly #apply: (index: LogIndex, command: Buffer) => Outcome
  #term: Term
  #lastIndex: LogIndex
  #appliedIndex: LogIndex
  #appliedTerm: Term
  #closed = false
  /** Told of the end when it comes before their entry is durable. */
  readonly #pending = new Set<(error: TidelogError) => void>()

  constructor(options: {
    log: RaftLog
    nodeId: NodeId
    state: VoterState
    apply: (index: LogIndex, command: Buffer) => Outcome
  }) {
    this.#log = options.log
    this.#nodeId = options.nodeId
    this.#apply = options.apply
    this.#term = options.state.hardState.term
    this.#lastIndex = options.state.lastIndex
    this.#appliedIndex = options.state.lastIndex
    this.#appliedTerm = options.state.lastTerm
  }

  get term(): Term {
    return this.#term
  }

  /** The newest entry that has been applied, and its term: what a snapshot taken now stands for. */
  get applied(): { readonly index: LogIndex; readonly term: Term } {
    return { index: this.#appliedIndex, term: this.#appliedTerm }
  }

  get hardState(): HardState {
    return { term: this.#term, votedFor: this.#nodeId }
  }

  /** Wins the election: a new term, the vote for oneself, and the no-op that starts the term. */
  async campaign(): Promise<void> {
    this.#term = (this.#term + 1) as Term
    await new Promise<void>(resolve => this.#log.append('state', encodeHardState(this.hardState), resolve))
    await this.#append(entryTypes.noop, Buffer.alloc(0))
  }

  /** Resolves with the state machine's outcome once the command is durable and applied. */
  propose(command: Buffer): Promise<Outcome> {
    if (this.#closed) return Promise.reject(closed())
    if (this.#pending.size >= pendingMax) {
      return Promise.reject(new TidelogError('OVERLOADED', 'too many metadata changes wait for the disk'))
    }
    return this.#append(entryTypes.command, command).then(outcome => {
      invariant(outcome !== null, 'a command has an outcome')
      return outcome
    })
  }

  /** Takes nothing any more. */
  close(): void {
    this.#closed = true
  }

  /** The log is closed: what is not durable now is left unanswered by it. */
  abandon(): void {
    this.close()
    for (const reject of this.#pending) reject(closed())
    this.#pending.clear()
  }

  #append(type: RaftEntry['type'], data: Buffer): Promise<Outcome | null> {
    const index = (this.#lastIndex + 1) as LogIndex
    const term = this.#term
    this.#lastIndex = index
    return new Promise((resolve, reject) => {
      this.#pending.add(reject)
      this.#log.append('entry', encodeRaftEntry({ term, index, type, data }), () => {
        this.#pending.delete(reject)
        invariant(index === this.#appliedIndex + 1, 'entries become durable in order')
        this.#appliedIndex = index
        this.#appliedTerm = term
        resolve(type === entryTypes.command ? this.#apply(index, data) : null)
      })
    })
  }
}

function closed(): TidelogError {
  return new TidelogError('CLOSED', 'the node is stopping')
}
