/**
 * What clients do to a node: the topics there are, and one function for each kind of request that makes it, notes it in the
 * history and notes its answer. Who calls them when is in `producers.ts`, `readers.ts` and `admin.ts`.
 */

import type { Offset, TopicId } from '../base/ids.ts'
import type { Prng } from '../base/prng.ts'
import { ropeFrom } from '../base/rope.ts'
import type { Acks, FoundRecord, PartitionStore, ReadOutcome, Topic } from '../broker/storage.ts'
import { readBatchHeader } from '../wire/record-batch.ts'
import { fingerprint, makeBatch, readBatches, type StoredBatch } from './batches.ts'
import type { FoundOffset, Marks, PartitionKey, PartitionRules, SentBatch } from './history.ts'
import { inFull, type Process, type World } from './world.ts'

export interface Partition {
  readonly key: PartitionKey
  readonly topicId: TopicId
  readonly index: number
  readonly plan: TopicPlan
}

export interface TopicPlan {
  readonly name: string
  readonly partitions: number
  readonly configs: ReadonlyMap<string, string>
  readonly rules: PartitionRules
}

export interface Profile {
  readonly plans: readonly TopicPlan[]
  /** Batches that producers may send in all. */
  readonly sendsMax: number
  readonly recordsMax: number
  readonly fillBytesMax: number
  /** One batch in so many is this large; 0 for none. */
  readonly hugeEvery: number
  readonly hugeBytes: number
  readonly compresses: boolean
}

export interface MadeBatch {
  readonly bytes: Buffer
  readonly sent: SentBatch
}

export type SendResult = 'acknowledged' | 'open' | 'refused' | 'dead'

export interface ReadSpec {
  readonly from: number
  readonly bytesMax: number
  readonly minOne: boolean
  /** Time until the reader looks at what it got, as a slow connection does. */
  readonly lingerMs: number
  /** It never gives back what it has read. */
  readonly forgets?: boolean
}

export interface ReadResult {
  readonly error: ReadOutcome['error']
  readonly batches: readonly StoredBatch[]
  readonly marks: Marks
}

export class Workload {
  readonly world: World
  readonly profile: Profile
  /** The partitions of topics that nobody has asked to delete. */
  readonly partitions: Partition[] = []
  /** Requests without an answer, with what they are. */
  readonly open = new Map<number, string>()
  /** Set when clients should come to rest. */
  stopping = false
  sendsLeft: number
  #doorsOpen = true
  #waiting: (() => void)[] = []
  /** Configs that topics may have, as text: what was acknowledged, and what was asked for since. */
  readonly #mayHave = new Map<TopicId, string[]>()
  #requests = 0
  #batches = 0
  #blocksUpTo = 0

  constructor(world: World, profile: Profile) {
    this.world = world
    this.profile = profile
    this.sendsLeft = profile.sendsMax
  }

  /** Lets clients in, or keeps out those who want to make new requests. */
  setDoors(open: boolean): void {
    this.#doorsOpen = open
    if (open) for (const wake of this.#waiting.splice(0)) wake()
  }

  get doorsOpen(): boolean {
    return this.#doorsOpen
  }

  /** The process that runs, once there is one and the doors are open. */
  async admitted(): Promise<Process> {
    for (;;) {
      const process = await this.world.running()
      if (this.#doorsOpen) return process
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  // --- topics ---

  /** Creates a topic, over as many processes as it takes. Null when it was given up. */
  async createTopic(plan: TopicPlan): Promise<Topic | null> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const process = await this.admitted()
      const { storage } = process.node
      const answer = await this.world.ask(process, () =>
        storage.createTopic({
          name: plan.name,
          partitions: plan.partitions,
          replicationFactor: 1,
          configs: plan.configs,
        }),
      )
      if (answer.kind === 'dead') continue
      if (answer.kind === 'answered' && answer.value.error === 'NONE') return this.#noteTopic(answer.value.topic, plan)
      if (answer.kind === 'answered' && answer.value.error === 'TOPIC_ALREADY_EXISTS' && attempt > 0) {
        const topic = storage.topicByName(plan.name)
        if (topic !== undefined) return this.#noteTopic(topic, plan)
      }
      if (answer.kind === 'answered' && answer.value.error === 'INVALID_CONFIG') {
        this.world.broken('refused topic', answer.value.message)
        return null
      }
      if (answer.kind === 'failed') this.#noteFailure('createTopic', answer.error)
      await this.world.sleep(100)
    }
    return null
  }

  #noteTopic(topic: Topic, plan: TopicPlan): Topic {
    this.world.count('topics created')
    if (topic.partitions.length !== plan.partitions) {
      this.world.broken('wrong topic', `${plan.name} has ${topic.partitions.length} partitions`)
    }
    this.#notePartitions(topic, plan)
    return topic
  }

  #notePartitions(topic: Topic, plan: TopicPlan): void {
    for (const { index } of topic.partitions) {
      const key = `${topic.id}-${index}`
      if (this.partitions.some(partition => partition.key === key)) continue
      this.world.record({ type: 'partition', partition: key, rules: plan.rules })
      this.partitions.push({ key, topicId: topic.id, index, plan })
    }
  }

