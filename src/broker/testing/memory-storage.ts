/**
 * Storage in memory for the handlers' tests: keeps batches as they come, durable at once unless told otherwise, and fails
 * where a test wants it to. It knows nothing of producers' sequences, segments or retention.
 */
import { type LeaderEpoch, type NodeId, type Offset, offset, type TopicId } from '../../base/ids.ts'
import { concatRopes, emptyRope, flattenRope, type Rope, ropeOf, sliceRope } from '../../base/rope.ts'
import type { Clock } from '../../io/clock.ts'
import { sealBatch } from '../../wire/build-batch.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import {
  type BatchHeader,
  batchHeaderBytes,
  logAppendTimeBit,
  readBatchHeader,
  stampBatch,
  writeInt64,
} from '../../wire/record-batch.ts'
import { type TimedOffset, walkRecords } from '../../wire/records.ts'
import { type BrokerConfigs, topicSettings } from '../configs.ts'
import type {
  Acks,
  AppendOutcome,
  Batch,
  CreateOutcome,
  FoundRecord,
  PartitionStore,
  ReadOutcome,
  ReadRequest,
  Storage,
  Topic,
  TopicSpec,
} from '../storage.ts'
import type { TopicSettings } from '../topic-settings.ts'

const onlyNode = 1 as NodeId

export interface MemoryTopic extends Topic {
  readonly partitions: readonly MemoryPartition[]
}

export class MemoryStorage implements Storage {
  readonly clusterId = 'testing-cluster-00000A'
  readonly nodeId = onlyNode
  readonly #clock: Clock
  readonly #configs: BrokerConfigs
  readonly #topics = new Map<string, MemoryTopic>()
  /** What `createTopic` waits for, for tests of topics in the making. */
  creating: Promise<void> = Promise.resolve()
  deleting: Promise<void> = Promise.resolve()
  /** What the next `createTopic` comes to, instead of a topic. */
  createRefusal: Exclude<CreateOutcome, { error: 'NONE' }> | null = null
  created: TopicSpec[] = []
  producerIdsPerBlock = 3
  blocks = 0
  #lastId = 0

  constructor(clock: Clock, configs: BrokerConfigs) {
    this.#clock = clock
    this.#configs = configs
  }

