/**
 * What groups did in a run, as seen by their clients. A client commits a number that it never committed before, higher than
 * all earlier ones for that partition, so that a number tells which commit it came from and an older one is a step back.
 */
import type { KafkaErrorName } from '../wire/kafka-errors.ts'

export type GroupHappening =
  | {
      readonly type: 'committing'
      readonly request: number
      readonly group: string
      /** -1: by somebody who is no member. */
      readonly generation: number
      readonly offsets: readonly CommittedNumber[]
    }
  /** Null: the process ended before it answered. */
  | { readonly type: 'committed'; readonly request: number; readonly error: KafkaErrorName | null }
  | { readonly type: 'offsets asked'; readonly request: number; readonly group: string }
  | { readonly type: 'offsets'; readonly request: number; readonly offsets: readonly CommittedNumber[] | null }
  /** All offsets of the group, or that of one partition. Nothing else is under way with this group. */
  | {
      readonly type: 'offsets going'
      readonly request: number
      readonly group: string
      readonly partition: number | null
    }
  | { readonly type: 'offsets gone'; readonly request: number; readonly error: KafkaErrorName | null }
  /** The topic is being deleted; what is committed from here on until it is new may be of the old one. */
  | { readonly type: 'topic going' }
  /** It was made again, and only offsets of that one may be there after the next start. */
  | { readonly type: 'topic is new' }
  /** What a member was given in a generation. */
  | {
      readonly type: 'assigned'
      readonly group: string
      readonly generation: number
      readonly member: string
      readonly partitions: readonly number[]
    }

export interface CommittedNumber {
  readonly partition: number
  readonly offset: number
}

/** Answers to a commit after which nothing of it may ever be seen. */
export function refusesCommit(error: KafkaErrorName): boolean {
  return refusals.has(error)
}

const refusals: ReadonlySet<KafkaErrorName> = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
  'GROUP_ID_NOT_FOUND',
  'ILLEGAL_GENERATION',
  'REBALANCE_IN_PROGRESS',
  'UNKNOWN_MEMBER_ID',
])
