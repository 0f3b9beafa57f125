/**
 * The metadata of a cluster: nodes, topics, and each partition's chain of segments. A pure state machine: commands in, an
 * outcome out; no clock, no chance, no I/O. Every copy of it that has applied the same commands is the same, byte for byte.
 *
 * A command says for which state it was made and changes nothing in another. One that was applied before gets its first
 * outcome again as long as that is remembered. After that it is refused, since its proposer says how much of the log it had
 * seen when it first asked: what is older than the memory may have been applied. (A copy that was made, given up and made
 * known again by a late retry would be one that nobody has.) A node that registers has seen nothing; its record keeps the
 * request that made it.
 */
import { TidelogError } from '../base/errors.ts'
import type { DiskId, NodeId, SegmentId, TopicId } from '../base/ids.ts'
import { unreachable } from '../base/invariant.ts'
import {
  type Partition,
  type PartitionId,
  type PartitionKey,
  type Placement,
  partitionKey,
  type ReplicationConfig,
} from '../chain/segment.ts'
import {
  type ChangeContext,
  type Changed,
  changePartition,
  createPartition,
  openSegment,
  type PartitionChange,
  type RegisteredNode,
} from './chain-changes.ts'
import {
  type Command,
  type CommandOf,
  commandTables,
  decodeCommand,
  firstFeatureLevel,
  newestFeatureLevel,
} from './commands.ts'
import { countPartition, type LoadByNode } from './node-load.ts'
import { oneCopy, rollOneCopy } from './one-copy.ts'
import { done, type Outcome, type Refused, refused } from './outcome.ts'
import { replicationOf } from './replication.ts'
import { StateChecksum } from './state-checksum.ts'

export interface Topic {
  readonly id: TopicId
  readonly name: string
  /** Rises with every change of its configs and of its number of partitions. */
  readonly version: number
  readonly configs: ReadonlyMap<string, string>
  readonly replication: ReplicationConfig
  readonly partitions: readonly Partition[]
  /** Its name is free again; its files are being removed. */
  readonly isDeleting: boolean
}

export interface NodeAddress {
  /** Of the listener. */
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface Node extends RegisteredNode {
  readonly diskId: DiskId
  readonly incarnation: number
  /** Its lease is not known to be over. */
  readonly isUp: boolean
  /** Empty where none was given. */
  readonly rack: string
  readonly addresses: readonly NodeAddress[]
  /** Its life before this one ended in order. */
  readonly wasClean: boolean
  readonly featureLevel: number
  /** The request that registered this incarnation. */
  readonly registeredBy: TopicId
}

/**
 * Outcomes remembered for retries: those of a few seconds, unless thousands of partitions fail over at once; then what comes
 * later is refused, and asked for anew.
 */
export const rememberedOutcomesMax = 1024

/** Of one topic: more than any cluster could serve, and little enough to make at once. */
const partitionsMax = 100_000

export class Metadata {
  readonly nodes = new Map<NodeId, Node>()
  /** Nodes that left for good, with their last incarnation: whoever gets such an id is later than that. */
  readonly removedNodes = new Map<NodeId, number>()
  readonly topics = new Map<TopicId, Topic>()
  /** Topics that are not being deleted. */
  readonly byName = new Map<string, TopicId>()
  readonly outcomes = new Map<TopicId, Outcome>()
  /** Follows from the partitions of topics that are not deleted. */
  readonly loads: LoadByNode = new Map()
  nextSegmentId = 1
  nextProducerId = 1
  featureLevel = firstFeatureLevel
  /** Commands applied so far, repetitions not counted. */
  applied = 0
  readonly #touched = new Map<PartitionKey, PartitionId>()
  readonly #checksum = new StateChecksum()

  /** `seen`: how many commands the proposer had applied when it first asked for this one, or -1. */
  apply(command: Command, requestId: TopicId, seen = -1): Outcome {
    const before = this.outcomes.get(requestId)
    if (before !== undefined) return before
    const refusal = this.#whyNotYet(commandTables[command.do].level) ?? this.#whyTooOld(seen)
    return this.#remember(requestId, refusal ?? this.#perform(command, requestId))
  }

