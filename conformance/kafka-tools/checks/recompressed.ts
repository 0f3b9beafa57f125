/** `compression.type`: what the broker compresses anew, Java reads, in batches of more than one block of every codec. */
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const KEPT_AS = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Snappy's blocks have 32 KiB here, lz4's 64 KiB to 4 MiB. */
const COUNT = 4_000
const CHARACTERS = 150
const LINES = Array.from({ length: COUNT }, (_, i) => `${i}:`.padEnd(CHARACTERS, `${(i * 7919) % 10_007} `))

export const recompressed: Play = {
  name: 'compression.type, read by kafka-console-consumer',
  limitMs: 60_000,
  async run(tools, { unique }) {
    for (const [i, kept] of KEPT_AS.entries()) {
      const topic = unique(`kept-as-${kept}`)
      await tools.ok('kafka-topics', ['--create', '--topic', topic, '--config', `compression.type=${kept}`])
      const sent = KEPT_AS[(i + 1) % KEPT_AS.length]!.replace('uncompressed', 'none')
      await produce(tools, topic, sent)
      const read = await tools.ok('kafka-console-consumer', [
        ...['--topic', topic, '--from-beginning', '--max-messages', `${COUNT}`, '--timeout-ms', '10000'],
      ])
      const lines = read.split('\n').slice(0, COUNT)
      const wrong = lines.findIndex((line, at) => line !== LINES[at])
      holds(
        wrong === -1,
        `record ${wrong}, sent as ${sent} and kept as ${kept}, is read as ${lines[wrong]?.slice(0, 80)}`,
      )
      same(`the records that were sent as ${sent} and kept as ${kept}`, lines.length, COUNT)
    }
  },
}

async function produce(tools: Tools, topic: string, codec: string): Promise<void> {
  const large = ['--command-property', 'batch.size=700000', '--command-property', 'linger.ms=200']
  await tools.ok(
    'kafka-console-producer',
    ['--topic', topic, '--compression-codec', codec, ...large],
    `${LINES.join('\n')}\n`,
  )
}
