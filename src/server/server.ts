/**
 * One broker process put together: the machine's clock, disk and chance, the storage engine on them, the broker, and the
 * doors in front. Opened in that order, closed in the reverse; but HTTP opens first, so that it can say how far the rest is.
 */
import { resolve } from 'node:path'
import { TidelogError } from '../base/errors.ts'
import { Broker, type RequestFacts } from '../broker/broker.ts'
import { topicSettings } from '../broker/configs.ts'
import { Engine, nodeLogSettings } from '../broker/engine.ts'
import { isFatal } from '../broker/faults.ts'
import type { LogEvent } from '../log/log-store.ts'
import { requestPrefixBytes } from '../wire/headers.ts'
import { type Address, addressText } from './address.ts'
import { isTaken } from './bind.ts'
import { type ConnectionLimits, defaultLimits } from './connection.ts'
import { makeDataDir } from './data-dir.ts'
import { lockDataDir } from './data-dir-lock.ts'
import { kafkaService } from './dispatch.ts'
import { Health } from './http/health.ts'
import { AllowedHosts } from './http/hosts.ts'
import { HttpServer } from './http/server.ts'
import { Listener } from './listener.ts'
import { type Logger, RateLimitedLog } from './log.ts'
import { nodeClock } from './node/clock.ts'
import { NodeCompute } from './node/compute.ts'
import { nodeDisk } from './node/disk.ts'
import { nodeRandom } from './node/random.ts'
import { openFilesLimit } from './open-files.ts'
import type { DoorPort, Settings } from './settings.ts'

/** How long requests in flight may take when the node stops. */
const graceMsMax = 10_000

export interface ServerOptions {
  readonly settings: Settings
  readonly log: Logger
  /** The process must end: the disk failed, or an invariant is broken. Nothing is acknowledged after this. */
  readonly onFatal: (error: Error) => void
}

/** Where clients connect, by the host that was configured; null for a door that is closed. */
export interface Doors {
  readonly kafka: Address
  readonly text: Address | null
  readonly http: Address | null
}

export class Server implements AsyncDisposable {
  readonly doors: Doors
  readonly #opened: AsyncDisposableStack
  readonly #stopping: () => void
  #closing: Promise<void> | null = null

  private constructor(doors: Doors, opened: AsyncDisposableStack, stopping: () => void) {
    this.doors = doors
    this.#opened = opened
    this.#stopping = stopping
  }

  /** Resolves when clients are served: whatever the process before left is recovered by then. */
  static async open({ settings, log, onFatal }: ServerOptions): Promise<Server> {
    await using opening = new AsyncDisposableStack()
    await makeDataDir(settings.dataDir)
    const lock = await lockDataDir(settings.dataDir)
    opening.defer(() => lock.release())

    const health = new Health()
    const http = await openDoor(settings.httpPort, log, port => openHttp(port, settings, health, log))
    if (http !== null) opening.defer(() => http.close())

    const compute = new NodeCompute(nodeClock)
    opening.defer(() => compute.close())
    const io = { disk: nodeDisk(settings.dataDir), clock: nodeClock, random: nodeRandom, compute }
    const engine = await openEngine(io, settings, log.child({ component: 'storage' }), onFatal)
    opening.defer(() => engine.close())

    const brokerLog = new RateLimitedLog(log.child({ component: 'broker' }), nodeClock)
    let port = settings.port
    const broker = new Broker({
      ...io,
      storage: engine,
      configs: { ...settings.broker, facts: () => factsOf(settings, port) },
      onFault: (error, request) => reportFault(brokerLog, error, request),
      onReport: what => brokerLog.error('groups', {}, what),
      onFatal: error => onFatal(asError(error)),
    })
    const listener = await openListener(broker, settings, log.child({ component: 'kafka' }), onFatal)
    port = listener.port
    // Side by side: members that wait for the rest of their group are in flight, and the broker sends them away.
    opening.defer(async () => {
      await Promise.all([listener.close(graceMsMax), broker.close()])
    })

    // The text protocol opens here, by `openDoor(settings.textPort, …)`, and mounts `/text` on `http`.
    const text: { readonly port: number } | null = null

    http?.serve(async () => {
      const { buildApp } = await import('./http/app.ts')
      return buildApp({
        onFault: (error, path) => reportFault(brokerLog, error, { api: path, version: 0, clientId: null }),
      })
    })
    health.ready()
    const addressOf = (door: { readonly port: number }) => ({ host: settings.host, port: door.port })
    const doors = {
      kafka: addressOf(listener),
      text: text === null ? null : addressOf(text),
      http: http === null ? null : addressOf(http),
    }
    return new Server(doors, opening.move(), () => {
      health.stopping()
      http?.stop()
    })
  }

