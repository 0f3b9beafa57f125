/**
 * The log by itself, inside a program: what it appends is on disk when it is told so, and stays until it is trimmed. The same
 * engine as the broker's, without a port; a log is a topic of one partition, and a cursor what a group has committed, so that
 * `tidelog start` on the directory shows both to Kafka clients later.
 */
import { resolve } from 'node:path'
import { TidelogError } from '../base/errors.ts'
import type { Offset } from '../base/ids.ts'
import type { Door } from '../broker/door.ts'
import type { Topic } from '../broker/storage.ts'
import { sleep } from '../io/clock.ts'
import { Backend } from '../server/backend.ts'
import { makeDataDir } from '../server/data-dir.ts'
import { type DataDirLock, lockDataDir } from '../server/data-dir-lock.ts'
import { openLog as openServerLog } from '../server/log.ts'
import { nodeClock } from '../server/node/clock.ts'
import { NodeCompute } from '../server/node/compute.ts'
import { nodeDisk } from '../server/node/disk.ts'
import { nodeRandom } from '../server/node/random.ts'
import { type LogLevel, logLevels } from '../server/settings.ts'
import { Awake } from './awake.ts'
import { orThrow, shown, wrongOption, wrongUse } from './failure.ts'
import { Fate } from './fate.ts'
import { checkConfigs, checkNames, sizesFor } from './options.ts'
import { type ReadOptions, readTopic } from './reading.ts'
import { type Bytes, type ConsumedRecord, newRecord, type ProducerRecord } from './records.ts'

/** What `openLog` takes; everything may be left out. */
export interface LogOptions {
  /** Which log of the directory; made where there is none. `'log'` when left out. */
  readonly name?: string
  /** Configs under Kafka's names, of the node and of its logs. By default nothing is ever deleted (`log.retention.ms` is -1). */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
  /** What is written to standard error: nothing by default. */
  readonly logLevel?: 'silent' | LogLevel
  /** Told when the log had to stop because its disk failed; every call fails with that error from then on. */
  readonly onFatal?: (error: Error) => void
}

/** A record of a log; see `ConsumedRecord`. */
export type LogRecord = Omit<ConsumedRecord, 'topic' | 'partition'>

/** As for a topic of a broker, but there is one partition. */
export type LogReadOptions = Omit<ReadOptions, 'partition'>

export interface LogStats {
  /** The offset of the oldest record, and the one that the next gets. */
  readonly start: number
  readonly end: number
  /** Of all segments from the start on. */
  readonly bytes: number
  readonly segments: readonly LogSegment[]
}

export interface LogSegment {
  /** The offset of its first record, and the one behind its last; null while it is open. */
  readonly base: number
  readonly end: number | null
  readonly bytes: number
}

const logConfigs: Readonly<Record<string, string>> = {
  'tidelog.journal.bytes': String(64 << 20),
  'tidelog.log.cache.bytes': String(16 << 20),
  'offsets.topic.num.partitions': '1',
  // Neither records nor cursors go by age.
  'log.retention.ms': '-1',
  'offsets.retention.minutes': '2147483647',
  'num.partitions': '1',
}
const optionNames: ReadonlySet<string> = new Set([
  'name',
  'configs',
  'logLevel',
  'onFatal',
] satisfies (keyof LogOptions)[])
const readOptionNames: ReadonlySet<string> = new Set(['from', 'until', 'signal'] satisfies (keyof LogReadOptions)[])
const principal = 'embedded'
const abandonMs = 1000

/**
 * Opens a log in a directory, which is made where it is missing and belongs to this process until the log is closed.
 *
 * Throws a `TidelogError`: `CONFIG` for options or a directory that cannot be used, `DATA_DIR_IN_USE` when somebody else has it,
 * `CORRUPT` or `FORMAT` when it cannot be read.
 *
 *     await using log = await openLog('./events')
 *     const offset = await log.append('something happened')
 *     for await (const { offset, value } of log.read()) console.log(offset, String(value))
 */
export async function openLog(directory: string, options: LogOptions = {}): Promise<Log> {
  checkNames(options, optionNames, 'openLog')
  const { name = 'log', configs = {}, logLevel = 'silent', onFatal } = options
  if (typeof directory !== 'string' || directory.trim() === '')
    throw wrongOption('openLog takes the path of a directory.')
  if (logLevel !== 'silent' && !logLevels.includes(logLevel)) {
    throw wrongOption(`logLevel must be silent or one of ${logLevels.join(', ')}, not ${shown(logLevel)}.`)
  }
  const checked = checkConfigs(configs, logConfigs)
  return new Awake().during(async () => {
    const opened = await LogDirectory.open(directory, checked, logLevel, onFatal)
    try {
      return await opened.log(name)
    } catch (error) {
      await opened.close()
      throw error
    }
  })
}

