/** What simulated nodes send each other: the cores' messages, and what their drivers add. */
import type { NodeId, TopicId } from '../../base/ids.ts'
import type { ChainEvent } from '../../chain/events.ts'
import type { ChainMessage, Peer } from '../../chain/messages.ts'
import type { Outcome } from '../../cluster/commands.ts'
import type { Message as RaftMessage } from '../../raft/messages.ts'

export type PeerMessage =
  | { readonly type: 'raft'; readonly message: RaftMessage }
  | { readonly type: 'chain'; readonly message: ChainMessage }
  /** A command on its way to the Raft leader; passed on once by a node that is not. */
  | {
      readonly type: 'propose'
      readonly requestId: TopicId
      readonly command: Buffer
      readonly origin: NodeId
      readonly hops: number
    }
  /** The leader has applied it. For a node that does not have the log (yet); others see it in their own. */
  | {
      readonly type: 'proposed'
      readonly requestId: TopicId
      readonly outcome: Outcome
      readonly recordedIncarnation: number
    }
  | { readonly type: 'renew'; readonly incarnation: number; readonly sentAtMs: number }
  /** `knownThrough`: what the leader may have acted on, of the metadata's log; the holder has to know it too. */
  | {
      readonly type: 'granted'
      readonly incarnation: number
      readonly sentAtMs: number
      readonly knownThrough: number
    }
  /** From the leader's controller to a chain core. */
  | { readonly type: 'order'; readonly incarnation: number; readonly event: ChainEvent }

/** Established by the handshake of a connection, so it comes with each message. */
export interface Sender extends Peer {
  readonly clusterId: string
}
