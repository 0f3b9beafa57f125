/**
 * `group seek`: where each position of a group is, where it would go, and with `--yes` the move itself. What moves is decided
 * once, before anything is shown: the same numbers are committed.
 */
import { exitCodes } from '../base/errors.ts'
import { type Cluster, type TopicFacts, withCluster } from './connection.ts'
import { attempt, CliError } from './failure.ts'
import { committedOf, findGroup, membersSentence, requireGroup } from './group-facts.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { counted, note, show, tableOf } from './output.ts'
import { clamped, offsetsOf, type Ranges } from './places.ts'
import { chosen } from './topic-change.ts'
import { parsePartitions } from './values.ts'

interface SeekFlags extends BrokerFlags, OutputFlags {
  readonly topic?: readonly string[]
  readonly toEarliest?: boolean
  readonly toLatest?: boolean
  readonly toOffset?: number
  readonly toDatetime?: number
  readonly byDuration?: number
  readonly shiftBy?: number
  readonly yes?: boolean
}

type Target =
  | { readonly at: 'beginning' | 'end' }
  | { readonly at: 'offset'; readonly offset: number }
  | { readonly at: 'time'; readonly timestampMs: number }
  | { readonly at: 'shift'; readonly by: number }

interface Move {
  readonly topic: string
  readonly partition: number
  /** Null where the group has no position yet. */
  readonly offset: number | null
  readonly newOffset: number
  readonly difference: number | null
}

export async function seekGroup(id: string, flags: SeekFlags): Promise<void> {
  const target = targetOf(flags)
  await withCluster(flags.brokers, async cluster => {
    // A group that does not exist yet may be given positions, where it is said for which topic.
    const group = flags.topic === undefined ? await requireGroup(cluster, id) : await findGroup(cluster, id)
    const inUse = group === null ? null : membersSentence(group)
    if (inUse !== null)
      throw new CliError(exitCodes.runtime, `${inUse}; stop them, then seek: they would go on from where they are`)
    const moves = await attempt(`seek group ${id}`, () => movesOf(cluster, id, target, flags))
    await show(flags.output, {
      data: moves.map(move => ({ ...move })),
      names: () => moves.map(({ topic, partition }) => `${topic}/${partition}`),
      table: () => moveTable(moves),
    })
    const changes = moves.filter(({ offset, newOffset }) => offset !== newOffset)
    if (changes.length === 0) return note(`group ${id}: every position is there already`)
    const what = `${counted(changes.length, 'position')} of group ${id}`
    if (flags.yes !== true) return note(`nothing was moved; add --yes to move ${what}`)
    await attempt(`seek group ${id}`, () => commit(cluster, id, changes))
    note(`moved ${what}`)
  })
}

function targetOf(flags: SeekFlags): Target {
  const given: Target[] = []
  if (flags.toEarliest === true) given.push({ at: 'beginning' })
  if (flags.toLatest === true) given.push({ at: 'end' })
  if (flags.toOffset !== undefined) given.push({ at: 'offset', offset: flags.toOffset })
  if (flags.toDatetime !== undefined) given.push({ at: 'time', timestampMs: flags.toDatetime })
  if (flags.byDuration !== undefined) given.push({ at: 'time', timestampMs: Date.now() - flags.byDuration })
  if (flags.shiftBy !== undefined) given.push({ at: 'shift', by: flags.shiftBy })
  const [target, second] = given
  if (target !== undefined && second === undefined) return target
  const choices = '--to-earliest, --to-latest, --to-offset, --to-datetime, --by-duration or --shift-by'
  throw new CliError(exitCodes.usage, `say ${target === undefined ? 'where to' : 'one place only'}: ${choices}`)
}

async function movesOf(cluster: Cluster, id: string, target: Target, { topic: asked }: SeekFlags): Promise<Move[]> {
  const committed = await committedOf(cluster, id)
  const topics = asked === undefined ? await committedTopics(cluster, committed) : await askedTopics(cluster, asked)
  const positions = new Map(committed.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
  const moves = await Promise.all(topics.map(topic => movesIn(cluster, topic, target, positions)))
  if (moves.flat().length > 0) return moves.flat()
  throw new CliError(exitCodes.runtime, `group ${id} has no position that could move; name a topic with --topic`)
}

/** What the group has committed and what is still there. */
async function committedTopics(
  cluster: Cluster,
  committed: readonly { readonly topic: string; readonly partition: number }[],
): Promise<TopicFacts[]> {
  const byTopic = Map.groupBy(committed, ({ topic }) => topic)
  const topics = await cluster.topics([...byTopic.keys()])
  return topics.map(topic => {
    const own = new Set(byTopic.get(topic.name)?.map(({ partition }) => partition))
    return { ...topic, partitions: topic.partitions.filter(({ partition }) => own.has(partition)) }
  })
}

/** `TOPIC` or `TOPIC:PARTITIONS`. */
async function askedTopics(cluster: Cluster, asked: readonly string[]): Promise<TopicFacts[]> {
  return await Promise.all(
    asked.map(async text => {
      const [name = '', list] = text.split(':')
      return chosen(await cluster.topic(name), list === undefined ? undefined : partitionsOf(text, list))
    }),
  )
}

function partitionsOf(text: string, list: string): readonly number[] {
  try {
    return parsePartitions(list)
  } catch {
    throw new CliError(exitCodes.usage, `--topic ${text}: write tides, tides:0 or tides:0,2-4`)
  }
}

async function movesIn(
  cluster: Cluster,
  topic: TopicFacts,
  target: Target,
  positions: ReadonlyMap<string, number>,
): Promise<Move[]> {
  const ranges = await cluster.ranges(topic)
  const offsets = target.at === 'shift' ? null : await offsetsOf(cluster, topic, ranges, target)
  return topic.partitions.flatMap(({ partition }) => {
    const offset = positions.get(`${topic.name}/${partition}`) ?? null
    const newOffset = target.at === 'shift' ? shifted(offset, target.by, ranges, partition) : offsets!.get(partition)!
    // What has no position cannot be shifted.
    if (newOffset === null) return []
    return [
      { topic: topic.name, partition, offset, newOffset, difference: offset === null ? null : newOffset - offset },
    ]
  })
}

function shifted(offset: number | null, by: number, ranges: Ranges, partition: number): number | null {
  return offset === null ? null : clamped(offset + by, ranges.get(partition)!)
}

async function commit(cluster: Cluster, id: string, moves: readonly Move[]): Promise<void> {
  const topics = [...Map.groupBy(moves, ({ topic }) => topic)].map(([name, ofTopic]) => ({
    name,
    partitionOffsets: ofTopic.map(({ partition, newOffset }) => ({ partition, offset: BigInt(newOffset) })),
  }))
  await cluster.admin.alterConsumerGroupOffsets({ groupId: id, topics })
}

function moveTable(moves: readonly Move[]): string {
  return tableOf<Move>(
    [
      { title: 'topic', of: move => move.topic },
      { title: 'partition', of: move => move.partition, right: true },
      { title: 'now', of: move => move.offset, right: true },
      { title: 'then', of: move => move.newOffset, right: true },
      { title: 'difference', of: ({ difference }) => signed(difference), right: true },
    ],
    moves,
  )
}

function signed(difference: number | null): string | null {
  return difference === null ? null : difference > 0 ? `+${difference}` : String(difference)
}
