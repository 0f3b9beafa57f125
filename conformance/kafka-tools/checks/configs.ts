/** kafka-configs: the configs of a topic and of a broker, with where each value comes from. */
import { eventually } from '../../../test/support/waiting.ts'
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const VISIBLE_MS = 5_000

/** What a topic is told to be like where nobody has changed anything, and the broker's name of it. */
const TOPIC_DEFAULTS: Readonly<Record<string, readonly [value: string, synonym?: string]>> = {
  'cleanup.policy': ['delete', 'log.cleanup.policy'],
  'compression.gzip.level': ['-1', 'compression.gzip.level'],
  'compression.lz4.level': ['9', 'compression.lz4.level'],
  'compression.type': ['producer', 'compression.type'],
  'compression.zstd.level': ['3', 'compression.zstd.level'],
  'delete.retention.ms': ['86400000', 'log.cleaner.delete.retention.ms'],
  'file.delete.delay.ms': ['60000', 'log.segment.delete.delay.ms'],
  'flush.messages': ['9223372036854775807', 'log.flush.interval.messages'],
  'flush.ms': ['9223372036854775807'],
  'index.interval.bytes': ['4096', 'log.index.interval.bytes'],
  'max.compaction.lag.ms': ['9223372036854775807', 'log.cleaner.max.compaction.lag.ms'],
  'max.message.bytes': ['1048588', 'message.max.bytes'],
  'message.timestamp.after.max.ms': ['3600000', 'log.message.timestamp.after.max.ms'],
  'message.timestamp.before.max.ms': ['9223372036854775807', 'log.message.timestamp.before.max.ms'],
  'message.timestamp.type': ['CreateTime', 'log.message.timestamp.type'],
  'min.cleanable.dirty.ratio': ['0.5', 'log.cleaner.min.cleanable.ratio'],
  'min.compaction.lag.ms': ['0', 'log.cleaner.min.compaction.lag.ms'],
  'min.insync.replicas': ['1', 'min.insync.replicas'],
  preallocate: ['false', 'log.preallocate'],
  'retention.bytes': ['-1', 'log.retention.bytes'],
  'segment.bytes': ['1073741824', 'log.segment.bytes'],
  'segment.index.bytes': ['10485760', 'log.index.size.max.bytes'],
  'segment.jitter.ms': ['0'],
  'segment.ms': ['604800000'],
  'unclean.leader.election.enable': ['false', 'unclean.leader.election.enable'],
}

const BROKER_DEFAULTS: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'true',
  'num.partitions': '1',
  'default.replication.factor': '1',
  'delete.topic.enable': 'true',
  'message.max.bytes': '1048588',
  'log.retention.hours': '168',
  'log.segment.bytes': '1073741824',
  'log.cleanup.policy': 'delete',
  'socket.request.max.bytes': '104857600',
  'connections.max.idle.ms': '600000',
  'group.min.session.timeout.ms': '6000',
  'group.max.session.timeout.ms': '1800000',
  'group.initial.rebalance.delay.ms': '0',
  'offsets.retention.minutes': '10080',
  'offset.metadata.max.bytes': '4096',
  'transaction.max.timeout.ms': '900000',
  'compression.type': 'producer',
}

export const configs: Play = {
  name: 'kafka-configs',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('configs')
    await tools.ok('kafka-topics', ['--create', '--topic', topic])
    await defaultsOfTopic(tools, topic)
    await changed(tools, topic)
    await refusals(tools, topic)
    await defaultsOfBroker(tools)
  },
}

async function defaultsOfTopic(tools: Tools, topic: string): Promise<void> {
  const all = configsIn(await tools.ok('kafka-configs', ['--describe', ...entity(topic), '--all']))
  for (const [name, [value, synonym]] of Object.entries(TOPIC_DEFAULTS)) {
    const config = all.get(name)
    holds(config !== undefined, `the configs of a topic lack ${name}`)
    same(`the default of ${name}`, config?.value, value)
    if (synonym === undefined) continue
    const due = `DEFAULT_CONFIG:${synonym}=${value}`
    holds(
      config?.synonyms.includes(due) === true,
      `the synonyms of ${name} are ${config?.synonyms.join()}, without ${due}`,
    )
  }
}

async function changed(tools: Tools, topic: string): Promise<void> {
  const set = 'cleanup.policy=[compact,delete],max.message.bytes=2000000,retention.ms=1000000'
  await tools.ok('kafka-configs', ['--alter', ...entity(topic), '--add-config', set])
  await tools.ok('kafka-configs', ['--alter', ...entity(topic), '--delete-config', 'retention.ms'])
  const described = async () => configsIn(await tools.ok('kafka-configs', ['--describe', ...entity(topic)]))
  await eventually(VISIBLE_MS, 'that the configs are changed', async () => {
    const now = await described()
    return now.has('max.message.bytes') && !now.has('retention.ms')
  })
  const overrides = await described()
  same('the overrides', [...overrides.keys()], ['cleanup.policy', 'max.message.bytes'])
  const { value, synonyms } = overrides.get('max.message.bytes')!
  same('the new value', value, '2000000')
  same('its synonyms', synonyms, [
    'DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000000',
    'DEFAULT_CONFIG:message.max.bytes=1048588',
  ])
  same('the list', overrides.get('cleanup.policy')?.value, 'compact,delete')
}

async function refusals(tools: Tools, topic: string): Promise<void> {
  for (const wrong of ['segment.ms=0', 'max.message.bytes=much', 'cleanup.policy=shred', 'no.such.config=1']) {
    const alter = ['--alter', ...entity(topic), '--add-config', wrong]
    await tools.refused('kafka-configs', alter, /InvalidConfigurationException/)
  }
  // What is not set can always be taken away, even what does not exist.
  await tools.ok('kafka-configs', ['--alter', ...entity(topic), '--delete-config', 'no.such.config'])
  await tools.refused('kafka-configs', ['--describe', ...entity(`${topic}-none`)], /doesn't exist/)
  const unchanged = configsIn(await tools.ok('kafka-configs', ['--describe', ...entity(topic)]))
  same('the overrides after what was refused', [...unchanged.keys()], ['cleanup.policy', 'max.message.bytes'])
}

async function defaultsOfBroker(tools: Tools): Promise<void> {
  const [, id] = /\(id: (\d+) /.exec(await tools.ok('kafka-broker-api-versions', [])) ?? []
  holds(id !== undefined, 'the broker has no id')
  const all = configsIn(
    await tools.ok('kafka-configs', ['--describe', '--entity-type', 'brokers', '--entity-name', `${id}`, '--all']),
  )
  for (const [name, value] of Object.entries(BROKER_DEFAULTS)) same(`the broker's ${name}`, all.get(name)?.value, value)
  for (const name of ['node.id', 'log.dirs', 'listeners']) holds(all.has(name), `the configs of a broker lack ${name}`)
  await tools.ok('kafka-configs', ['--describe', '--entity-type', 'brokers'])
}

const entity = (topic: string) => ['--entity-type', 'topics', '--entity-name', topic] as const

interface Described {
  readonly value: string
  readonly synonyms: readonly string[]
}

function configsIn(description: string): Map<string, Described> {
  const found = description.matchAll(/^ {2}([\w.]+)=(.*) sensitive=\w+ synonyms=\{(.*)\}$/gm)
  return new Map(
    [...found].map(([, name, value, synonyms]) => [
      name!,
      { value: value!, synonyms: synonyms!.split(', ').filter(Boolean) },
    ]),
  )
}