  /** Lets the topic of a partition grow. Where the answer is lost, its new partitions are used when it grows again. */
  async growTopic(process: Process, { topicId, plan }: Partition, by: number): Promise<void> {
    const { storage } = process.node
    const total = (storage.topicById(topicId)?.partitions.length ?? 0) + by
    const answer = await this.world.ask(process, () => storage.createPartitions(topicId, total))
    if (answer.kind === 'failed') this.#noteFailure('createPartitions', answer.error)
    if (answer.kind !== 'answered' || answer.value.error !== 'NONE') return
    this.world.count('topics grown')
    const topic = storage.topicById(topicId)
    const isWanted = this.partitions.some(partition => partition.topicId === topicId)
    if (topic === undefined || !isWanted) return
    if (topic.partitions.length < total) {
      this.world.broken('wrong topic', `${plan.name} grew to ${topic.partitions.length} partitions, not to ${total}`)
    }
    this.#notePartitions(topic, plan)
  }

  /** Gives the topic of a partition other configs, and notes what it may have from then on. */
  async configureTopic(process: Process, { topicId, plan }: Partition, changes: readonly [string, string][]) {
    const { storage } = process.node
    const topic = storage.topicById(topicId)
    if (topic === undefined) return
    this.checkConfigs(topic, plan)
    const configs = new Map([...topic.configs, ...changes])
    const may = this.#mayHave.get(topicId) ?? []
    this.#mayHave.set(topicId, [...may, textOf(configs)])
    const answer = await this.world.ask(process, () => storage.configureTopic(topicId, topic.version, configs))
    if (answer.kind === 'failed') this.#noteFailure('configureTopic', answer.error)
    if (answer.kind !== 'answered' || answer.value !== 'NONE') return
    this.world.count('topics configured')
    this.#mayHave.set(topicId, [textOf(configs)])
  }

  /** Only one administrator changes configs, so that a topic has what was acknowledged last, or something newer. */
  checkConfigs(topic: Topic, plan: TopicPlan): void {
    const may = this.#mayHave.get(topic.id) ?? [textOf(plan.configs)]
    const has = textOf(topic.configs)
    if (!may.includes(has) && !this.world.damageReported) {
      this.world.broken('wrong configs', `${plan.name} has ${has}, and may have ${may.join(' or ')}`)
    }
    this.#mayHave.set(topic.id, [has])
  }

  /** Deletes a topic and waits until it is gone. */
  async deleteTopic(id: TopicId): Promise<void> {
    for (const partition of this.partitions.filter(partition => partition.topicId === id)) {
      this.world.record({ type: 'deleting', partition: partition.key })
      this.partitions.splice(this.partitions.indexOf(partition), 1)
    }
    for (let attempt = 0; attempt < 50; attempt++) {
      const process = await this.admitted()
      const answer = await this.world.ask(process, () => process.node.storage.deleteTopic(id))
      const gone = answer.kind === 'answered' && process.node.storage.topicById(id) === undefined
      if (gone) {
        this.world.count('topics deleted')
        return
      }
      if (answer.kind === 'failed') this.#noteFailure('deleteTopic', answer.error)
      await this.world.sleep(100)
    }
    if (!this.stopping) this.world.broken('stuck', `topic ${id} cannot be deleted`)
  }

