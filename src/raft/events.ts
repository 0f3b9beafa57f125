/**
 * The door of the Raft core: what may happen to it (`RaftEvent`) and what it wants done (`Effect`). `step(raft, event)`
 * turns one into the others; nothing else goes in or out.
 *
 * The driver's part of the contract:
 *
 * - Effects are performed in the order in which they are given, also across steps.
 * - `persist` and `saveSnapshot` are numbered by `write`, 1, 2, 3 …, and become durable in that order. When one is
 *   durable the driver feeds `persisted` with its number; that may cover several at once, may come late, and never
 *   comes after a crash.
 * - A `send` with `after` is held back until that write is durable; one without goes out at once. Messages may be
 *   lost, doubled and overtake each other.
 * - A tick is given per tick of the clock in which the node ran. A node that stalled gives no ticks for the time it
 *   missed: else it would count its own stall as the silence of the others, and a leader would depose itself or take
 *   all leases away.
 * - After a crash a new core is made of what is durable (`RaftOptions`). Any prefix of the writes is a sound state.
 */
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import type { Member, Membership, MembershipChange } from './membership.ts'
import type { Message } from './messages.ts'
import type { HardState, RaftEntry } from './storage.ts'

/** Numbers the writes of one life of a core: 1, 2, 3 … */
export type Write = number

/** Names a proposal, a change or a read of the driver's; the core only hands it back. Unique among those that wait. */
export type Token = number

/** The whole applied state at `index`, and who the members were then. */
export interface Snapshot {
  readonly index: LogIndex
  readonly term: Term
  readonly membership: Membership
  readonly data: Buffer
  /** CRC-32C of `data`. */
  readonly checksum: number
}

/** Sizes and times of one core. Times are in ticks. */
export interface RaftSettings {
  /** The least election timeout: a leader heard within it is believed to be there. Draws lie in [this, twice this). */
  readonly electionTicks: number
  /** Between two heartbeats of a leader; well below `electionTicks`. */
  readonly heartbeatTicks: number
  /** Appends under way to one follower, by number and by bytes; at the bound the follower waits for an ack. */
  readonly inflightMessagesMax: number
  readonly inflightBytesMax: number
  /** Entries in one append; a single larger entry still goes, alone. */
  readonly appendBytesMax: number
  /** Entries of a leader that are not committed yet; at the bound proposals are refused as `overloaded`. */
  readonly uncommittedBytesMax: number
  readonly snapshotChunkBytes: number
  /** Entries kept behind a snapshot, so that a follower that lags a little needs none. */
  readonly trailingEntries: number
  /** Reads that wait for a round; at the bound they are refused as `overloaded`. */
  readonly waitingReadsMax: number
}

export interface RaftOptions {
  readonly self: Member
  readonly settings: RaftSettings
  /** The first election timeout, drawn outside like those that ticks bring. */
  readonly electionTicks: number
  /** What is durable here. `entries` begin right behind the snapshot, or at 1. */
  readonly restored: {
    readonly hardState: HardState
    readonly snapshot: Snapshot | null
    readonly entries: readonly RaftEntry[]
  }
  /**
   * Holds where neither the snapshot nor the log names members. Every first voter of a new cluster starts with the same
   * one; a node that is to be added to a cluster starts with an empty one, and never campaigns before it hears of
   * itself.
   */
  readonly initialMembership: Membership
}

