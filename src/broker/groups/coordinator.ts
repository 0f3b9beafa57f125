/**
 * The coordinator of all groups: finds the partition of `__consumer_offsets` that a group belongs to, makes that topic when
 * it is first needed, and answers for groups when their partition is loaded.
 *
 * Everything resolves: with an answer, or after a bounded wait with an error that clients take for a reason to try again. A
 * rejection is a broken invariant or a broken disk, and the process must stop.
 */
import { TidelogError } from '../../base/errors.ts'
import type { TopicId } from '../../base/ids.ts'
import { noTopicId } from '../../base/ids.ts'
import type { Clock, Timer } from '../../io/clock.ts'
import type { Random } from '../../io/random.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import type { BrokerConfigs } from '../configs.ts'
import { within } from '../deadline.ts'
import type { Storage, Topic } from '../storage.ts'
import { stepGroup } from './group.ts'
import type { DeleteAnswer, GroupAnswer, GroupEvent } from './group-events.ts'
import { describe, type FirstOffsets, fetchOffsets, firstOffsets, listed } from './group-queries.ts'
import { type Group, type GroupSettings, groupDefaults, newGroup } from './group-state.ts'
import { OffsetsLog } from './offsets-log.ts'
import { type Happening, Part } from './part.ts'
import type {
  CommitAnswer,
  CommitRequest,
  DeleteOffsetsAnswer,
  DescribedGroup,
  FetchOffsetsAnswer,
  FetchOffsetsRequest,
  HeartbeatAnswer,
  HeartbeatRequest,
  JoinAnswer,
  JoinRequest,
  LeaveAnswer,
  LeaveRequest,
  ListedGroup,
  SyncAnswer,
  SyncRequest,
  TopicPartition,
} from './requests.ts'

export const offsetsTopicName = '__consumer_offsets'

export interface CoordinatorParts {
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
  readonly configs: BrokerConfigs
  /** What a person should hear of: something in the log of groups is lost or odd. */
  readonly onReport?: (what: string) => void
  /** An invariant is broken, or the disk: the process must stop. */
  readonly onFatal?: (error: unknown) => void
  /** Other than the defaults, for tests and the simulator. */
  readonly bounds?: Partial<CoordinatorBounds>
}

export interface CoordinatorBounds {
  /** A partition of the topic is never rewritten while its log is shorter. */
  readonly rewriteBytesMin: number
  /** It is rewritten in batches of about this size, and other writes come between them. */
  readonly rewriteBatchBytes: number
  /** How long a request waits for its partition to be loaded. */
  readonly loadWaitMs: number
  /** Requests that wait at a time, for a partition or for their answer; beyond that they are sent away. */
  readonly waitingMax: number
  /** Groups of which nothing is durable; beyond that no new one begins. */
  readonly fleetingMax: number
  /** What members of all groups may hold in memory; beyond that nobody joins. */
  readonly memberBytesMax: number
  /** The topic's `segment.bytes`, where it is not `offsets.topic.segment.bytes`. */
  readonly segmentBytes: number | null
}

const boundsDefault: CoordinatorBounds = {
  rewriteBytesMin: 1 << 20,
  rewriteBatchBytes: 256 * 1024,
  loadWaitMs: 5000,
  waitingMax: 100_000,
  fleetingMax: 100_000,
  memberBytesMax: 256 << 20,
  segmentBytes: null,
}

/** Partitions that are read side by side. */
const loadConcurrency = 4

interface OffsetsTopic {
  readonly id: TopicId
  readonly parts: readonly Part[]
  /** Of each part: resolves when it is loaded, or not wanted any more. */
  readonly loading: readonly PromiseWithResolvers<'settled'>[]
}

interface Waiting {
  readonly resolve: (answer: GroupAnswer) => void
  readonly reject: (error: unknown) => void
}

type Refusal = Exclude<KafkaErrorName, 'NONE'>

