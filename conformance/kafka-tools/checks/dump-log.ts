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
/** Files may follow what is acknowledged from a journal; when a segment is sealed they must. */
const WRITTEN_MS = 30_000
const SEGMENT_MS = 1_000

export const dumpLog: Play = {
  name: 'kafka-dump-log',
  limitMs: 90_000,
  async run(tools, { broker, unique }) {
    const { dataDir } = broker
    if (dataDir === null) throw new Unsupported('the files of this broker are not at hand')
    const topic = unique('dump')
    await tools.ok('kafka-topics', ['--create', '--topic', topic, '--config', `segment.ms=${SEGMENT_MS}`])
    for (const codec of CODECS) await produce(tools, topic, codec)
    await records(tools, { broker, dataDir, topic })
    await committed(tools, { broker, dataDir, topic }, unique('dump'))
  },
}

interface Place {
  readonly broker: Broker
  readonly dataDir: string
  readonly topic: string
}

async function produce(tools: Tools, topic: string, codec: string): Promise<void> {
  const keysAndHeaders = ['--reader-property', 'parse.key=true', '--reader-property', 'parse.headers=true']
  const args = ['--topic', topic, '--compression-codec', codec, ...keysAndHeaders]
  await tools.ok('kafka-console-producer', args, `h:${codec}\tkey of ${codec}\tvalue of ${codec}\n`)
}

async function records(tools: Tools, place: Place): Promise<void> {
  const lines = await dumped(tools, place, {
    partition: 0,
    how: ['--deep-iteration', '--print-data-log'],
    isWhole: lines => recordsIn(lines).length >= CODECS.length,
    // The record that finds the segment too old begins another.
    append: () => produce(tools, place.topic, 'none'),
  })
  const due = CODECS.map((codec, offset) => [`${offset}`, 'h', `key of ${codec}`, `value of ${codec}`])
  same('the first records in the files', recordsIn(lines).slice(0, CODECS.length), due)
  const batches = matches(
    lines,
    /^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .* compresscodec: (\w+) .*isvalid: (\w+)/,
  )
  const whole = CODECS.map((codec, offset) => [`${offset}`, `${offset}`, '1', codec, 'true'])
  same('the first batches in the files', batches.slice(0, CODECS.length), whole)
}

const recordsIn = (lines: readonly string[]) =>
  matches(lines, /^\| offset: (\d+) .*headerKeys: \[(.*)\] key: (.*) payload: (.*)$/)

const matches = (lines: readonly string[], pattern: RegExp): string[][] =>
  lines.flatMap(line => {
    const found = pattern.exec(line)
    return found === null ? [] : [found.slice(1)]
  })

async function committed(tools: Tools, place: Place, group: string): Promise<void> {
  const { topic } = place
  const commit = async () => {
    const to = ['--reset-offsets', '--group', group, '--topic', topic, '--to-offset', '2', '--execute']
    await tools.ok('kafka-consumer-groups', to)
  }
  await commit()
  const offsetsTopic = ['--alter', '--entity-type', 'topics', '--entity-name', OFFSETS_TOPIC]
  await tools.ok('kafka-configs', [...offsetsTopic, '--add-config', `segment.ms=${SEGMENT_MS}`])
  try {
    const key = JSON.stringify({ type: '1', data: { group, topic, partition: 0 } })
    const lines = await dumped(
      tools,
      { ...place, topic: OFFSETS_TOPIC },
      {
        partition: await partitionOf(tools, group),
        how: ['--offsets-decoder'],
        isWhole: lines => lines.some(line => line.includes(key)),
        append: commit,
      },
    )
    const payload = /payload: (.*)$/.exec(lines.find(line => line.includes(key)) ?? '')?.[1] ?? '{}'
    const { data } = JSON.parse(payload) as { data?: { offset: number; metadata: string } }
    same('the committed offset in the file', [data?.offset, data?.metadata], [2, ''])
  } finally {
    await tools.ok('kafka-configs', [...offsetsTopic, '--delete-config', 'segment.ms'])
  }
}

interface Dump {
  readonly partition: number
  /** Arguments of the tool. */
  readonly how: readonly string[]
  readonly isWhole: (lines: readonly string[]) => boolean
  /** Goes on with the partition while the files lack something. */
  readonly append: () => Promise<void>
}

/** What the tool says about a partition's files, as soon as all is in them. */
async function dumped(tools: Tools, place: Place, { partition, how, isWhole, append }: Dump): Promise<string[]> {
  return await eventually(
    WRITTEN_MS,
    `that the files of ${place.topic}-${partition} have all that is acknowledged`,
    async () => {
      const files = await segmentsOf(tools, place, partition)
      const lines =
        files.length === 0 ? [] : (await tools.ok('kafka-dump-log', ['--files', files.join(), ...how])).split('\n')
      if (isWhole(lines)) return lines
      await append()
      return null
    },
    SEGMENT_MS,
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
