/**
 * The door of a group's core: what may happen to it (`GroupEvent`) and what it wants done (`GroupEffect`). `stepGroup`
 * turns one into the others; nothing else goes in or out.
 *
 * The driver's part of the contract:
 *
 * - Every request gets exactly one answer, in the step it came in or in a later one. Numbers of requests are the driver's,
 *   unique among those that wait.
 * - `write` is numbered 1, 2, 3 … per group and appended to the log in that order, each whole or not at all. Each is told of
 *   once by `written`: NONE when it is durable. What a write changes of offsets and what it promises to clients happens
 *   then; results that overtake an earlier write's are kept until that one is there.
 * - `time` comes when `nextDeadlineMs` is reached (sooner and later is fine); `expire` now and then, as `nextExpiryMs` says or
 *   by the broker's own interval.
 * - After every step: a group that does not `exist` any more is forgotten; its next request meets a new one.
 */
import type { TopicId } from '../../base/ids.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { GroupRecord } from './group-record.ts'
import type {
  CommitAnswer,
  CommitRequest,
  DeleteOffsetsAnswer,
  HeartbeatAnswer,
  HeartbeatRequest,
  JoinAnswer,
  JoinRequest,
  LeaveAnswer,
  LeaveRequest,
  SyncAnswer,
  SyncRequest,
  TopicPartition,
} from './requests.ts'

/** When something happens: by the clock that never jumps, for sessions and rebalances, and by the wall's, for offsets. */
export interface Moment {
  readonly monotonicMs: number
  readonly nowMs: number
}

/** Names a request of the driver's; the core only hands it back. */
export type RequestNumber = number

export type GroupEvent = { readonly at: Moment } & (
  | {
      readonly do: 'join'
      readonly request: RequestNumber
      readonly join: JoinRequest
      /** Drawn outside, used when the member needs an id: `<client id or instance id>-<uuid>`. */
      readonly uuid: string
    }
  | { readonly do: 'sync'; readonly request: RequestNumber; readonly sync: SyncRequest }
  | {
      readonly do: 'heartbeat'
      readonly request: RequestNumber
      readonly heartbeat: HeartbeatRequest
    }
  | { readonly do: 'leave'; readonly request: RequestNumber; readonly leave: LeaveRequest }
  | { readonly do: 'commit'; readonly request: RequestNumber; readonly commit: CommitRequest }
  | { readonly do: 'delete'; readonly request: RequestNumber }
  | {
      readonly do: 'deleteOffsets'
      readonly request: RequestNumber
      readonly partitions: readonly TopicPartition[]
    }
  /** What is of this topic goes; what is of another one that has the name now stays. */
  | { readonly do: 'topicDeleted'; readonly topic: string; readonly topicId: TopicId }
  /** All of the log has been applied (`applyRecord`): members get their session anew. */
  | { readonly do: 'loaded' }
  | { readonly do: 'written'; readonly write: number; readonly error: KafkaErrorName }
  /** Sessions and rebalances: whatever is due. */
  | { readonly do: 'time' }
  /** Offsets that were kept long enough go, and with the last of them an empty group (KIP-211). */
  | { readonly do: 'expire' }
  /** The node stops, or somebody else has the group now: all that waits is answered with `error`; so is what still comes. */
  | { readonly do: 'close'; readonly error: KafkaErrorName }
)

export interface DeleteAnswer {
  readonly error: KafkaErrorName
}

/** By the kind of the request: join → JoinAnswer, and so on; `delete` → DeleteAnswer. */
export type GroupAnswer =
  | JoinAnswer
  | SyncAnswer
  | HeartbeatAnswer
  | LeaveAnswer
  | CommitAnswer
  | DeleteAnswer
  | DeleteOffsetsAnswer

export type GroupEffect =
  | { readonly do: 'answer'; readonly request: RequestNumber; readonly answer: GroupAnswer }
  | { readonly do: 'write'; readonly write: number; readonly records: readonly GroupRecord[] }
