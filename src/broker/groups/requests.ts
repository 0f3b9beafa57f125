/**
 * What is asked of a group and answered, whichever version of the protocol it came in: the handlers translate between these
 * and the wire, the group's core (`group.ts`) decides, the coordinator (`coordinator.ts`) keeps it.
 */
import type { TopicId } from '../../base/ids.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'

/** What a client can do, in its own words, and its opaque subscription for that. */
export interface GroupProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface JoinRequest {
  readonly groupId: string
  /** Empty on the first join. */
  readonly memberId: string
  /** `group.instance.id` of a static member. */
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  /** In order of preference. */
  readonly protocols: readonly GroupProtocol[]
  /** 4+: a new dynamic member is first given its id (MEMBER_ID_REQUIRED), and joins with that. KIP-394. */
  readonly requiresKnownMember: boolean
  /** 9+: a static leader that comes back may be told to skip the assignment. KIP-814. */
  readonly supportsSkippingAssignment: boolean
  readonly reason: string | null
}

export interface JoinAnswer {
  readonly error: KafkaErrorName
  readonly generation: number
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  /** For the leader only. */
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly metadata: Buffer
  }[]
}

export interface SyncRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
  /** 5+; null before. */
  readonly protocolType: string | null
  readonly protocol: string | null
  /** From the leader only. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncAnswer {
  readonly error: KafkaErrorName
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly assignment: Buffer
}

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
}

export interface HeartbeatAnswer {
  readonly error: KafkaErrorName
}

export interface LeaveRequest {
  readonly groupId: string
  /** By member id or, with an empty one, by instance id. Before version 3 there is one, and its error is the request's. */
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly reason: string | null
  }[]
}

export interface LeaveAnswer {
  readonly error: KafkaErrorName
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly error: KafkaErrorName
  }[]
}

export interface CommitRequest {
  readonly groupId: string
  /** -1 with an empty member id: somebody who is no member. */
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
  /** Only partitions that exist; the handler has answered for the others. */
  readonly offsets: readonly OffsetToCommit[]
  /** 2-4: how long to keep them, whatever the broker's own retention is; -1 for the broker's. */
  readonly retentionMs: number
}

export interface OffsetToCommit extends TopicPartition {
  readonly topicId: TopicId
  readonly offset: number
  /** -1 where the client did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface CommitAnswer {
  /** One each, in the order of the request. */
  readonly errors: readonly KafkaErrorName[]
}

export interface FetchOffsetsRequest {
  readonly groupId: string
  /** 9+: of a member; null and -1 for anybody. */
  readonly memberId: string | null
  readonly memberEpoch: number
  /** Null for all that the group has. */
  readonly partitions: readonly TopicPartition[] | null
}

export interface FetchOffsetsAnswer {
  readonly error: KafkaErrorName
  /** A partition without a commit has offset -1, epoch -1 and empty metadata, and no error. */
  readonly partitions: readonly (TopicPartition & {
    readonly offset: number
    readonly leaderEpoch: number
    readonly metadata: string
    readonly error: KafkaErrorName
  })[]
}

/** The names that Kafka's tools print. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

export interface DescribedGroup {
  readonly error: KafkaErrorName
  readonly message: string | null
  readonly groupId: string
  readonly state: GroupState
  readonly protocolType: string
  /** Empty unless the group is stable. */
  readonly protocol: string
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly metadata: Buffer
    readonly assignment: Buffer
  }[]
}

export interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly state: GroupState
}

export interface DeleteOffsetsAnswer {
  readonly error: KafkaErrorName
  /** One each, in the order of the request; empty when the whole failed. */
  readonly partitions: readonly KafkaErrorName[]
}
