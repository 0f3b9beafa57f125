/** An idempotent producer: every record once, in order, under a producer id. */
import { holds, same } from '../harness/expect.ts'
import type { Scenario } from '../harness/stage.ts'
import { storedIn } from './stored.ts'

const rounds = 5
const perRound = 100

export const idempotence: Scenario = {
  name: 'idempotent',
  about:
    'an idempotent producer writes every record once and in order, with producer id and sequence numbers without a hole',
  limitMs: 60_000,
  async run(stage) {
    const agent = await stage.agent()
    const topic = await stage.topic('idempotent')
    for (let round = 0; round < rounds; round++) {
      const records = Array.from({ length: perRound }, (_, i) => ({ partition: 0, value: `${round * perRound + i}` }))
      await agent.ask('produce', { topic, codec: 'none', acks: -1, idempotent: true, records })
    }
    const batches = await storedIn(stage.broker, topic, 0)
    const values = batches.flatMap(batch => batch.records).map(({ value }) => Number(value))
    same('the number of records', values.length, rounds * perRound)
    const outOfOrder = values.findIndex((value, i) => value !== i)
    holds(outOfOrder < 0, `record ${outOfOrder} is ${values[outOfOrder]}`)
    // A producer of its own for each request is as good as one for all.
    const next = new Map<bigint, number>()
    for (const { producerId, baseSequence, records } of batches) {
      holds(producerId >= 0n, 'a batch has no producer id')
      same('the sequence number of a batch', baseSequence, next.get(producerId) ?? 0)
      next.set(producerId, baseSequence + records.length)
    }
  },
}
