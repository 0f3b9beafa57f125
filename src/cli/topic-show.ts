/** `topic ls`, `topic info`: what there is. */
import { ConfigResourceTypes } from '@platformatic/kafka'
import { type Cluster, offsetAt, type TopicFacts, withCluster } from './connection.ts'
import { attempt } from './failure.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { counted, paint, show, tableOf } from './output.ts'

/** `topic ls -o json` is a list of these. */
interface ListedTopic {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  /** Null where a partition has no leader. */
  readonly records: number | null
  readonly internal: boolean
}

export async function listTopics(flags: BrokerFlags & OutputFlags & { readonly internal?: boolean }): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const all = await attempt('list topics', () => cluster.topics(null))
    const topics = all.filter(({ isInternal }) => !isInternal || flags.internal === true)
    const records = flags.output === 'name' ? new Map<string, number>() : await recordsOf(cluster, topics)
    const rows: ListedTopic[] = topics.map(({ name, partitions, isInternal }) => ({
      name,
      partitions: partitions.length,
      replicationFactor: partitions[0]?.replicas.length ?? 0,
      records: records.get(name) ?? null,
      internal: isInternal,
    }))
    await show(flags.output, {
      data: rows.map(row => ({ ...row })),
      names: () => rows.map(({ name }) => name),
      table: () =>
        tableOf<ListedTopic>(
          [
            { title: 'name', of: row => row.name },
            { title: 'partitions', of: row => row.partitions, right: true },
            { title: 'copies', of: row => row.replicationFactor, right: true },
            { title: 'records', of: row => row.records, right: true },
          ],
          rows,
        ),
    })
  })
}

/** Offsets from beginning to end, over all partitions; topics with a partition that nobody leads are left out. */
async function recordsOf(cluster: Cluster, topics: readonly TopicFacts[]): Promise<Map<string, number>> {
  const led = topics.filter(({ partitions }) => partitions.every(({ leader }) => leader >= 0))
  const questions = led.flatMap(({ name, partitions }) =>
    partitions.map(({ partition, leader }) => ({ topic: name, partition, leader })),
  )
  const ask = (at: number) => cluster.offsets(questions.map(question => ({ ...question, at })))
  const [starts, ends] = await attempt('read offsets', () => Promise.all([ask(offsetAt.beginning), ask(offsetAt.end)]))
  const sums = new Map<string, number>()
  for (const { topic, offset } of ends) sums.set(topic, (sums.get(topic) ?? 0) + offset)
  for (const { topic, offset } of starts) sums.set(topic, (sums.get(topic) ?? 0) - offset)
  return sums
}

interface ShownPartition {
  readonly partition: number
  /** Null where there is none. */
  readonly leader: number | null
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly start: number | null
  readonly end: number | null
  readonly records: number | null
}

export async function describeTopic(name: string, flags: BrokerFlags & OutputFlags): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const topic = await attempt(`describe topic ${name}`, () => cluster.topic(name))
    const { partitions, configs } = await attempt(`describe topic ${name}`, async () => ({
      partitions: await shownPartitions(cluster, topic),
      configs: await overridesOf(cluster, name),
    }))
    const { id, isInternal } = topic
    await show(flags.output, {
      data: { name, id, internal: isInternal, partitions: partitions.map(each => ({ ...each })), configs },
      names: () => partitions.map(({ partition }) => `${name}/${partition}`),
      table: () => `${headOf(topic, configs)}\n${partitionTable(partitions)}`,
    })
  })
}

async function shownPartitions(cluster: Cluster, topic: TopicFacts): Promise<ShownPartition[]> {
  const led = { ...topic, partitions: topic.partitions.filter(({ leader }) => leader >= 0) }
  const ranges = await cluster.ranges(led)
  return topic.partitions.map(({ partition, leader, ...facts }) => {
    const range = ranges.get(partition)
    return {
      partition,
      leader: leader < 0 ? null : leader,
      ...facts,
      start: range?.start ?? null,
      end: range?.end ?? null,
      records: range === undefined ? null : range.end - range.start,
    }
  })
}

/** What was set for this topic and no other. */
async function overridesOf(cluster: Cluster, name: string): Promise<Record<string, string | null>> {
  const [described] = await cluster.admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: name, configurationKeys: null }],
  })
  const own = (described?.configs ?? []).filter(({ configSource }) => configSource === 1)
  return Object.fromEntries(own.map(config => [config.name, config.value ?? null]))
}

function headOf({ name, id, isInternal, partitions }: TopicFacts, configs: Record<string, string | null>): string {
  const own = Object.entries(configs).map(([config, value]) => `${config}=${value}`)
  const what = `${counted(partitions.length, 'partition')}${isInternal ? ', internal' : ''}`
  const lines = [`${paint('bold', name)}  ${what}${id === null ? '' : `  ${paint('dim', id)}`}`, ...own.sort()]
  return lines.map(line => `${line}\n`).join('')
}

function partitionTable(partitions: readonly ShownPartition[]): string {
  return tableOf<ShownPartition>(
    [
      { title: 'partition', of: row => row.partition, right: true },
      { title: 'leader', of: row => row.leader, right: true },
      { title: 'epoch', of: row => row.leaderEpoch, right: true },
      { title: 'copies', of: row => row.replicas.join(',') },
      { title: 'in sync', of: row => row.inSyncReplicas.join(',') },
      { title: 'start', of: row => row.start, right: true },
      { title: 'end', of: row => row.end, right: true },
      { title: 'records', of: row => row.records, right: true },
    ],
    partitions,
  )
}
