/**
 * One broker process put together: the machine's clock, disk and chance, the storage engine on them, the broker, and the
 * doors in front. Opened in that order, closed in the reverse; but HTTP opens first, so that it can say how far the rest is.
 */
import { resolve } from 'node:path'
import type { Broker } from '../broker/broker.ts'
import { type Engine, nodeLogSettings } from '../broker/engine.ts'
import type { Disk } from '../io/disk.ts'
import type { LogStoreSettings } from '../log/log-store.ts'
import { requestPrefixBytes } from '../wire/headers.ts'
import { type Address, addressText } from './address.ts'
import { asError, Backend, type BackendOptions } from './backend.ts'
import { isTaken } from './bind.ts'
import { type ConnectionLimits, defaultLimits, kafkaFraming, type Service } from './connection.ts'
import { makeDataDir } from './data-dir.ts'
import { lockDataDir } from './data-dir-lock.ts'
import { kafkaService } from './dispatch.ts'
import { Health } from './http/health.ts'
import { AllowedHosts } from './http/hosts.ts'
import { LoopDelay } from './http/loop-delay.ts'
import { HttpServer } from './http/server.ts'
import { Listener } from './listener.ts'
import { type Logger, RateLimitedLog } from './log.ts'
import { nodeClock } from './node/clock.ts'
import { NodeCompute } from './node/compute.ts'
import { nodeDisk } from './node/disk.ts'
import { nodeRandom } from './node/random.ts'
import { openFilesLimit } from './open-files.ts'
import type { DoorPort, Settings } from './settings.ts'
import { TextServer, type TextServerOptions } from './text-server.ts'
import { version } from './version.ts'

/** How long requests in flight may take when the node stops. */
const graceMsMax = 10_000

export interface ServerOptions extends Pick<BackendOptions, 'intercept'> {
  readonly settings: Settings
  readonly log: Logger
  /** The process must end: the disk failed, or an invariant is broken. Nothing is acknowledged after this. */
  readonly onFatal: (error: Error) => void
  /** Other than what `settings` say, for programs that have the broker inside: */
  readonly inside?: {
    /** In the place of the data directory. */
    readonly disk?: Disk
    readonly sizes: LogStoreSettings
    /** What stands between connections and the broker, which `swap` may change. */
    readonly service: (broker: () => Broker) => Service
    /** Likewise for commands of the text protocol. */
    readonly pass?: <T>(work: () => Promise<T>) => Promise<T>
  }
}

/** Where clients connect, by the host that was configured; null for a door that is closed. */
export interface Doors {
  readonly kafka: Address
  readonly text: Address | null
  readonly http: Address | null
}

interface ServerParts {
  readonly doors: Doors
  readonly backend: () => Backend
  readonly listener: Listener
  readonly swap: (change: () => Promise<Disk>) => Promise<void>
  readonly stopping: () => void
}

export class Server implements AsyncDisposable {
  readonly #parts: ServerParts
  readonly #opened: AsyncDisposableStack
  #closing: Promise<void> | null = null

  private constructor(parts: ServerParts, opened: AsyncDisposableStack) {
    this.#parts = parts
    this.#opened = opened
  }

  /** Resolves when clients are served: whatever the process before left is recovered by then. */
  static async open({ settings, log, onFatal, inside, intercept }: ServerOptions): Promise<Server> {
    await using opening = new AsyncDisposableStack()
    const startedAtMs = nodeClock.nowMs()
    const place = inside?.disk === undefined ? `data directory ${settings.dataDir}` : 'memory'
    if (inside?.disk === undefined) {
      await makeDataDir(settings.dataDir)
      const lock = await lockDataDir(settings.dataDir)
      opening.defer(() => lock.release())
    }

    const health = new Health()
    const http = await openDoor(settings.httpPort, log, port => openHttp(port, settings, health, log))
    if (http !== null) opening.defer(() => http.close())

    const compute = new NodeCompute(nodeClock)
    opening.defer(() => compute.close())
    let port = settings.port
    const openBackend = (disk: Disk) =>
      Backend.open({
        io: { disk, clock: nodeClock, random: nodeRandom, compute },
        place,
        configs: { ...settings.broker, facts: () => factsOf(settings, port, inside?.disk === undefined) },
        sizes: inside?.sizes ?? sizesOf(settings),
        log,
        onFatal,
        ...(intercept === undefined ? {} : { intercept }),
      })
    let disk = inside?.disk ?? nodeDisk(settings.dataDir)
    let backend = await openBackend(disk)
    opening.defer(() => backend.close())
    const swap = async (change: () => Promise<Disk>) => {
      await backend.close()
      try {
        disk = await change()
      } finally {
        backend = await openBackend(disk)
      }
    }
    // Asked for with each request: `swap` puts another in its place.
    const broker = () => backend.broker

    const service = inside?.service(broker) ?? kafkaService(broker)
    const listener = await openListener(service, settings, log.child({ component: 'kafka' }), onFatal)
    port = listener.port
    // Side by side: members that wait for the rest of their group are in flight, and the broker sends them away.
    opening.defer(async () => {
      await Promise.all([listener.close(graceMsMax), broker().close()])
    })

    const textLog = log.child({ component: 'text' })
    const text = await openDoor(settings.textPort, log, port =>
      openText(port, { behind: () => backend, pass: inside?.pass }, settings, textLog, onFatal),
    )
    if (text !== null) {
      opening.defer(() => text.close(graceMsMax))
      http?.webSocket('/text', text.webSocketRoute)
    }

    const addressOf = (door: { readonly port: number }) => ({ host: settings.host, port: door.port })
    const doors = {
      kafka: addressOf(listener),
      text: text === null ? null : addressOf(text),
      http: http === null ? null : addressOf(http),
    }
    if (http !== null) {
      const connections = { kafka: listener, text, http }
      const served = serveRoutes(http, { doors, connections, backend: () => backend, startedAtMs })
      opening.defer(() => served.close())
    }
    health.ready()
    const stopping = () => {
      health.stopping()
      http?.stop()
    }
    return new Server({ doors, backend: () => backend, listener, swap, stopping }, opening.move())
  }