  topics(): readonly MemoryTopic[] {
    return [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  topicByName(name: string): MemoryTopic | undefined {
    return this.#topics.get(name)
  }

  topicById(id: TopicId): MemoryTopic | undefined {
    return this.topics().find(topic => topic.id === id)
  }

  async createTopic(spec: TopicSpec): Promise<CreateOutcome> {
    this.created.push(spec)
    await this.creating
    if (this.createRefusal !== null) return this.createRefusal
    if (this.#topics.has(spec.name)) return { error: 'TOPIC_ALREADY_EXISTS', message: 'there is one' }
    return { error: 'NONE', topic: this.add(spec.name, spec.partitions, topicSettings(this.#configs, spec.configs)) }
  }

  async deleteTopic(id: TopicId): Promise<KafkaErrorName> {
    await this.deleting
    const topic = this.topicById(id)
    if (topic === undefined) return 'UNKNOWN_TOPIC_ID'
    this.#topics.delete(topic.name)
    for (const partition of topic.partitions) partition.vanish()
    return 'NONE'
  }

  async allocateProducerIds() {
    await null
    const first = this.blocks++ * this.producerIdsPerBlock
    return { first, count: this.producerIdsPerBlock }
  }

  /** Puts a topic there without anybody asking. */
  add(name: string, partitions = 1, settings: Partial<TopicSettings> = {}): MemoryTopic {
    const id = (++this.#lastId).toString(16).padStart(32, 'a') as TopicId
    const whole = { ...topicSettings(this.#configs, new Map()), ...settings }
    const topic: MemoryTopic = {
      id,
      name,
      internal: false,
      configs: new Map(),
      settings: whole,
      partitions: Array.from({ length: partitions }, (_, index) => new MemoryPartition(id, index, this.#clock, whole)),
    }
    this.#topics.set(name, topic)
    return topic
  }
}

interface Stored {
  readonly header: BatchHeader
  readonly bytes: Rope
}

export class MemoryPartition implements PartitionStore {
  readonly topicId: TopicId
  readonly index: number
  leader = onlyNode
  leaderEpoch = 0 as LeaderEpoch
  replicas: NodeId[] = [onlyNode]
  inSyncReplicas: NodeId[] = [onlyNode]
  logStartOffset = offset(0)
  highWatermark = offset(0)
  /** What the next appends come to, instead of success. */
  appendRefusal: Exclude<AppendOutcome, { error: 'NONE' }> | null = null
  /** What the next appends and reads throw. */
  fault: Error | null = null
  readError: KafkaErrorName = 'NONE'
  /** Whether reads answer with a promise, as from a disk. */
  cold = false
  reads: ReadRequest[] = []
  acks: Acks[] = []
  /** Reads with records that were not given back. */
  lent = 0
  readonly #clock: Clock
  readonly #settings: TopicSettings
  readonly #listeners = new Set<() => void>()
  readonly #stored: Stored[] = []
  readonly #waiting: { readonly end: Offset; readonly resolve: () => void }[] = []
  #end = offset(0)
  #held = false
  #gone = false

  constructor(topicId: TopicId, index: number, clock: Clock, settings: TopicSettings) {
    this.topicId = topicId
    this.index = index
    this.#clock = clock
    this.#settings = settings
  }

  /** Appends are not durable until `release`. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    this.#commit()
  }

  get listeners(): number {
    return this.#listeners.size
  }

  get batches(): readonly Stored[] {
    return this.#stored
  }

  async append({ header, bytes }: Batch, acks: Acks): Promise<AppendOutcome> {
    this.acks.push(acks)
    if (this.fault !== null) throw this.fault
    if (this.appendRefusal !== null) return this.appendRefusal
    const baseOffset = this.#end
    const logAppendTimeMs = this.#settings.timestampType === 'LogAppendTime' ? this.#clock.nowMs() : -1
    const batch = flattenRope(bytes)
    stampBatch(ropeOf(batch), baseOffset, this.leaderEpoch)
    if (logAppendTimeMs >= 0) {
      batch.writeInt16BE(header.attributes | logAppendTimeBit, 21)
      writeInt64(batch, logAppendTimeMs, 35)
      sealBatch(batch)
    }
    this.#stored.push({ header: readBatchHeader(batch), bytes: ropeOf(batch) })
    this.#end = offset(baseOffset + header.recordCount)
    const end = this.#end
    if (!this.#held) this.#commit()
    if (acks !== 0) await this.#durable(end)
    return { error: 'NONE', baseOffset, logAppendTimeMs, logStartOffset: this.logStartOffset }
  }

  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
    this.reads.push(request)
    if (this.fault !== null) throw this.fault
    const outcome = this.#read(request)
    return this.cold ? Promise.resolve(outcome) : outcome
  }

  async findByTime(timestampMs: number): Promise<FoundRecord | null> {
    return this.#find((found, record) => found === null && record.timestampMs >= timestampMs)
  }

  async findMaxTimestamp(): Promise<FoundRecord | null> {
    return this.#find((found, record) => found === null || record.timestampMs > found.timestampMs)
  }

  async deleteRecords(before: Offset) {
    this.logStartOffset = before
    this.#notify()
    return { error: 'NONE', logStartOffset: before } as const
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  vanish(): void {
    this.#gone = true
    this.#notify()
  }

  #read({ from, bytesMax, minOne }: ReadRequest): ReadOutcome {
    const { highWatermark, logStartOffset } = this
    const nothing = { records: emptyRope, highWatermark, logStartOffset }
    if (this.#gone) return { error: 'UNKNOWN_TOPIC_OR_PARTITION', ...nothing }
    if (this.readError !== 'NONE') return { error: this.readError, ...nothing }
    if (from < logStartOffset || from > this.#end) return { error: 'OFFSET_OUT_OF_RANGE', ...nothing }
    const batches: Rope[] = []
    let left = bytesMax
    for (const { header, bytes } of this.#stored) {
      const end = header.baseOffset + header.recordCount
      if (end <= from || end > highWatermark) continue
      if (bytes.length > left && !(minOne && batches.length === 0)) break
      batches.push(bytes)
      left -= bytes.length
    }
    if (batches.length === 0) return { ...nothing, error: 'NONE' }
    this.lent++
    return { ...nothing, error: 'NONE', records: concatRopes(batches), release: () => this.lent-- }
  }

  #find(better: (found: FoundRecord | null, record: TimedOffset) => boolean): FoundRecord | null {
    let found: FoundRecord | null = null
    for (const { header, bytes } of this.#stored) {
      if (header.baseOffset + header.recordCount > this.highWatermark) continue
      walkRecords(header, sliceRope(bytes, batchHeaderBytes, bytes.length), (at, timestampMs) => {
        const record = { offset: at, timestampMs }
        if (at >= this.logStartOffset && better(found, record)) found = { ...record, leaderEpoch: header.leaderEpoch }
        return true
      })
    }
    return found
  }

  #durable(end: Offset): Promise<void> {
    if (this.highWatermark >= end) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ end, resolve }))
  }

  #commit(): void {
    this.highWatermark = this.#end
    for (const { resolve } of this.#waiting.splice(0)) resolve()
    this.#notify()
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