  store(process: Process, partition: Partition): PartitionStore | null {
    const store = process.node.storage.topicById(partition.topicId)?.partitions[partition.index]
    const wanted = this.partitions.includes(partition)
    if (store === undefined && wanted) {
      // Damage may have cost the newest changes of topics; the node has to say so, and nothing else is promised then.
      if (this.world.damageReported) this.world.record({ type: 'deleting', partition: partition.key })
      else this.world.broken('lost topic', `${partition.key} of ${partition.plan.name} is not there`)
      this.partitions.splice(this.partitions.indexOf(partition), 1)
    }
    return store ?? null
  }

  pickPartition(prng: Prng): Partition | null {
    return this.partitions.length === 0 ? null : prng.pick(this.partitions)
  }

  /** A block of producer ids; it must be nobody else's. */
  async producerId(): Promise<number | null> {
    const process = await this.admitted()
    const answer = await this.world.ask(process, () => process.node.storage.allocateProducerIds())
    if (answer.kind !== 'answered') return null
    const { first, count } = answer.value
    if (first < this.#blocksUpTo || count < 1) {
      this.world.broken(
        'producer ids given twice',
        `a block from ${first}, though all below ${this.#blocksUpTo} are taken`,
      )
    }
    this.#blocksUpTo = Math.max(this.#blocksUpTo, first + count)
    return first
  }

  // --- sends ---

