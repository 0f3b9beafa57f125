/** kafka-dump-log over the broker's own files: every batch and record that was sent, in Kafka's format, and the committed offsets. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../../test/support/waiting.ts'
import { Unsupported } from '../../harness/agent.ts'
import type { Broker } from '../../harness/broker.ts'
import { same } from '../../harness/expect.ts'
import { OFFSETS_TOPIC, partitionOf } from '../coordinator-records.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Files may follow what is acknowledged from a journal. */
const WRITTEN_MS = 20_000

export const dumpLog: Play = {
  name: 'kafka-dump-log',
  limitMs: 90_000,
  async run(tools, { broker, unique }) {
    const { dataDir } = broker
    if (dataDir === null) throw new Unsupported('the files of this broker are not at hand')
    const topic = unique('dump')
    await tools.ok('kafka-topics', ['--create', '--topic', topic])
    for (const codec of CODECS) {
      const args = [
        '--topic',
        topic,
        '--compression-codec',
        codec,
        '--reader-property',
        'parse.key=true',
        '--reader-property',
        'parse.headers=true',
      ]
      await tools.ok('kafka-console-producer', args, `h:${codec}\tkey of ${codec}\tvalue of ${codec}\n`)
    }
    await records(tools, { broker, dataDir, topic })
    await committed(tools, { broker, dataDir, topic }, unique('dump'))
  },
}

interface Place {
  readonly broker: Broker
  readonly dataDir: string
  readonly topic: string
}

async function records(tools: Tools, place: Place): Promise<void> {
  const lines = await dumped(tools, place, 0, ['--deep-iteration', '--print-data-log'], CODECS.length)
  const found = lines.map(line =>
    /^\| offset: (\d+) .*headerKeys: \[(.*)\] key: (.*) payload: (.*)$/.exec(line)?.slice(1),
  )
  const due = CODECS.map((codec, offset) => [`${offset}`, 'h', `key of ${codec}`, `value of ${codec}`])
  same(
    'the records in the file',
    found.filter(each => each !== undefined),
    due,
  )
  const batches = lines.map(line =>
    /^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .*magic: 2 compresscodec: (\w+) .*isvalid: (\w+)/
      .exec(line)
      ?.slice(1),
  )
  const whole = CODECS.map((codec, offset) => [`${offset}`, `${offset}`, '1', codec, 'true'])
  same(
    'the batches in the file',
    batches.filter(each => each !== undefined),
    whole,
  )
}

async function committed(tools: Tools, place: Place, group: string): Promise<void> {
  const { topic } = place
  const reset = ['--reset-offsets', '--group', group, '--topic', topic, '--to-offset', '2', '--execute']
  await tools.ok('kafka-consumer-groups', reset)
  const partition = await partitionOf(tools, group)
  const key = JSON.stringify({ type: '1', data: { group, topic, partition: 0 } })
  const lines = await dumped(tools, { ...place, topic: OFFSETS_TOPIC }, partition, ['--offsets-decoder'], 1, key)
  const payload = /payload: (.*)$/.exec(lines.find(line => line.includes(key)) ?? '')?.[1] ?? '{}'
  const { data } = JSON.parse(payload) as { data?: { offset: number; metadata: string } }
  same('the committed offset in the file', [data?.offset, data?.metadata], [2, ''])
}

/** The lines of a dump, as soon as `count` records in it contain `text`. */
async function dumped(
  tools: Tools,
  place: Place,
  partition: number,
  how: readonly string[],
  count: number,
  text = '',
): Promise<string[]> {
  const { topic } = place
  return await eventually(
    WRITTEN_MS,
    `that ${count} records are in the files of ${topic}-${partition}`,
    async () => {
      const files = await segmentsOf(tools, place, partition)
      if (files.length === 0) return null
      const lines = (await tools.ok('kafka-dump-log', ['--files', files.join(), ...how])).split('\n')
      return lines.filter(line => line.startsWith('| offset: ') && line.includes(text)).length >= count ? lines : null
    },
    300,
  )
}

/** The segment files of a partition that have something in them. */
async function segmentsOf(tools: Tools, { broker, dataDir, topic }: Place, partition: number): Promise<string[]> {
  const folder =
    broker.kind === 'tidelog'
      ? join(dataDir, 'topics', `${await hexIdOf(tools, topic)}-${partition}`)
      : join(dataDir, `${topic}-${partition}`)
  const names = await readdir(folder).catch(() => [])
  const files = names
    .filter(name => name.endsWith('.log'))
    .sort()
    .map(name => join(folder, name))
  const sizes = await Promise.all(files.map(async file => (await stat(file)).size))
  return files.filter((_, i) => sizes[i]! > 0)
}

async function hexIdOf(tools: Tools, topic: string): Promise<string> {
  const [, id = ''] = /TopicId: (\S+)/.exec(await tools.ok('kafka-topics', ['--describe', '--topic', topic])) ?? []
  return Buffer.from(id, 'base64url').toString('hex')
}
