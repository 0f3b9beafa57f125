/**
 * What lies behind the doors: the storage engine on a disk, and the broker on the engine. Opened in that order, closed in the
 * reverse. Who listens in front is `server.ts`' matter, or that of a program with the broker inside.
 */
import { TidelogError } from '../base/errors.ts'
import { Broker, type BrokerOptions, type RequestFacts } from '../broker/broker.ts'
import { type BrokerConfigs, topicSettings } from '../broker/configs.ts'
import { Engine, type EngineIo } from '../broker/engine.ts'
import { isFatal } from '../broker/faults.ts'
import type { LogEvent, LogStoreSettings } from '../log/log-store.ts'
import { type Logger, RateLimitedLog } from './log.ts'

export interface BackendOptions extends Pick<BrokerOptions, 'intercept'> {
  readonly io: EngineIo
  /** For error texts: `data directory ./data`. */
  readonly place: string
  readonly configs: BrokerConfigs
  readonly sizes: LogStoreSettings
  readonly log: Logger
  /** Everything must stop: the disk failed, or an invariant is broken. Nothing is acknowledged after this. */
  readonly onFatal: (error: Error) => void
}

export class Backend implements AsyncDisposable {
  readonly engine: Engine
  readonly broker: Broker
  readonly #faults: RateLimitedLog

  private constructor(engine: Engine, broker: Broker, faults: RateLimitedLog) {
    this.engine = engine
    this.broker = broker
    this.#faults = faults
  }

  /** Recovers whatever the disk holds. */
  static async open(options: BackendOptions): Promise<Backend> {
    const { io, configs, log, onFatal, intercept } = options
    const engine = await openEngine(options)
    const brokerLog = new RateLimitedLog(log.child({ component: 'broker' }), io.clock)
    const broker = new Broker({
      ...io,
      storage: engine,
      configs,
      onFault: (error, request) => reportFault(brokerLog, error, request),
      onReport: what => brokerLog.error('groups', {}, what),
      onFatal: error => onFatal(asError(error)),
      ...(intercept === undefined ? {} : { intercept }),
    })
    return new Backend(engine, broker, brokerLog)
  }

  /** Into the log: what a request failed with that is not its client's doing. */
  reportFault(error: unknown, request: RequestFacts): void {
    reportFault(this.#faults, error, request)
  }

  /** Answers what waits, then makes durable what is in flight. */
  async close(): Promise<void> {
    await this.broker.close()
    await this.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function openEngine({ io, place, configs, sizes, log: parent, onFatal }: BackendOptions): Promise<Engine> {
  const log = parent.child({ component: 'storage' })
  const { retentionCheckIntervalMs, producerIdExpirationMs } = configs.settings
  const settings = {
    log: sizes,
    retentionCheckMs: retentionCheckIntervalMs,
    producerIdExpirationMs,
    topicSettings: (overrides: ReadonlyMap<string, string>) => topicSettings(configs, overrides),
  }
  const startedMs = io.clock.monotonicMs()
  try {
    const engine = await Engine.open(io, settings, { report: event => report(log, event), fail: onFatal })
    const tookMs = Math.round(io.clock.monotonicMs() - startedMs)
    log.info({ place, topics: engine.topics().length, tookMs }, 'storage is open')
    warnOfRelaxedTopics(log, engine)
    return engine
  } catch (error) {
    if (error instanceof TidelogError || isFatal(error)) throw error
    throw new TidelogError('DISK_FAILED', `${place}: ${(error as Error).message}`, error)
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

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function reportFault(log: RateLimitedLog, error: unknown, request: RequestFacts): void {
  const stack = error instanceof Error ? error.stack : String(error)
  log.error(request.api, { ...request, stack }, 'a request failed')
}