  /** Reads a command and applies it; throws an error with a sentence where going on would mean to guess. */
  applyEncoded(encoded: Buffer): Outcome {
    const decoded = decodeCommand(encoded)
    if ('command' in decoded) return this.apply(decoded.command, decoded.requestId, decoded.seen)
    const { requestId, unknownType, version, level } = decoded
    const refusal = this.#whyNotYet(level)
    if (refusal === null) {
      throw new TidelogError(
        'FORMAT',
        `the metadata has a command of type ${unknownType}, version ${version}, that this program does not know; use the newer version that wrote it`,
      )
    }
    return this.outcomes.get(requestId) ?? this.#remember(requestId, refusal)
  }

  topicNamed(name: string): Topic | undefined {
    const id = this.byName.get(name)
    return id === undefined ? undefined : this.topics.get(id)
  }

  /** Null when there is none, or its topic is deleted. */
  partition(id: PartitionId): Partition | null {
    const topic = this.topics.get(id.topicId)
    return topic === undefined || topic.isDeleting ? null : (topic.partitions[id.index] ?? null)
  }

  /** Those of topics that are not deleted. */
  allPartitions(): PartitionId[] {
    const live = [...this.topics.values()].filter(topic => !topic.isDeleting)
    return live.flatMap(({ id, partitions }) => partitions.map((_, index) => ({ topicId: id, index })))
  }

  /** The partitions that have changed, or gone, since the last call; after a restore, all. */
  takeTouched(): PartitionId[] {
    const touched = [...this.#touched.values()]
    this.#touched.clear()
    return touched
  }

  /** Of the whole state; equal for equal states. It costs as much as has changed since the last call. */
  checksum(): number {
    return this.#checksum.of(this)
  }

  /** Puts in a topic that was not there. */
  putTopic(topic: Topic): void {
    this.#setTopic(topic)
    if (!topic.isDeleting) this.byName.set(topic.name, topic.id)
    topic.partitions.forEach((partition, index) => {
      if (topic.isDeleting) this.#account({ topicId: topic.id, index }, null, partition)
      else this.#touch({ topicId: topic.id, index }, null, partition)
    })
  }

  /** For a restore: the outcomes in their order. */
  putOutcome(requestId: TopicId, outcome: Outcome): void {
    this.outcomes.set(requestId, outcome)
    this.#checksum.remembered(requestId, outcome)
  }

  /** Programs that know a command refuse it like those that do not, as long as the cluster has not agreed on its level. */
  #whyNotYet(level: number): Refused | null {
    if (level <= this.featureLevel) return null
    return refused('FEATURE', `feature level ${level} is not finalised; the cluster is at ${this.featureLevel}`)
  }

  /** It may have been applied, and its outcome forgotten since: then nobody knows any more. */
  #whyTooOld(seen: number): Refused | null {
    const isTooOld = seen >= 0 && this.applied - seen > rememberedOutcomesMax
    return isTooOld ? refused('STALE', 'the request is too old') : null
  }

