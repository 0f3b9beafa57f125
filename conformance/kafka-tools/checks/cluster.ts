/** What the tools ask about the cluster: its versions, its folders, its quorum, its elections, its reassignments. */
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

/** The ranges that clients of today and of long ago need, as Apache Kafka serves them. */
const RANGES: Readonly<Record<string, string>> = {
  'Produce(0)': '0 to 13',
  'Fetch(1)': '4 to 18',
  'ListOffsets(2)': '1 to 11',
  'Metadata(3)': '0 to 13',
  'OffsetCommit(8)': '2 to 10',
  'OffsetFetch(9)': '1 to 10',
  'FindCoordinator(10)': '0 to 6',
  'JoinGroup(11)': '0 to 9',
  'Heartbeat(12)': '0 to 4',
  'LeaveGroup(13)': '0 to 5',
  'SyncGroup(14)': '0 to 5',
  'DescribeGroups(15)': '0 to 6',
  'ListGroups(16)': '0 to 5',
  'ApiVersions(18)': '0 to 4',
  'CreateTopics(19)': '2 to 7',
  'DeleteTopics(20)': '1 to 6',
  'DeleteRecords(21)': '0 to 2',
  'InitProducerId(22)': '0 to 5',
  'OffsetForLeaderEpoch(23)': '2 to 4',
  'DescribeConfigs(32)': '1 to 4',
  'AlterConfigs(33)': '0 to 2',
  'DescribeLogDirs(35)': '1 to 5',
  'CreatePartitions(37)': '0 to 3',
  'DeleteGroups(42)': '0 to 2',
  'ElectLeaders(43)': '0 to 2',
  'IncrementalAlterConfigs(44)': '0 to 1',
  'ListPartitionReassignments(46)': '0',
  'OffsetDelete(47)': '0',
  'DescribeQuorum(55)': '0 to 2',
  'DescribeCluster(60)': '0 to 2',
  'DescribeProducers(61)': '0',
  'ListConfigResources(74)': '0 to 1',
  'DescribeTopicPartitions(75)': '0',
}

export const cluster: Play = {
  name: 'kafka-broker-api-versions, -log-dirs, -metadata-quorum, -leader-election, -reassign-partitions',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('cluster-tools')
    await tools.ok('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])
    await tools.ok('kafka-console-producer', ['--topic', topic], 'a value\n')
    await apiVersions(tools)
    await logDirs(tools, topic)
    await quorum(tools)
    await elections(tools, topic)
    const listed = await tools.ok('kafka-reassign-partitions', ['--list'])
    same('the reassignments under way', listed.trim(), 'No partition reassignments found.')
  },
}

async function apiVersions(tools: Tools): Promise<void> {
  const told = await tools.ok('kafka-broker-api-versions', [])
  const ranges = new Map(
    [...told.matchAll(/^\s+(\w+\(\d+\)): (\d+(?: to \d+)?) \[usable: \d+\]/gm)].map(([, api, range]) => [api, range]),
  )
  for (const [api, range] of Object.entries(RANGES)) same(`the versions of ${api}`, ranges.get(api), range)
}

interface LogDirs {
  readonly brokers: readonly {
    readonly logDirs: readonly {
      readonly error: string | null
      readonly partitions: readonly { partition: string; size: number; offsetLag: number; isFuture: boolean }[]
    }[]
  }[]
}

async function logDirs(tools: Tools, topic: string): Promise<void> {
  const told = await tools.ok('kafka-log-dirs', ['--describe', '--topic-list', topic])
  const { brokers } = JSON.parse(told.split('\n').find(line => line.startsWith('{')) ?? '{"brokers":[]}') as LogDirs
  const dirs = brokers.flatMap(broker => broker.logDirs)
  same(
    'the errors of the folders',
    dirs.map(({ error }) => error),
    [null],
  )
  const partitions = dirs.flatMap(dir => dir.partitions).sort((a, b) => (a.partition < b.partition ? -1 : 1))
  same(
    'the partitions',
    partitions.map(({ partition }) => partition),
    [`${topic}-0`, `${topic}-1`],
  )
  holds(
    partitions.some(({ size }) => size > 60),
    `no partition has the size of its record: ${JSON.stringify(partitions)}`,
  )
  holds(
    partitions.every(({ offsetLag, isFuture }) => offsetLag === 0 && !isFuture),
    'a partition lags, or lies in the future',
  )
}

async function quorum(tools: Tools): Promise<void> {
  const status = await tools.ok('kafka-metadata-quorum', ['describe', '--status'])
  const fields = new Map([...status.matchAll(/^(\w+):\s+(.*)$/gm)].map(([, name, value]) => [name, value]))
  const leader = fields.get('LeaderId')
  holds(/^\d+$/.test(leader ?? ''), `the quorum's leader is ${leader}`)
  holds(Number(fields.get('HighWatermark')) > 0, `the quorum's high watermark is ${fields.get('HighWatermark')}`)
  const voters = JSON.parse(fields.get('CurrentVoters') ?? '[]') as { id: number }[]
  same(
    'the voters',
    voters.map(({ id }) => `${id}`),
    [leader],
  )
  const replication = await tools.ok('kafka-metadata-quorum', ['describe', '--replication'])
  const rows = replication
    .trim()
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
  same(
    'who is in the quorum, and as what',
    rows.map(row => [row[0], row.at(-1)]),
    [[leader, 'Leader']],
  )
}

async function elections(tools: Tools, topic: string): Promise<void> {
  const preferred = ['--election-type', 'preferred'] as const
  await tools.ok('kafka-leader-election', [...preferred, '--all-topic-partitions'])
  const told = await tools.ok('kafka-leader-election', [...preferred, '--topic', topic, '--partition', '0'])
  holds(
    told.includes(`Valid replica already elected for partitions ${topic}-0`),
    `an election that nobody needs says ${told}`,
  )
  const nowhere = ['--topic', `${topic}-none`, '--partition', '0']
  await tools.refused('kafka-leader-election', [...preferred, ...nowhere], /UnknownTopicOrPartitionException/)
}
