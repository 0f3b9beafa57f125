/** Keys, values, headers and timestamps: as they were sent, in the log and back at the client. */
import { same } from '../harness/expect.ts'
import type { ProduceRecord } from '../harness/protocol.ts'
import type { Scenario, Stage } from '../harness/stage.ts'
import { storedIn } from './stored.ts'

type Record = Omit<ProduceRecord, 'partition' | 'valueBytes'>

export const recordParts: Scenario = {
  name: 'records',
  about: 'keys, no keys, empty and long values, tombstones, headers and timestamps come back as they were sent',
  limitMs: 60_000,
  async run(stage) {
    const sentMs = Date.now() - 86_400_000
    const steps: { readonly [name: string]: readonly Record[] } = {
      'keys and values': [
        { key: 'k', value: 'v' },
        { value: 'no key' },
        { key: 'ключ 鍵 🔑', value: 'значение 値 🌊' },
      ],
      'empty is not null': [
        { key: '', value: 'empty key' },
        { key: 'empty value', value: '' },
      ],
      tombstones: [{ key: 'gone', value: null }],
      'a long value': [{ key: 'long', value: 'tide '.repeat(20_000) }],
      headers: [
        { key: 'one', value: 'v', headers: [['trace', 'abc']] },
        { key: 'unicode', value: 'v', headers: [['ключ', '🌊']] },
      ],
      'a header twice': [
        {
          value: 'v',
          headers: [
            ['many', '1'],
            ['other', 'x'],
            ['many', '2'],
          ],
        },
      ],
      timestamps: [
        { value: 'a', timestamp: sentMs },
        { value: 'b', timestamp: sentMs + 5_000 },
      ],
    }
    for (const [name, records] of Object.entries(steps)) {
      await stage.step(name, () => returns(stage, records))
    }
  },
}

async function returns(stage: Stage, sent: readonly Record[]): Promise<void> {
  const agent = await stage.agent()
  const topic = await stage.topic('parts')
  const records = sent.map(record => ({ ...record, partition: 0 }))
  const { offsets } = await agent.ask('produce', { topic, codec: 'none', acks: -1, idempotent: false, records })
  for (const [i, offset] of offsets.entries()) if (offset !== -1) same('an offset of produce', offset, i)
  const stored = (await storedIn(stage.broker, topic, 0)).flatMap(batch => batch.records)
  const inLog = stored.map(({ key, value, headers, timestampMs }) => ({
    key: textOf(key),
    value: textOf(value),
    headers: headers.map(([name, text]) => [name, textOf(text)]),
    timestamp: timestampMs,
  }))
  compare('in the log', inLog, sent)
  const read = await agent.ask('consume', { topic, partition: 0, from: 0, count: sent.length, timeoutMs: 10_000 })
  compare('read back', read.records, sent)
}

interface Got {
  readonly key: string | null
  readonly value: string | null
  readonly headers: unknown
  readonly timestamp: number
}

function compare(where: string, got: readonly Got[], sent: readonly Record[]): void {
  same(`the number of records ${where}`, got.length, sent.length)
  for (const [i, { key = null, value = null, headers = [], timestamp }] of sent.entries()) {
    const { key: gotKey, value: gotValue, headers: gotHeaders, timestamp: gotTimestamp } = got[i]!
    same(`a key ${where}`, gotKey, key)
    same(`a value ${where}`, gotValue, value)
    same(`the headers ${where}`, gotHeaders, headers)
    if (timestamp !== undefined) same(`a timestamp ${where}`, gotTimestamp, timestamp)
    else same(`a timestamp ${where} is about now`, Math.abs(Date.now() - gotTimestamp) < 60_000, true)
  }
}

const textOf = (bytes: Buffer | null) => (bytes === null ? null : bytes.toString('utf8'))
