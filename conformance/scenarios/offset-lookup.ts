/** Offsets by name and by time. */
import { same } from '../harness/expect.ts'
import type { Scenario } from '../harness/stage.ts'

export const offsetLookup: Scenario = {
  name: 'offsets',
  about:
    'the earliest and latest offset and those of a time, in a log with records, an empty one, and one cut at its start',
  limitMs: 60_000,
  async run(stage) {
    const agent = await stage.agent()
    const helper = await stage.helper()
    const topic = await stage.topic('offsets', 2)
    const startMs = Date.now() - 3_600_000
    for (const i of [0, 1, 2]) {
      // A batch each, and one with two records.
      const timestamp = startMs + i * 1_000
      const records = [
        { partition: 0, value: `${i}`, timestamp },
        { partition: 0, value: `${i} and a half`, timestamp: timestamp + 500 },
      ]
      await helper.ask('produce', { topic, codec: i === 1 ? 'gzip' : 'none', acks: -1, idempotent: false, records })
    }
    const at = async (at: 'earliest' | 'latest' | number, partition = 0) =>
      (await agent.ask('offsets', { topic, partition, at })).offset

    await stage.step('earliest and latest', async () => {
      same('the earliest offset', await at('earliest'), 0)
      same('the latest offset', await at('latest'), 6)
      same('the earliest offset of an empty log', await at('earliest', 1), 0)
      same('the latest offset of an empty log', await at('latest', 1), 0)
    })
    await stage.step('by time', async () => {
      same('the offset of a time before the first record', await at(startMs - 1_000), 0)
      same('the offset of the time of a record', await at(startMs + 1_000), 2)
      same('the offset of a time between two records of a batch', await at(startMs + 1_200), 3)
      same('the offset of a time between two batches', await at(startMs + 1_700), 4)
    })
    await stage.step('a time after the last record', async () => {
      same('the offset of a time after the last record', await at(startMs + 60_000), -1)
    })
    await stage.step('a time in an empty log', async () => {
      same('the offset of a time in an empty log', await at(startMs, 1), -1)
    })
    await stage.step('after a cut', async () => {
      await helper.ask('deleteRecords', { topic, partition: 0, before: 3 })
      same('the earliest offset after a cut', await at('earliest'), 3)
      same('the offset of a time before the cut', await at(startMs), 3)
    })
  },
}
