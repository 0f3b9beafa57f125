/** Topics that name a codec, with kcat on both sides: whatever it produced with, it reads back what is stored. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { KafkaClient } from '../support/kafka-client.ts'
import { kcat, withoutKcat } from '../support/kcat.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

describe('compression.type', { skip: withoutKcat }, () => {
  let dir: TempDir
  let tidelog: Tidelog
  let client: KafkaClient

  before(async () => {
    dir = await tempDir()
    tidelog = await Tidelog.start({ dataDir: dir.path })
    client = await KafkaClient.connect(tidelog.port)
  })
  after(async () => {
    await client[Symbol.asyncDispose]()
    await tidelog[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  const quietly = async (args: readonly string[], input?: string) => {
    const run = await kcat(tidelog.address, args, input === undefined ? {} : { input })
    assert.deepEqual({ code: run.code, stderr: run.stderr }, { code: 0, stderr: '' })
    return run.stdout
  }
  const valuesOf = (name: string) =>
    Array.from({ length: 50 }, (_, i) => `${name} ${'a value that compresses well '.repeat(10)}${i}`)

  for (const type of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`${type}: batches of every codec are stored like that, in order`, async () => {
      const topic = `stored-${type}`
      await client.createTopic(topic, 1, { 'compression.type': type })
      for (const codec of codecs) {
        // One by one, so that there is more than a batch of each.
        await quietly(
          ['-P', '-t', topic, '-z', codec, '-X', 'batch.num.messages=20', '-X', 'enable.idempotence=true'],
          `${valuesOf(codec).join('\n')}\n`,
        )
      }
      const batches = await client.readAll(topic, 0)
      assert.ok(batches.length >= 3 * codecs.length)
      assert.deepEqual([...new Set(batches.map(batch => batch.codec))], [type === 'uncompressed' ? 'none' : type])
      const read = await quietly(['-C', '-t', topic, '-e', '-q'])
      assert.deepEqual(read.split('\n').slice(0, -1), codecs.flatMap(valuesOf))
    })
  }

  for (const codec of ['snappy', 'lz4'] as const) {
    it(`${codec}: records inside a batch are found by their time`, async () => {
      const topic = `timed-${codec}`
      await client.createTopic(topic)
      await quietly(['-P', '-t', topic, '-z', codec], `${valuesOf(codec).join('\n')}\n`)
      const records = (await client.readAll(topic, 0)).flatMap(batch => batch.records)
      const [first] = records
      assert.ok(first !== undefined)
      const found = await quietly(['-Q', '-t', `${topic}:0:${first.timestampMs}`])
      assert.match(found, new RegExp(`${topic} \\[0\\] offset 0`))
    })
  }
})
