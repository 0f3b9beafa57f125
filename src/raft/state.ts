/**
 * The state of one member: plain data, so that a search can copy and compare it. Only `step` changes it.
 */
import type { DiskId, LogIndex, NodeId, Term } from '../base/ids.ts'
import type { RaftSettings, Role, Snapshot, Token, Write } from './events.ts'
import type { Log } from './log.ts'
import type { Member, Membership } from './membership.ts'
import type { AppliedChecksum } from './messages.ts'
import type { Progress } from './progress.ts'
import type { HardState } from './storage.ts'

export interface Raft {
  readonly self: Member
  readonly settings: RaftSettings

  // What this member has promised. A promise is sent when it is durable: see `turn.ts`.
  term: Term
  votedFor: NodeId | null
  /**
   * The disk of the one voted for. Storage knows only the node; after a restart it is null, and then even the same node
   * is not given the vote again, since it may have another disk.
   */
  votedDisk: DiskId | null
  readonly log: Log
  snapshot: Snapshot | null
  readonly writes: Writes

  /** Entries up to here are in every future leader's log. Never goes back in one life. */
  commit: LogIndex
  /** Given to the state machine, by `apply` or `restore`. handedOut ≤ commit, handedOut ≤ log.durable. */
  handedOut: LogIndex
  /** What the state machine says it has done; at most handedOut. */
  applied: LogIndex
  /** A leader's snapshot that is not durable yet; until then nothing is applied. */
  restoring: { readonly snapshot: Snapshot; write: Write } | null
  /**
   * The memberships that the log speaks of, oldest first; the first one is the snapshot's or the initial one. The last
   * one holds.
   */
  readonly memberships: MembershipAt[]

  role: Role
  /** Who leads in `term`, where known. */
  leader: Member | null
  /**
   * Ticks since the election timer was reset: by hearing the leader, by a vote given, by a campaign. A leader counts
   * quorum checks.
   */
  electionElapsed: number
  electionTimeout: number
  /** The draw that the last tick brought. */
  electionDraw: number
  /** preCandidate and candidate: the answers so far. */
  readonly votes: Map<NodeId, boolean>
  readonly leading: Leading

  /** Proposals accepted here that wait for their entry to be handed out. */
  readonly proposals: Map<LogIndex, Token>
  /** A snapshot that arrives in chunks. */
  incoming: IncomingSnapshot | null
  /** Checksums of the newest applied states, oldest first. */
  readonly checksums: AppliedChecksum[]
  /** The leader's checksum of a state that is not applied here yet. */
  expected: AppliedChecksum | null
}

export interface Writes {
  /** The number of the last write given out. */
  last: Write
  /** All writes up to here are on the disk. */
  durable: Write
  /** The write that holds the hard state as it was last given out. */
  hardStateWrite: Write
  hardState: HardState
}

export interface MembershipAt {
  readonly index: LogIndex
  readonly membership: Membership
}

/** What only a leader knows; empty in the other roles. */
export interface Leading {
  /** Every other member, by node id. */
  readonly followers: Map<NodeId, Progress>
  heartbeatElapsed: number
  uncommittedBytes: number
  /** Counts the rounds of heartbeats; the last one sent. Never goes back, so that an ack is of one round only. */
  round: number
  /** The latest round that a quorum has answered. */
  roundConfirmed: number
  readonly reads: WaitingRead[]
  transfer: { readonly to: NodeId; elapsed: number } | null
}

export interface WaitingRead {
  readonly token: Token
  /** Ready when a quorum has answered this round; null while the leader has not committed an entry of its own term. */
  round: number | null
  index: LogIndex
}

export interface IncomingSnapshot {
  readonly index: LogIndex
  readonly indexTerm: Term
  readonly membership: Membership
  readonly bytesTotal: number
  readonly checksum: number
  readonly chunks: Buffer[]
  position: number
}

export function membershipOf(raft: Raft): Membership {
  return raft.memberships.at(-1)!.membership
}