/** The directory behind one or several logs. */
class LogDirectory {
  readonly path: string
  readonly #backend: Backend
  readonly #lock: DataDirLock
  readonly #compute: NodeCompute
  readonly #awake = new Awake()
  readonly #closing = new AbortController()
  readonly #fate: Fate
  readonly #door: Door
  #closed: Promise<void> | null = null

  private constructor(path: string, backend: Backend, lock: DataDirLock, compute: NodeCompute, fate: Fate) {
    this.path = path
    this.#backend = backend
    this.#lock = lock
    this.#compute = compute
    this.#fate = fate
    this.#door = backend.broker.door(principal)
  }

  static async open(
    path: string,
    configs: ReturnType<typeof checkConfigs>,
    logLevel: 'silent' | LogLevel,
    onFatal?: (error: Error) => void,
  ): Promise<LogDirectory> {
    await makeDataDir(path)
    const lock = await lockDataDir(path)
    const compute = new NodeCompute(nodeClock)
    const fate = new Fate(onFatal)
    try {
      const backend = await Backend.open({
        io: { disk: nodeDisk(path), clock: nodeClock, random: nodeRandom, compute },
        place: `data directory ${path}`,
        configs,
        sizes: sizesFor(configs),
        log: await openServerLog(logLevel, false),
        onFatal: error => fate.met(error),
      })
      return new LogDirectory(resolve(path), backend, lock, compute, fate)
    } catch (error) {
      await compute.close()
      await lock.release()
      throw error
    }
  }

  /** Aborts when the directory closes. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Throws when the directory is closed, or had to stop. */
  get door(): Door {
    this.#assertOpen()
    return this.#door
  }