  makeBatch(prng: Prng, partition: Partition, producer: SentBatch['producer']): MadeBatch {
    const { profile, world } = this
    this.#batches += 1
    const huge = profile.hugeEvery > 0 && prng.between(0, profile.hugeEvery) === 0
    const count = prng.chance(0.3) ? 1 : prng.between(1, profile.recordsMax + 1)
    const nowMs = world.scheduler.wallMs
    const startMs = nowMs - (prng.chance(0.2) ? prng.between(0, 200) : 0)
    const timestampsMs = Array.from({ length: count }, () => startMs + prng.between(0, 4))
    const fillBytes = huge ? Math.ceil(profile.hugeBytes / count) : prng.between(0, profile.fillBytesMax + 1)
    const codec = profile.compresses && prng.chance(0.3) ? prng.pick(['gzip', 'zstd'] as const) : 'none'
    const { rules } = partition.plan
    const keyed = rules.compacts === true
    const bytes = makeBatch({ id: this.#batches, timestampsMs, fillBytes, codec, keyed, producer })
    const print = fingerprint(bytes, rules)
    const sent: SentBatch = {
      id: this.#batches,
      partition: partition.key,
      fingerprint: print,
      bytes: bytes.length,
      timestampsMs,
      producer,
    }
    return { bytes, sent }
  }

  /** Sends once, to the process that runs; `dead` when it ends before it answers. */
  async send(prng: Prng, partition: Partition, made: MadeBatch, acks: Acks, inOrder: boolean): Promise<SendResult> {
    const process = await this.admitted()
    const store = this.store(process, partition)
    if (store === null) return 'refused'
    this.#requests += 1
    const request = this.#requests
    this.world.record({ type: 'send', request, batch: made.sent, acks, inOrder })
    this.world.count('sends')
    const bytes = ropeFrom(asReceived(prng, made.bytes))
    this.open.set(request, `append of batch ${made.sent.id} to ${partition.key}`)
    const answer = await this.world.ask(process, () =>
      store.append({ header: readBatchHeader(made.bytes), bytes }, acks),
    )
    this.open.delete(request)
    if (answer.kind !== 'answered') {
      if (answer.kind === 'failed') this.#noteFailure('append', answer.error)
      this.world.record({ type: 'unknown', request })
      return answer.kind === 'dead' ? 'dead' : 'open'
    }
    const outcome = answer.value
    if (outcome.error === 'NONE') {
      this.world.count('acknowledged')
      this.world.record({ type: 'sent', request, baseOffset: outcome.baseOffset })
      return 'acknowledged'
    }
    this.world.count(`append: ${outcome.error}`)
    this.world.record({ type: 'refused', request, error: outcome.error })
    return outcome.error === 'KAFKA_STORAGE_ERROR' || outcome.error === 'REQUEST_TIMED_OUT' ? 'open' : 'refused'
  }

  // --- reads ---

  /** Reads once. Null when the process died or the partition is gone. */
  async read(process: Process, partition: Partition, spec: ReadSpec): Promise<ReadResult | null> {
    const store = this.store(process, partition)
    if (store === null) return null
    this.#requests += 1
    const request = this.#requests
    const { from, bytesMax, minOne, lingerMs, forgets } = spec
    this.world.record({ type: 'reading', request, partition: partition.key, from })
    this.world.count('reads')
    this.open.set(request, `read of ${partition.key} from ${from}`)
    const answer = await this.world.ask(process, () => store.read({ from: from as Offset, bytesMax, minOne }))
    this.open.delete(request)
    if (answer.kind === 'failed') this.#noteFailure('read', answer.error)
    if (answer.kind !== 'answered') return null
    const { error, records, highWatermark, logStartOffset, release } = answer.value
    const marks = { highWatermark, logStartOffset }
    if (lingerMs > 0) await this.world.sleep(lingerMs)
    const batches = readBatches(Buffer.concat(records.chunks as Buffer[]), partition.plan.rules)
    if (process.alive && !forgets) release?.()
    this.world.record({ type: 'read', request, error, marks, batches, bytesMax, minOne })
    if (error !== 'NONE') this.world.count(`read: ${error}`)
    return { error, marks, batches: typeof batches === 'string' ? [] : batches }
  }

  noteMarks(process: Process, partition: Partition): void {
    const store = this.store(process, partition)
    if (store === null) return
    const { highWatermark, logStartOffset } = store
    this.world.record({ type: 'marks', partition: partition.key, marks: { highWatermark, logStartOffset } })
  }

  async trim(process: Process, partition: Partition, before: number): Promise<void> {
    const store = this.store(process, partition)
    if (store === null) return
    this.world.record({ type: 'trim', partition: partition.key, before })
    const answer = await this.world.ask(process, () => store.deleteRecords(before as Offset))
    if (answer.kind === 'failed') this.#noteFailure('deleteRecords', answer.error)
    if (answer.kind !== 'answered' || answer.value.error !== 'NONE') return
    this.world.count('trims')
    const { logStartOffset } = answer.value
    this.world.record({ type: 'trimmed', partition: partition.key, before, logStartOffset })
  }

  /** A search by time; only while nothing else goes on, behind a drain that began at `start`. */
  async findByTime(process: Process, partition: Partition, timestampMs: number | null, start: number): Promise<void> {
    const store = this.store(process, partition)
    if (store === null || store.logStartOffset !== start) return
    const answer = await this.world.ask(process, () =>
      timestampMs === null ? store.findMaxTimestamp() : store.findByTime(timestampMs),
    )
    if (answer.kind === 'failed') this.#noteFailure('find by time', answer.error)
    // Retention may have moved the log start meanwhile: then either answer is right.
    if (answer.kind !== 'answered' || store.logStartOffset !== start) return
    this.world.count('searches by time')
    const found = toFound(answer.value)
    if (timestampMs === null) this.world.record({ type: 'found latest', partition: partition.key, found })
    else this.world.record({ type: 'found by time', partition: partition.key, timestampMs, found })
  }

  /** The contract has answers for everything that can happen to a healthy program; only a stopping node may reject. */
  #noteFailure(what: string, error: Error): void {
    this.world.count(`rejected: ${what} ${(error as { code?: string }).code ?? error.name}`)
    if ((error as { code?: string }).code === 'CLOSED') return
    this.world.broken('rejected request', `${what}: ${inFull(error)}`)
  }
}

function textOf(configs: ReadonlyMap<string, string>): string {
  return [...configs]
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(' ')
}

function toFound(record: FoundRecord | null): FoundOffset | null {
  return record === null ? null : { offset: record.offset, timestampMs: record.timestampMs }
}

/** The bytes as a socket would have given them: a copy, in one piece of a larger chunk or in several. */
function asReceived(prng: Prng, bytes: Buffer): Buffer[] {
  const before = prng.chance(0.5) ? prng.between(0, 100) : 0
  const chunk = Buffer.alloc(before + bytes.length + (prng.chance(0.3) ? 5000 : 0))
  bytes.copy(chunk, before)
  const received = chunk.subarray(before, before + bytes.length)
  if (prng.chance(0.7)) return [received]
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + prng.between(1, bytes.length), bytes.length)
    pieces.push(Buffer.from(received.subarray(at, end)))
    at = end
  }
  return pieces
}
