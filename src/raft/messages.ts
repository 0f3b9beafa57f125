/**
 * What members of a Raft group say to each other. A union says which fields a kind of message has, and no more. Cluster
 * and incarnation are settled by the peers' handshake, before a message reaches the core.
 */
import type { LogIndex, Term } from '../base/ids.ts'
import type { Member, Membership } from './membership.ts'
import type { RaftEntry } from './storage.ts'

interface Envelope {
  readonly from: Member
  readonly to: Member
  /** The sender's; but of a pre-vote and of a granted pre-vote the term that the candidate would have. */
  readonly term: Term
}

/** The checksum of the applied state right after `index`. */
export interface AppliedChecksum {
  readonly index: LogIndex
  readonly checksum: number
}

/** Would you vote for me? Asked before the term is raised, so that one who cannot win disturbs nobody. */
export interface PreVote extends Envelope {
  readonly type: 'preVote'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
}

export interface PreVoteReply extends Envelope {
  readonly type: 'preVoteReply'
  readonly isGranted: boolean
}

export interface Vote extends Envelope {
  readonly type: 'vote'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** The leader asked for this campaign, so that hearing a leader is no reason to ignore it. */
  readonly isTransfer: boolean
}

export interface VoteReply extends Envelope {
  readonly type: 'voteReply'
  readonly isGranted: boolean
}

export interface Append extends Envelope {
  readonly type: 'append'
  /** The entry before the first one; the follower must have it. */
  readonly previousIndex: LogIndex
  readonly previousTerm: Term
  readonly entries: readonly RaftEntry[]
  readonly commit: LogIndex
}

/** The follower's log is durable, and the leader's, up to `index`. */
export interface AppendAck extends Envelope {
  readonly type: 'appendAck'
  readonly index: LogIndex
}

/** The follower has no entry `previousIndex` of that term. */
export interface AppendReject extends Envelope {
  readonly type: 'appendReject'
  readonly previousIndex: LogIndex
  /** The last place at which its log can agree with the leader's, and the term of its entry there. */
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
}

/**
 * I lead. Never carries a commit beyond what the follower has acknowledged, as there is no previous entry to compare.
 */
export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat'
  readonly commit: LogIndex
  /** Counts the leader's rounds; an ack tells that it led at least until the round began (for reads). */
  readonly round: number
  readonly applied: AppliedChecksum | null
}

export interface HeartbeatAck extends Envelope {
  readonly type: 'heartbeatAck'
  readonly round: number
}

/**
 * A piece of the snapshot at `index`. The pieces come in order; one that is not the next is answered with the wanted
 * position.
 */
export interface SnapshotChunk extends Envelope {
  readonly type: 'snapshotChunk'
  readonly index: LogIndex
  readonly indexTerm: Term
  readonly membership: Membership
  /** Where `data` begins, of `bytesTotal`. */
  readonly position: number
  readonly bytesTotal: number
  /** Of the whole. */
  readonly checksum: number
  readonly data: Buffer
}

/**
 * The follower has the snapshot at `index` up to `position`. When it is installed and durable an `appendAck` says so.
 */
export interface SnapshotAck extends Envelope {
  readonly type: 'snapshotAck'
  readonly index: LogIndex
  readonly position: number
}

/** Campaign at once, the leader hands over to you. */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow'
}

export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendAck
  | AppendReject
  | Heartbeat
  | HeartbeatAck
  | SnapshotChunk
  | SnapshotAck
  | TimeoutNow
