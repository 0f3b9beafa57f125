/**
 * What doors other than Kafka's ask of the broker: the text protocol, HTTP, a program that has the broker inside. One place,
 * over the same parts and rules as the handlers of Kafka's requests, so that no door knows more or may more than another.
 *
 * Outcomes are values: NONE, or Kafka's own name of what went wrong with a sentence. A rejection is a broken invariant or a
 * broken disk: the process stops.
 */
import { TidelogError } from '../base/errors.ts'
import type { Offset, TopicId } from '../base/ids.ts'
import { partitionOfKey } from '../base/murmur2.ts'
import { ropeOf } from '../base/rope.ts'
import type { Compute } from '../io/compute.ts'
import { apis } from '../wire/api-keys.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { type KafkaErrorName, kafkaErrorName } from '../wire/kafka-errors.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../wire/messages/create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../wire/messages/delete-topics.ts'
import type { KafkaRecord } from '../wire/records.ts'
import { type AccessRule, accessRules, clusterResource, topicRules } from './access.ts'
import { appendBatch, refuseTopic, rulesOf, timedOutAppend } from './append.ts'
import type { BrokerParts, RequestContext } from './context.ts'
import { within } from './deadline.ts'
import { decodeRecords } from './decode-records.ts'
import { isFatal } from './faults.ts'
import { type Found, readInOrder } from './fetch-read.ts'
import { createTopics } from './handlers/create-topics.ts'
import { deleteTopics } from './handlers/delete-topics.ts'
import { findPartition, findTopic } from './partitions.ts'
import type { PartitionStore, Topic } from './storage.ts'

export interface DoorParts extends BrokerParts {
  readonly compute: Compute
  /** Told of what went wrong in a request; the caller gets UNKNOWN_SERVER_ERROR. */
  readonly onFault: (error: unknown, what: string) => void
  readonly onFatal: (error: unknown) => void
}

export interface Refused {
  readonly error: Exclude<KafkaErrorName, 'NONE'>
  readonly message: string
}

export type Done<T = unknown> = ({ readonly error: 'NONE' } & T) | Refused

export interface NewTopic {
  /** The broker's default when left out, as with the configs. */
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

export interface NewRecord {
  readonly key?: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly (readonly [key: string, value: Buffer | null])[]
  /** Now when left out. */
  readonly timestampMs?: number
}

export interface Produced {
  readonly partition: number
  /** Of the first record; the others follow without a gap. */
  readonly baseOffset: Offset
  /** The time that the topic gave the records; -1 when it keeps theirs. */
  readonly logAppendTimeMs: number
}

export interface ReadAsk {
  readonly topic: string
  readonly partition: number
  readonly from: Offset
  /** Of batches as they are stored; at least one comes back, however large. 1 MiB when left out. */
  readonly bytesMax?: number
  readonly recordsMax?: number
  /** How long to wait when there is nothing yet. 0 when left out. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export interface ReadRecords {
  readonly records: readonly KafkaRecord[]
  /** Where the next read goes on: behind the last record, or further where there are none. */
  readonly next: Offset
  readonly highWatermark: Offset
  readonly logStartOffset: Offset
}

/** CORRUPT_MESSAGE says where reading can go on behind what cannot be read; null where nobody knows. */
export type ReadDone = ({ readonly error: 'NONE' } & ReadRecords) | (Refused & { readonly next: Offset | null })

/** How long an append may take; it may be durable later all the same. */
const produceWaitMs = 30_000
const adminWaitMs = 30_000
const bytesMaxDefault = 1 << 20
/** Topics whose turn is remembered; beyond that turns begin anew. */
const turnsMax = 10_000
const nothingChanged: ReadonlySet<number> = new Set()
const never = new AbortController().signal

export class Door {
  readonly #parts: DoorParts
  readonly #principal: string
  /** Of each topic, the partition that got the last records without a key. */
  readonly #turns = new Map<TopicId, number>()

  constructor(parts: DoorParts, principal: string) {
    this.#parts = parts
    this.#principal = principal
  }