  #remember(requestId: TopicId, outcome: Outcome): Outcome {
    this.applied++
    this.putOutcome(requestId, outcome)
    if (this.outcomes.size > rememberedOutcomesMax) {
      const [oldest, forgotten] = this.outcomes.entries().next().value as [TopicId, Outcome]
      this.outcomes.delete(oldest)
      this.#checksum.forgotten(oldest, forgotten)
    }
    return outcome
  }

  #perform(command: Command, requestId: TopicId): Outcome {
    switch (command.do) {
      case 'registerNode':
        return this.#registerNode(command, requestId)
      case 'setNodeUp':
        return this.#setNodeUp(command)
      case 'removeNode':
        return this.#removeNode(command)
      case 'createTopic':
        return this.#createTopic(command)
      case 'createPartitions':
        return this.#createPartitions(command)
      case 'configureTopic':
        return this.#configureTopic(command)
      case 'deleteTopic':
        return this.#deleteTopic(command.topicId)
      case 'purgeTopic':
        return this.#purgeTopic(command.topicId)
      case 'rollOneCopy':
        return this.#change(command, partition => rollOneCopy(partition, command, this.#context(command.nowMs)))
      case 'openFirst':
      case 'sealAndOpen':
      case 'completeRecovery':
        return this.#changePartition(command, command, command.nowMs)
      case 'beginRecovery':
      case 'addReplica':
      case 'removeReplica':
      case 'removeSurplus':
      case 'replaceSealed':
      case 'setArchived':
      case 'advanceStart':
      case 'dropSegments':
        return this.#changePartition(command, command, 0)
      case 'allocateProducerIds':
        return this.#allocateProducerIds(command.count)
      case 'setFeatureLevel':
        return this.#setFeatureLevel(command.level)
      default:
        return unreachable(command)
    }
  }

  // ── nodes

  /**
   * A node stores what it attempts before it asks and what is confirmed afterwards. What is recorded of its disk lies between
   * the two, however it crashed; anything else is an old copy of its disk, or a second process.
   */
  #registerNode(command: CommandOf<'registerNode'>, requestId: TopicId): Outcome {
    const { nodeId, diskId, incarnation } = command
    const known = this.nodes.get(nodeId)
    if (known?.registeredBy === requestId) return done()
    const recorded = known?.incarnation ?? this.removedNodes.get(nodeId) ?? 0
    const refusal =
      known?.diskId === diskId ? this.#whyNotSameDisk(command, recorded) : this.#whyNotNewDisk(command, known)
    if (refusal !== null) return refusal
    if (incarnation <= recorded) return refused('INVALID', 'an incarnation is new')
    const featureLevel = command.featureLevel ?? firstFeatureLevel
    if (featureLevel < this.featureLevel) {
      return refused('FEATURE', `the cluster is at feature level ${this.featureLevel}; this program is too old for it`)
    }
    this.removedNodes.delete(nodeId)
    this.nodes.set(nodeId, {
      diskId,
      incarnation,
      isUp: true,
      rack: command.rack ?? '',
      addresses: command.addresses ?? [],
      wasClean: command.wasClean ?? false,
      featureLevel,
      registeredBy: requestId,
    })
    return done()
  }

  #whyNotSameDisk({ nodeId, confirmed, attempted }: CommandOf<'registerNode'>, recorded: number): Refused | null {
    if (confirmed <= recorded && recorded <= attempted) return null
    return refused(
      'STALE',
      `node ${nodeId} was last seen as incarnation ${recorded}; this data directory is an older copy`,
    )
  }

  /**
   * A disk that was never registered, as the first of its node or because the one before was lost. It may have tried to be: an
   * attempt that came to nothing must not lock it out.
   */
  #whyNotNewDisk({ nodeId, confirmed }: CommandOf<'registerNode'>, known: Node | undefined): Refused | null {
    if (known === undefined && !this.removedNodes.has(nodeId)) {
      return confirmed === 0 ? null : refused('STALE', `node ${nodeId} is not known here`)
    }
    if (known === undefined && confirmed !== 0) return refused('STALE', `node ${nodeId} was removed`)
    if (confirmed !== 0) return refused('STALE', `node ${nodeId} was last seen with another disk`)
    // Else a process that was started with a running node's id would push that node out.
    if (known?.isUp === true) return refused('STALE', `node ${nodeId} is up, with another disk`)
    return null
  }

  #setNodeUp({ nodeId, incarnation, isUp }: CommandOf<'setNodeUp'>): Outcome {
    const node = this.nodes.get(nodeId)
    if (node === undefined) return refused('UNKNOWN', 'there is no such node')
    if (node.incarnation !== incarnation)
      return refused('STALE', `node ${nodeId} is at incarnation ${node.incarnation}`)
    this.nodes.set(nodeId, { ...node, isUp })
    return done()
  }

  /** What it has copies of must have been copied elsewhere, or deleted, before. */
  #removeNode({ nodeId, incarnation }: CommandOf<'removeNode'>): Outcome {
    const node = this.nodes.get(nodeId)
    if (node === undefined) return refused('UNKNOWN', 'there is no such node')
    if (node.incarnation !== incarnation)
      return refused('STALE', `node ${nodeId} is at incarnation ${node.incarnation}`)
    const hasCopy = ({ chain }: Partition) =>
      chain.some(segment => segment.replicas.some(replica => replica.nodeId === nodeId))
    const holding = [...this.topics.values()].find(topic => topic.partitions.some(hasCopy))
    if (holding !== undefined) return refused('INVALID', `node ${nodeId} has copies of topic ${holding.name}`)
    this.nodes.delete(nodeId)
    this.removedNodes.set(nodeId, incarnation)
    return done()
  }

  /** Final: commands of the level may follow at once, so every node must know them. */
  #setFeatureLevel(level: number): Outcome {
    if (level <= this.featureLevel) return refused('STALE', `the feature level is ${this.featureLevel}`)
    for (const [nodeId, node] of this.nodes) {
      if (node.featureLevel < level) return refused('FEATURE', `node ${nodeId} knows level ${node.featureLevel} only`)
    }
    if (level > newestFeatureLevel) {
      throw new TidelogError('FORMAT', `the cluster is at feature level ${level} now; this program is too old for it`)
    }
    this.featureLevel = level
    return done()
  }

  // ── topics

  #createTopic(command: CommandOf<'createTopic'>): Outcome {
    const { topicId, name } = command
    if (this.byName.has(name)) return refused('EXISTS', `topic ${name} exists`)
    if (this.topics.has(topicId)) return refused('EXISTS', 'the topic id is taken')
    if (command.partitions < 1) return refused('INVALID', 'a topic has at least one partition')
    if (command.partitions > partitionsMax) return refused('INVALID', `a topic has at most ${partitionsMax} partitions`)
    const configs = new Map(command.configs.map(config => [config.name, config.value]))
    const given = command.replication
    const isOneCopy = given === undefined || given.replicas === 0
    if (isOneCopy && (command.writer ?? -1) < 0) return refused('INVALID', 'a partition has at least one copy')
    const replication = isOneCopy ? replicationOf(1, configs) : given
    const refusal = whyNotReplicated(replication)
    if (refusal !== null) return refusal
    const opened = isOneCopy
      ? this.#openOneCopies(command, replication)
      : this.#openPlaced(command, { from: 0, to: command.partitions }, replication)
    if ('ok' in opened) return opened
    this.putTopic({ id: topicId, name, version: 0, configs, replication, partitions: opened, isDeleting: false })
    for (const { chain } of opened) this.nextSegmentId += chain.length
    return done()
  }

  /** New partitions `[from, to)` of a topic. One without a placement gets its first segment later. */
  #openPlaced(
    command: Pick<CommandOf<'createTopic'>, 'placements' | 'nowMs'>,
    { from, to }: { readonly from: number; readonly to: number },
    replication: ReplicationConfig,
  ): Partition[] | Refused {
    const placements = new Map<number, Placement>()
    for (const { partition, count = 1, next } of command.placements ?? []) {
      const end = Math.min(partition + count, to)
      for (let index = Math.max(partition, from); index < end; index++) placements.set(index, next)
    }
    const partitions: Partition[] = []
    const context = this.#context(command.nowMs)
    let { nextSegmentId } = context
    for (let index = from; index < to; index++) {
      const partition = createPartition(replication)
      const next = placements.get(index)
      if (next === undefined) {
        partitions.push(partition)
        continue
      }
      const first = { do: 'openFirst', version: 0, next } as const
      const changed = changePartition(partition, first, { ...context, nextSegmentId })
      if (!changed.ok) return changed
      partitions.push(changed.partition)
      nextSegmentId = (nextSegmentId + 1) as SegmentId
    }
    return partitions
  }

  #openOneCopies(command: CommandOf<'createTopic'>, replication: ReplicationConfig): Partition[] {
    const partition = createPartition(replication)
    const next = oneCopy(command.writer as NodeId, this.nodes)
    const { leaderEpoch, logStartOffset: base } = partition
    return Array.from({ length: command.partitions }, (_, index) => {
      const id = (this.nextSegmentId + index) as SegmentId
      const segment = openSegment({ id, base, leaderEpoch, writeEpoch: 1, next, nowMs: command.nowMs })
      return { ...partition, version: 1, nextEpoch: 1, chain: [segment] }
    })
  }

  /** At another version of the topic it changes nothing, so that one which was applied before is not applied again. */
  #createPartitions(command: CommandOf<'createPartitions'>): Outcome {
    const topic = this.#topicAt(command)
    if ('ok' in topic) return topic
    const { total } = command
    const from = topic.partitions.length
    if (total <= from) return refused('INVALID', `the topic has ${from} partitions`)
    if (total > partitionsMax) return refused('INVALID', `a topic has at most ${partitionsMax} partitions`)
    const opened = this.#openPlaced(command, { from, to: total }, topic.replication)
    if ('ok' in opened) return opened
    this.#setTopic({ ...topic, version: topic.version + 1, partitions: [...topic.partitions, ...opened] })
    opened.forEach((partition, i) => {
      this.#touch({ topicId: topic.id, index: from + i }, null, partition)
      this.nextSegmentId += partition.chain.length
    })
    return done()
  }

  /** A topic at the version that was seen. */
  #topicAt({ topicId, version }: { readonly topicId: TopicId; readonly version: number }): Topic | Refused {
    const topic = this.topics.get(topicId)
    if (topic === undefined || topic.isDeleting) return refused('UNKNOWN', 'there is no such topic')
    return topic.version === version ? topic : refused('STALE', `the topic is at version ${topic.version}`)
  }

  #configureTopic(command: CommandOf<'configureTopic'>): Outcome {
    const topic = this.#topicAt(command)
    if ('ok' in topic) return topic
    const { replication } = command
    const refusal = whyNotReplicated(replication)
    if (refusal !== null) return refusal
    const configs = new Map(command.configs.map(config => [config.name, config.value]))
    const partitions = topic.partitions.map(one => ({ ...one, version: one.version + 1, config: replication }))
    partitions.forEach((partition, index) => {
      this.#touch({ topicId: topic.id, index }, topic.partitions[index] as Partition, partition)
    })
    this.#setTopic({ ...topic, version: topic.version + 1, configs, replication, partitions })
    return done()
  }

  #deleteTopic(id: TopicId): Outcome {
    const topic = this.topics.get(id)
    if (topic === undefined || topic.isDeleting) return refused('UNKNOWN', 'there is no such topic')
    this.#setTopic({ ...topic, isDeleting: true })
    this.byName.delete(topic.name)
    topic.partitions.forEach((partition, index) => {
      countPartition(this.loads, partition, -1)
      this.#account({ topicId: id, index }, partition, partition)
    })
    return done()
  }

  #purgeTopic(id: TopicId): Outcome {
    const topic = this.topics.get(id)
    if (topic?.isDeleting !== true) return refused('UNKNOWN', 'only a deleted topic is purged')
    this.#checksum.topicChanged(topic.id, topic)
    this.topics.delete(id)
    topic.partitions.forEach((partition, index) => {
      this.#account({ topicId: id, index }, partition, null)
    })
    return done()
  }

  // ── partitions

  #changePartition(ref: PartitionRef, change: PartitionChange, nowMs: number): Outcome {
    return this.#change(ref, partition => changePartition(partition, change, this.#context(nowMs)))
  }

  #change(ref: PartitionRef, change: (partition: Partition) => Changed | Refused): Outcome {
    const topic = this.topics.get(ref.topicId)
    const partition = topic?.partitions[ref.partition]
    if (topic === undefined || partition === undefined || topic.isDeleting)
      return refused('UNKNOWN', 'there is no such partition')
    const changed = change(partition)
    if (!changed.ok) return changed
    if (changed.takesSegmentId) this.nextSegmentId++
    if (changed.partition !== partition) {
      // Not through #setTopic: only the partition's part of the checksum changes.
      this.topics.set(topic.id, { ...topic, partitions: topic.partitions.with(ref.partition, changed.partition) })
      this.#touch({ topicId: topic.id, index: ref.partition }, partition, changed.partition)
    }
    return done(changed.value)
  }

  #context(nowMs: number): ChangeContext {
    return { nodes: this.nodes, nowMs, nextSegmentId: this.nextSegmentId as SegmentId }
  }

  #allocateProducerIds(count: number): Outcome {
    if (count < 1) return refused('INVALID', 'a block has at least one id')
    const first = this.nextProducerId
    this.nextProducerId += count
    return done(first)
  }

  #setTopic(topic: Topic): void {
    this.#checksum.topicChanged(topic.id, this.topics.get(topic.id) ?? null)
    this.topics.set(topic.id, topic)
  }

  #touch(id: PartitionId, before: Partition | null, after: Partition | null): void {
    countPartition(this.loads, before, -1)
    countPartition(this.loads, after, 1)
    this.#account(id, before, after)
  }

  #account(id: PartitionId, before: Partition | null, after: Partition | null): void {
    this.#checksum.partitionChanged(id, before, after)
    this.#touched.set(partitionKey(id), id)
  }
}

interface PartitionRef {
  readonly topicId: TopicId
  readonly partition: number
}

function whyNotReplicated({ replicas, minInsync }: ReplicationConfig): Refused | null {
  if (replicas < 1) return refused('INVALID', 'a partition has at least one copy')
  if (minInsync < 1 || minInsync > replicas)
    return refused('INVALID', `${minInsync} of ${replicas} copies make no quorum`)
  return null
}
