/** `group ls`, `group info`: what there is. */
import { type Cluster, offsetAt, withCluster } from './connection.ts'
import { attempt } from './failure.ts'
import { committedOf, type GroupFacts, type MemberFacts, requireGroup } from './group-facts.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { counted, type Json, paint, printable, show, tableOf } from './output.ts'

interface ListedGroup {
  readonly id: string
  readonly state: string
  readonly protocolType: string
}

export async function listGroups(flags: BrokerFlags & OutputFlags): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const listed = await attempt('list groups', () => cluster.admin.listGroups({}))
    const groups: ListedGroup[] = [...listed.values()]
      .map(({ id, state, protocolType }) => ({ id, state, protocolType }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    await show(flags.output, {
      data: groups.map(group => ({ ...group })),
      names: () => groups.map(({ id }) => id),
      table: () =>
        tableOf<ListedGroup>(
          [
            { title: 'id', of: group => group.id },
            { title: 'state', of: group => group.state },
            { title: 'protocol', of: group => group.protocolType || null },
          ],
          groups,
        ),
    })
  })
}

interface ShownOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
  /** Null where the topic is gone, or nobody leads the partition. */
  readonly end: number | null
  readonly lag: number | null
}

export async function describeGroup(id: string, flags: BrokerFlags & OutputFlags): Promise<void> {
  await withCluster(flags.brokers, async cluster => {
    const group = await requireGroup(cluster, id)
    const offsets = await offsetsWithLag(cluster, id)
    const lag = offsets.reduce((sum, offset) => sum + (offset.lag ?? 0), 0)
    await show(flags.output, {
      data: { ...group, offsets, lag } as unknown as Json,
      names: () => offsets.map(({ topic, partition }) => `${topic}/${partition}`),
      table: () => `${headOf(group, lag)}${memberTable(group.members)}${offsetTable(offsets)}`,
    })
  })
}

async function offsetsWithLag(cluster: Cluster, id: string): Promise<ShownOffset[]> {
  const committed = await committedOf(cluster, id)
  const topics = await cluster.topics([...new Set(committed.map(({ topic }) => topic))])
  const leaders = new Map(
    topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partition, leader }) => [`${name}/${partition}`, leader] as const),
    ),
  )
  const questions = committed.flatMap(({ topic, partition }) => {
    const leader = leaders.get(`${topic}/${partition}`) ?? -1
    return leader < 0 ? [] : [{ topic, partition, leader, at: offsetAt.end }]
  })
  const answers = await attempt(`read the lag of group ${id}`, () => cluster.offsets(questions))
  const ends = new Map(answers.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
  return committed.map(position => {
    const end = ends.get(`${position.topic}/${position.partition}`) ?? null
    return { ...position, end, lag: end === null ? null : Math.max(end - position.offset, 0) }
  })
}

function headOf({ id, state, protocolType, protocol, members }: GroupFacts, lag: number): string {
  const kind = [protocolType, protocol].filter(text => text !== '').join(', ')
  const facts = [state, ...(kind === '' ? [] : [kind]), counted(members.length, 'member'), `lag ${lag}`]
  return `${paint('bold', printable(id))}  ${printable(facts.join(', '))}\n`
}

function memberTable(members: readonly MemberFacts[]): string {
  if (members.length === 0) return ''
  const table = tableOf<MemberFacts>(
    [
      { title: 'member', of: member => member.instanceId ?? member.id },
      { title: 'client', of: member => member.clientId },
      { title: 'host', of: member => member.clientHost.replace(/^\//, '') },
      { title: 'partitions', of: member => assignmentText(member.assignment) },
    ],
    members,
  )
  return `\n${table}`
}

function assignmentText(assignment: MemberFacts['assignment']): string | null {
  if (assignment === null || assignment.length === 0) return null
  return assignment.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`).join(' ')
}

function offsetTable(offsets: readonly ShownOffset[]): string {
  if (offsets.length === 0) return ''
  const table = tableOf<ShownOffset>(
    [
      { title: 'topic', of: row => row.topic },
      { title: 'partition', of: row => row.partition, right: true },
      { title: 'offset', of: row => row.offset, right: true },
      { title: 'end', of: row => row.end, right: true },
      { title: 'lag', of: row => row.lag, right: true },
    ],
    offsets,
  )
  return `\n${table}`
}
