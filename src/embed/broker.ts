/**
 * A broker inside a program: the same as the one that runs by itself, without a process of its own, and with what tests want
 * besides: a state put back, faults on purpose, what clients have asked.
 */
import { TidelogError } from '../base/errors.ts'
import type { TopicId } from '../base/ids.ts'
import type { Broker as BrokerCore } from '../broker/broker.ts'
import type { Door, NewRecord } from '../broker/door.ts'
import { loadIdentity } from '../cluster/identity.ts'
import { sleep } from '../io/clock.ts'
import { addressText } from '../server/address.ts'
import { makeDataDir } from '../server/data-dir.ts'
import { openLog as openServerLog } from '../server/log.ts'
import { nodeClock } from '../server/node/clock.ts'
import { nodeRandom } from '../server/node/random.ts'
import { Server } from '../server/server.ts'
import { Awake } from './awake.ts'
import { type Call, CallRecorder } from './calls.ts'
import { orThrow, shown, wrongUse } from './failure.ts'
import { Fate } from './fate.ts'
import { Faults } from './faults.ts'
import { Gate } from './gate.ts'
import { lagOf } from './lag.ts'
import { type BrokerStartOptions, type CheckedOptions, checkNames, checkOptions, wholeOption } from './options.ts'
import { directoryPlace, type Kept, memoryPlace, type Place } from './place.ts'
import { type ReadOptions, type ReadSource, readingEnded, readTopic } from './reading.ts'
import { type ConsumedRecord, newRecord, type ProducerRecord, sizeOf } from './records.ts'
import { Window } from './window.ts'

/** A topic that is to be made. */
export interface TopicOptions {
  /** The config `num.partitions` of the broker (1) when left out. */
  readonly partitions?: number
  /** Topic configs under Kafka's own names, as in `{ 'retention.ms': 60000 }`. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
}

export interface ProduceOptions {
  /** All records go there; when left out, each to where its key belongs, those without a key together to one after the other. */
  readonly partition?: number
}

/** Where a record lies. */
export interface Appended {
  readonly partition: number
  readonly offset: number
}

export interface LagOptions {
  /** Only these topics; when left out, all that the group has committed to. */
  readonly topics?: readonly string[]
  /** How long to wait before it is an error: 10 s when left out. */
  readonly timeoutMs?: number
}

/** A state that was kept aside; only for the broker that made it, and gone with it. */
export class Snapshot {
  readonly #kept: Kept

  /** Made by `snapshot()`. */
  constructor(kept: Kept) {
    this.#kept = kept
  }

  /** @internal */
  get kept(): Kept {
    return this.#kept
  }
}

/** By this name the program itself is known to the broker. */
const principal = 'embedded'
const abandonMs = 1000
const lagTimeoutMsDefault = 10_000
const lagPollMs = 10
const topicOptionNames: ReadonlySet<string> = new Set(['partitions', 'configs'] satisfies (keyof TopicOptions)[])
const produceOptionNames: ReadonlySet<string> = new Set(['partition'] satisfies (keyof ProduceOptions)[])
const lagOptionNames: ReadonlySet<string> = new Set(['topics', 'timeoutMs'] satisfies (keyof LagOptions)[])
/** What surrounds the records of a batch. */
const batchOverheadBytes = 61
/** Of one call; a fraction of the cache. */
const appendBytesMax = 4 << 20

/**
 * Starts a broker in this process and resolves when Kafka clients are served. Many may run in one process. Nothing is printed,
 * no signal is handled, and nothing is left open after `close()`.
 *
 * Throws a `TidelogError`: `CONFIG` for options that cannot be used, `DATA_DIR_IN_USE` when somebody else has the directory,
 * `LISTEN` when a port that was asked for is taken, `CORRUPT` or `FORMAT` when the directory cannot be read.
 *
 *     await using broker = await startBroker()
 *     await broker.createTopic('orders', { partitions: 3 })
 *     const client = new Kafka({ brokers: [broker.bootstrap] })
 */
export async function startBroker(options: BrokerStartOptions = {}): Promise<EmbeddedBroker> {
  const checked = checkOptions(options)
  return new Awake().during(() => EmbeddedBroker.start(checked, options.onFatal))
}

/** A running broker; see `startBroker`. */
export class EmbeddedBroker implements AsyncDisposable {
  readonly #server: Server
  readonly #place: Place
  readonly #gate: Gate
  readonly #recorder: CallRecorder
  readonly #faults: Faults
  readonly #fate: Fate
  /** The door of the broker that is behind the gate now. */
  #door: { readonly of: BrokerCore; readonly door: Door } | null = null
  readonly #snapshots = new WeakSet<Snapshot>()
  /** One after the other: what exchanges the broker. */
  #exchanging: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | null = null

