/**
 * A group as plain data: Kafka's classic consumer group. Members join until all are there or the time is over
 * (PreparingRebalance), the leader tells who gets what (CompletingRebalance), and that holds (Stable) until somebody comes,
 * goes or wants something else. The broker never looks into assignments; into subscriptions only to know the topics.
 *
 * What is durable, `stored` and `offsets`, changes only when a write has come back or is read from the log. The rest is this
 * life's: a new coordinator starts with the stored generation, and its members join again if it is not theirs.
 */
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { RequestNumber } from './group-events.ts'
import type { CommittedOffset, GroupRecord, StoredGroup } from './group-record.ts'
import type { GroupProtocol, GroupState, LeaveAnswer } from './requests.ts'

/** Kafka's configs, by their names there. */
export interface GroupSettings {
  /** `group.min.session.timeout.ms` and `group.max.session.timeout.ms`. */
  readonly sessionMinMs: number
  readonly sessionMaxMs: number
  /** `group.max.size`. */
  readonly membersMax: number
  /** What a member may bring: metadata for all its protocols and its names, or be assigned. */
  readonly memberBytesMax: number
  /** What a group keeps of its members, all that together. */
  readonly groupBytesMax: number
  /** `group.initial.rebalance.delay.ms`: how long an empty group waits for more members once one has come. */
  readonly initialRebalanceDelayMs: number
  /** `offsets.retention.minutes`. */
  readonly offsetsRetentionMs: number
  /** `offset.metadata.max.bytes`, counted like Kafka does: in UTF-16 units. */
  readonly offsetMetadataMax: number
  /** How long a new member's first join may wait: it has no session yet, for nothing is known of it. Kafka: 5 minutes. */
  readonly newMemberJoinMaxMs: number
  /** Ids given out (MEMBER_ID_REQUIRED) and not come back with; the oldest is taken back for the next beyond that. */
  readonly pendingMembersMax: number
  /** And their length in all. */
  readonly pendingBytesMax: number
}

export const groupDefaults: GroupSettings = {
  sessionMinMs: 6_000,
  sessionMaxMs: 1_800_000,
  membersMax: 2_147_483_647,
  memberBytesMax: 1_048_576,
  groupBytesMax: 67_108_864,
  initialRebalanceDelayMs: 0,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetMetadataMax: 4_096,
  newMemberJoinMaxMs: 300_000,
  pendingMembersMax: 50_000,
  pendingBytesMax: 4_194_304,
}

export interface Member {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  sessionMs: number
  rebalanceMs: number
  /** In order of preference, names once each. After a reload only the group's own one is known. */
  protocols: readonly GroupProtocol[]
  assignment: Buffer
  /** Its first join has not been answered yet. */
  isNew: boolean
  /** Requests of its that wait: at most one of each. */
  joining: RequestNumber | null
  syncing: RequestNumber | null
  /** By the monotonic clock: without a sign of life till then it is taken for gone. */
  sessionEndMs: number
}

/** The end of PreparingRebalance at the latest. */
export interface JoinTimer {
  readonly endMs: number
  /** Of an empty group's first rebalance: it is put off while members come. */
  readonly initial: { readonly delayMs: number; readonly remainingMs: number } | null
}

/** A write under way, and what is to happen when it has come back. */
export interface PendingWrite {
  readonly records: readonly GroupRecord[]
  readonly then: AfterWrite
  /** Null while under way. */
  outcome: KafkaErrorName | null
}

export type AfterWrite =
  | { readonly of: 'nothing' }
  /** NONE where the partition's offset is in the write. */
  | {
      readonly of: 'commit'
      readonly request: RequestNumber
      readonly errors: readonly KafkaErrorName[]
    }
  | {
      readonly of: 'assignment'
      readonly generation: number
      readonly assignments: ReadonlyMap<string, Buffer>
    }
  /** A static member came back under a new id while the group was stable. */
  | {
      readonly of: 'staticMember'
      readonly memberId: string
      readonly request: RequestNumber
      readonly skipsAssignment: boolean
      /** Put back when the write fails. */
      readonly former: Member
      readonly formerLeader: string | null
    }
  | { readonly of: 'leave'; readonly request: RequestNumber; readonly answer: LeaveAnswer }
  /** The end of the group; null when nobody asked for it. */
  | { readonly of: 'delete'; readonly request: RequestNumber | null }
  | {
      readonly of: 'deleteOffsets'
      readonly request: RequestNumber
      readonly errors: readonly KafkaErrorName[]
    }

