/**
 * The metrics that kafka_exporter tells of a Kafka cluster, under its names and labels, so that dashboards and alerts made for
 * it work as they are.
 */
import type { GroupOffset } from '../../broker/overview.ts'
import type { Topic } from '../../broker/storage.ts'
import type { Metric, Sample } from './metric.ts'
import type { Snapshot } from './snapshot.ts'

const ofPartition = ['topic', 'partition'] as const
const ofGroupPartition = ['consumergroup', 'topic', 'partition'] as const
const ofGroupTopic = ['consumergroup', 'topic'] as const

export const exporterMetrics: readonly Metric[] = [
  { name: 'kafka_brokers', type: 'gauge', help: 'Brokers.', tell: () => 1 },
  {
    name: 'kafka_broker_info',
    type: 'gauge',
    help: 'Always 1; the id and the address of each broker.',
    labels: ['id', 'address'],
    tell: ({ subject, nodeId }) => [{ labels: { id: nodeId, address: subject.doors().kafka }, value: 1 }],
  },
  {
    name: 'kafka_topic_partitions',
    type: 'gauge',
    help: 'Partitions of a topic.',
    labels: ['topic'],
    tell: ({ topics }) => topics.map(({ name, partitions }) => ({ labels: { topic: name }, value: partitions.length })),
  },
  {
    name: 'kafka_topic_partition_current_offset',
    type: 'gauge',
    help: 'The offset behind the last record of a partition.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ highWatermark }) => highWatermark),
  },
  {
    name: 'kafka_topic_partition_oldest_offset',
    type: 'gauge',
    help: 'The offset of the first record of a partition.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ logStartOffset }) => logStartOffset),
  },
  {
    name: 'kafka_topic_partition_leader',
    type: 'gauge',
    help: 'The id of the broker that leads a partition.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ leader }) => leader),
  },
  {
    name: 'kafka_topic_partition_leader_is_preferred',
    type: 'gauge',
    help: '1 where a partition is led by the first of its replicas.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ leader, replicas }) => Number(leader === replicas[0])),
  },
  {
    name: 'kafka_topic_partition_replicas',
    type: 'gauge',
    help: 'Replicas of a partition.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ replicas }) => replicas.length),
  },
  {
    name: 'kafka_topic_partition_in_sync_replica',
    type: 'gauge',
    help: 'Replicas of a partition that are in sync.',
    labels: ofPartition,
    tell: snapshot => byPartition(snapshot, ({ inSyncReplicas }) => inSyncReplicas.length),
  },
  {
    name: 'kafka_topic_partition_under_replicated_partition',
    type: 'gauge',
    help: '1 where replicas of a partition are out of sync.',
    labels: ofPartition,
    tell: snapshot =>
      byPartition(snapshot, ({ inSyncReplicas, replicas }) => Number(inSyncReplicas.length < replicas.length)),
  },
  {
    name: 'kafka_consumergroup_members',
    type: 'gauge',
    help: 'Members of a consumer group.',
    labels: ['consumergroup'],
    tell: ({ groups }) =>
      groups.map(({ described }) => ({
        labels: { consumergroup: described.groupId },
        value: described.members.length,
      })),
  },
  {
    name: 'kafka_consumergroup_current_offset',
    type: 'gauge',
    help: 'The offset that a consumer group has committed.',
    labels: ofGroupPartition,
    tell: snapshot => byOffset(snapshot, ({ offset }) => offset),
  },
  {
    name: 'kafka_consumergroup_current_offset_sum',
    type: 'gauge',
    help: 'The sum of the offsets that a consumer group has committed of a topic.',
    labels: ofGroupTopic,
    tell: snapshot => sums(snapshot, ({ offset }) => offset),
  },
  {
    name: 'kafka_consumergroup_lag',
    type: 'gauge',
    help: 'Records that a consumer group has not read of a partition.',
    labels: ofGroupPartition,
    tell: snapshot => byOffset(snapshot, ({ lag }) => lag),
  },
  {
    name: 'kafka_consumergroup_lag_sum',
    type: 'gauge',
    help: 'Records that a consumer group has not read of a topic.',
    labels: ofGroupTopic,
    tell: snapshot => sums(snapshot, ({ lag }) => lag),
  },
]

type Partition = Topic['partitions'][number]

function* byPartition({ topics }: Snapshot, figureOf: (partition: Partition) => number): Iterable<Sample> {
  for (const { name, partitions } of topics) {
    for (const partition of partitions) {
      yield { labels: { topic: name, partition: partition.index }, value: figureOf(partition) }
    }
  }
}

function* byOffset({ groups }: Snapshot, figureOf: (offset: GroupOffset) => number): Iterable<Sample> {
  for (const { described, offsets } of groups) {
    for (const offset of offsets) {
      const { topic, partition } = offset
      yield { labels: { consumergroup: described.groupId, topic, partition }, value: figureOf(offset) }
    }
  }
}

function* sums({ groups }: Snapshot, figureOf: (offset: GroupOffset) => number): Iterable<Sample> {
  for (const { described, offsets } of groups) {
    const sumByTopic = new Map<string, number>()
    for (const offset of offsets) {
      sumByTopic.set(offset.topic, (sumByTopic.get(offset.topic) ?? 0) + figureOf(offset))
    }
    for (const [topic, value] of sumByTopic) yield { labels: { consumergroup: described.groupId, topic }, value }
  }
}