  private constructor(parts: {
    server: Server
    place: Place
    gate: Gate
    recorder: CallRecorder
    faults: Faults
    fate: Fate
  }) {
    this.#server = parts.server
    this.#place = parts.place
    this.#gate = parts.gate
    this.#recorder = parts.recorder
    this.#faults = parts.faults
    this.#fate = parts.fate
  }

  /** @internal */
  static async start(options: CheckedOptions, onFatal?: (error: Error) => void): Promise<EmbeddedBroker> {
    const { dir, memoryBytesMax, callsMax, logLevel, settings, sizes } = options
    // Before its disk is looked at.
    if (dir !== null) await makeDataDir(dir)
    const place = dir === null ? memoryPlace(memoryBytesMax, nodeRandom) : directoryPlace(dir, nodeRandom)
    const recorder = new CallRecorder(callsMax, nodeClock.nowMs)
    const opened: { server: Server | null; gate: Gate | null; broker: EmbeddedBroker | null } = {
      server: null,
      gate: null,
      broker: null,
    }
    const faults = new Faults(nodeClock, () => opened.server?.dropConnections())
    const fate = new Fate(error => {
      onFatal?.(error)
      // Nobody is answered any more as if nothing had happened.
      void opened.broker?.close()
    })
    const server = await Server.open({
      settings,
      log: await openServerLog(logLevel, false),
      onFatal: error => fate.met(error),
      inside: {
        ...(dir === null ? { disk: place.disk } : {}),
        sizes,
        service: broker => {
          opened.gate = new Gate(nodeClock, broker)
          return opened.gate
        },
        pass: work => (opened.gate as Gate).pass(work),
      },
      intercept: call => {
        recorder.note(call)
        return faults.meet(call)
      },
    })
    opened.server = server
    opened.broker = new EmbeddedBroker({ server, place, gate: opened.gate as Gate, recorder, faults, fate })
    return opened.broker
  }