export type Offsets = Map<string, Map<number, CommittedOffset>>

export interface Group {
  readonly groupId: string
  settings: GroupSettings
  state: GroupState
  /** Where it came into `state` from: a rebalance of a group that was empty is an initial one. */
  stateBefore: GroupState
  /** By the wall clock; -1 where an old record did not say. */
  stateSinceMs: number
  /** Null: nobody ever joined (a simple group, for its offsets only). Stays when the members go. */
  protocolType: string | null
  protocol: string | null
  generation: number
  leader: string | null
  readonly members: Map<string, Member>
  /** The member ids of static members by instance id. */
  readonly statics: Map<string, string>
  /** Ids given out to new members that have not come back with them yet, and until when that is waited for. */
  readonly pending: Map<string, number>
  /** What is kept of members, bounded by `groupBytesMax`, and of ids given out, bounded by `pendingBytesMax`. */
  memberBytes: number
  pendingBytes: number
  /** How many members' joins wait. */
  joiningCount: number
  /** How many members can do each protocol. */
  readonly supporters: Map<string, number>
  /** Members of this generation that have not asked for their assignment yet. */
  readonly unsynced: Set<string>
  /** Topics that members subscribe to; null when not known: not the consumer protocol, or unreadable. */
  subscribed: ReadonlySet<string> | null
  joinTimer: JoinTimer | null
  /** When `unsynced` members are taken for gone. */
  syncEndMs: number | null
  /** The leader's assignment for this generation is being written: another one would not count. */
  assigning: boolean
  /** A member came since the initial rebalance was last put off. */
  newMemberCame: boolean
  /** No session ends before this: a lower bound, so that a heartbeat costs nothing. Infinity: there is none. */
  sessionsCheckMs: number
  closed: KafkaErrorName | null

  stored: StoredGroup | null
  readonly offsets: Offsets
  /** By their numbers, oldest first. */
  readonly writes: Map<number, PendingWrite>
  lastWrite: number
}

/** A group that nobody has told anything of yet. */
export function newGroup(groupId: string, settings: GroupSettings, nowMs: number): Group {
  return {
    groupId,
    settings,
    state: 'Empty',
    stateBefore: 'Dead',
    stateSinceMs: nowMs,
    protocolType: null,
    protocol: null,
    generation: 0,
    leader: null,
    members: new Map(),
    statics: new Map(),
    pending: new Map(),
    memberBytes: 0,
    pendingBytes: 0,
    joiningCount: 0,
    supporters: new Map(),
    unsynced: new Set(),
    subscribed: null,
    joinTimer: null,
    syncEndMs: null,
    assigning: false,
    newMemberCame: false,
    sessionsCheckMs: Number.POSITIVE_INFINITY,
    closed: null,
    stored: null,
    offsets: new Map(),
    writes: new Map(),
    lastWrite: 0,
  }
}

/** What a group, a member and an id that was given out take beside what they bring: of many small ones that is most. */
const groupOverheadBytes = 4_096
const memberOverheadBytes = 2_048
const idOverheadBytes = 256

/** What the group keeps in memory for those who are in it or about to be. */
export function keptBytes({ groupId, members, memberBytes, pending, pendingBytes }: Group): number {
  if (members.size === 0 && pending.size === 0) return 0
  const overhead = groupOverheadBytes + members.size * memberOverheadBytes + pending.size * idOverheadBytes
  return overhead + groupId.length + memberBytes + pendingBytes
}

/** Whether there is anything to keep. What does not exist has never been there, or is gone for good. */
export function exists(group: Group): boolean {
  return (
    group.members.size > 0 ||
    group.pending.size > 0 ||
    group.stored !== null ||
    group.offsets.size > 0 ||
    group.writes.size > 0 ||
    (group.state !== 'Empty' && group.state !== 'Dead')
  )
}
