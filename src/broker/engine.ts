/**
 * One node's storage engine: topics over their partitions' logs, on one disk. Opening it recovers whatever the process before
 * it left; closing it makes durable what is in flight.
 *
 *     identity → journal and checkpoints → metadata → partitions → serve
 */
import { isPassing, TidelogError } from '../base/errors.ts'
import type { Histogram } from '../base/histogram.ts'
import { type NodeId, type TopicId, topicIdText } from '../base/ids.ts'
import { InvariantViolation } from '../base/invariant.ts'
import { type CommandName, commandTables, newestFeatureLevel } from '../cluster/commands.ts'
import { loadIdentity, type NodeIdentity, newIdentity, randomId, saveIdentity } from '../cluster/identity.ts'
import type { Topic as TopicRecord } from '../cluster/metadata.ts'
import { MetadataLog } from '../cluster/metadata-log.ts'
import { oneCopy } from '../cluster/one-copy.ts'
import type { Outcome } from '../cluster/outcome.ts'
import type { RaftStatus } from '../cluster/raft-driver.ts'
import { replicationOf } from '../cluster/replication.ts'
import type { Clock, Timer } from '../io/clock.ts'
import type { Compute } from '../io/compute.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { type LogEvent, LogStore, type LogStoreSettings } from '../log/log-store.ts'
import { discardPartition, PartitionLog } from '../log/partition-log.ts'
import type { KafkaErrorName } from '../wire/kafka-errors.ts'
import { LookGate } from './look-gate.ts'
import { Partition } from './partition.ts'
import type { CreateOutcome, GrowOutcome, LogDir, Quorum, QuorumMember, Storage, Topic, TopicSpec } from './storage.ts'
import { isInternalTopic } from './topic-names.ts'
import type { TopicSettings } from './topic-settings.ts'

export interface EngineIo {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly compute: Compute
}

export interface EngineSettings {
  readonly log: LogStoreSettings
  /** How often retention and rolls by time are looked at. */
  readonly retentionCheckMs: number
  readonly producerIdExpirationMs: number
  /** A topic's settings out of its overrides. */
  readonly topicSettings: (configs: ReadonlyMap<string, string>) => TopicSettings
}

export interface EngineHooks {
  /** What a person should hear of. */
  readonly report: (event: LogEvent) => void
  /** The node must stop: the disk failed, or an invariant is broken. Nothing is acknowledged after this. */
  readonly fail: (error: TidelogError | InvariantViolation) => void
}

/** Counts are since the node's start. */
export interface EngineFigures {
  readonly journal: {
    /** Of all its files, the spare ones too. */
    readonly bytes: number
    readonly bytesMax: number
    /** Files that something still needs. */
    readonly files: number
    readonly groups: number
    readonly entries: number
    readonly writtenBytes: number
    /** How often a group had to wait for room. */
    readonly stalls: number
    readonly isStalled: boolean
    readonly syncMs: Histogram
  }
  readonly cache: {
    readonly bytes: number
    readonly bytesMax: number
    readonly unflushedBytes: number
    readonly hits: number
    readonly hitBytes: number
    readonly misses: number
    readonly missBytes: number
  }
  readonly appended: { readonly records: number; readonly bytes: number }
  readonly isDiskFull: boolean
}

const nodeIdDefault = 1 as NodeId
const producerIdBlock = 1000
/** More than any node gives out between two looks at its metadata. */
const skippedProducerIds = 1_000_000
/** When a deleted topic's files could not be removed, they are tried again after this. */
const purgeRetryMs = 1000
/** Partitions recovered side by side: their file operations overlap, and descriptors stay bounded. */
const recoveryConcurrency = 16
const mib = 1 << 20

