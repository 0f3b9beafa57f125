/** `topic create`, `topic trim`, `topic rm`: what cannot be undone is shown first, and done with `--yes`. */
import { exitCodes } from '../base/errors.ts'
import { type Cluster, type TopicFacts, withCluster } from './connection.ts'
import { attempt, CliError, failureOf, kafkaErrorName } from './failure.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { counted, note, show, tableOf } from './output.ts'
import { offsetsOf } from './places.ts'
import type { Place } from './values.ts'

interface CreateFlags extends BrokerFlags {
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly config?: readonly (readonly [string, string])[]
  readonly ifNotExists?: boolean
}

export async function createTopic(name: string, flags: CreateFlags): Promise<void> {
  const { partitions = -1, replicationFactor = -1, config = [], ifNotExists = false } = flags
  await withCluster(flags.brokers, async cluster => {
    try {
      await cluster.admin.createTopics({
        topics: [name],
        partitions,
        replicas: replicationFactor,
        configs: config.map(([each, value]) => ({ name: each, value })),
      })
    } catch (error) {
      if (!ifNotExists || kafkaErrorName(error) !== 'TOPIC_ALREADY_EXISTS') {
        throw failureOf(error, `create topic ${name}`)
      }
      return note(`topic ${name} exists already; it was left as it is`)
    }
    const topic = await cluster.createdTopic(name)
    note(`topic ${name} created with ${counted(topic.partitions.length, 'partition')}`)
  })
}

interface ChangeFlags extends BrokerFlags, OutputFlags {
  readonly yes?: boolean
}

interface Trim {
  readonly partition: number
  readonly start: number
  readonly newStart: number
  readonly deleted: number
}

export async function trimTopic(
  name: string,
  flags: ChangeFlags & { readonly before: Place; readonly partition?: readonly number[] },
): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const topic = await cluster.topic(name)
    const trims = await attempt(`trim topic ${name}`, () =>
      trimsOf(cluster, chosen(topic, flags.partition), flags.before),
    )
    await show(flags.output, {
      data: trims.map(trim => ({ topic: name, ...trim })),
      names: () => trims.map(({ partition }) => `${name}/${partition}`),
      table: () =>
        tableOf<Trim>(
          [
            { title: 'partition', of: row => row.partition, right: true },
            { title: 'start', of: row => row.start, right: true },
            { title: 'new start', of: row => row.newStart, right: true },
            { title: 'deleted', of: row => row.deleted, right: true },
          ],
          trims,
        ),
    })
    const partitions = trims.filter(({ deleted }) => deleted > 0)
    const sum = partitions.reduce((count, { deleted }) => count + deleted, 0)
    if (sum === 0) return note(`topic ${name}: there is nothing to delete`)
    if (flags.yes !== true) return note(`nothing was deleted; add --yes to delete ${counted(sum, 'record')} of ${name}`)
    await attempt(`trim topic ${name}`, () =>
      cluster.admin.deleteRecords({
        topics: [
          { name, partitions: partitions.map(({ partition, newStart }) => ({ partition, offset: BigInt(newStart) })) },
        ],
      }),
    )
    note(`topic ${name}: deleted ${counted(sum, 'record')}`)
  })
}

async function trimsOf(cluster: Cluster, topic: TopicFacts, before: Place): Promise<Trim[]> {
  const ranges = await cluster.ranges(topic)
  const short = topic.partitions.find(
    ({ partition }) => before.at === 'offset' && before.offset > ranges.get(partition)!.end,
  )
  if (short !== undefined && before.at === 'offset') {
    const { partition } = short
    const { end } = ranges.get(partition)!
    throw new CliError(
      exitCodes.usage,
      `partition ${partition} of ${topic.name} ends at ${end}, before ${before.offset}: name an offset up to that, or \`end\` for all there is`,
    )
  }
  const offsets = await offsetsOf(cluster, topic, ranges, before)
  return topic.partitions.map(({ partition }) => {
    const { start } = ranges.get(partition)!
    const newStart = offsets.get(partition)!
    return { partition, start, newStart, deleted: newStart - start }
  })
}

/** The partitions that were asked for, all where none was. */
export function chosen(topic: TopicFacts, partitions: readonly number[] | undefined): TopicFacts {
  if (partitions === undefined) return topic
  const missing = partitions.find(each => !topic.partitions.some(({ partition }) => partition === each))
  if (missing !== undefined) {
    const count = topic.partitions.length
    throw new CliError(
      exitCodes.notFound,
      `topic ${topic.name} has no partition ${missing}; it has ${counted(count, 'partition')}, 0 to ${count - 1}`,
    )
  }
  return { ...topic, partitions: topic.partitions.filter(({ partition }) => partitions.includes(partition)) }
}

interface Removal {
  readonly name: string
  readonly partitions: number
  readonly records: number
}

export async function removeTopics(
  names: readonly string[],
  flags: ChangeFlags & { readonly ifExists?: boolean },
): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const topics = await foundTopics(cluster, names, flags.ifExists === true)
    const rows = await attempt('read offsets', () => Promise.all(topics.map(topic => removalOf(cluster, topic))))
    await show(flags.output, {
      data: rows.map(row => ({ ...row })),
      names: () => rows.map(({ name }) => name),
      table: () =>
        tableOf<Removal>(
          [
            { title: 'name', of: row => row.name },
            { title: 'partitions', of: row => row.partitions, right: true },
            { title: 'records', of: row => row.records, right: true },
          ],
          rows,
        ),
    })
    if (rows.length === 0) return note('there is nothing to delete')
    const what = rows.map(({ name }) => name).join(', ')
    if (flags.yes !== true) return note(`nothing was deleted; add --yes to delete ${what}`)
    await attempt(`delete ${what}`, () => cluster.admin.deleteTopics({ topics: rows.map(({ name }) => name) }))
    note(`deleted ${what}`)
  })
}

/** All of them, or none is touched. */
async function foundTopics(cluster: Cluster, names: readonly string[], mayBeMissing: boolean): Promise<TopicFacts[]> {
  const unique = [...new Set(names)]
  const found = await cluster.topics(unique)
  for (const name of unique) {
    if (!mayBeMissing && !found.some(topic => topic.name === name)) await cluster.topic(name)
  }
  return found
}

async function removalOf(cluster: Cluster, topic: TopicFacts): Promise<Removal> {
  const led = { ...topic, partitions: topic.partitions.filter(({ leader }) => leader >= 0) }
  const ranges = await cluster.ranges(led)
  const records = [...ranges.values()].reduce((sum, { start, end }) => sum + end - start, 0)
  return { name: topic.name, partitions: topic.partitions.length, records }
}