export class GroupCoordinator implements AsyncDisposable {
  readonly #parts: CoordinatorParts
  readonly #settings: GroupSettings
  readonly #bounds: CoordinatorBounds
  readonly #waiting = new Map<number, Waiting>()
  #waitingForLoad = 0
  #requests = 0
  #topic: OffsetsTopic | null = null
  #making: Promise<OffsetsTopic | 'COORDINATOR_NOT_AVAILABLE'> | null = null
  #expiryTimer: Timer | null = null
  #closing: Promise<void> | null = null
  #broken: { readonly by: unknown } | null = null

  /** Begins to load what there is. */
  constructor(parts: CoordinatorParts) {
    this.#parts = parts
    this.#settings = groupSettings(parts.configs)
    this.#bounds = { ...boundsDefault, ...parts.bounds }
    const topic = parts.storage.topicByName(offsetsTopicName)
    if (topic !== undefined) this.#open(topic)
  }

  /** Whether this node coordinates the group, and is ready to. */
  async find(groupId: string): Promise<KafkaErrorName> {
    const part = await this.#part(groupId, true)
    return typeof part === 'string' ? 'COORDINATOR_NOT_AVAILABLE' : 'NONE'
  }

  async join(request: JoinRequest): Promise<JoinAnswer> {
    const { groupId, memberId } = request
    // The member outlives the request, whose bytes are views of what came over the connection.
    const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
    const part = await this.#part(groupId, true)
    if (typeof part === 'string') return refusedJoin(memberId, part)
    const bytes = protocols.reduce((sum, { metadata }) => sum + metadata.length, 0)
    if (this.#isCrowded(part, groupId) || this.#memberBytes() + bytes > this.#bounds.memberBytesMax) {
      return refusedJoin(memberId, 'COORDINATOR_NOT_AVAILABLE')
    }
    const uuid = this.#uuid()
    const answer = this.#ask(part, groupId, number => ({
      do: 'join',
      request: number,
      join: { ...request, protocols },
      uuid,
    }))
    return (await answer) as JoinAnswer
  }

  async sync(request: SyncRequest): Promise<SyncAnswer> {
    const assignments = request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: Buffer.from(assignment),
    }))
    const part = await this.#part(request.groupId, false)
    if (typeof part === 'string') return { error: part, protocolType: null, protocol: null, assignment: noBytes }
    const sync = { ...request, assignments }
    return (await this.#ask(part, request.groupId, number => ({ do: 'sync', request: number, sync }))) as SyncAnswer
  }

  /** While its partition is being loaded a member is left in peace, as by Kafka. */
  async heartbeat(request: HeartbeatRequest): Promise<HeartbeatAnswer> {
    const part = await this.#part(request.groupId, false)
    if (typeof part === 'string') return { error: part === 'COORDINATOR_LOAD_IN_PROGRESS' ? 'NONE' : part }
    const ask = (number: number): Happening => ({ do: 'heartbeat', request: number, heartbeat: request })
    return (await this.#ask(part, request.groupId, ask)) as HeartbeatAnswer
  }

  async leave(request: LeaveRequest): Promise<LeaveAnswer> {
    const part = await this.#part(request.groupId, false)
    if (typeof part === 'string') return { error: part, members: [] }
    const ask = (number: number): Happening => ({ do: 'leave', request: number, leave: request })
    return (await this.#ask(part, request.groupId, ask)) as LeaveAnswer
  }

  /** Answered when the offsets are durable. */
  async commit(request: CommitRequest): Promise<CommitAnswer> {
    const { groupId } = request
    const part = await this.#part(groupId, true)
    if (typeof part === 'string') return refusedCommit(request, part)
    if (this.#isCrowded(part, groupId)) return refusedCommit(request, 'COORDINATOR_NOT_AVAILABLE')
    // A topic that went while the part was waited for was told of before the commit: what came now would stay for ever.
    const isThere = request.offsets.map(({ topic, topicId }) => !this.#isTopicGone(topic, topicId))
    const commit = { ...request, offsets: request.offsets.filter((_, i) => isThere[i]) }
    const ask = (number: number): Happening => ({ do: 'commit', request: number, commit })
    const { errors } = (await this.#ask(part, groupId, ask)) as CommitAnswer
    const outcomes = errors.values()
    return { errors: isThere.map(there => (there ? outcomes.next().value! : 'UNKNOWN_TOPIC_OR_PARTITION')) }
  }

  /** Only what is durable is told. */
  async fetchOffsets({ groupId, partitions }: FetchOffsetsRequest): Promise<FetchOffsetsAnswer> {
    const part = await this.#part(groupId, false)
    if (typeof part === 'string') return { error: part, partitions: [] }
    return fetchOffsets(this.#look(part, groupId), partitions, (...topic) => this.#isTopicGone(...topic))
  }

  /** The first of a group's offsets of some topics, for people; durable ones only. */
  async firstOffsets(
    groupId: string,
    isWanted: (topic: string) => boolean,
    max: number,
  ): Promise<FirstOffsets | Refusal> {
    const part = await this.#part(groupId, false)
    return typeof part === 'string' ? part : firstOffsets(this.#look(part, groupId), isWanted, max)
  }

  async describe(groupId: string): Promise<DescribedGroup> {
    const part = await this.#part(groupId, false)
    if (typeof part === 'string') {
      return { error: part, message: null, groupId, state: 'Dead', protocolType: '', protocol: '', members: [] }
    }
    return describe(this.#look(part, groupId))
  }

  /** All groups that can be told of; with an error when some are not loaded yet. */
  async list(): Promise<{ readonly error: KafkaErrorName; readonly groups: readonly ListedGroup[] }> {
    if (this.#closing !== null) return { error: 'COORDINATOR_NOT_AVAILABLE', groups: [] }
    const topic = this.#topic
    if (topic === null) return { error: 'NONE', groups: [] }
    await this.#untilLoaded(Promise.all(topic.loading.map(({ promise }) => promise)).then(() => 'settled'))
    const groups = topic.parts.flatMap(part => (part.isLoaded ? [...part.groups()].map(listed) : []))
    const error = topic.parts.every(part => part.isLoaded) ? 'NONE' : 'COORDINATOR_LOAD_IN_PROGRESS'
    return { error, groups: groups.filter(group => group !== null) }
  }

  async deleteGroup(groupId: string): Promise<KafkaErrorName> {
    const part = await this.#part(groupId, false)
    if (typeof part === 'string') return part
    const answer = await this.#ask(part, groupId, number => ({ do: 'delete', request: number }))
    return (answer as DeleteAnswer).error
  }

  async deleteOffsets(groupId: string, partitions: readonly TopicPartition[]): Promise<DeleteOffsetsAnswer> {
    const part = await this.#part(groupId, false)
    if (typeof part === 'string') return { error: part, partitions: [] }
    const answer = this.#ask(part, groupId, number => ({ do: 'deleteOffsets', request: number, partitions }))
    return (await answer) as DeleteOffsetsAnswer
  }

  /** A topic is gone: so are the offsets that were committed of it. What is not loaded yet finds out by itself. */
  topicDeleted(topic: string, topicId: TopicId): void {
    for (const part of this.#topic?.parts ?? []) if (part.isLoaded) part.topicDeleted(topic, topicId)
  }

  /** Answers all that waits; what is being written is waited for, as far as the log answers. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#expiryTimer?.cancel()
    const { parts = [], loading = [] } = this.#topic ?? {}
    for (const { resolve } of loading) resolve('settled')
    await Promise.all(parts.map(part => part.close('COORDINATOR_NOT_AVAILABLE')))
    // None is left unless something is broken.
    for (const { reject } of this.#waiting.values()) reject(this.#broken?.by)
    this.#waiting.clear()
  }

  /** The loaded part that a group belongs to; null where there is no topic and none is to be made. */
  async #part(groupId: string, makesTopic: boolean): Promise<Part | null | Refusal> {
    this.#assertSound()
    if (this.#closing !== null || this.#waiting.size >= this.#bounds.waitingMax) return 'COORDINATOR_NOT_AVAILABLE'
    if (this.#topic === null && !makesTopic) return null
    const topic = this.#topic ?? (await within(this.#parts.clock, this.#bounds.loadWaitMs, this.#make()))
    if (topic === null || topic === 'COORDINATOR_NOT_AVAILABLE') return 'COORDINATOR_NOT_AVAILABLE'
    const index = partitionFor(groupId, topic.parts.length)
    const part = topic.parts[index] as Part
    if (!part.isLoaded) await this.#untilLoaded(topic.loading[index]?.promise)
    this.#assertSound()
    if (this.#closing !== null) return 'COORDINATOR_NOT_AVAILABLE'
    return part.isLoaded ? part : 'COORDINATOR_LOAD_IN_PROGRESS'
  }

  async #untilLoaded(loading: Promise<string> | undefined): Promise<void> {
    if (loading === undefined || this.#waitingForLoad >= this.#bounds.waitingMax) return
    this.#waitingForLoad++
    try {
      await within(this.#parts.clock, this.#bounds.loadWaitMs, loading)
    } finally {
      this.#waitingForLoad--
    }
  }

  /** Two who need the topic at once meet here. */
  #make(): Promise<OffsetsTopic | 'COORDINATOR_NOT_AVAILABLE'> {
    this.#making ??= this.#makeTopic().finally(() => {
      this.#making = null
    })
    return this.#making
  }

  async #makeTopic(): Promise<OffsetsTopic | 'COORDINATOR_NOT_AVAILABLE'> {
    const { storage, configs } = this.#parts
    const { offsetsTopicPartitions, offsetsTopicSegmentBytes } = configs.settings
    const outcome = await storage.createTopic({
      name: offsetsTopicName,
      partitions: offsetsTopicPartitions,
      // There is one node; it cannot have more than one copy.
      replicationFactor: Math.min(configs.settings.offsetsTopicReplicationFactor, 1),
      // Nothing expires by age: what does not hold any more is left behind by rewriting (`offsets-log.ts`).
      configs: new Map([
        ['cleanup.policy', 'compact'],
        ['compression.type', 'producer'],
        ['segment.bytes', String(this.#bounds.segmentBytes ?? offsetsTopicSegmentBytes)],
      ]),
    })
    const topic = outcome.error === 'NONE' ? outcome.topic : storage.topicByName(offsetsTopicName)
    if (topic === undefined || this.#closing !== null) return 'COORDINATOR_NOT_AVAILABLE'
    return this.#topic ?? this.#open(topic)
  }

  #open(topic: Topic): OffsetsTopic {
    const parts = topic.partitions.map((_, index) => this.#newPart(topic, index))
    const loading = parts.map(() => Promise.withResolvers<'settled'>())
    const opened = { id: topic.id, parts, loading }
    this.#topic = opened
    const left = parts.entries()
    const loadNext = async () => {
      for (const [index, part] of left) {
        await part.load()
        loading[index]?.resolve('settled')
      }
    }
    this.#scheduleExpiry()
    for (let i = 0; i < loadConcurrency; i++) loadNext().catch(error => this.#fail(error))
    return opened
  }

  #newPart(topic: Topic, index: number): Part {
    const { storage, clock, onReport = () => {} } = this.#parts
    const fail = (error: unknown) => this.#fail(error)
    return new Part({
      clock,
      settings: this.#settings,
      log: live =>
        new OffsetsLog({
          name: `${offsetsTopicName}-${index}`,
          store: topic.partitions[index] as Topic['partitions'][number],
          clock,
          batchBytesMax: () => storage.topicById(topic.id)?.settings.maxMessageBytes ?? topic.settings.maxMessageBytes,
          rewriteBytesMin: this.#bounds.rewriteBytesMin,
          rewriteBatchBytes: this.#bounds.rewriteBatchBytes,
          live,
          report: onReport,
          fail,
        }),
      isTopicGone: (name, topicId) => this.#isTopicGone(name, topicId),
      answer: (request, answer) => this.#answer(request, answer),
      fail,
    })
  }

  #isTopicGone(name: string, topicId: TopicId): boolean {
    const found = this.#parts.storage.topicByName(name)
    return found === undefined || (topicId !== noTopicId && found.id !== topicId)
  }

  /** A new group is not begun where there are too many that could not be found again. */
  #isCrowded(part: Part | null, groupId: string): boolean {
    if (part === null || part.has(groupId)) return false
    const fleeting = this.#topic?.parts.reduce((sum, each) => sum + each.fleeting, 0) ?? 0
    return fleeting >= this.#bounds.fleetingMax
  }

  #memberBytes(): number {
    return this.#topic?.parts.reduce((sum, part) => sum + part.memberBytes, 0) ?? 0
  }

  /** Null: there is no group at all, and the question goes to one that does not exist. */
  #ask(part: Part | null, groupId: string, ask: (request: number) => Happening): Promise<GroupAnswer> {
    const request = ++this.#requests
    const { promise, resolve, reject } = Promise.withResolvers<GroupAnswer>()
    this.#waiting.set(request, { resolve, reject })
    try {
      if (part === null) this.#askNobody(groupId, ask(request))
      else part.tell(groupId, ask(request))
    } catch (error) {
      this.#fail(error)
    }
    return promise
  }

  #askNobody(groupId: string, happening: Happening): void {
    const { clock } = this.#parts
    const at = { monotonicMs: clock.monotonicMs(), nowMs: clock.nowMs() }
    for (const effect of stepGroup(this.#noGroup(groupId), { at, ...happening } as GroupEvent)) {
      if (effect.do === 'answer') this.#answer(effect.request, effect.answer)
    }
  }

  #look(part: Part | null, groupId: string): Group {
    return part === null ? this.#noGroup(groupId) : part.look(groupId)
  }

  #noGroup(groupId: string): Group {
    return newGroup(groupId, this.#settings, this.#parts.clock.nowMs())
  }

  #answer(request: number, answer: GroupAnswer): void {
    const waiting = this.#waiting.get(request)
    this.#waiting.delete(request)
    waiting?.resolve(answer)
  }

  #scheduleExpiry(): void {
    const { clock, configs } = this.#parts
    this.#expiryTimer = clock.setTimer(configs.settings.offsetsRetentionCheckIntervalMs, () => {
      try {
        for (const part of this.#topic?.parts ?? []) if (part.isLoaded) part.expire()
      } catch (error) {
        this.#fail(error)
      }
      if (this.#closing === null) this.#scheduleExpiry()
    })
  }

  /** Nobody is answered any more as if nothing had happened. */
  #fail(error: unknown): void {
    if (this.#broken !== null) return
    this.#broken = { by: error }
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    // The storage was closed first: no more than the end of this process.
    if (error instanceof TidelogError && error.code === 'CLOSED') return
    this.#parts.onFatal?.(error)
  }

  #assertSound(): void {
    if (this.#broken !== null) throw this.#broken.by
  }

  #uuid(): string {
    const bytes = this.#parts.random.bytes(16)
    bytes.writeUInt8(((bytes[6] ?? 0) & 0x0f) | 0x40, 6)
    bytes.writeUInt8(((bytes[8] ?? 0) & 0x3f) | 0x80, 8)
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  }
}

/** Which partition of the topic a group belongs to: Kafka's rule, by the hash that Java gives a string. */
export function partitionFor(groupId: string, partitions: number): number {
  let hash = 0
  for (let i = 0; i < groupId.length; i++) hash = (Math.imul(31, hash) + groupId.charCodeAt(i)) | 0
  return (hash === intMin ? 0 : Math.abs(hash)) % partitions
}

/** It has no positive counterpart; Kafka takes 0 for it. */
const intMin = -(2 ** 31)
const noBytes = Buffer.alloc(0)

function groupSettings({ settings }: BrokerConfigs): GroupSettings {
  return {
    ...groupDefaults,
    sessionMinMs: settings.groupMinSessionTimeoutMs,
    sessionMaxMs: settings.groupMaxSessionTimeoutMs,
    membersMax: settings.groupSizeMax,
    initialRebalanceDelayMs: settings.groupInitialRebalanceDelayMs,
    offsetsRetentionMs: settings.offsetsRetentionMs,
    offsetMetadataMax: settings.offsetMetadataBytesMax,
  }
}

function refusedJoin(memberId: string, error: Refusal): JoinAnswer {
  const nothing = { protocolType: null, protocol: null, leader: '', skipAssignment: false, members: [] }
  return { error, generation: -1, memberId, ...nothing }
}

function refusedCommit({ offsets }: CommitRequest, error: Refusal): CommitAnswer {
  return { errors: offsets.map(() => error) }
}
