/** Metrics of this node under names of our own: requests, storage, groups, the process. */
import type { Topic } from '../../broker/storage.ts'
import type { Metric, Sample } from './metric.ts'
import type { Snapshot } from './snapshot.ts'

export const nodeMetrics: readonly Metric[] = [
  {
    name: 'tidelog_build_info',
    type: 'gauge',
    help: 'Always 1; the version of tidelog and of Node.',
    labels: ['version', 'node'],
    tell: ({ subject }) => [{ labels: { version: subject.version, node: process.version }, value: 1 }],
  },

  // Requests.
  {
    name: 'tidelog_request_seconds',
    type: 'histogram',
    help: 'Time from the arrival of a Kafka request to its answer, with the waits it asked for (fetches wait for records).',
    labels: ['api'],
    tell: ({ requests }) => requests.all().map(({ api, ms }) => ({ labels: { api }, ms })),
  },
  {
    name: 'tidelog_request_errors_total',
    type: 'counter',
    help: 'Errors in answers to Kafka requests; a request may bring one for each partition in it.',
    labels: ['api', 'error'],
    tell: ({ requests }) =>
      requests
        .all()
        .flatMap(({ api, errors }) => [...errors].map(([error, value]) => ({ labels: { api, error }, value }))),
  },
  {
    name: 'tidelog_connections',
    type: 'gauge',
    help: 'Open connections.',
    labels: ['door'],
    tell: ({ subject }) =>
      Object.entries(subject.connections()).map(([door, value]): Sample => ({ labels: { door }, value })),
  },
  {
    name: 'tidelog_request_bytes',
    type: 'gauge',
    help: 'Bytes of Kafka requests that are arriving or in flight (bound: tidelog.request.budget.bytes).',
    tell: ({ subject }) => subject.requestBytes(),
  },

  // What goes in and out.
  {
    name: 'tidelog_produced_records_total',
    type: 'counter',
    help: 'Records appended, of all topics.',
    tell: ({ figures }) => figures.appended.records,
  },
  {
    name: 'tidelog_produced_bytes_total',
    type: 'counter',
    help: 'Bytes of record batches appended, of all topics.',
    tell: ({ figures }) => figures.appended.bytes,
  },
  {
    name: 'tidelog_fetched_bytes_total',
    type: 'counter',
    help: 'Bytes of record batches read, of all topics.',
    tell: ({ figures }) => figures.cache.hitBytes + figures.cache.missBytes,
  },
  {
    name: 'tidelog_topic_produced_records_total',
    type: 'counter',
    help: 'Records appended to a topic.',
    labels: ['topic'],
    tell: snapshot => byTopic(snapshot, ({ traffic }) => traffic.recordsIn),
  },
  {
    name: 'tidelog_topic_produced_bytes_total',
    type: 'counter',
    help: 'Bytes of record batches appended to a topic.',
    labels: ['topic'],
    tell: snapshot => byTopic(snapshot, ({ traffic }) => traffic.bytesIn),
  },
  {
    name: 'tidelog_topic_fetched_bytes_total',
    type: 'counter',
    help: 'Bytes of record batches read from a topic.',
    labels: ['topic'],
    tell: snapshot => byTopic(snapshot, ({ traffic }) => traffic.bytesOut),
  },

  // The journal.
  {
    name: 'tidelog_journal_sync_seconds',
    type: 'histogram',
    help: 'Time that a sync of the journal took: what every acknowledgement waits for.',
    tell: ({ figures }) => figures.journal.syncMs,
  },
  {
    name: 'tidelog_journal_entries_total',
    type: 'counter',
    help: 'Entries written to the journal; divided by the count of syncs: how many share one.',
    tell: ({ figures }) => figures.journal.entries,
  },
  {
    name: 'tidelog_journal_written_bytes_total',
    type: 'counter',
    help: 'Bytes written to the journal.',
    tell: ({ figures }) => figures.journal.writtenBytes,
  },
  {
    name: 'tidelog_journal_stalls_total',
    type: 'counter',
    help: 'How often the journal had to wait for room.',
    tell: ({ figures }) => figures.journal.stalls,
  },
  {
    name: 'tidelog_journal_bytes',
    type: 'gauge',
    help: 'Bytes of the journal files, with those kept ready.',
    tell: ({ figures }) => figures.journal.bytes,
  },
  {
    name: 'tidelog_journal_bytes_max',
    type: 'gauge',
    help: 'The bound of tidelog_journal_bytes (tidelog.journal.bytes).',
    tell: ({ figures }) => figures.journal.bytesMax,
  },

  // Memory and disk.
  {
    name: 'tidelog_cache_hits_total',
    type: 'counter',
    help: 'Reads of records that came out of memory.',
    tell: ({ figures }) => figures.cache.hits,
  },
  {
    name: 'tidelog_cache_misses_total',
    type: 'counter',
    help: 'Reads of records that went to a segment file.',
    tell: ({ figures }) => figures.cache.misses,
  },
  {
    name: 'tidelog_cache_hit_bytes_total',
    type: 'counter',
    help: 'Bytes of records that came out of memory.',
    tell: ({ figures }) => figures.cache.hitBytes,
  },
  {
    name: 'tidelog_cache_miss_bytes_total',
    type: 'counter',
    help: 'Bytes of records that came out of segment files.',
    tell: ({ figures }) => figures.cache.missBytes,
  },
  {
    name: 'tidelog_cache_bytes',
    type: 'gauge',
    help: 'Bytes of the cache of records that are in use.',
    tell: ({ figures }) => figures.cache.bytes,
  },
  {
    name: 'tidelog_cache_bytes_max',
    type: 'gauge',
    help: 'The bound of tidelog_cache_bytes (tidelog.log.cache.bytes).',
    tell: ({ figures }) => figures.cache.bytesMax,
  },
  {
    name: 'tidelog_cache_unflushed_bytes',
    type: 'gauge',
    help: 'Bytes of records in the cache that are synced in the journal and not in their segment files yet.',
    tell: ({ figures }) => figures.cache.unflushedBytes,
  },
  {
    name: 'tidelog_disk_total_bytes',
    type: 'gauge',
    help: 'Size of the file system that the data directory is on.',
    tell: ({ disk }) => disk.totalBytes,
  },
  {
    name: 'tidelog_disk_free_bytes',
    type: 'gauge',
    help: 'Room that is left on that file system.',
    tell: ({ disk }) => disk.usableBytes,
  },
  {
    name: 'tidelog_disk_full',
    type: 'gauge',
    help: '1 while producers are refused because the disk is full.',
    tell: ({ figures }) => Number(figures.isDiskFull),
  },
  {
    name: 'tidelog_stored_bytes',
    type: 'gauge',
    help: 'Bytes of the segments of all topics.',
    tell: ({ storedBytes }) => storedBytes,
  },
  {
    name: 'tidelog_topic_stored_bytes',
    type: 'gauge',
    help: 'Bytes of the segments of a topic.',
    labels: ['topic'],
    tell: snapshot => byTopic(snapshot, ({ storedBytes }) => storedBytes),
  },

  // Topics and groups.
  { name: 'tidelog_topics', type: 'gauge', help: 'Topics.', tell: ({ topicCount }) => topicCount },
  { name: 'tidelog_partitions', type: 'gauge', help: 'Partitions.', tell: ({ partitionCount }) => partitionCount },
  {
    name: 'tidelog_groups',
    type: 'gauge',
    help: 'Consumer groups.',
    labels: ['state'],
    tell: ({ groupStates }) => Array.from(groupStates, ([state, value]) => ({ labels: { state }, value })),
  },
  {
    name: 'tidelog_group_lag_seconds',
    type: 'gauge',
    help: 'How long ago the first record was written that a group has not read, by its batch; 0 where it has read all.',
    labels: ['consumergroup', 'topic', 'partition'],
    *tell({ groups }) {
      for (const { described, offsets } of groups) {
        for (const { topic, partition, lagSeconds } of offsets) {
          const labels = { consumergroup: described.groupId, topic, partition }
          if (lagSeconds !== null) yield { labels, value: lagSeconds }
        }
      }
    },
  },
  {
    name: 'tidelog_metrics_left_out',
    type: 'gauge',
    help: 'What has no series of its own here because there are too many: partitions, groups, committed offsets.',
    labels: ['what'],
    tell: ({ leftOut }) => Object.entries(leftOut).map(([what, value]): Sample => ({ labels: { what }, value })),
  },

  // The process.
  {
    name: 'tidelog_event_loop_delay_seconds',
    type: 'histogram',
    help: 'How late the event loop was, looked at twenty times a second.',
    tell: ({ subject }) => subject.loopDelayMs,
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Time that the process had a processor, in user and kernel mode.',
    tell: () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the process.',
    tell: () => process.memoryUsage.rss(),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the node was started, in seconds since 1970.',
    tell: ({ subject }) => subject.startedAtMs / 1000,
  },
  {
    name: 'nodejs_heap_used_bytes',
    type: 'gauge',
    help: "Bytes of JavaScript's heap in use.",
    tell: () => process.memoryUsage().heapUsed,
  },
]

type Partition = Topic['partitions'][number]

function byTopic({ topics }: Snapshot, figureOf: (partition: Partition) => number): Sample[] {
  return topics.map(({ name, partitions }) => ({
    labels: { topic: name },
    value: partitions.reduce((sum, partition) => sum + figureOf(partition), 0),
  }))
}