  /** The topic takes requests when this resolves. */
  createTopic(
    name: string,
    { partitions = -1, configs = {} }: NewTopic = {},
  ): Promise<Done<{ readonly topic: Topic }>> {
    return this.#attempt('createTopic', async () => {
      const asked = {
        name,
        numPartitions: partitions,
        replicationFactor: -1,
        assignments: [],
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      }
      const request: CreateTopicsRequest = { topics: [asked], timeoutMs: adminWaitMs, validateOnly: false }
      const context = this.#context(apis.createTopics.request.versions[1])
      const answer = (await createTopics.handle(request, context)) as CreateTopicsResponse
      const made = answer.topics[0]
      const error = kafkaErrorName(made?.errorCode ?? -1)
      if (error !== 'NONE') return { error, message: made?.errorMessage ?? sentenceOf(error, name) }
      const topic = this.#parts.storage.topicByName(name)
      return topic === undefined ? unknownTopic(name) : { error: 'NONE', topic }
    })
  }

  /** The topic is gone when this resolves, and with it what groups had committed of it. */
  deleteTopic(name: string): Promise<Done> {
    return this.#attempt('deleteTopic', async () => {
      const request: DeleteTopicsRequest = { topics: [], topicNames: [name], timeoutMs: adminWaitMs }
      const answer = (await deleteTopics.handle(request, this.#context(5))) as DeleteTopicsResponse
      const removed = answer.responses[0]
      const error = kafkaErrorName(removed?.errorCode ?? -1)
      return error === 'NONE' ? { error } : { error, message: removed?.errorMessage ?? sentenceOf(error, name) }
    })
  }

  /** A topic that the principal may see. */
  topic(name: string): Done<{ readonly topic: Topic }> {
    return this.#topic(accessRules.metadata, name)
  }

  /** All that the principal may see, in order of name. */
  topics(): readonly Topic[] {
    const { storage, access } = this.#parts
    return storage.topics().filter(({ name }) => access.check(this.#principal, accessRules.metadata, name))
  }

  /**
   * Where a record with that key belongs, as Kafka's clients choose by default; without one, the topic's partitions in turn.
   */
  partitionFor(topic: Topic, key: Buffer | null): number {
    const count = topic.partitions.length
    if (key !== null) return partitionOfKey(key, count)
    if (this.#turns.size >= turnsMax) this.#turns.clear()
    const turn = ((this.#turns.get(topic.id) ?? -1) + 1) % count
    this.#turns.set(topic.id, turn)
    return turn
  }

  /**
   * Appends records, all or none of them, in one batch; durable when it resolves. They go to one partition: to `partition`, or
   * with null to where the first record's key belongs. Offsets follow the order of the calls.
   */
  produce(topic: string, partition: number | null, records: readonly NewRecord[]): Promise<Done<Produced>> {
    return this.#attempt('produce', async () => {
      const found = this.#topic(accessRules.produce, topic)
      if (found.error !== 'NONE') return found
      const index = partition ?? this.partitionFor(found.topic, records[0]?.key ?? null)
      const store = this.#partition(found.topic, index)
      if ('error' in store) return store
      if (records.length === 0) return { error: 'INVALID_RECORD', message: 'There is no record to append.' }
      const outcome = await this.#append(found.topic, store, records)
      if (outcome.error !== 'NONE') return { error: outcome.error, message: outcome.message }
      const { baseOffset, logAppendTimeMs } = outcome
      return { error: 'NONE', partition: index, baseOffset, logAppendTimeMs }
    })
  }

  /** Records from an offset on; when there are none yet, those that come within `waitMs`, or none. */
  read(ask: ReadAsk): Promise<ReadDone> {
    return this.#attempt<ReadDone, { next: null }>(
      'read',
      async () => {
        const { topic, partition } = ask
        const found = this.#topic(accessRules.fetch, topic)
        if (found.error !== 'NONE') return { ...found, next: null }
        const store = this.#partition(found.topic, partition)
        return 'error' in store ? { ...store, next: null } : this.#read(store, ask)
      },
      { next: null },
    )
  }

  /**
   * The offset of the oldest record, the one behind the newest, or that of the first record at or after a time (ms since
   * 1970); null when no record is that late.
   */
  offsetAt(
    topic: string,
    partition: number,
    at: 'earliest' | 'latest' | number,
  ): Promise<Done<{ readonly offset: Offset | null }>> {
    return this.#attempt('offsetAt', async () => {
      const found = this.#topic(accessRules.listOffsets, topic)
      if (found.error !== 'NONE') return found
      const store = this.#partition(found.topic, partition)
      if ('error' in store) return store
      if (at === 'earliest') return { error: 'NONE', offset: store.logStartOffset }
      if (at === 'latest') return { error: 'NONE', offset: store.highWatermark }
      const record = await store.findByTime(at)
      return { error: 'NONE', offset: record?.offset ?? null }
    })
  }

  /** What a group has committed of each partition of a topic; null where it has nothing. */
  committed(groupId: string, topic: string): Promise<Done<{ readonly offsets: readonly (Offset | null)[] }>> {
    return this.#attempt('committed', async () => {
      const refusal = this.#refuseGroup(accessRules.offsetFetch, groupId)
      if (refusal !== null) return refusal
      const found = this.#topic(topicRules.describe, topic)
      if (found.error !== 'NONE') return found
      const answer = await this.#parts.groups.fetchOffsets({
        groupId,
        memberId: null,
        memberEpoch: -1,
        partitions: found.topic.partitions.map((_, partition) => ({ topic, partition })),
      })
      const error = [answer.error, ...answer.partitions.map(offset => offset.error)].find(name => name !== 'NONE')
      if (error !== undefined) return { error, message: sentenceOf(error, groupId) }
      const offsets = answer.partitions.map(({ offset }) => (offset < 0 ? null : (offset as Offset)))
      return { error: 'NONE', offsets }
    })
  }

  /** Moves a group's place in one partition, as somebody who is no member; durable when it resolves. */
  commit(groupId: string, topic: string, partition: number, offset: Offset, metadata = ''): Promise<Done> {
    return this.#attempt('commit', async () => {
      const refusal = this.#refuseGroup(accessRules.offsetCommit, groupId)
      if (refusal !== null) return refusal
      const found = this.#topic(topicRules.read, topic)
      if (found.error !== 'NONE') return found
      const store = this.#partition(found.topic, partition)
      if ('error' in store) return store
      const { errors } = await this.#parts.groups.commit({
        groupId,
        generation: -1,
        memberId: '',
        instanceId: null,
        offsets: [{ topic, topicId: found.topic.id, partition, offset, leaderEpoch: -1, metadata }],
        retentionMs: -1,
      })
      const error = errors[0] ?? 'UNKNOWN_SERVER_ERROR'
      return error === 'NONE' ? { error } : { error, message: sentenceOf(error, groupId) }
    })
  }

  /** Whether a group has members: then nobody else moves its places. */
  joined(groupId: string): Promise<Done<{ readonly isJoined: boolean }>> {
    return this.#attempt('joined', async () => {
      const refusal = this.#refuseGroup(accessRules.describeGroups, groupId)
      if (refusal !== null) return refusal
      const { error, members, state } = await this.#parts.groups.describe(groupId)
      if (error !== 'NONE' && error !== 'GROUP_ID_NOT_FOUND') return refuse(error, groupId)
      return { error: 'NONE', isJoined: members.length > 0 || !(state === 'Empty' || state === 'Dead') }
    })
  }

  /**
   * Takes every member out of its group, as if it had left: clients join again, and go on at what is committed. For a state that
   * was put back, to which the positions that they have in mind do not belong.
   */
  dismissMembers(): Promise<Done> {
    return this.#attempt('dismissMembers', async () => {
      const { groups, access } = this.#parts
      if (!access.check(this.#principal, accessRules.listGroups, clusterResource)) {
        return refuse(accessRules.listGroups.refusal, clusterResource)
      }
      const { error, groups: listed } = await groups.list()
      if (error !== 'NONE') return refuse(error, 'groups')
      for (const { groupId } of listed) {
        const { members } = await groups.describe(groupId)
        const leaving = members.map(({ memberId, instanceId }) => ({ memberId, instanceId, reason: null }))
        if (leaving.length > 0) await groups.leave({ groupId, members: leaving })
      }
      return { error: 'NONE' }
    })
  }

  async #append(topic: Topic, partition: PartitionStore, records: readonly NewRecord[]) {
    const { clock } = this.#parts
    const nowMs = clock.nowMs()
    const batch = buildBatch(records.map(record => ({ ...record, timestampMs: record.timestampMs ?? nowMs })))
    const rules = rulesOf(topic, apis.produce.request.versions[1], nowMs)
    const appending = appendBatch(topic, partition, ropeOf(batch), -1, rules)
    if (!(appending instanceof Promise)) return appending
    return (await within(clock, produceWaitMs, appending)) ?? timedOutAppend
  }

  async #read(partition: PartitionStore, ask: ReadAsk): Promise<ReadDone> {
    const found = await this.#find(partition, ask)
    try {
      if (found.error !== 'NONE') {
        return { error: found.error, message: sentenceOf(found.error, `${ask.topic}-${ask.partition}`), next: null }
      }
      const { recordsMax = Number.POSITIVE_INFINITY } = ask
      const bounds = { recordsMax, bytesMax: this.#bytesMax(ask) }
      const { records, next, damage } = await decodeRecords(found.records, ask.from, this.#parts.compute, bounds)
      if (damage !== null && records.length === 0) {
        const message = `The records at offset ${next} of ${ask.topic}-${ask.partition} do not decode: ${damage.why}.`
        return { error: 'CORRUPT_MESSAGE', message, next: damage.next }
      }
      const { highWatermark, logStartOffset } = partition
      return { error: 'NONE', records, next, highWatermark, logStartOffset }
    } finally {
      found.release?.()
    }
  }

  /** As a fetch of Kafka's does: nothing is held while it waits. */
  async #find(partition: PartitionStore, ask: ReadAsk): Promise<Found> {
    const { from, waitMs = 0, signal = never } = ask
    const bytesMax = this.#bytesMax(ask)
    const wanted = [{ partition, error: 'NONE', from, bytesMax } as const]
    const found = await readInOrder(wanted, bytesMax, nothingChanged)
    const first = found[0] as Found
    if (first.error !== 'NONE' || first.records.length > 0 || waitMs <= 0 || signal.aborted) return first
    const changed = await this.#parts.fetchWaits.until({ wanted, found, bytesMissing: 1, waitMs, signal })
    if (signal.aborted || changed.size === 0) return first
    return (await readInOrder(wanted, bytesMax, changed))[0] as Found
  }

  #bytesMax({ bytesMax = bytesMaxDefault }: ReadAsk): number {
    return Math.min(bytesMax, this.#parts.configs.settings.fetchBytesMax)
  }

  #topic(rule: AccessRule, name: string): Done<{ readonly topic: Topic }> {
    const topic = findTopic({ principal: this.#principal, parts: this.#parts }, rule, false, name, '' as TopicId)
    if (typeof topic !== 'string') {
      const refusal = rule === accessRules.produce ? refuseTopic(topic) : null
      return refusal ?? { error: 'NONE', topic }
    }
    return topic === 'UNKNOWN_TOPIC_OR_PARTITION' ? unknownTopic(name) : refuse(topic, name)
  }

  #partition(topic: Topic, index: number): PartitionStore | Refused {
    const partition = findPartition({ parts: this.#parts }, topic, index, -1)
    if (typeof partition !== 'string') return partition
    if (partition !== 'UNKNOWN_TOPIC_OR_PARTITION') return refuse(partition, `${topic.name}-${index}`)
    const count = topic.partitions.length
    const which = count === 1 ? 'partition 0' : `partitions 0 to ${count - 1}`
    return { error: partition, message: `The topic ${topic.name} has no partition ${index}; it has ${which}.` }
  }

  #refuseGroup(rule: AccessRule, groupId: string): Refused | null {
    return this.#parts.access.check(this.#principal, rule, groupId) ? null : refuse(rule.refusal, groupId)
  }

  /** What the handlers know of a request; nothing of it is on a connection. */
  #context(version: number): RequestContext {
    const { clock } = this.#parts
    return {
      connection: {
        principal: this.#principal,
        clientHost: '',
        listener: '',
        advertised: { host: '', port: 0 },
        signal: never,
      },
      principal: this.#principal,
      clientId: null,
      version,
      deadlineMs: clock.monotonicMs() + adminWaitMs,
      releases: [],
      parts: this.#parts,
    }
  }

  /** `more` is what a refusal has besides its error and sentence. */
  async #attempt<D extends { readonly error: KafkaErrorName }, More extends object = object>(
    what: string,
    work: () => Promise<D>,
    more?: More,
  ): Promise<D | (Refused & More)> {
    try {
      return await work()
    } catch (error) {
      return { ...this.#failed(what, error), ...(more as More) }
    }
  }

  #failed(what: string, error: unknown): Refused {
    if (isFatal(error)) {
      this.#parts.onFatal(error)
      throw error
    }
    if (error instanceof TidelogError && error.code === 'CLOSED') {
      return { error: 'BROKER_NOT_AVAILABLE', message: 'The broker is stopping.' }
    }
    this.#parts.onFault(error, what)
    return { error: 'UNKNOWN_SERVER_ERROR', message: `The request failed: ${what}.` }
  }
}

function unknownTopic(name: string): Refused {
  return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: `There is no topic ${name}.` }
}

function refuse(error: KafkaErrorName, what: string): Refused {
  return { error: error as Refused['error'], message: sentenceOf(error, what) }
}

/** What an error means of a topic, partition or group of that name. */
function sentenceOf(error: KafkaErrorName, what: string): string {
  switch (error) {
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return `There is no ${what}, or it was deleted meanwhile.`
    case 'OFFSET_OUT_OF_RANGE':
      return `The offset lies before the first or behind the last record of ${what}.`
    case 'CORRUPT_MESSAGE':
      return `What ${what} has at this offset is damaged.`
    case 'KAFKA_STORAGE_ERROR':
      return `The disk did not give or take what was asked of ${what}; try again.`
    case 'TOPIC_AUTHORIZATION_FAILED':
    case 'GROUP_AUTHORIZATION_FAILED':
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return `Not authorised for ${what}.`
    default:
      return `${what}: ${error}.`
  }
}
