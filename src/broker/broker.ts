/**
 * The broker as a connection sees it: a frame goes in, a frame comes out. What stands between them, the server's sockets
 * know nothing of: which API and version is meant, who answers it, and what becomes of a request that fails.
 */
import { TidelogError } from '../base/errors.ts'
import type { Rope } from '../base/rope.ts'
import type { Clock } from '../io/clock.ts'
import type { Compute } from '../io/compute.ts'
import type { Random } from '../io/random.ts'
import { type Api, apis, servesVersion } from '../wire/api-keys.ts'
import { decodeRequest, encodeResponse } from '../wire/exchange.ts'
import { peekRequest, type RequestHeader } from '../wire/headers.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { type Access, allowAll } from './access.ts'
import type { BrokerConfigs } from './configs.ts'
import type { ConnectionContext, RequestContext } from './context.ts'
import { Door, type DoorParts } from './door.ts'
import { isFatal } from './faults.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { FetchWaits } from './fetch-waits.ts'
import { GroupCoordinator } from './groups/coordinator.ts'
import type { Answer, Handler } from './handler.ts'
import { alterConfigs } from './handlers/alter-configs.ts'
import { apiVersions, unknownApiVersionsVersion } from './handlers/api-versions.ts'
import { createPartitions } from './handlers/create-partitions.ts'
import { createTopics } from './handlers/create-topics.ts'
import { deleteGroups } from './handlers/delete-groups.ts'
import { deleteRecords } from './handlers/delete-records.ts'
import { deleteTopics } from './handlers/delete-topics.ts'
import { describeCluster } from './handlers/describe-cluster.ts'
import { describeConfigs } from './handlers/describe-configs.ts'
import { describeGroups } from './handlers/describe-groups.ts'
import { describeLogDirs } from './handlers/describe-log-dirs.ts'
import { describeProducers } from './handlers/describe-producers.ts'
import { describeQuorum } from './handlers/describe-quorum.ts'
import { describeTopicPartitions } from './handlers/describe-topic-partitions.ts'
import { electLeaders } from './handlers/elect-leaders.ts'
import { fetch } from './handlers/fetch.ts'
import { findCoordinator } from './handlers/find-coordinator.ts'
import { heartbeat } from './handlers/heartbeat.ts'
import { incrementalAlterConfigs } from './handlers/incremental-alter-configs.ts'
import { initProducerId } from './handlers/init-producer-id.ts'
import { joinGroup } from './handlers/join-group.ts'
import { leaveGroup } from './handlers/leave-group.ts'
import { listConfigResources } from './handlers/list-config-resources.ts'
import { listGroups } from './handlers/list-groups.ts'
import { listOffsets } from './handlers/list-offsets.ts'
import { listPartitionReassignments } from './handlers/list-partition-reassignments.ts'
import { metadata } from './handlers/metadata.ts'
import { offsetCommit } from './handlers/offset-commit.ts'
import { offsetDelete } from './handlers/offset-delete.ts'
import { offsetFetch } from './handlers/offset-fetch.ts'
import { offsetForLeaderEpoch } from './handlers/offset-for-leader-epoch.ts'
import { produce } from './handlers/produce.ts'
import { syncGroup } from './handlers/sync-group.ts'
import type { Intercept, Verdict } from './intercept.ts'
import { Overview } from './overview.ts'
import { ProducerIds } from './producer-ids.ts'
import { RecordTimes } from './record-times.ts'
import { RequestStats } from './request-stats.ts'
import type { Storage } from './storage.ts'
import { TopicMaker } from './topic-maker.ts'

export const handlers: readonly Handler[] = [
  produce,
  fetch,
  listOffsets,
  metadata,
  findCoordinator,
  apiVersions,
  createTopics,
  deleteTopics,
  initProducerId,
  describeCluster,
  joinGroup,
  syncGroup,
  heartbeat,
  leaveGroup,
  offsetCommit,
  offsetFetch,
  describeGroups,
  listGroups,
  deleteGroups,
  offsetDelete,
  describeConfigs,
  alterConfigs,
  incrementalAlterConfigs,
  createPartitions,
  deleteRecords,
  offsetForLeaderEpoch,
  describeTopicPartitions,
  describeLogDirs,
  electLeaders,
  listPartitionReassignments,
  describeQuorum,
  describeProducers,
  listConfigResources,
]

const served = handlers.map(({ api }) => api).sort((a, b) => a.key - b.key)
const handlersByKey: ReadonlyMap<number, Handler> = new Map(handlers.map(handler => [handler.api.key, handler]))

/**
 * No request waits longer, whatever timeout it states; but members that wait for the rest of their group, whose time for that
 * the group keeps itself.
 */
const requestMsMax = 300_000

/** An answer as it goes on the wire, its length first. */
export interface AnswerFrame extends Rope {
  /**
   * To be called once when the bytes have been sent, or will not be: the log's memory behind them is used again then. To
   * forget it does no harm but to leave that memory to the garbage collector.
   */
  readonly release?: () => void
}

export interface BrokerOptions {
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
  /** For doors that hand out records one by one, and so have to decompress them. */
  readonly compute: Compute
  readonly configs: BrokerConfigs
  readonly access?: Access
  /** Told of what a handler threw; the client gets UNKNOWN_SERVER_ERROR. For the log. */
  readonly onFault?: (error: unknown, request: RequestFacts) => void
  /** Told of what is odd in what was stored. For the log. */
  readonly onReport?: (what: string) => void
  /** Looks at each request before its handler does, and may answer in its place. For tests of programs with the broker inside. */
  readonly intercept?: Intercept
  /** An invariant is broken, or the disk, while no request was there to fail by it: the process must stop. */
  readonly onFatal?: (error: unknown) => void
}