/** Sizes for a broker process of its own. */
export function nodeLogSettings(options: {
  readonly journalBytes: number
  readonly cacheBytes: number
  readonly openFilesMax: number
  readonly acceptDataLoss: boolean
}): LogStoreSettings {
  const fileBytes = Math.min(64 * mib, Math.max(4 * mib, Math.floor(options.journalBytes / 8 / 4096) * 4096))
  return {
    journal: {
      fileBytes,
      firstFileBytes: Math.min(4 * mib, fileBytes),
      bytesMax: options.journalBytes,
      groupBytesMax: 8 * mib,
      markDelayMs: 25,
    },
    cacheBytes: options.cacheBytes,
    flush: {
      runBytes: Math.min(4 * mib, Math.floor(options.cacheBytes / 16)),
      runBytesMax: 8 * mib,
      thinBytes: 64 * 1024,
      idleMs: 2000,
    },
    openFilesMax: options.openFilesMax,
    acceptDataLoss: options.acceptDataLoss,
  }
}

export class Engine implements Storage, AsyncDisposable {
  readonly nodeId: NodeId
  readonly clusterId: string
  readonly #io: EngineIo
  readonly #settings: EngineSettings
  readonly #hooks: EngineHooks
  readonly #store: LogStore
  readonly #metadata: MetadataLog
  readonly #gate: LookGate
  readonly #topics = new Map<TopicId, OpenTopic>()
  /** Topics whose new partitions are being opened. */
  readonly #growing = new Map<TopicId, Promise<void>>()
  #sorted: readonly Topic[] | null = null
  #tickTimer: Timer | null = null
  #ticking: Promise<void> | null = null
  readonly #purges = new Set<Promise<void>>()
  readonly #purgeTimers = new Set<Timer>()
  #closing: Promise<void> | null = null
  #failed = false

  private constructor(options: {
    io: EngineIo
    settings: EngineSettings
    hooks: EngineHooks
    identity: NodeIdentity
    store: LogStore
    metadata: MetadataLog
  }) {
    this.#io = options.io
    this.#settings = options.settings
    this.#hooks = options.hooks
    this.#store = options.store
    this.#metadata = options.metadata
    this.#gate = new LookGate(options.io.clock)
    this.nodeId = options.identity.nodeId as NodeId
    this.clusterId = topicIdText(options.identity.clusterId)
  }

