/**
 * The metadata of a cluster: nodes, topics, and each partition's chain of segments. A pure state machine: commands in, an
 * outcome out; no clock, no chance, no I/O. A command states the version that it saw and changes nothing on a stale one; a
 * command that was applied before gets its first outcome again.
 */
import type { LeaderEpoch, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { unreachable } from '../base/invariant.ts'
import type { Command } from './commands.ts'
import { done, type Outcome, refused } from './outcome.ts'

export interface Segment {
  readonly id: SegmentId
  readonly base: Offset
  /** Null while it is open. */
  readonly end: Offset | null
  readonly state: 'open' | 'sealed' | 'deleting'
  readonly writer: NodeId
  readonly writeEpoch: number
  readonly leaderEpoch: LeaderEpoch
  readonly replicas: readonly NodeId[]
  /** Of a sealed segment; 0 and -1 while it is open. */
  readonly bytes: number
  readonly maxTimestamp: number
  readonly createdAtMs: number
}

export interface Partition {
  /** Rises with every change; commands are conditional on it. */
  readonly version: number
  readonly nextEpoch: number
  readonly leaderEpoch: LeaderEpoch
  readonly logStartOffset: Offset
  /** The oldest first; the last is open. */
  readonly chain: readonly Segment[]
}

export interface Topic {
  readonly id: TopicId
  readonly name: string
  readonly configs: ReadonlyMap<string, string>
  readonly partitions: readonly Partition[]
  /** Its name is free again; its files are being removed. */
  readonly isDeleting: boolean
}

export interface Node {
  readonly diskId: TopicId
  readonly incarnation: number
}

/** Outcomes remembered for retries. */
const rememberedOutcomesMax = 256

export class Metadata {
  readonly nodes = new Map<NodeId, Node>()
  readonly topics = new Map<TopicId, Topic>()
  /** Topics that are not being deleted. */
  readonly byName = new Map<string, TopicId>()
  readonly outcomes = new Map<TopicId, Outcome>()
  nextSegmentId = 1
  nextProducerId = 1

  apply(command: Command, requestId: TopicId): Outcome {
    const before = this.outcomes.get(requestId)
    if (before !== undefined) return before
    const outcome = this.#perform(command)
    this.outcomes.set(requestId, outcome)
    if (this.outcomes.size > rememberedOutcomesMax) this.outcomes.delete(this.outcomes.keys().next().value as TopicId)
    return outcome
  }

  topicNamed(name: string): Topic | undefined {
    const id = this.byName.get(name)
    return id === undefined ? undefined : this.topics.get(id)
  }

  #perform(command: Command): Outcome {
    switch (command.do) {
      case 'registerNode':
        return this.#registerNode(command)
      case 'createTopic':
        return this.#createTopic(command)
      case 'deleteTopic':
        return this.#deleteTopic(command.topicId)
      case 'purgeTopic':
        return this.#purgeTopic(command.topicId)
      case 'sealAndOpen':
        return this.#changePartition(command, partition => this.#sealAndOpen(partition, command))
      case 'advanceStart':
        return this.#changePartition(command, partition => advanceStart(partition, command.offset as Offset))
      case 'dropSegments':
        return this.#changePartition(command, partition => dropSegments(partition, command.through as SegmentId))
      case 'allocateProducerIds':
        return this.#allocateProducerIds(command.count)
      default:
        return unreachable(command)
    }
  }

  /**
   * A node stores what it attempts before it asks and what is confirmed afterwards, so it knows one of the two however it
   * crashed. Anything else is an old copy of its disk, or a second process.
   */
  #registerNode(command: Extract<Command, { do: 'registerNode' }>): Outcome {
    const known = this.nodes.get(command.nodeId as NodeId)
    const recorded = known?.incarnation ?? 0
    if (recorded !== command.confirmed && recorded !== command.attempted) {
      return refused(
        'STALE',
        `node ${command.nodeId} was last seen as incarnation ${recorded}; this data directory is an older copy`,
      )
    }
    if (known !== undefined && known.diskId !== command.diskId) {
      return refused('STALE', `node ${command.nodeId} was last seen with another disk`)
    }
    if (command.incarnation <= recorded) return refused('INVALID', 'an incarnation is new')
    this.nodes.set(command.nodeId as NodeId, { diskId: command.diskId, incarnation: command.incarnation })
    return done()
  }

  #createTopic(command: Extract<Command, { do: 'createTopic' }>): Outcome {
    if (this.byName.has(command.name)) return refused('EXISTS', `topic ${command.name} exists`)
    if (this.topics.has(command.topicId)) return refused('EXISTS', 'the topic id is taken')
    if (command.partitions < 1) return refused('INVALID', 'a topic has at least one partition')
    const writer = command.writer as NodeId
    const open = (): Partition => ({
      version: 1,
      nextEpoch: 1,
      leaderEpoch: 0 as LeaderEpoch,
      logStartOffset: 0 as Offset,
      chain: [this.#openSegment(0 as Offset, writer, 1, 0 as LeaderEpoch, command.nowMs)],
    })
    this.topics.set(command.topicId, {
      id: command.topicId,
      name: command.name,
      configs: new Map(command.configs.map(config => [config.name, config.value])),
      partitions: Array.from({ length: command.partitions }, open),
      isDeleting: false,
    })
    this.byName.set(command.name, command.topicId)
    return done()
  }

  #deleteTopic(id: TopicId): Outcome {
    const topic = this.topics.get(id)
    if (topic === undefined || topic.isDeleting) return refused('UNKNOWN', 'there is no such topic')
    this.topics.set(id, { ...topic, isDeleting: true })
    this.byName.delete(topic.name)
    return done()
  }

  #purgeTopic(id: TopicId): Outcome {
    if (this.topics.get(id)?.isDeleting !== true) return refused('UNKNOWN', 'only a deleted topic is purged')
    this.topics.delete(id)
    return done()
  }

  #changePartition(
    ref: { readonly topicId: TopicId; readonly partition: number; readonly version: number },
    change: (partition: Partition) => Partition | Outcome,
  ): Outcome {
    const topic = this.topics.get(ref.topicId)
    const partition = topic?.partitions[ref.partition]
    if (topic === undefined || partition === undefined || topic.isDeleting)
      return refused('UNKNOWN', 'there is no such partition')
    if (partition.version !== ref.version) {
      return refused('STALE', `the partition is at version ${partition.version}, not ${ref.version}`)
    }
    const changed = change(partition)
    if ('ok' in changed) return changed
    const partitions = topic.partitions.with(ref.partition, { ...changed, version: partition.version + 1 })
    this.topics.set(topic.id, { ...topic, partitions })
    return done()
  }

  #sealAndOpen(partition: Partition, command: Extract<Command, { do: 'sealAndOpen' }>): Partition | Outcome {
    const open = partition.chain.at(-1)
    if (open === undefined || open.end !== null) return refused('INVALID', 'the chain has no open segment')
    if (command.end <= open.base) return refused('INVALID', 'an empty segment is not sealed')
    const end = command.end as Offset
    const isSameWriter = open.writer === command.writer
    const leaderEpoch = (isSameWriter ? partition.leaderEpoch : partition.leaderEpoch + 1) as LeaderEpoch
    const epoch = partition.nextEpoch + 1
    const sealed: Segment = { ...open, end, state: 'sealed', bytes: command.bytes, maxTimestamp: command.maxTimestamp }
    const next = this.#openSegment(end, command.writer as NodeId, epoch, leaderEpoch, command.nowMs)
    return { ...partition, nextEpoch: epoch, leaderEpoch, chain: [...partition.chain.slice(0, -1), sealed, next] }
  }

  #allocateProducerIds(count: number): Outcome {
    if (count < 1) return refused('INVALID', 'a block has at least one id')
    const first = this.nextProducerId
    this.nextProducerId += count
    return done(first)
  }

  #openSegment(base: Offset, writer: NodeId, writeEpoch: number, leaderEpoch: LeaderEpoch, nowMs: number): Segment {
    return {
      id: this.nextSegmentId++ as SegmentId,
      base,
      end: null,
      state: 'open',
      writer,
      writeEpoch,
      leaderEpoch,
      replicas: [writer],
      bytes: 0,
      maxTimestamp: -1,
      createdAtMs: nowMs,
    }
  }
}

function advanceStart(partition: Partition, offset: Offset): Partition | Outcome {
  if (offset < partition.logStartOffset) return refused('INVALID', 'the log start does not go back')
  const chain = partition.chain.map(segment =>
    segment.end !== null && segment.end <= offset && segment.state === 'sealed'
      ? ({ ...segment, state: 'deleting' } as const)
      : segment,
  )
  return { ...partition, logStartOffset: offset, chain }
}

function dropSegments(partition: Partition, through: SegmentId): Partition | Outcome {
  const index = partition.chain.findIndex(segment => segment.id === through)
  if (index < 0) return refused('UNKNOWN', 'there is no such segment')
  if (partition.chain.slice(0, index + 1).some(segment => segment.state !== 'deleting')) {
    return refused('INVALID', 'only segments below the log start are dropped')
  }
  return { ...partition, chain: partition.chain.slice(index + 1) }
}
