/**
 * Every codec, written by each client and read by all. Writing comes before any scenario of a run (`writeCodecs`), so that in
 * the scenario each client finds what all the others have written.
 */
import { Unsupported } from '../harness/agent.ts'
import { Difference, holds, same } from '../harness/expect.ts'
import { codecs } from '../harness/protocol.ts'
import type { Client, Run, Scenario, Stage, Written } from '../harness/stage.ts'
import { storedIn } from './stored.ts'

const valueAt = (i: number) => `value ${i} ${'of the tide '.repeat(20)}`
const count = 50

export const codecScenario: Scenario = {
  name: 'codecs',
  about:
    'none, gzip, snappy, lz4 and zstd: written by this client, read by all of the run, and stored as they were meant',
  limitMs: 120_000,
  async run(stage) {
    for (const { client, codec, error } of stage.run.unwritten) {
      if (client !== stage.client) continue
      await stage.step(`writing ${codec}`, () => Promise.reject(error))
    }
    for (const { client, codec, topic } of stage.run.written) {
      if (client === stage.client) await stage.step(`storing ${codec}`, () => isStoredAs(stage, codec, topic))
    }
    const agent = await stage.agent()
    for (const { client, codec, topic } of stage.run.written) {
      await stage.step(`reading ${codec} of ${client.program.client} ${client.version}`, async () => {
        const { records } = await agent.ask('consume', { topic, partition: 0, from: 0, count, timeoutMs: 10_000 })
        same('the number of records', records.length, count)
        const wrong = records.find(
          ({ offset, key, value }, i) => offset !== i || key !== `${i}` || value !== valueAt(i),
        )
        if (wrong !== undefined) throw new Difference(`a record came as ${JSON.stringify(wrong).slice(0, 100)}`)
      })
    }
  },
}

async function isStoredAs(stage: Stage, codec: string, topic: string): Promise<void> {
  const batches = await storedIn(stage.broker, topic, 0)
  holds(batches.length > 0, 'nothing is stored')
  for (const batch of batches) same('the codec of a stored batch', batch.codec, codec)
}

/** Has a client write every codec that it can. */
export async function writeCodecs(stage: Stage): Promise<{ written: Written[]; unwritten: Run['unwritten'] }> {
  const written: Written[] = []
  const unwritten: { client: Client; codec: (typeof codecs)[number]; error: Error }[] = []
  const { client } = stage
  for (const codec of codecs) {
    try {
      const topic = await stage.topic(`codec-${codec}`)
      const records = Array.from({ length: count }, (_, i) => ({ partition: 0, key: `${i}`, value: valueAt(i) }))
      await (await stage.agent()).ask('produce', { topic, codec, acks: -1, idempotent: false, records })
      written.push({ client, codec, topic })
    } catch (error) {
      if (!(error instanceof Error)) throw error
      unwritten.push({ client, codec, error })
      // It may have died of that: a new one for the next codec.
      if (!(error instanceof Unsupported)) await stage.clear()
    }
  }
  return { written, unwritten }
}