  /** Opens the data directory behind `io.disk`, creating what is missing, and recovers all that was acknowledged. */
  static async open(io: EngineIo, settings: EngineSettings, hooks: EngineHooks): Promise<Engine> {
    const identity = (await loadIdentity(io.disk)) ?? (await makeIdentity(io))
    // The store's hooks are called only after it is open, when the metadata is there.
    let metadata: MetadataLog | null = null
    let engine: Engine | null = null
    const fail = (error: TidelogError) => (engine === null ? hooks.fail(error) : engine.#fail(error))
    const ids = {
      clusterId: Buffer.from(identity.clusterId, 'hex'),
      diskId: Buffer.from(identity.diskId, 'hex'),
    }
    const store = await LogStore.open(io, ids, settings.log, {
      report: hooks.report,
      fail,
      saveMetadata: async () => metadata?.save(),
    })
    try {
      const found = store.raft.splice(0)
      metadata = await MetadataLog.open({ ...io, journal: store.journal, found, self: identity })
      engine = new Engine({ io, settings, hooks, identity, store, metadata })
      await engine.#register(identity)
      if (store.raftMayBeDamaged) await engine.#skipProducerIds()
      await engine.#recover()
      engine.#scheduleTick()
      return engine
    } catch (error) {
      await store.close().catch(() => {})
      throw error
    }
  }

  topics(): readonly Topic[] {
    this.#sorted ??= [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#sorted
  }

  topicByName(name: string): Topic | undefined {
    const id = this.#metadata.metadata.byName.get(name)
    return id === undefined ? undefined : this.#topics.get(id)
  }

  topicById(id: TopicId): Topic | undefined {
    return this.#topics.get(id)
  }

  async createTopic(spec: TopicSpec): Promise<CreateOutcome> {
    if (this.#closing !== null) return { error: 'KAFKA_STORAGE_ERROR', message: 'the broker is stopping' }
    const topicId = randomId(this.#io.random)
    const outcome = await this.#metadata.propose({
      do: 'createTopic',
      topicId,
      name: spec.name,
      partitions: spec.partitions,
      configs: [...spec.configs].map(([name, value]) => ({ name, value })),
      replication: replicationOf(1, spec.configs),
      placements: [{ partition: 0, count: spec.partitions, next: oneCopy(this.nodeId, this.#metadata.metadata.nodes) }],
      nowMs: this.#io.clock.nowMs(),
    })
    if (!outcome.ok) return { error: kafkaError(outcome), message: outcome.message }
    const record = this.#metadata.metadata.topics.get(topicId)
    if (record === undefined || record.isDeleting)
      return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'deleted meanwhile' }
    return { error: 'NONE', topic: await this.#openTopic(record, true) }
  }

  async createPartitions(id: TopicId, total: number): Promise<GrowOutcome> {
    if (this.#closing !== null) return { error: 'KAFKA_STORAGE_ERROR', message: 'the broker is stopping' }
    await this.#finaliseLevelOf('createPartitions')
    for (;;) {
      const record = this.#record(id)
      if (record === undefined) return topicIsGone
      const count = record.partitions.length
      if (total <= count) return { error: 'INVALID_PARTITIONS', message: `the topic has ${count} partitions` }
      const next = oneCopy(this.nodeId, this.#metadata.metadata.nodes)
      const outcome = await this.#metadata.propose({
        do: 'createPartitions',
        topicId: id,
        version: record.version,
        total,
        placements: [{ partition: count, count: total - count, next }],
        nowMs: this.#io.clock.nowMs(),
      })
      if (outcome.ok) break
      // Somebody else changed the topic meanwhile.
      if (outcome.error !== 'STALE') return { error: kafkaError(outcome), message: outcome.message }
    }
    await this.#openNewPartitions(id)
    return this.#topics.has(id) ? { error: 'NONE', message: null } : topicIsGone
  }

  async configureTopic(id: TopicId, version: number, configs: ReadonlyMap<string, string>) {
    if (this.#closing !== null) return 'KAFKA_STORAGE_ERROR'
    const record = this.#record(id)
    if (record === undefined) return 'UNKNOWN_TOPIC_ID'
    const outcome = await this.#metadata.propose({
      do: 'configureTopic',
      topicId: id,
      version,
      configs: [...configs].map(([name, value]) => ({ name, value })),
      replication: replicationOf(record.replication.replicas, configs),
    })
    this.#refresh(id)
    if (outcome.ok) return 'NONE'
    return outcome.error === 'STALE' ? 'STALE' : outcome.error === 'UNKNOWN' ? 'UNKNOWN_TOPIC_ID' : kafkaError(outcome)
  }

  async deleteTopic(id: TopicId): Promise<KafkaErrorName> {
    const outcome = await this.#metadata.propose({ do: 'deleteTopic', topicId: id })
    if (!outcome.ok) return 'UNKNOWN_TOPIC_ID'
    const topic = this.#topics.get(id)
    this.#topics.delete(id)
    this.#sorted = null
    for (const partition of topic?.partitions ?? []) partition.close()
    this.#purgeLater(
      id,
      topic?.partitions.map(partition => partition.log) ?? [],
      topic?.settings.fileDeleteDelayMs ?? 0,
    )
    return 'NONE'
  }

  async allocateProducerIds(count = producerIdBlock): Promise<{ readonly first: number; readonly count: number }> {
    const outcome = await this.#metadata.propose({ do: 'allocateProducerIds', nodeId: this.nodeId, count })
    if (!outcome.ok) throw new TidelogError('REFUSED', outcome.message)
    return { first: outcome.value, count }
  }

  /**
   * Takes all idempotent producers for ones never seen: their sequences are of a later time than what is stored, where an older
   * state of the disk was put back behind them.
   */
  forgetProducers(): void {
    for (const { partitions } of this.#topics.values()) {
      for (const { log } of partitions) log.producers.expire(Number.POSITIVE_INFINITY)
    }
  }

  /** Ends the open segment of a partition where it is, as when it has grown large; an empty one stays. */
  async seal(id: TopicId, index: number): Promise<void> {
    await this.#topics.get(id)?.partitions[index]?.seal()
  }

  async logDirs(): Promise<readonly LogDir[]> {
    const { path, totalBytes, freeBytes } = await this.#io.disk.space()
    return [{ path, totalBytes, usableBytes: freeBytes }]
  }

  /** How far the metadata's Raft is, as this node knows it. */
  get raft(): RaftStatus {
    return this.#metadata.raft
  }

  /** A group of one: its only voter leads it and has all of its log. */
  quorum(): Quorum {
    const { term, leader, commit, last, membership } = this.#metadata.raft
    const now = this.#io.clock.nowMs()
    const members = (role: 'voter' | 'learner'): QuorumMember[] =>
      membership
        .filter(seat => seat.role === role)
        .map(({ nodeId, diskId }) => {
          const isSelf = nodeId === this.nodeId
          const at = isSelf ? { logEndOffset: last as number, lastFetchMs: now } : { logEndOffset: -1, lastFetchMs: -1 }
          return { nodeId, directoryId: diskId, ...at, lastCaughtUpMs: at.lastFetchMs }
        })
    return {
      leaderId: leader ?? (-1 as NodeId),
      leaderEpoch: term,
      highWatermark: commit,
      voters: members('voter'),
      observers: members('learner'),
    }
  }

  /** What the journal, the cache and the disk are at, for people. Nothing is read for it. */
  figures(): EngineFigures {
    const { journal, files, cache, reads, appended } = this.#store
    const { groups, entries, bytes, stalls, syncMs } = journal.stats
    return {
      journal: {
        bytes: files.bytes,
        bytesMax: this.#settings.log.journal.bytesMax,
        files: files.live.length,
        groups,
        entries,
        writtenBytes: bytes,
        stalls,
        isStalled: journal.stalled,
        syncMs,
      },
      cache: { bytes: cache.bytes, bytesMax: cache.bytesMax, unflushedBytes: cache.unflushedBytes, ...reads },
      appended,
      isDiskFull: this.#store.isDiskFull,
    }
  }

  /** Makes durable what is in flight and closes the files. Requests must have been stopped before. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Nothing is waited for before the log is closed: on a full disk it may never come. */
  async #close(): Promise<void> {
    this.#tickTimer?.cancel()
    for (const timer of this.#purgeTimers) timer.cancel()
    this.#metadata.close()
    this.#gate.close()
    for (const topic of this.#topics.values()) for (const partition of topic.partitions) partition.close()
    await this.#store.close()
    this.#metadata.abandon()
    await this.#ticking
    await Promise.allSettled(this.#purges)
  }

  /** Each start is a new incarnation; the metadata refuses an old copy of the directory. */
  async #register(identity: NodeIdentity): Promise<void> {
    const incarnation = Math.max(identity.confirmed, identity.attempted) + 1
    const recorded = this.#metadata.metadata.nodes.get(this.nodeId)?.incarnation ?? 0
    // The start before may have ended after its registration and before it was noted. It is noted now, before a further
    // attempt takes its place: else two starts cut off like that would lock the node out.
    const confirmed = recorded === identity.attempted ? identity.attempted : identity.confirmed
    const attempting = await saveIdentity(this.#io.disk, { ...identity, confirmed, attempted: incarnation })
    const outcome = await this.#metadata.propose({
      do: 'registerNode',
      nodeId: identity.nodeId,
      diskId: identity.diskId,
      confirmed,
      attempted: identity.attempted,
      incarnation,
      featureLevel: newestFeatureLevel,
    })
    if (!outcome.ok) throw new TidelogError('REFUSED', outcome.message)
    await saveIdentity(this.#io.disk, { ...attempting, confirmed: incarnation })
  }

  /**
   * A lost piece of the journal may have held the newest changes of the metadata. Ids that were given out must not be given
   * out again: two producers with one id would take each other's batches for retries.
   */
  async #skipProducerIds(): Promise<void> {
    this.#hooks.report({
      event: 'damage',
      what: 'the newest changes of topics and producer ids may be among what is lost',
    })
    await this.#metadata.propose({ do: 'allocateProducerIds', nodeId: this.nodeId, count: skippedProducerIds })
  }

