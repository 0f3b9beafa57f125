/** The largest record that fits is taken, one byte more is not, and the producer goes on after it. */
import { refused, same } from '../harness/expect.ts'
import type { Scenario, Stage } from '../harness/stage.ts'
import { storedIn } from './stored.ts'

/** What a batch of one record has besides its value: its header, and of the record the lengths and empty fields (null key). */
const overheadBytes = 61 + 11

export const sizeLimit: Scenario = {
  name: 'size limit',
  about:
    'a record that just fits max.message.bytes is taken, one byte more is refused as MESSAGE_TOO_LARGE, and the next is taken',
  limitMs: 60_000,
  async run(stage) {
    await stage.step("the topic's limit", async () => {
      await isKept(stage, 100_000, await stage.topic('small', 1, { 'max.message.bytes': '100000' }))
    })
    await stage.step("the broker's limit", async () => isKept(stage, 1_048_588, await stage.topic('large')))
  },
}

async function isKept(stage: Stage, limitBytes: number, topic: string): Promise<void> {
  const agent = await stage.agent()
  const send = (valueBytes: number) =>
    agent.ask('produce', {
      topic,
      codec: 'none',
      acks: -1,
      idempotent: false,
      records: [{ partition: 0, valueBytes }],
    })
  await send(limitBytes - overheadBytes)
  await refused(`a batch of ${limitBytes + 1} bytes`, 'MESSAGE_TOO_LARGE', send(limitBytes - overheadBytes + 1))
  await send(10)
  const batches = await storedIn(stage.broker, topic, 0)
  same(
    'the bytes of the stored batches',
    batches.map(({ bytes }) => bytes.length),
    [limitBytes, sizeOf(10)],
  )
  const { records } = await agent.ask('consume', { topic, partition: 0, from: 0, count: 2, timeoutMs: 10_000 })
  same(
    'the lengths of what is read back',
    records.map(({ value }) => value?.length),
    [limitBytes - overheadBytes, 10],
  )
}

/** Small values have shorter lengths: one byte for the value's, one for the record's. */
const sizeOf = (valueBytes: number) => 61 + 7 + valueBytes