  get doors(): Doors {
    return this.#parts.doors
  }

  get broker(): Broker {
    return this.#parts.backend().broker
  }

  get engine(): Engine {
    return this.#parts.backend().engine
  }

  /**
   * Puts another state behind the same doors: everything is closed, `change` gives the disk as it shall be, and is opened
   * again. Whoever calls this keeps requests away meanwhile.
   */
  swap(change: () => Promise<Disk>): Promise<void> {
    return this.#parts.swap(change)
  }

  /** Closes all connections of Kafka clients, as a network does that fails. */
  dropConnections(): void {
    this.#parts.listener.dropConnections()
  }

  /** Lets what is in flight finish, for ten seconds at most, and syncs everything. */
  close(): Promise<void> {
    // Whoever sends clients here hears of it before anything else.
    if (this.#closing === null) this.#parts.stopping()
    this.#closing ??= this.#opened.disposeAsync()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

interface RouteParts {
  readonly doors: Doors
  readonly connections: {
    readonly kafka: Listener
    readonly text: CountedDoor | null
    readonly http: CountedDoor
  }
  readonly backend: () => Backend
  readonly startedAtMs: number
}

/** From now on HTTP answers more than health. Its routes are loaded by the first request for one. */
function serveRoutes(http: HttpServer, { doors, connections, backend, startedAtMs }: RouteParts): LoopDelay {
  const loopDelay = new LoopDelay(nodeClock)
  const subject = {
    broker: () => backend().broker,
    engine: () => backend().engine,
    clock: nodeClock,
    version: version(),
    startedAtMs,
    doors: () => doorTexts(doors),
    connections: () => connectionsOf(connections),
    requestBytes: () => connections.kafka.requestBytes,
    loopDelayMs: loopDelay.ms,
  }
  http.serve(async () => {
    const { buildApp } = await import('./http/app.ts')
    const onFault = (error: unknown, path: string) =>
      backend().reportFault(error, { api: path, version: 0, clientId: null })
    return buildApp({ subject, pace: http.pace, onFault })
  })
  return loopDelay
}

function doorTexts({ kafka, text, http }: Doors) {
  const textOf = (address: Address | null) => (address === null ? null : addressText(address))
  return { kafka: addressText(kafka), text: textOf(text), http: textOf(http) }
}

interface CountedDoor {
  readonly port: number
  readonly connectionCount: number
}

/** By door; a closed one is left out. */
function connectionsOf(doors: Readonly<Record<string, CountedDoor | null>>): Record<string, number> {
  const open = Object.entries(doors).filter(([, door]) => door !== null)
  return Object.fromEntries(open.map(([name, door]) => [name, door?.connectionCount ?? 0]))
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
function factsOf({ host, dataDir }: Settings, port: number, isOnDisk: boolean): ReadonlyMap<string, string> {
  return new Map([
    ['listeners', `PLAINTEXT://${addressText({ host, port })}`],
    ['log.dirs', isOnDisk ? resolve(dataDir) : 'memory'],
  ])
}

/** Sizes for a process of its own. */
function sizesOf({ broker, acceptDataLoss }: Settings): LogStoreSettings {
  return nodeLogSettings({
    journalBytes: broker.settings.journalBytesMax,
    cacheBytes: broker.settings.logCacheBytesMax,
    // The other half is for sockets.
    openFilesMax: Math.floor(openFilesLimit() / 2),
    acceptDataLoss,
  })
}

function openListener(
  service: Service,
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
    service,
    framing: kafkaFraming,
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

function openText(
  port: number,
  { behind, pass }: Pick<TextServerOptions, 'behind'> & { readonly pass: TextServerOptions['pass'] | undefined },
  settings: Settings,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<TextServer> {
  const { textFrameBytesMax, connectionIdleMsMax, requestBudgetBytesMax, connectionsMax, connectionsPerAddressMax } =
    settings.broker.settings
  return TextServer.open({
    host: settings.host,
    port,
    behind,
    ...(pass === undefined ? {} : { pass }),
    limits: { ...defaultLimits, frameBytesMin: 0, frameBytesMax: textFrameBytesMax, idleMsMax: connectionIdleMsMax },
    requestBudgetBytesMax,
    connectionsMax,
    connectionsPerAddressMax,
    clock: nodeClock,
    log,
    onFault: error => onFatal(asError(error)),
  })
}

function limitsOf({ broker: { settings } }: Settings): ConnectionLimits {
  return {
    ...defaultLimits,
    frameBytesMin: requestPrefixBytes,
    frameBytesMax: settings.requestBytesMax,
    idleMsMax: settings.connectionIdleMsMax,
  }
}