  /** `host:port` for Kafka clients: `127.0.0.1:51234`. */
  get bootstrap(): string {
    return addressText(this.#server.doors.kafka)
  }

  /** `host:port` of the text protocol; null when it was not asked for. */
  get text(): string | null {
    const { text } = this.#server.doors
    return text === null ? null : addressText(text)
  }

  /** `host:port` of health, metrics and the JSON API; null when it was not asked for. */
  get http(): string | null {
    const { http } = this.#server.doors
    return http === null ? null : addressText(http)
  }

  /** Faults on purpose: errors, delays, dropped connections. */
  get faults(): Faults {
    return this.#faults
  }

  /** The newest requests of Kafka clients, oldest first; of what the program does with this object there are none. */
  get calls(): readonly Call[] {
    return this.#recorder.calls
  }

  /**
   * Makes a topic; it takes records when this resolves. Throws `ALREADY_EXISTS`, and `REFUSED` for a name, a number of
   * partitions or a config that cannot be.
   */
  async createTopic(name: string, options: TopicOptions = {}): Promise<void> {
    checkNames(options, topicOptionNames, 'createTopic')
    const { partitions, configs = {} } = options
    if (partitions !== undefined) wholeOption('partitions', partitions, 1, 10_000)
    const texts = Object.fromEntries(Object.entries(configs).map(([name, value]) => [name, String(value)]))
    const spec = { ...(partitions === undefined ? {} : { partitions }), configs: texts }
    orThrow(await this.#pass(() => this.#nowDoor().createTopic(textOf(name, 'A topic'), spec)))
  }

  /** Deletes a topic, with all its records and what groups have committed of it. Throws `NOT_FOUND`. */
  async deleteTopic(name: string): Promise<void> {
    orThrow(await this.#pass(() => this.#nowDoor().deleteTopic(textOf(name, 'A topic'))))
  }

  /**
   * Appends records; they are durable when this resolves with their places, in the order of the records. Records of one
   * partition keep their order. When it throws, some partitions may have theirs.
   *
   * Throws `NOT_FOUND` for a topic or partition that does not exist, `TOO_LARGE`, `REFUSED` for what the topic does not take,
   * `OVERLOADED` and `TIMED_OUT` for what may be tried again, `USAGE` for what is no record.
   */
  async produce(
    topic: string,
    records: ProducerRecord | readonly ProducerRecord[],
    options: ProduceOptions = {},
  ): Promise<Appended[]> {
    checkNames(options, produceOptionNames, 'produce')
    const { partition } = options
    if (partition !== undefined && !Number.isSafeInteger(partition)) {
      throw wrongUse(`A partition is a whole number, not ${shown(partition)}.`)
    }
    const all = (Array.isArray(records) ? records : [records]).map(newRecord)
    return this.#pass(() => append(this.#nowDoor(), textOf(topic, 'A topic'), all, partition))
  }

  /**
   * The records of a topic. By default everything that is there now, partition by partition in order:
   *
   *     for await (const { value } of broker.read('orders')) console.log(String(value))
   *
   * The iteration throws `NOT_FOUND` for a topic or partition that does not exist, `OUT_OF_RANGE` for an offset that is not
   * there (any more), `CORRUPT` for records that cannot be read, `CLOSED` when the broker is closed or reset meanwhile.
   */
  read(topic: string, options: ReadOptions = {}): AsyncGenerator<ConsumedRecord, void> {
    return readTopic(this.#source(), textOf(topic, 'A topic'), options)
  }

  /**
   * Waits until a consumer group is at most `lag` records behind (0: has committed everything). A group that has not committed
   * yet is waited for. Throws `TIMED_OUT`.
   */
  async waitForLag(group: string, lag = 0, options: LagOptions = {}): Promise<void> {
    checkNames(options, lagOptionNames, 'waitForLag')
    const { topics = null, timeoutMs = lagTimeoutMsDefault } = options
    wholeOption('lag', lag, 0)
    const untilMs = nodeClock.monotonicMs() + wholeOption('timeoutMs', timeoutMs, 0)
    for (;;) {
      const behind = await this.#pass(() => lagOf(this.#nowDoor(), textOf(group, 'A group'), topics)).catch(notYet)
      if (behind !== null && behind <= lag) return
      if (nodeClock.monotonicMs() >= untilMs) {
        const state = behind === null ? 'has not committed anything' : `is ${behind} records behind`
        throw new TidelogError('TIMED_OUT', `After ${timeoutMs} ms the group ${group} ${state}; ${lag} were asked for.`)
      }
      await sleep(nodeClock, lagPollMs)
    }
  }

  /**
   * Keeps aside everything that is stored now: topics, records, what groups have committed. In memory that takes nothing but a
   * table; with a directory, requests wait while it is copied.
   */
  async snapshot(): Promise<Snapshot> {
    const { isLive, disk } = this.#place
    const kept = await this.#exchange(!isLive, async () => {
      if (isLive) return this.#place.snapshot()
      const keeping = Promise.withResolvers<Kept>()
      await this.#swap(async () => {
        keeping.resolve(await this.#place.snapshot())
        return disk
      })
      return keeping.promise
    })
    const snapshot = new Snapshot(kept)
    this.#snapshots.add(snapshot)
    return snapshot
  }

  /**
   * Puts back what a snapshot kept, or empties the broker where none is given: between two tests, for one. Faults and calls are
   * cleared as well.
   *
   * Port and connections stay. Requests under way are answered first, those that come meanwhile wait. Members of groups are asked
   * to join again and go on at what is committed. A consumer without a group keeps its position: where that lies behind the end
   * it is told so and goes by its `auto.offset.reset`.
   */
  async reset(snapshot?: Snapshot): Promise<void> {
    if (snapshot !== undefined && !this.#snapshots.has(snapshot)) {
      throw wrongUse('reset() takes a snapshot that this very broker has made.')
    }
    await this.#exchange(true, async () => {
      const { engine } = this.#server
      const clusterId = (await loadIdentity(this.#place.disk))?.clusterId as TopicId
      // Behind all that producers have; they go on to use theirs.
      const { first: producerIdsEnd } = await engine.allocateProducerIds(1)
      await this.#swap(() =>
        snapshot === undefined ? this.#place.clear(clusterId) : this.#place.restore(snapshot.kept),
      )
      this.#server.engine.forgetProducers()
      orThrow(await this.#nowDoor().dismissMembers())
      const { first } = await this.#server.engine.allocateProducerIds(1)
      if (first < producerIdsEnd) await this.#server.engine.allocateProducerIds(producerIdsEnd - first)
      this.#faults.clear()
      this.#recorder.clear()
    })
  }

  /**
   * Answers what is under way, closes every connection and file, and lets go of the ports. What is in a directory is durable
   * and stays; what is in memory is gone.
   */
  close(): Promise<void> {
    this.#closing ??= new Awake().during(() => this.#close())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    if (this.#fate.error !== null) return this.#abandon()
    await this.#exchanging.catch(() => {})
    this.#faults.clear()
    try {
      await this.#server.close()
    } finally {
      await this.#place.close()
    }
  }

  /** What had to stop cannot be closed in order: it may never answer. */
  async #abandon(): Promise<void> {
    this.#faults.clear()
    this.#server.dropConnections()
    await Promise.race([this.#server.close().catch(() => {}), sleep(nodeClock, abandonMs)])
    await this.#place.close()
  }

  /** `isShut`: what is asked for from here on comes after it. */
  #exchange<T>(isShut: boolean, work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    if (isShut) this.#gate.shut()
    const done = this.#exchanging
      .catch(() => {})
      .then(() => {
        this.#assertOpen()
        return work()
      })
      .finally(() => {
        if (isShut) this.#gate.open()
      })
    this.#exchanging = done
    return done
  }

  async #swap(change: Parameters<Server['swap']>[0]): Promise<void> {
    await this.#gate.emptied(() => {
      this.#faults.release()
      return this.#server.broker.close()
    })
    await this.#server.swap(change)
  }

  /** Work of the program itself, which waits for a reset as clients do. */
  #pass<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    return this.#fate.unlessMet(() => this.#gate.pass(work))
  }

  #nowDoor(): Door {
    const { broker } = this.#server
    if (this.#door?.of !== broker) this.#door = { of: broker, door: broker.door(principal) }
    return this.#door.door
  }

  #source(): ReadSource {
    const { broker } = this.#server
    const assertSame = () => {
      if (this.#closing !== null) throw readingEnded('closed')
      if (this.#server.broker !== broker) throw readingEnded('reset')
    }
    return {
      door: () => {
        assertSame()
        return this.#nowDoor()
      },
      pass: async work => {
        assertSame()
        return this.#fate.unlessMet(() => this.#gate.pass(() => work(this.#gate.passing)))
      },
    }
  }

  #assertOpen(): void {
    if (this.#fate.error !== null) throw this.#fate.error
    if (this.#closing !== null) throw new TidelogError('CLOSED', 'The broker is closed.')
  }
}

/**
 * Batches by partition, in the order of the records. So many bytes are under way at a time as the broker has room for; when one
 * fails no further begins.
 */
async function append(
  door: Door,
  topic: string,
  records: readonly NewRecord[],
  partition: number | undefined,
): Promise<Appended[]> {
  const found = orThrow(door.topic(topic)).topic
  const unkeyed = records.some(({ key }) => key == null) ? (partition ?? door.partitionFor(found, null)) : 0
  const places: Appended[] = []
  const indexes = Map.groupBy(records.keys(), index => {
    const key = records[index]?.key ?? null
    return partition ?? (key === null ? unkeyed : door.partitionFor(found, key))
  })
  const bytesMax = Math.min(found.settings.maxMessageBytes, found.settings.segmentBytes) - batchOverheadBytes
  const window = new Window(appendBytesMax)
  for (const [index, members] of indexes) {
    for (const { batch, bytes } of batchesOf(members, records, bytesMax)) {
      await window.add(bytes, async () => {
        const drafts = batch.map(member => records[member] as NewRecord)
        const { baseOffset } = orThrow(await door.produce(topic, index, drafts))
        for (const [i, member] of batch.entries()) places[member] = { partition: index, offset: baseOffset + i }
      })
    }
  }
  await window.emptied()
  return places
}

interface DraftBatch {
  readonly batch: number[]
  bytes: number
}

/** A coordinator that has just begun is asked again. */
function notYet(error: unknown): null {
  if (error instanceof TidelogError && error.code === 'OVERLOADED') return null
  throw error
}

/** Cut so that each fits; a record that does not fit by itself is refused by the broker. */
function batchesOf(members: readonly number[], records: readonly NewRecord[], bytesMax: number): DraftBatch[] {
  const batches: DraftBatch[] = []
  for (const member of members) {
    const bytes = sizeOf(records[member] as NewRecord)
    const last = batches.at(-1)
    if (last === undefined || last.bytes + bytes > bytesMax) batches.push({ batch: [member], bytes })
    else {
      last.batch.push(member)
      last.bytes += bytes
    }
  }
  return batches
}

function textOf(name: unknown, what: string): string {
  if (typeof name === 'string') return name
  throw wrongUse(`${what} is named by a text, not ${shown(name)}.`)
}