  /**
   * A node by itself raises the feature level when it first needs what came with it; until then the program before this one
   * can still be gone back to.
   */
  async #finaliseLevelOf(name: CommandName): Promise<void> {
    const { level } = commandTables[name]
    if (this.#metadata.metadata.featureLevel >= level) return
    const outcome = await this.#metadata.propose({ do: 'setFeatureLevel', level })
    if (!outcome.ok && outcome.error !== 'STALE') throw new TidelogError('REFUSED', outcome.message)
  }

  async #recover(): Promise<void> {
    const { metadata } = this.#metadata
    const records = [...metadata.topics.values()]
    for (const record of records) if (record.isDeleting) await this.#discard(record)
    for (const record of records) if (!record.isDeleting) await this.#openTopic(record)
    for (const id of this.#store.untaken()) {
      if (id >= metadata.nextSegmentId) {
        throw new TidelogError(
          'CORRUPT',
          `the journal has records of segment ${id}, which the metadata does not know; restore the data directory from a backup`,
        )
      }
    }
    this.#store.endRecovery()
  }

  /** A topic whose deletion the process before this one did not finish. */
  async #discard(record: TopicRecord): Promise<void> {
    for (const [index, partition] of record.partitions.entries()) {
      await discardPartition(this.#store, record.id, index, partition.chain)
    }
    await this.#metadata.propose({ do: 'purgeTopic', topicId: record.id })
  }

  /** `isNew`: just created, so that there is nothing on disk to look for. */
  async #openTopic(record: TopicRecord, isNew = false): Promise<Topic> {
    const current = { settings: this.#settings.topicSettings(record.configs) }
    const partitions = await this.#openPartitions(record, 0, current, isNew)
    this.#topics.set(record.id, openTopic(record, current, partitions))
    // Its configs may have been changed while its partitions were opened.
    this.#refresh(record.id)
    return this.#topics.get(record.id) as OpenTopic
  }

  /** Opens what the metadata has of a topic and this node does not yet. Several that grow it one after the other come in turn. */
  async #openNewPartitions(id: TopicId): Promise<void> {
    const before = this.#growing.get(id)
    const growing = Promise.resolve(before?.catch(() => {})).then(() => this.#openBehind(id))
    this.#growing.set(id, growing)
    try {
      await growing
    } finally {
      if (this.#growing.get(id) === growing) this.#growing.delete(id)
    }
  }

  async #openBehind(id: TopicId): Promise<void> {
    const topic = this.#topics.get(id)
    const record = this.#record(id)
    if (topic === undefined || record === undefined) return
    const opened = await this.#openPartitions(record, topic.partitions.length, topic.current, true)
    const now = this.#topics.get(id)
    if (now === undefined || this.#closing !== null) {
      // Deleted meanwhile. They have no files yet, and nobody has seen them.
      for (const partition of opened) {
        partition.close()
        this.#store.unregister(partition.log)
      }
      return
    }
    this.#topics.set(id, { ...now, partitions: [...now.partitions, ...opened] })
    this.#refresh(id)
  }

  /** Takes over what the metadata says of an open topic's configs; they are in effect from here on. */
  #refresh(id: TopicId): void {
    const topic = this.#topics.get(id)
    const record = this.#record(id)
    if (topic === undefined || record === undefined) return
    const isChanged = topic.configs !== record.configs
    if (isChanged) topic.current.settings = this.#settings.topicSettings(record.configs)
    this.#topics.set(id, openTopic(record, topic.current, topic.partitions))
    this.#sorted = null
    if (isChanged) for (const partition of topic.partitions) partition.settingsChanged()
  }

  /** A topic that is not deleted. */
  #record(id: TopicId): TopicRecord | undefined {
    const record = this.#metadata.metadata.topics.get(id)
    return record?.isDeleting === false ? record : undefined
  }

  async #openPartitions(
    record: TopicRecord,
    start: number,
    current: CurrentSettings,
    isNew: boolean,
  ): Promise<Partition[]> {
    const partitions: Partition[] = []
    for (let from = start; from < record.partitions.length; from += recoveryConcurrency) {
      const some = record.partitions.slice(from, from + recoveryConcurrency)
      const logs = await Promise.all(some.map((_, i) => this.#openLog(record, from + i, current, isNew)))
      partitions.push(...logs.map(log => this.#openPartition(log, current)))
    }
    return partitions
  }

  async #openLog(record: TopicRecord, index: number, current: CurrentSettings, isNew: boolean): Promise<OpenLog> {
    const partition = record.partitions[index] as TopicRecord['partitions'][number]
    const advanced: { current: () => void } = { current: () => {} }
    const log = await PartitionLog.recover(
      {
        store: this.#store,
        topicId: record.id,
        index,
        indexIntervalBytes: () => current.settings.indexIntervalBytes,
        isRelaxed: () => current.settings.flush === 'relaxed',
        onAdvance: () => advanced.current(),
        isNew,
      },
      partition.chain,
      partition.logStartOffset,
    )
    log.producers.expire(this.#io.clock.nowMs() - this.#settings.producerIdExpirationMs)
    return { log, advanced }
  }

  #openPartition({ log, advanced }: OpenLog, current: CurrentSettings): Partition {
    const partition = new Partition(log, {
      clock: this.#io.clock,
      compute: this.#io.compute,
      gate: this.#gate,
      metadata: this.#metadata,
      nodeId: this.nodeId,
      settings: () => current.settings,
      fail: error => this.#fail(error),
    })
    advanced.current = () => partition.advanced()
    partition.resumeDeletion()
    return partition
  }

  /** Removes a deleted topic's files after a delay, then forgets the topic. */
  #purgeLater(id: TopicId, logs: readonly PartitionLog[], delayMs: number): void {
    const purge = async () => {
      for (const log of logs) await log.remove()
      await this.#metadata.propose({ do: 'purgeTopic', topicId: id })
    }
    const timer = this.#io.clock.setTimer(delayMs, () => {
      this.#purgeTimers.delete(timer)
      const running = purge().catch(error => {
        if (!isPassing(error)) this.#fail(error)
        else if (this.#closing === null) this.#purgeLater(id, logs, purgeRetryMs)
      })
      this.#purges.add(running)
      void running.finally(() => this.#purges.delete(running))
    })
    this.#purgeTimers.add(timer)
  }

  #scheduleTick(): void {
    this.#tickTimer = this.#io.clock.setTimer(this.#settings.retentionCheckMs, () => {
      this.#ticking = this.#tick()
        .catch(error => this.#fail(error))
        .finally(() => {
          this.#ticking = null
          if (this.#closing === null) this.#scheduleTick()
        })
    })
  }

  async #tick(): Promise<void> {
    const expireBefore = this.#io.clock.nowMs() - this.#settings.producerIdExpirationMs
    for (const topic of [...this.#topics.values()]) {
      for (const partition of topic.partitions) {
        if (this.#closing !== null) return
        partition.log.producers.expire(expireBefore)
        await partition.tick()
      }
    }
  }

  #fail(error: unknown): void {
    // What was under way when the node was told to stop ends like this.
    if (error instanceof TidelogError && error.code === 'CLOSED' && this.#closing !== null) return
    if (this.#failed) return
    this.#failed = true
    const isKnown = error instanceof TidelogError || error instanceof InvariantViolation
    this.#hooks.fail(isKnown ? error : new TidelogError('DISK_FAILED', 'the storage engine failed', error))
  }
}

interface OpenTopic extends Topic {
  readonly partitions: readonly Partition[]
  /** What its partitions go by; changed in place, so that they see it at once. */
  readonly current: CurrentSettings
}

interface CurrentSettings {
  settings: TopicSettings
}

function openTopic(
  { id, name, version, configs }: TopicRecord,
  current: CurrentSettings,
  partitions: readonly Partition[],
): OpenTopic {
  const internal = isInternalTopic(name)
  return { id, name, version, internal, configs, settings: current.settings, partitions, current }
}

const topicIsGone: GrowOutcome = { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'the topic is gone' }

interface OpenLog {
  readonly log: PartitionLog
  /** Whom the log tells that its high watermark has risen. */
  readonly advanced: { current: () => void }
}

async function makeIdentity(io: EngineIo): Promise<NodeIdentity> {
  return saveIdentity(io.disk, newIdentity(io.random, nodeIdDefault))
}

function kafkaError(outcome: Extract<Outcome, { ok: false }>): Exclude<KafkaErrorName, 'NONE'> {
  switch (outcome.error) {
    case 'EXISTS':
      return 'TOPIC_ALREADY_EXISTS'
    case 'UNKNOWN':
      return 'UNKNOWN_TOPIC_OR_PARTITION'
    default:
      return 'INVALID_REQUEST'
  }
}