  /** Lets what is in flight finish, for ten seconds at most, and syncs everything. */
  close(): Promise<void> {
    // Whoever sends clients here hears of it before anything else.
    if (this.#closing === null) this.#stopping()
    this.#closing ??= this.#opened.disposeAsync()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Opens a door unless it is off. Where nobody asked for its port and another has it, the node does without. */
async function openDoor<T>(door: DoorPort | null, log: Logger, open: (port: number) => Promise<T>): Promise<T | null> {
  if (door === null) return null
  try {
    return await open(door.port)
  } catch (error) {
    if (door.isGiven || !isTaken(error)) throw error
    log.warn({ component: 'server' }, `${(error as Error).message}; that door stays closed`)
    return null
  }
}

function openHttp(port: number, settings: Settings, health: Health, log: Logger): Promise<HttpServer> {
  const { host, advertise, httpNames } = settings
  return HttpServer.open({
    host,
    port,
    hosts: new AllowedHosts([host, ...(advertise === null ? [] : [advertise.host]), ...httpNames]),
    health,
    clock: nodeClock,
    log: new RateLimitedLog(log.child({ component: 'http' }), nodeClock),
  })
}

/** The configs that options decide, as tools are told of them. */
function factsOf({ host, dataDir }: Settings, port: number): ReadonlyMap<string, string> {
  return new Map([
    ['listeners', `PLAINTEXT://${addressText({ host, port })}`],
    ['log.dirs', resolve(dataDir)],
  ])
}

type EngineIo = Parameters<typeof Engine.open>[0]

async function openEngine(
  io: EngineIo,
  settings: Settings,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<Engine> {
  const { broker, acceptDataLoss, dataDir } = settings
  const { journalBytesMax, logCacheBytesMax, retentionCheckIntervalMs, producerIdExpirationMs } = broker.settings
  const engineSettings = {
    // The other half is for sockets.
    log: nodeLogSettings({
      journalBytes: journalBytesMax,
      cacheBytes: logCacheBytesMax,
      openFilesMax: Math.floor(openFilesLimit() / 2),
      acceptDataLoss,
    }),
    retentionCheckMs: retentionCheckIntervalMs,
    producerIdExpirationMs,
    topicSettings: (configs: ReadonlyMap<string, string>) => topicSettings(broker, configs),
  }
  const startedMs = io.clock.monotonicMs()
  try {
    const engine = await Engine.open(io, engineSettings, { report: event => report(log, event), fail: onFatal })
    const tookMs = Math.round(io.clock.monotonicMs() - startedMs)
    log.info({ dataDir, topics: engine.topics().length, tookMs }, 'storage is open')
    warnOfRelaxedTopics(log, engine)
    return engine
  } catch (error) {
    if (error instanceof TidelogError || isFatal(error)) throw error
    throw new TidelogError('DISK_FAILED', `data directory ${dataDir}: ${(error as Error).message}`, error)
  }
}

/** Said at every start: these topics were allowed to lose acknowledged records. */
function warnOfRelaxedTopics(log: Logger, engine: Engine): void {
  const topics = engine.topics().filter(({ settings }) => settings.flush === 'relaxed')
  if (topics.length === 0) return
  const names = topics.slice(0, 20).map(({ name }) => name)
  log.warn(
    { topics: names, count: topics.length },
    'tidelog.flush=relaxed: a power loss may take acknowledged records of these topics',
  )
}

function report(log: Logger, event: LogEvent): void {
  switch (event.event) {
    case 'recovered':
      log.info({ groups: event.groups, batches: event.batches, torn: event.torn }, 'recovered from the journal')
      break
    case 'damage':
      log.error(event.what)
      break
    case 'blocked':
      log.warn(event.why)
      break
    case 'unblocked':
      log.info('writing goes on')
      break
  }
}

function openListener(
  broker: Broker,
  settings: Settings,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<Listener> {
  const { requestBudgetBytesMax, connectionsMax, connectionsPerAddressMax } = settings.broker.settings
  if (settings.advertise !== null) log.info(`clients are told to connect to ${addressText(settings.advertise)}`)
  return Listener.open({
    name: 'kafka',
    host: settings.host,
    port: settings.port,
    portOption: 'port',
    advertise: settings.advertise,
    service: kafkaService(broker),
    limits: limitsOf(settings),
    requestBudgetBytesMax,
    connectionsMax,
    connectionsPerAddressMax,
    clock: nodeClock,
    log,
    // Only what must stop the process comes this far; the broker answers everything else.
    onFault: error => onFatal(asError(error)),
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function limitsOf({ broker: { settings } }: Settings): ConnectionLimits {
  return {
    ...defaultLimits,
    frameBytesMin: requestPrefixBytes,
    frameBytesMax: settings.requestBytesMax,
    idleMsMax: settings.connectionIdleMsMax,
  }
}

function reportFault(log: RateLimitedLog, error: unknown, request: RequestFacts): void {
  const stack = error instanceof Error ? error.stack : String(error)
  log.error(request.api, { ...request, stack }, 'a request failed')
}