export type RaftEvent =
  /**
   * A tick of the clock. `electionTicks` is a fresh draw, used if the election timer is next reset before another tick.
   */
  | { readonly type: 'tick'; readonly electionTicks: number }
  | { readonly type: 'message'; readonly message: Message }
  /** All writes up to this one are durable. */
  | { readonly type: 'persisted'; readonly write: Write }
  /**
   * The state machine has applied everything up to `index`. `checksum` is that of its state right after `index`, null
   * where none was taken; to be compared, members must take it at the same indexes: at each, or at each multiple of
   * some number.
   */
  | { readonly type: 'applied'; readonly index: LogIndex; readonly checksum: number | null }
  | { readonly type: 'propose'; readonly token: Token; readonly data: Buffer }
  | { readonly type: 'changeMembership'; readonly token: Token; readonly change: MembershipChange }
  | { readonly type: 'read'; readonly token: Token }
  /**
   * The leader is asked to hand over to a voter. Proposals are refused until that is done, or given up after an
   * election timeout.
   */
  | { readonly type: 'transfer'; readonly to: NodeId }
  /** Do not wait for the timer: for the only voter, and for tests. */
  | { readonly type: 'campaign' }
  /** The state machine's state right after `index`, which it has applied. Answered by a `saveSnapshot`. */
  | { readonly type: 'snapshotTaken'; readonly index: LogIndex; readonly data: Buffer }
  /** The connection to a member broke: what was under way to it is likely lost. */
  | { readonly type: 'unreachable'; readonly nodeId: NodeId }

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** Why a proposal, a change of members or a read is not taken. Nothing of it has happened; it may be repeated. */
export type RefusalReason =
  /** Ask the leader, if one is named. */
  | 'notLeader'
  /** A bound is reached. */
  | 'overloaded'
  /** Leadership is being handed over. */
  | 'transferring'
  /** The leader has not committed an entry of its own term yet. */
  | 'notReady'
  /** Another change of members is not committed yet. */
  | 'changePending'
  /** The change makes no sense now: a member that is there already, or is not, or the last voter's removal. */
  | 'impossible'
  /** The learner lags too far behind to be made a voter. */
  | 'notCaughtUp'

export type Effect =
  /**
   * Written in this order: the hard state, then the entries. A write whose first entry is at or below the last index
   * replaces all from there on (`truncateFrom`, which is that entry's index; null where nothing is cut off).
   */
  | {
      readonly do: 'persist'
      readonly write: Write
      readonly hardState: HardState | null
      readonly truncateFrom: LogIndex | null
      readonly entries: readonly RaftEntry[]
    }
  /**
   * `replacesLog`: it came from the leader, and no durable entry counts any more, be it below or above. Otherwise it
   * was taken here, and entries above it stay. `hardState` is the one that holds at this write, so that one file can
   * stand for all before it.
   */
  | {
      readonly do: 'saveSnapshot'
      readonly write: Write
      readonly snapshot: Snapshot
      readonly hardState: HardState
      readonly replacesLog: boolean
    }
  | { readonly do: 'send'; readonly message: Message; readonly after: Write | null }
  /** Committed and durable here; each index once and in order, no-ops and changes of members among them. */
  | { readonly do: 'apply'; readonly entries: readonly RaftEntry[] }
  /**
   * The state machine becomes what the snapshot says, which is durable here; the next entry to apply is the one behind
   * it.
   */
  | { readonly do: 'restore'; readonly snapshot: Snapshot }
  /** The proposal or change is in the leader's log. It is committed when `apply` brings that index with that term. */
  | { readonly do: 'accepted'; readonly token: Token; readonly index: LogIndex; readonly term: Term }
  | { readonly do: 'refused'; readonly token: Token; readonly reason: RefusalReason; readonly leader: Member | null }
  /**
   * An accepted proposal will not be seen in `apply` here: its entry was replaced, or a snapshot came over it. It may
   * yet be committed, or have been: the outcome is unknown. Proposing again is safe only because the state machine
   * knows request ids.
   */
  | { readonly do: 'dropped'; readonly token: Token }
  /** A linearizable read may be answered from a state that has applied `index`. */
  | { readonly do: 'readReady'; readonly token: Token; readonly index: LogIndex }
  | {
      readonly do: 'readRefused'
      readonly token: Token
      readonly reason: RefusalReason
      readonly leader: Member | null
    }
  /** The role, the term or the known leader has changed. */
  | { readonly do: 'role'; readonly role: Role; readonly term: Term; readonly leader: Member | null }
  /** These are the members from now on; `index` is where the log says so (0 for the initial ones). It may be undone. */
  | { readonly do: 'membership'; readonly membership: Membership; readonly index: LogIndex }
  /** This node's applied state is not the leader's. It must stop before it answers anything more. */
  | { readonly do: 'diverged'; readonly index: LogIndex; readonly expected: number; readonly actual: number }
