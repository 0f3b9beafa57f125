/** kafka-consumer-groups and kafka-groups: a group with a member, what is refused while it lives, and its offsets moved afterwards. */
import { eventually } from '../../../test/support/waiting.ts'
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import { rowsOf, type Tools } from '../tools.ts'

const JOINED_MS = 20_000

export const consumerGroups: Play = {
  name: 'kafka-consumer-groups',
  limitMs: 90_000,
  async run(tools, { unique }) {
    const topic = unique('group-tool')
    const group = unique('group-tool')
    await tools.ok('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])
    // Keys 1 and 2 lie in partitions 0 and 1, or the other way round: what matters is that both have records.
    const input = Array.from({ length: 20 }, (_, i) => `${i}\tvalue ${i}\n`).join('')
    await tools.ok('kafka-console-producer', ['--topic', topic, '--reader-property', 'parse.key=true'], input)
    const ends = await endsOf(tools, topic)
    same('the records of both partitions', ends[0]! + ends[1]!, 20)

    const leave = tools.background('kafka-console-consumer', ['--topic', topic, '--group', group, '--from-beginning'])
    await withMember(tools, group, topic)
    await leave()
    await listed(tools, group)
    await withoutMember(tools, group, topic, ends)
    await moved(tools, group, topic, ends)
    await deleted(tools, group, topic)
  },
}

async function withMember(tools: Tools, group: string, topic: string): Promise<void> {
  const state = async () => rowsOf(await about(tools, group, '--state'), group)[0] ?? []
  await eventually(JOINED_MS, 'that the group is stable', async () => (await state()).includes('Stable'), 300)
  same('strategy, state and members', (await state()).slice(-3), ['range', 'Stable', '1'])
  const [member = []] = rowsOf(await about(tools, group, '--members', '--verbose'), group)
  const [, memberId = '', host = '', clientId, partitions, , assignment] = member
  holds(memberId.startsWith('console-consumer-'), `the member's id is ${memberId}`)
  holds(/^\/(127\.0\.0\.1|0:0:0:0:0:0:0:1)$/.test(host), `the member's host is ${host}`)
  same(
    'client id, partitions, assignment',
    [clientId, partitions, assignment],
    ['console-consumer', '2', `${topic}:0,1`],
  )
  const offsets = rowsOf(await about(tools, group, '--offsets'), group)
  same(
    'the member of each partition',
    offsets.map(row => row[6]),
    [memberId, memberId],
  )

  const refused = (args: readonly string[], reason: RegExp) =>
    tools.refused('kafka-consumer-groups', ['--group', group, ...args], reason)
  await refused(
    ['--reset-offsets', '--topic', topic, '--to-earliest', '--execute'],
    /only be reset if the group '.*' is inactive/,
  )
  await refused(['--delete-offsets', '--topic', topic], /GroupSubscribedToTopicException/)
  await refused(['--delete'], /GroupNotEmptyException/)
}

async function listed(tools: Tools, group: string): Promise<void> {
  holds((await tools.ok('kafka-consumer-groups', ['--list'])).split('\n').includes(group), 'the list lacks the group')
  const states = rowsOf(await tools.ok('kafka-consumer-groups', ['--list', '--state', 'empty']), group)
  same('the group among the empty ones', states, [[group, 'Empty']])
  const stable = rowsOf(await tools.ok('kafka-consumer-groups', ['--list', '--state', 'stable']), group)
  same('the group among the stable ones', stable, [])
  const types = rowsOf(await tools.ok('kafka-groups', ['--list']), group)
  same('the type and the protocol of the group', types, [[group, 'Classic', 'consumer']])
}

async function withoutMember(tools: Tools, group: string, topic: string, ends: readonly number[]): Promise<void> {
  const rows = rowsOf(await about(tools, group, '--offsets'), group)
  const due = ends.map((end, partition) => [group, topic, `${partition}`, `${end}`, `${end}`, '0', '-', '-', '-'])
  same('the offsets that the member has left', rows, due)
  const members = await about(tools, group, '--members')
  same('the members', rowsOf(members, group), [])
  await tools.refused('kafka-consumer-groups', ['--describe', '--group', `${group}-none`], /GroupIdNotFoundException/)
}

async function moved(tools: Tools, group: string, topic: string, ends: readonly number[]): Promise<void> {
  const reset = async (from: string, ...to: readonly string[]) =>
    rowsOf(
      await tools.ok('kafka-consumer-groups', ['--reset-offsets', '--group', group, '--topic', from, ...to]),
      group,
    )
      .map(row => row.slice(2).map(Number))
      .sort(([a = 0], [b = 0]) => a - b)
  const now = async () => rowsOf(await about(tools, group, '--offsets'), group).map(row => row.slice(2, 4).map(Number))
  const both = ends.map((end, partition) => [partition, end])
  const begins = ends.map((_, partition) => [partition, 0])

  same('what a dry run would set', await reset(topic, '--to-earliest', '--dry-run'), begins)
  same('the offsets after a dry run', await now(), both)
  same('what --to-earliest sets', await reset(topic, '--to-earliest', '--execute'), begins)
  same('the offsets after --to-earliest', await now(), begins)
  same('what --to-offset sets', await reset(`${topic}:1`, '--to-offset', '1', '--execute'), [[1, 1]])
  same('what --shift-by sets', await reset(`${topic}:1`, '--shift-by', '1', '--execute'), [[1, 2]])
  same('what --to-latest sets', await reset(topic, '--to-latest', '--execute'), both)
  same('what --by-duration sets', await reset(topic, '--by-duration', 'PT1H', '--execute'), begins)
  same('what --to-datetime sets', await reset(topic, '--to-datetime', '2100-01-01T00:00:00.000Z', '--execute'), both)
  same('the offsets after all of that', await now(), both)
}

async function deleted(tools: Tools, group: string, topic: string): Promise<void> {
  const told = await tools.ok('kafka-consumer-groups', ['--delete-offsets', '--group', group, '--topic', `${topic}:0`])
  same('what deleting an offset says', rowsOf(told, topic), [[topic, '0', 'Successful']])
  same(
    'the partitions that have an offset',
    rowsOf(await about(tools, group, '--offsets'), group).map(row => row[2]),
    ['1'],
  )
  await tools.ok('kafka-consumer-groups', ['--delete', '--group', group])
  holds(!(await tools.ok('kafka-consumer-groups', ['--list'])).split('\n').includes(group), 'a deleted group is listed')
  await tools.refused('kafka-consumer-groups', ['--delete', '--group', group], /GroupIdNotFoundException/)
}

const about = (tools: Tools, group: string, ...what: readonly string[]) =>
  tools.ok('kafka-consumer-groups', ['--describe', '--group', group, ...what])

async function endsOf(tools: Tools, topic: string): Promise<number[]> {
  const lines = (await tools.ok('kafka-get-offsets', ['--topic', topic])).trim().split('\n')
  return lines.map(line => Number(line.split(':')[2]))
}
