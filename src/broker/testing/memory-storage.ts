/**
 * Storage in memory for the handlers' tests: keeps batches as they come, durable at once unless told otherwise, and fails
 * where a test wants it to. It knows nothing of producers' sequences, segments or retention.
 */
import { type DiskId, type LeaderEpoch, type NodeId, type Offset, offset, type TopicId } from '../../base/ids.ts'
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
  ActiveProducer,
  AppendOutcome,
  Batch,
  CreateOutcome,
  EpochEnd,
  FoundRecord,
  GrowOutcome,
  LogDir,
  PartitionStore,
  Quorum,
  ReadOutcome,
  ReadRequest,
  SegmentFacts,
  Storage,
  Topic,
  TopicSpec,
} from '../storage.ts'
import { isInternalTopic } from '../topic-names.ts'
import type { TopicSettings } from '../topic-settings.ts'

const onlyNode = 1 as NodeId

export interface MemoryTopic extends Topic {
  readonly partitions: readonly MemoryPartition[]
}

interface Current {
  topic: MemoryTopic
}

export class MemoryStorage implements Storage {
  readonly clusterId = 'testing-cluster-00000A'
  readonly nodeId = onlyNode
  readonly #clock: Clock
  readonly #configs: BrokerConfigs
  readonly #topics = new Map<string, Current>()
  /** What `createTopic` waits for, for tests of topics in the making. */
  creating: Promise<void> = Promise.resolve()
  deleting: Promise<void> = Promise.resolve()
  /** What the next `createTopic` comes to, instead of a topic. */
  createRefusal: Exclude<CreateOutcome, { error: 'NONE' }> | null = null
  created: TopicSpec[] = []
  /** What the next `createPartitions` and `configureTopic` come to, instead of success. */
  growRefusal: GrowOutcome | null = null
  configureRefusal: KafkaErrorName | 'STALE' | null = null
  /** Called before the metadata is looked at, for tests of changes that meet. */
  beforeConfigure: () => void = () => {}
  directories: LogDir[] = [{ path: 'memory', totalBytes: 1 << 30, usableBytes: 1 << 29 }]
  producerIdsPerBlock = 3
  blocks = 0
  #lastId = 0

  constructor(clock: Clock, configs: BrokerConfigs) {
    this.#clock = clock
    this.#configs = configs
  }

