/**
 * Every codec, written by each client and by the broker itself, and read by all. Writing comes before any scenario of a run
 * (`writeCodecs`), so that in the scenario each client finds what all the others have written.
 */
import { Unsupported } from '../harness/agent.ts'
import { Difference, holds, same } from '../harness/expect.ts'
import { codecs } from '../harness/protocol.ts'
import type { Client, Run, Scenario, Stage, Written } from '../harness/stage.ts'
import { storedIn } from './stored.ts'

/** Together several blocks of every codec that has blocks. */
const valueAt = (i: number) => `value ${i} ${'of the tide '.repeat(600)}`
const count = 50

export const codecScenario: Scenario = {
  name: 'codecs',
  about:
    'none, gzip, snappy, lz4 and zstd: written by this client and, with compression.type, by the broker, read by all, and stored as they were meant',
  limitMs: 120_000,
  async run(stage) {
    for (const { client, codec, error } of stage.run.unwritten) {
      if (client !== stage.client) continue
      await stage.step(`writing ${codec}`, () => Promise.reject(error))
    }
    for (const { client, codec, topic } of stage.run.written) {
      // What the broker stores is looked at once, by whoever is first.
      const isFirst = stage.client === stage.run.clients[0]
      if (client === stage.client || (client === null && isFirst))
        await stage.step(`storing ${codec}`, () => isStoredAs(stage, codec, topic))
    }
    const agent = await stage.agent()
    for (const { client, codec, topic } of stage.run.written) {
      const writer = client === null ? 'the broker' : `${client.program.client} ${client.version}`
      await stage.step(`reading ${codec} of ${writer}`, async () => {
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

/** Has the broker compress: what is sent is not compressed, and where nothing is to be, it is. */
export async function compressByBroker(stage: Stage): Promise<Written[]> {
  const helper = await stage.helper()
  const written: Written[] = []
  for (const codec of codecs) {
    const type = codec === 'none' ? 'uncompressed' : codec
    const topic = await stage.topic(`broker-${codec}`, 1, { 'compression.type': type })
    const sent = codec === 'none' ? 'gzip' : 'none'
    await helper.ask('produce', { topic, codec: sent, acks: -1, idempotent: false, records: recordsToWrite() })
    written.push({ client: null, codec, topic })
  }
  return written
}

const recordsToWrite = () => Array.from({ length: count }, (_, i) => ({ partition: 0, key: `${i}`, value: valueAt(i) }))

/** Has a client write every codec that it can. */
export async function writeCodecs(stage: Stage): Promise<{ written: Written[]; unwritten: Run['unwritten'] }> {
  const written: Written[] = []
  const unwritten: { client: Client; codec: (typeof codecs)[number]; error: Error }[] = []
  const { client } = stage
  for (const codec of codecs) {
    try {
      const topic = await stage.topic(`codec-${codec}`)
      const asked = { topic, codec, acks: -1, idempotent: false, records: recordsToWrite() } as const
      await (await stage.agent()).ask('produce', asked)
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
