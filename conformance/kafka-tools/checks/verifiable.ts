/** kafka-verifiable-producer and kafka-verifiable-consumer: what one says it has written, the other says it has read. */
import { same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'

const COUNT = 500

interface Told {
  readonly name: string
  readonly count?: number
  readonly success?: boolean
  readonly sent?: number
  readonly acked?: number
}

export const verifiable: Play = {
  name: 'kafka-verifiable-producer, kafka-verifiable-consumer',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('verifiable')
    await tools.ok('kafka-topics', ['--create', '--topic', topic, '--partitions', '3'])
    const produced = told(
      await tools.alone('kafka-verifiable-producer', ['--topic', topic, '--max-messages', `${COUNT}`]),
    )
    same('the successful sends', produced.filter(({ name }) => name === 'producer_send_success').length, COUNT)
    const sum = produced.find(({ name }) => name === 'tool_data')
    same('what the producer has sent, and what was acknowledged', [sum?.sent, sum?.acked], [COUNT, COUNT])

    const args = ['--topic', topic, '--group-id', unique('verifiable'), '--max-messages', `${COUNT}`]
    const consumed = told(await tools.ok('kafka-verifiable-consumer', [...args, '--reset-policy', 'earliest']))
    const counts = consumed.filter(({ name }) => name === 'records_consumed').map(({ count }) => count ?? 0)
    same(
      'the records consumed',
      counts.reduce((all, count) => all + count, 0),
      COUNT,
    )
    const commits = consumed.filter(({ name }) => name === 'offsets_committed')
    same('whether its commits succeeded', [commits.length > 0, commits.every(({ success }) => success)], [true, true])
    same('its last words', consumed.at(-1)?.name, 'shutdown_complete')
  },
}

const told = (lines: string): Told[] =>
  lines
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Told)
