/**
 * What is written about a group, a record each, in the terms of the group's core; `offsets-format.ts` has the bytes. A key's
 * newest record is what holds; null takes it away.
 */
import type { TopicId } from '../../base/ids.ts'

export type GroupRecord =
  | {
      readonly of: 'offset'
      readonly groupId: string
      readonly topic: string
      readonly partition: number
      readonly value: CommittedOffset | null
    }
  | { readonly of: 'group'; readonly groupId: string; readonly value: StoredGroup | null }

export interface CommittedOffset {
  readonly offset: number
  /** -1 where the client did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitMs: number
  /** -1: as long as the broker's retention says. */
  readonly expireMs: number
  readonly topicId: TopicId
}

/** A generation of a group: what its members agreed on. Empty groups have no members. */
export interface StoredGroup {
  readonly protocolType: string
  readonly generation: number
  readonly protocol: string | null
  readonly leader: string | null
  /** When the group came into the state that it was stored in (KIP-211); -1 when not known. */
  readonly stateSinceMs: number
  readonly members: readonly StoredMember[]
}

export interface StoredMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  /** Its metadata for the protocol that was chosen. */
  readonly subscription: Buffer
  readonly assignment: Buffer
}