  topics(): readonly MemoryTopic[] {
    return [...this.#topics.values()].map(({ topic }) => topic).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  topicByName(name: string): MemoryTopic | undefined {
    return this.#topics.get(name)?.topic
  }

  topicById(id: TopicId): MemoryTopic | undefined {
    return this.topics().find(topic => topic.id === id)
  }

  async createTopic(spec: TopicSpec): Promise<CreateOutcome> {
    this.created.push(spec)
    await this.creating
    if (this.createRefusal !== null) return this.createRefusal
    if (this.#topics.has(spec.name)) return { error: 'TOPIC_ALREADY_EXISTS', message: 'there is one' }
    return { error: 'NONE', topic: this.#put(spec.name, spec.partitions, spec.configs, {}) }
  }

  async createPartitions(id: TopicId, total: number): Promise<GrowOutcome> {
    await this.creating
    if (this.growRefusal !== null) return this.growRefusal
    const current = this.#current(id)
    if (current === undefined) return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'it is gone' }
    const { topic } = current
    const count = topic.partitions.length
    if (total <= count) return { error: 'INVALID_PARTITIONS', message: `there are ${count}` }
    const added = Array.from({ length: total - count }, (_, i) => this.#partition(current, count + i))
    current.topic = { ...topic, version: topic.version + 1, partitions: [...topic.partitions, ...added] }
    return { error: 'NONE', message: null }
  }

  async configureTopic(id: TopicId, version: number, configs: ReadonlyMap<string, string>) {
    this.beforeConfigure()
    await null
    if (this.configureRefusal !== null) return this.configureRefusal
    const current = this.#current(id)
    if (current === undefined) return 'UNKNOWN_TOPIC_ID'
    const { topic } = current
    if (topic.version !== version) return 'STALE'
    const settings = topicSettings(this.#configs, configs)
    current.topic = { ...topic, version: version + 1, configs: new Map(configs), settings }
    return 'NONE'
  }

  async logDirs(): Promise<readonly LogDir[]> {
    return this.directories
  }

  quorum(): Quorum {
    const now = this.#clock.nowMs()
    const directoryId = 'd'.repeat(32) as DiskId
    const self = { nodeId: this.nodeId, directoryId, logEndOffset: 12, lastFetchMs: now, lastCaughtUpMs: now }
    return { leaderId: this.nodeId, leaderEpoch: 3, highWatermark: 12, voters: [self], observers: [] }
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
    return this.#put(name, partitions, new Map(), settings)
  }

  #put(name: string, count: number, configs: ReadonlyMap<string, string>, settings: Partial<TopicSettings>) {
    const id = (++this.#lastId).toString(16).padStart(32, 'a') as TopicId
    const topic: MemoryTopic = {
      id,
      name,
      version: 0,
      internal: isInternalTopic(name),
      configs: new Map(configs),
      settings: { ...topicSettings(this.#configs, configs), ...settings },
      partitions: [],
    }
    const current: Current = { topic }
    const partitions = Array.from({ length: count }, (_, index) => this.#partition(current, index))
    current.topic = { ...topic, partitions }
    this.#topics.set(name, current)
    return current.topic
  }

  #partition(current: Current, index: number): MemoryPartition {
    return new MemoryPartition(current.topic.id, index, this.#clock, () => current.topic.settings)
  }

  #current(id: TopicId): Current | undefined {
    return [...this.#topics.values()].find(({ topic }) => topic.id === id)
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
  /** Where each leader epoch of the past began, the oldest first; the current one follows them. */
  epochs: { readonly epoch: number; readonly start: number }[] = []
  active: ActiveProducer[] = []
  /** What the next deletions of records come to, instead of success. */
  deleteRefusal: KafkaErrorName | null = null
  reads: ReadRequest[] = []
  acks: Acks[] = []
  /** Reads with records that were not given back. */
  lent = 0
  readonly #clock: Clock
  readonly #settings: () => TopicSettings
  readonly #listeners = new Set<() => void>()
  readonly #stored: Stored[] = []
  readonly #waiting: { readonly end: Offset; readonly resolve: () => void }[] = []
  readonly traffic = { recordsIn: 0, bytesIn: 0, bytesOut: 0 }
  #end = offset(0)
  #held = false
  #gone = false

  constructor(topicId: TopicId, index: number, clock: Clock, settings: () => TopicSettings) {
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

  get logEndOffset(): Offset {
    return this.#end
  }

  get storedBytes(): number {
    let bytes = 0
    for (const stored of this.#stored) bytes += stored.bytes.length
    return bytes
  }

  endOfEpoch(epoch: number): EpochEnd {
    const all = this.#epochs()
    const last = all.findLast(one => one.epoch <= epoch)
    const next = all.find(one => one.epoch > epoch)
    if (epoch < 0 || (next === undefined && last?.epoch !== epoch)) return { epoch: -1, endOffset: -1 }
    return { epoch: last?.epoch ?? epoch, endOffset: next?.start ?? this.#end }
  }

  epochOf(at: Offset): LeaderEpoch | -1 {
    if (at < this.logStartOffset || at > this.#end) return -1
    return (this.#epochs().findLast(one => one.start <= at)?.epoch ?? -1) as LeaderEpoch | -1
  }

  /** Those that have records, and the current one. */
  #epochs() {
    const latest = this.epochs.at(-1)
    const current = { epoch: this.leaderEpoch, start: latest === undefined ? 0 : this.#end }
    return latest?.epoch === this.leaderEpoch ? this.epochs : [...this.epochs, current]
  }

  producers(): readonly ActiveProducer[] {
    return this.active
  }

  segments(): readonly SegmentFacts[] {
    return []
  }

  async timeOf(at: Offset): Promise<number | null> {
    const found = this.#stored.find(({ header }) => header.baseOffset + header.lastOffsetDelta >= at)
    return at < this.highWatermark ? (found?.header.baseTimestamp ?? null) : null
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
    const logAppendTimeMs = this.#settings().timestampType === 'LogAppendTime' ? this.#clock.nowMs() : -1
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
    const error = this.deleteRefusal ?? (before > this.highWatermark ? 'OFFSET_OUT_OF_RANGE' : 'NONE')
    if (error === 'NONE') {
      const start = before === -1 ? this.highWatermark : before
      this.logStartOffset = offset(Math.max(start, this.logStartOffset))
      this.#notify()
    }
    return { error, logStartOffset: this.logStartOffset }
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
