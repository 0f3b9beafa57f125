/** kafka-console-producer and kafka-console-consumer: keys, headers, tombstones, codecs, and a group that goes on where it was. */
import { same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const READ_MS = '10000'

export const consoles: Play = {
  name: 'kafka-console-producer, kafka-console-consumer',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('console')
    await tools.ok('kafka-topics', ['--create', '--topic', topic])
    await write(tools, topic)
    const everything = [
      'NO_HEADERS|key|value of none, grün 🌊',
      ...['gzip', 'snappy', 'lz4', 'zstd'].map(codec => `NO_HEADERS|key|value of ${codec}, grün 🌊`),
      'a:1,b:,a:2|with headers|value',
      'NO_HEADERS|tombstone|null',
    ]
    const print = ['key', 'headers', 'offset'].flatMap(part => ['--formatter-property', `print.${part}=true`])
    const asIs = await read(
      tools,
      ['--topic', topic, '--from-beginning', ...print, '--formatter-property', 'key.separator=|'],
      7,
    )
    same(
      'the records',
      asIs,
      everything.map((line, offset) => `Offset:${offset}|${line}`),
    )
    const tail = await read(tools, ['--topic', topic, '--partition', '0', '--offset', '5'], 2)
    same('the values from offset 5', tail, ['value', 'null'])
    await goOn(tools, topic, unique('console'))
  },
}

async function write(tools: Tools, topic: string): Promise<void> {
  const withKey = ['--topic', topic, '--reader-property', 'parse.key=true']
  for (const codec of CODECS) {
    const args = [...withKey, '--compression-codec', codec]
    await tools.ok('kafka-console-producer', args, `key\tvalue of ${codec}, grün 🌊\n`)
  }
  const withHeaders = [...withKey, '--reader-property', 'parse.headers=true']
  await tools.ok('kafka-console-producer', withHeaders, 'a:1,b:,a:2\twith headers\tvalue\n')
  const withNull = [...withKey, '--reader-property', 'null.marker=NOTHING', '--producer-property', 'acks=1']
  await tools.ok('kafka-console-producer', withNull, 'tombstone\tNOTHING\n')
}

/** A group reads some records, another process of it the rest. */
async function goOn(tools: Tools, topic: string, group: string): Promise<void> {
  const first = await read(tools, ['--topic', topic, '--group', group, '--from-beginning'], 3)
  same(
    'what the group reads first',
    first,
    CODECS.slice(0, 3).map(codec => `value of ${codec}, grün 🌊`),
  )
  const rest = await read(tools, ['--topic', topic, '--group', group], 4)
  same('what it reads then', rest, [...CODECS.slice(3).map(codec => `value of ${codec}, grün 🌊`), 'value', 'null'])
}

async function read(tools: Tools, args: readonly string[], count: number): Promise<string[]> {
  const bounds = ['--max-messages', `${count}`, '--timeout-ms', READ_MS]
  return (await tools.ok('kafka-console-consumer', [...args, ...bounds])).trimEnd().split('\n')
}
