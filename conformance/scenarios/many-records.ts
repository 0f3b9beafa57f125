/** A hundred thousand records through the client's own way of bulk. */
import { same } from '../harness/expect.ts'
import type { Scenario } from '../harness/stage.ts'

const count = 100_000
const partitions = 4

export const manyRecords: Scenario = {
  name: '100,000',
  about: '100,000 records of 100 bytes over four partitions: all acknowledged, all read, none twice',
  limitMs: 280_000,
  async run(stage) {
    const agent = await stage.agent()
    const topic = await stage.topic('many', partitions)
    const bulk = { topic, partitions, count, valueBytes: 100, codec: 'none', idempotent: false } as const
    same('the number of acknowledged records', (await agent.ask('produceMany', bulk)).acknowledged, count)
    const counted = await agent.ask('countAll', { topic, partitions, expected: count, timeoutMs: 100_000 })
    same('what is read', counted, { received: count, distinct: count })
  },
}
