/** kafka-producer-perf-test and kafka-consumer-perf-test, for whether they work: how fast is no question here. */
import { holds, same } from '../../harness/expect.ts'
import type { Play } from '../play.ts'

const COUNT = 20_000

export const performance: Play = {
  name: 'kafka-producer-perf-test, kafka-consumer-perf-test',
  limitMs: 60_000,
  async run(tools, { unique }) {
    const topic = unique('performance')
    await tools.ok('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])
    const load = ['--num-records', `${COUNT}`, '--record-size', '100', '--throughput', '-1']
    const produced = await tools.ok('kafka-producer-perf-test', ['--topic', topic, ...load])
    holds(produced.includes(`${COUNT} records sent`), `the producer says ${produced}`)
    const offsets = (await tools.ok('kafka-get-offsets', ['--topic', topic])).trim().split('\n')
    same(
      'the records there are',
      offsets.reduce((all, line) => all + Number(line.split(':')[2]), 0),
      COUNT,
    )
    const consumed = await tools.ok('kafka-consumer-perf-test', [
      '--topic',
      topic,
      '--num-records',
      `${COUNT}`,
      '--timeout',
      '20000',
    ])
    const [, , , , count] = consumed.trim().split('\n').at(-1)?.split(', ') ?? []
    same('the records consumed', count, `${COUNT}`)
  },
}