export interface RequestFacts {
  readonly api: string
  readonly version: number
  readonly clientId: string | null
}

export class Broker implements AsyncDisposable {
  /** Of all requests since this broker was made. */
  readonly requests = new RequestStats()
  readonly #parts: DoorParts
  readonly #recordTimes = new RecordTimes()
  readonly #onFault: NonNullable<BrokerOptions['onFault']>
  readonly #intercept: Intercept | null

  constructor(options: BrokerOptions) {
    const { storage, clock, random, compute, configs, access = allowAll } = options
    const { onFault = () => {}, onFatal = () => {} } = options
    this.#onFault = onFault
    this.#intercept = options.intercept ?? null
    this.#parts = {
      served,
      storage,
      clock,
      configs,
      access,
      producerIds: new ProducerIds(storage),
      fetchSessions: new FetchSessions(clock, random, configs.settings.fetchSessionsMax),
      fetchWaits: new FetchWaits(clock),
      topicMaker: new TopicMaker(storage, configs),
      groups: new GroupCoordinator(options),
      compute,
      onFault: (error, what) => onFault(error, { api: what, version: 0, clientId: null }),
      onFatal,
    }
  }

  /** The broker for somebody who does not speak Kafka's protocol; `principal` is who it is. */
  door(principal: string): Door {
    return new Door(this.#parts, principal)
  }

  /** The broker as it is shown to people and monitors; `principal` is who looks. */
  overview(principal: string): Overview {
    return new Overview(this.#parts, this.#recordTimes, principal)
  }

  /** Answers what waits for something that will not come any more; what still comes is refused or fails. */
  close(): Promise<void> {
    return this.#parts.groups.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Answers one request. `frame` is what follows the length on the wire; the answer begins with its length. Null when there
   * is nothing to answer (acks=0). The bytes of a produce request belong to the log from now on.
   *
   * Requests of a connection are handed in as they come, without waiting for the answers before: what must keep their order
   * (appends get their offsets) happens within the call. Answers must be sent in the order of the requests.
   *
   * A rejection with `ProtocolError` closes the connection, and nothing else. Any other rejection is a broken invariant or a
   * broken disk: the process must stop.
   */
  async handle(frame: Rope, connection: ConnectionContext): Promise<AnswerFrame | null> {
    const { apiKey, apiVersion: version, correlationId } = peekRequest(frame)
    const handler = handlersByKey.get(apiKey)
    if (handler === undefined) throw new ProtocolError(`there is no API ${apiKey} here`)
    const { api } = handler
    if (!servesVersion(api, version)) return refuseVersion(api, version, correlationId)
    const { header, body } = decodeRequest(api, version, frame)
    const beganMs = this.#parts.clock.monotonicMs()
    const context = this.#contextOf(header, connection, beganMs)
    const encode = (answer: Answer<Api>) => {
      this.requests.note(api, answer, this.#parts.clock.monotonicMs() - beganMs)
      if (answer === null) return null
      return withReleases(encodeResponse(api, version, correlationId, answer), context.releases)
    }
    try {
      const verdict = this.#intercept?.({ api, version, clientId: header.clientId, body, connection }) ?? null
      if (verdict !== null) return encode(await meet(verdict, handler, body, context))
      return encode(await handler.handle(body, context))
    } catch (error) {
      if (error instanceof ProtocolError || isFatal(error)) throw error
      if (error instanceof TidelogError && error.code === 'CLOSED') throw new ProtocolError('the broker is stopping')
      this.#onFault(error, { api: api.name, version, clientId: header.clientId })
      const answer = handler.failed(body, 'UNKNOWN_SERVER_ERROR', context)
      if (answer === null) throw new ProtocolError(`${api.name} failed and cannot be answered`)
      return encode(answer)
    }
  }

  #contextOf({ apiVersion, clientId }: RequestHeader, connection: ConnectionContext, beganMs: number): RequestContext {
    return {
      connection,
      principal: connection.principal,
      clientId,
      version: apiVersion,
      deadlineMs: beganMs + requestMsMax,
      releases: [],
      parts: this.#parts,
    }
  }
}

async function meet(
  verdict: Verdict | Promise<Verdict | null>,
  handler: Handler,
  body: Parameters<Handler['handle']>[0],
  context: RequestContext,
): Promise<Answer<Api>> {
  const met = verdict instanceof Promise ? await verdict : verdict
  if (met === null) return handler.handle(body, context)
  if (met.do === 'drop') throw new ProtocolError(`${handler.api.name} is dropped as asked for`)
  const answer = handler.refused?.(body, met.error, context) ?? handler.failed(body, met.error, context)
  if (answer === null) throw new ProtocolError(`${handler.api.name} cannot be answered with ${met.error}`)
  return answer
}

function withReleases(answer: Rope, releases: readonly (() => void)[]): AnswerFrame {
  if (releases.length === 0) return answer
  return {
    ...answer,
    release: () => {
      for (const release of releases) release()
    },
  }
}

/**
 * A version that is not served closes the connection, as with Apache Kafka. Only the question which versions are served is
 * answered always (KIP-511); what follows its header is not looked at.
 */
function refuseVersion(api: Api, version: number, correlationId: number): Rope {
  if (api.key !== apis.apiVersions.key) throw new ProtocolError(`${api.name} ${version} is not served`)
  return encodeResponse(apis.apiVersions, 0, correlationId, unknownApiVersionsVersion)
}