  /** Does something that the process stays alive for. */
  during<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    return this.#awake.during(() => this.#fate.unlessMet(work))
  }

  /** The log of that name, made where there is none. */
  async log(name: string): Promise<Log> {
    if (typeof name !== 'string') throw wrongOption(`A log is named by a text, not ${shown(name)}.`)
    const found = this.door.topic(name)
    const create = () => this.door.createTopic(name, { partitions: 1 })
    const { topic } = found.error === 'NONE' ? found : orThrow(await this.during(create))
    if (topic.internal) throw wrongOption(`The name ${name} is reserved.`)
    if (topic.partitions.length === 1) return new Log(this, name)
    throw wrongOption(`The topic ${name} has ${topic.partitions.length} partitions; a log has one.`)
  }

  topic(name: string): Topic {
    return orThrow(this.door.topic(name)).topic
  }

  seal(topic: Topic): Promise<void> {
    return this.during(() => this.#backend.engine.seal(topic.id, 0))
  }

  #assertOpen(): void {
    if (this.#fate.error !== null) throw this.#fate.error
    if (this.#closed !== null) throw new TidelogError('CLOSED', `The log in ${this.path} is closed.`)
  }

  close(): Promise<void> {
    this.#closed ??= this.#awake.during(() => this.#close())
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    try {
      // What had to stop cannot be closed in order: it may never answer.
      if (this.#fate.error === null) await this.#backend.close()
      else await Promise.race([this.#backend.close().catch(() => {}), sleep(nodeClock, abandonMs)])
    } finally {
      await this.#compute.close()
      await this.#lock.release()
    }
  }
}

/** An append-only log in a directory; see `openLog`. */
export class Log implements AsyncDisposable {
  readonly name: string
  readonly #directory: LogDirectory

  /** Made by `openLog`. */
  constructor(directory: LogDirectory, name: string) {
    this.#directory = directory
    this.name = name
  }

  /** Where it lies. */
  get directory(): string {
    return this.#directory.path
  }

  /** Appends one record: a text or bytes, or a record with a key and headers. It is durable when this resolves with its offset. */
  append(record: Bytes | ProducerRecord): Promise<number> {
    return this.appendAll([record])
  }

  /**
   * Appends several records, all or none of them, one behind the other; durable when this resolves with the offset of the first.
   * Appends that are under way together share their sync. Throws `TOO_LARGE` when they do not fit into one batch
   * (`message.max.bytes`, 1 MiB), `OVERLOADED` and `TIMED_OUT` for what may be tried again.
   */
  async appendAll(records: readonly (Bytes | ProducerRecord)[]): Promise<number> {
    if (!Array.isArray(records)) throw wrongUse(`appendAll takes an array of records, not ${shown(records)}.`)
    const drafts = records.map(record => newRecord(isBytes(record) ? { value: record } : record))
    const { door } = this.#directory
    return orThrow(await this.#directory.during(() => door.produce(this.name, 0, drafts))).baseOffset
  }

  /** The records from somewhere on, by default all that are there now; see `ReadOptions`. */
  async *read(options: LogReadOptions = {}): AsyncGenerator<LogRecord, void> {
    checkNames(options, readOptionNames, 'read')
    const directory = this.#directory
    const source = {
      door: () => directory.door,
      pass: <T>(work: (passing: AbortSignal) => Promise<T>) => directory.during(() => work(directory.closing)),
    }
    for await (const { offset, timestampMs, key, value, headers } of readTopic(source, this.name, options)) {
      yield { offset, timestampMs, key, value, headers }
    }
  }

  /** A place in the log that outlives the process, by its name; there may be many. */
  cursor(name: string): Cursor {
    if (typeof name !== 'string' || name === '') throw wrongUse(`A cursor is named by a text, not ${shown(name)}.`)
    return new Cursor(this, this.#directory, name)
  }

  /** Ends the open segment: what is appended from here on goes to the next. One without records stays open. */
  async seal(): Promise<void> {
    await this.#directory.seal(this.#topic())
  }

  /**
   * Takes away the records below an offset; durable when this resolves with the offset of the oldest that is left. Whole segments
   * below it are removed from disk after `file.delete.delay.ms` (a minute). Throws `OUT_OF_RANGE` for an offset behind the end.
   */
  async trim(before: number): Promise<number> {
    if (!Number.isSafeInteger(before) || before < 0)
      throw wrongUse(`An offset is a whole number, not ${shown(before)}.`)
    const partition = this.#partition()
    const { error, logStartOffset } = await this.#directory.during(() => partition.deleteRecords(before as Offset))
    if (error === 'NONE') return logStartOffset
    orThrow({ error, message: `The log ${this.name} cannot be trimmed at ${before}.` })
    return logStartOffset
  }

  stats(): LogStats {
    const partition = this.#partition()
    const { logStartOffset: start, highWatermark: end, storedBytes: bytes } = partition
    const kept = partition.segments().filter(segment => segment.end === null || segment.end > start)
    return { start, end, bytes, segments: kept.map(({ base, end, bytes }) => ({ base, end, bytes })) }
  }

  /** Another log of the same directory, made where there is none. Closing one closes all. */
  async beside(name: string): Promise<Log> {
    return this.#directory.log(name)
  }

  /** Makes durable what is under way, and lets go of the directory. */
  close(): Promise<void> {
    return this.#directory.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #topic(): Topic {
    return this.#directory.topic(this.name)
  }

  #partition(): Topic['partitions'][number] {
    return this.#topic().partitions[0] as Topic['partitions'][number]
  }
}

/** A durable place in a log; see `Log.cursor`. */
export class Cursor {
  readonly name: string
  readonly #log: Log
  readonly #directory: LogDirectory

  /** Made by `Log.cursor`. */
  constructor(log: Log, directory: LogDirectory, name: string) {
    this.#log = log
    this.#directory = directory
    this.name = name
  }

  /** The offset of the next record to read; null when nothing was saved yet. */
  async position(): Promise<number | null> {
    const { door } = this.#directory
    const committed = await this.#directory.during(() => door.committed(this.name, this.#log.name))
    return orThrow(committed).offsets[0] ?? null
  }

  /** Moves the cursor, forwards or back; durable when this resolves. Behind a record that was worked off, save its offset + 1. */
  async save(offset: number): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw wrongUse(`An offset is a whole number, not ${shown(offset)}.`)
    const { door } = this.#directory
    orThrow(await this.#directory.during(() => door.commit(this.name, this.#log.name, 0, offset as Offset)))
  }

  /** The records from the cursor on, from the oldest where nothing was saved. The cursor does not move by itself. */
  async *read(options: Omit<LogReadOptions, 'from'> = {}): AsyncGenerator<LogRecord, void> {
    const { start } = this.#log.stats()
    const from = Math.max((await this.position()) ?? start, start)
    yield* this.#log.read({ ...options, from })
  }
}

function isBytes(record: Bytes | ProducerRecord): record is Bytes {
  return typeof record === 'string' || record instanceof Uint8Array
}
