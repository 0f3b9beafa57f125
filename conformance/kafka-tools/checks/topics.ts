/** kafka-topics: made, listed, described, grown, deleted; and what is refused. */
import { eventually } from '../../../test/support/waiting.ts'
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import { type Tools, VERSION } from '../tools.ts'

const VISIBLE_MS = 5_000

export const topics: Play = {
  name: 'kafka-topics',
  limitMs: 60_000,
  async run(tools, { unique }) {
    same('the version', (await tools.ok('kafka-topics', ['--version'])).trim(), VERSION)
    const topic = unique('topics')
    await create(tools, topic)
    await describe(tools, topic)
    await grow(tools, topic)
    await deletes(tools, topic)
  },
}

async function create(tools: Tools, topic: string): Promise<void> {
  const wanted = ['--create', '--topic', topic, '--partitions', '2', '--config', 'retention.ms=86400000']
  const made = await tools.ok('kafka-topics', wanted)
  holds(made.includes(`Created topic ${topic}.`), `creating a topic says ${made}`)
  await tools.refused('kafka-topics', wanted, /TopicExistsException/)
  await tools.ok('kafka-topics', [...wanted, '--if-not-exists'])
  const other = ['--create', '--topic', `${topic}-other`]
  await tools.refused('kafka-topics', [...other, '--config', 'retention.ms=-5'], /ConfigException/)
  await tools.refused('kafka-topics', ['--create', '--topic', 'a+b'], /InvalidTopicException/)
  await tools.refused('kafka-topics', [...other, '--replication-factor', '2'], /InvalidReplicationFactorException/)
  await tools.ok('kafka-topics', other)
  const listed = (await tools.ok('kafka-topics', ['--list'])).split('\n')
  holds(listed.includes(topic) && listed.includes(`${topic}-other`), `the list lacks ${topic}`)
  same('the partitions that nobody asked for', (await partitionsOf(tools, `${topic}-other`)).length, 1)
}

async function describe(tools: Tools, topic: string): Promise<void> {
  const told = await tools.ok('kafka-topics', ['--describe', '--topic', topic])
  const head = told.split('\n')[0] ?? ''
  holds(/TopicId: [\w-]{22}\s+PartitionCount: 2\s+ReplicationFactor: 1\s/.test(head), `the description says ${head}`)
  holds(/Configs: .*\bretention\.ms=86400000\b/.test(head), `the description lacks retention.ms: ${head}`)
  const overridden = await tools.ok('kafka-topics', ['--describe', '--topics-with-overrides'])
  holds(overridden.includes(`Topic: ${topic}\t`), 'the topics with overrides lack one')
  for (const trouble of ['under-replicated', 'unavailable', 'under-min-isr', 'at-min-isr']) {
    // With one replica and a minimum of one, every partition is at its minimum.
    const due = trouble === 'at-min-isr' ? 2 : 0
    const shown = await tools.ok('kafka-topics', ['--describe', '--topic', topic, `--${trouble}-partitions`])
    same(`the number of ${trouble} partitions`, partitionLines(shown).length, due)
  }
  await tools.refused('kafka-topics', ['--describe', '--topic', `${topic}-none`], /does not exist/)
}

async function grow(tools: Tools, topic: string): Promise<void> {
  await tools.ok('kafka-topics', ['--alter', '--topic', topic, '--partitions', '5'])
  await eventually(
    VISIBLE_MS,
    'that the topic has 5 partitions',
    async () => (await partitionsOf(tools, topic)).length === 5,
  )
  const paged = ['--describe', '--topic', topic, '--partition-size-limit-per-response', '2']
  same('the partitions in pages of 2', partitionsIn(await tools.ok('kafka-topics', paged)), [0, 1, 2, 3, 4])
  for (const fewer of ['5', '3']) {
    const back = ['--alter', '--topic', topic, '--partitions', fewer]
    await tools.refused('kafka-topics', back, /InvalidPartitionsException/)
  }
  await tools.ok('kafka-topics', ['--alter', '--topic', `${topic}-none`, '--partitions', '2', '--if-exists'])
}

async function deletes(tools: Tools, topic: string): Promise<void> {
  await tools.ok('kafka-topics', ['--delete', '--topic', `${topic}.*`])
  await eventually(VISIBLE_MS, 'that the topics are gone', async () => {
    return !(await tools.ok('kafka-topics', ['--list'])).includes(topic)
  })
  await tools.refused('kafka-topics', ['--delete', '--topic', topic], /does not exist/)
  await tools.ok('kafka-topics', ['--delete', '--topic', topic, '--if-exists'])
}

const partitionsOf = async (tools: Tools, topic: string) =>
  partitionsIn(await tools.ok('kafka-topics', ['--describe', '--topic', topic]))

/** The numbers of the partitions; each must have its leader as its one replica, in sync. */
function partitionsIn(description: string): number[] {
  return partitionLines(description).map(line => {
    const found = /Partition: (\d+)\s+Leader: (\d+)\s+Replicas: (\d+)\s+Isr: (\d+)/.exec(line)
    holds(found !== null && found[2] === found[3] && found[3] === found[4], `a partition is described as ${line}`)
    return Number(found?.[1])
  })
}

const partitionLines = (description: string) => description.split('\n').filter(line => line.startsWith('\tTopic: '))
