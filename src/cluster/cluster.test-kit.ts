/** Small clusters for tests: metadata with nodes and topics, made by commands. */
import assert from 'node:assert/strict'
import type { DiskId, NodeId, Offset, TopicId } from '../base/ids.ts'
import type { Partition, PartitionId, ReplicationConfig, Segment } from '../chain/segment.ts'
import { type Command, newestFeatureLevel } from './commands.ts'
import { Metadata } from './metadata.ts'
import { placeTopic } from './placement.ts'

export const id = (number: number) => number.toString(16).padStart(32, '0') as TopicId
export const disk = (number: number) => id(number) as string as DiskId
export const node = (number: number) => number as NodeId

export class TestCluster {
  readonly metadata = new Metadata()
  readonly dead = new Set<number>()
  #requests = 0

  readonly isLive = (nodeId: NodeId): boolean => this.metadata.nodes.has(nodeId) && !this.dead.has(nodeId)

  apply(command: Command): number {
    const outcome = this.metadata.apply(command, id(0x10000 + this.#requests++))
    assert.ok(outcome.ok, `${command.do}: ${outcome.ok ? '' : outcome.message}`)
    return outcome.value
  }

  /** Nodes 1, 2, … each in the rack that is named for it. */
  withNodes(...racks: readonly string[]): this {
    racks.forEach((rack, i) => {
      this.start(i + 1, rack)
    })
    return this
  }

  /** A boot; the first one of a node, or one more. */
  start(nodeId: number, rack = this.metadata.nodes.get(node(nodeId))?.rack ?? ''): void {
    const known = this.metadata.nodes.get(node(nodeId))
    const confirmed = known?.incarnation ?? 0
    const diskId = known?.diskId ?? disk(0xd0 + nodeId)
    this.#register(nodeId, diskId, confirmed, confirmed + 1, rack)
    this.dead.delete(nodeId)
  }

  /** Comes back with another disk. */
  wipe(nodeId: number): void {
    const { incarnation, rack } = this.metadata.nodes.get(node(nodeId)) ?? { incarnation: 0, rack: '' }
    this.apply({ do: 'setNodeUp', nodeId: node(nodeId), incarnation, isUp: false })
    this.#register(nodeId, disk(0xe000 + nodeId * 256 + incarnation), 0, incarnation + 1, rack)
    this.dead.delete(nodeId)
  }

  createTopic(number: number, partitions: number, replication: Partial<ReplicationConfig> = {}): TopicId {
    const config = { replicas: 3, minInsync: 2, flush: 'sync', uncleanSeal: false, ...replication } as const
    const topicId = id(number)
    const placements = placeTopic(this, { topicId, partitions, replication: config })
    this.apply({
      do: 'createTopic',
      topicId,
      name: `topic-${number}`,
      partitions,
      configs: [],
      replication: config,
      placements,
      nowMs: 0,
    })
    return topicId
  }

  partition(partition: PartitionId): Partition {
    const record = this.metadata.partition(partition)
    assert.ok(record !== null)
    return record
  }

  last(partition: PartitionId): Segment {
    const segment = this.partition(partition).chain.at(-1)
    assert.ok(segment !== undefined)
    return segment
  }

  /** The open segment is sealed at ten records more, complete at the given nodes; the next goes to the same. */
  roll(partition: PartitionId, complete?: readonly number[]): void {
    const { id: segment, writeEpoch: epoch, base, replicas, writer, ackQuorum } = this.last(partition)
    const now = replicas.map(replica => ({ ...replica, ...this.#registered(replica.nodeId) }))
    this.apply({
      do: 'sealAndOpen',
      topicId: partition.topicId,
      partition: partition.index,
      segment,
      epoch,
      end: (base + 10) as Offset,
      bytes: 100,
      maxTimestamp: 1,
      checksum: 1,
      complete: (complete ?? replicas.map(({ nodeId }) => nodeId)) as NodeId[],
      reason: 'size',
      next: { writer, writerIncarnation: this.#registered(writer).incarnation, replicas: now, ackQuorum },
      nowMs: 0,
    })
  }

  addReplica(partition: PartitionId, segment: Segment, nodeId: NodeId): void {
    const { topicId, index } = partition
    const replica = { nodeId, ...this.#registered(nodeId) }
    this.apply({ do: 'addReplica', topicId, partition: index, segment: segment.id, replica })
  }

  #registered(nodeId: NodeId): { readonly diskId: DiskId; readonly incarnation: number } {
    const { diskId, incarnation } = this.metadata.nodes.get(nodeId) ?? { diskId: disk(0), incarnation: 0 }
    return { diskId, incarnation }
  }

  #register(nodeId: number, diskId: DiskId, confirmed: number, incarnation: number, rack: string): void {
    const attempted = confirmed
    const featureLevel = newestFeatureLevel
    this.apply({
      do: 'registerNode',
      nodeId: node(nodeId),
      diskId,
      confirmed,
      attempted,
      incarnation,
      rack,
      featureLevel,
    })
  }
}
