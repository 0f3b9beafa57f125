/** kafka-get-offsets and kafka-delete-records: where a partition begins and ends, and a beginning that moves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'
import type { Tools } from '../tools.ts'

const COUNT = 10

export const recordOffsets: Play = {
  name: 'kafka-get-offsets, kafka-delete-records',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('offsets-tool')
    await tools.ok('kafka-topics', ['--create', '--topic', topic])
    const at = async (time: string) =>
      (await tools.ok('kafka-get-offsets', ['--topic', topic, '--time', time])).trim().split('\n')
    // A partition without records has no largest timestamp, and is left out.
    same('the largest timestamp of no records', await at('max-timestamp'), [''])
    const input = Array.from({ length: COUNT }, (_, i) => `value ${i}\n`).join('')
    await tools.ok('kafka-console-producer', ['--topic', topic], input)

    same('the beginning', await at('earliest'), [`${topic}:0:0`])
    same('the end', await at('latest'), [`${topic}:0:${COUNT}`])
    same('the first record since 1970', await at('1'), [`${topic}:0:0`])
    const [newest = ''] = await at('max-timestamp')
    same('whether the largest timestamp has an offset', /:0:\d$/.test(newest), true)
    await deleteRecords(tools, topic, at)
  },
}

async function deleteRecords(tools: Tools, topic: string, at: (time: string) => Promise<string[]>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'delete-records-'))
  try {
    const file = join(folder, 'offsets.json')
    const before = async (...offsets: readonly (readonly [partition: number, offset: number])[]) => {
      const partitions = offsets.map(([partition, offset]) => ({ topic, partition, offset }))
      await writeFile(file, JSON.stringify({ version: 1, partitions }))
      const { out } = await tools.run('kafka-delete-records', ['--offset-json-file', file])
      const lines = [...out.matchAll(/^partition: .*-(\d+)\t(?:low_watermark: (\d+)|error: [\w.]*?(\w+):)/gm)]
      return lines.map(([, partition, low, error]) => [Number(partition), low ?? error])
    }
    same('what deleting before 4 says', await before([0, 4]), [[0, '4']])
    same('the beginning after it', await at('earliest'), [`${topic}:0:4`])
    same('what deleting before 2 says', await before([0, 2]), [[0, '4']])
    same('what deleting beyond the end says', await before([0, COUNT + 1]), [[0, 'OffsetOutOfRangeException']])
    same('what deleting everything says', await before([0, -1]), [[0, `${COUNT}`]])
    same(
      'beginning and end after it',
      [await at('earliest'), await at('latest')],
      [[`${topic}:0:10`], [`${topic}:0:10`]],
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
