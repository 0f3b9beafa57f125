/** What a handler knows about a request besides its body: where it came from, how long it may take, and the broker's parts. */
import type { Clock } from '../io/clock.ts'
import type { Api } from '../wire/api-keys.ts'
import type { Access } from './access.ts'
import type { BrokerConfigs } from './configs.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { FetchWaits } from './fetch-waits.ts'
import type { GroupCoordinator } from './groups/coordinator.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { Storage } from './storage.ts'
import type { TopicMaker } from './topic-maker.ts'

/** What the server knows of a connection; the same object for all of its requests. */
export interface ConnectionContext {
  readonly principal: string
  /** Where the client is, in the form in which Kafka tells it (of a group's members): `/192.0.2.1`. */
  readonly clientHost: string
  /** The name of the listener that accepted the connection. */
  readonly listener: string
  /** The address by which this client reaches this node, told to it in Metadata. */
  readonly advertised: { readonly host: string; readonly port: number }
  /**
   * Aborts when nobody will read an answer any more: the connection closed, or the node stops. Asked for only by what waits,
   * so that it may be made on demand.
   */
  readonly signal: AbortSignal
}

export interface RequestContext {
  readonly connection: ConnectionContext
  readonly principal: string
  readonly clientId: string | null
  readonly version: number
  /** Monotonic time at which the request must be answered, whatever it says itself. */
  readonly deadlineMs: number
  /** What is to be called when the answer's bytes have been sent. */
  readonly releases: (() => void)[]
  readonly parts: BrokerParts
}

/** What the handlers share. */
export interface BrokerParts {
  /** The APIs that are answered, in order of their keys. */
  readonly served: readonly Api[]
  readonly storage: Storage
  readonly clock: Clock
  readonly configs: BrokerConfigs
  readonly access: Access
  readonly producerIds: ProducerIds
  readonly fetchSessions: FetchSessions
  readonly fetchWaits: FetchWaits
  readonly topicMaker: TopicMaker
  readonly groups: GroupCoordinator
}
