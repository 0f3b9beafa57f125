/** A disk that is full: produce is refused so that clients try again, reads go on, writing resumes when there is room. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { apis } from '../../src/wire/api-keys.ts'
import { buildBatch } from '../../src/wire/build-batch.ts'
import { KafkaClient } from '../support/kafka-client.ts'
import { kcat, withoutKcat } from '../support/kcat.ts'
import { smallDisk, withoutSmallDisk } from '../support/small-disk.ts'
import { Tidelog } from '../support/tidelog.ts'
import { eventually } from '../support/waiting.ts'

const mib = 1 << 20
const set = { 'tidelog.journal.bytes': 16 * mib, 'tidelog.log.cache.bytes': 16 * mib }
const topic = 'tides'
const valueBytes = 100_000

const batchOf = (name: string) =>
  buildBatch([{ key: name, value: Buffer.alloc(valueBytes, name) }], { baseTimestamp: Date.now() })

/** What a test has sent and knows of it. */
class Sent {
  readonly acknowledged = new Map<number, string>()
  /** Timed out: may be there, and may come to be there later. */
  readonly #unknown = new Set<string>()

  /** Sends one; whether it was taken. A refusal must be one that clients retry, and must come soon. */
  async send(client: KafkaClient, name: string): Promise<boolean> {
    const startedMs = performance.now()
    const { error, baseOffset } = await client.produce(topic, 0, batchOf(name), { timeoutMs: 1_000 })
    if (error === 'NONE') {
      this.acknowledged.set(baseOffset, name)
      return true
    }
    if (error === 'REQUEST_TIMED_OUT') this.#unknown.add(name)
    else assert.equal(error, 'KAFKA_STORAGE_ERROR')
    assert.ok(performance.now() - startedMs < 3_000, 'refused, not left waiting')
    return false
  }

  /** Sends until a refusal that is certain. */
  async sendUntilRefused(client: KafkaClient, what: string): Promise<void> {
    for (let i = 0; i < 5_000; i++) {
      const name = `${what} ${i}`
      if (!(await this.send(client, name)) && !this.#unknown.has(name)) return
    }
    assert.fail('the disk never was full')
  }

  /** Everything acknowledged is at its offset, and nothing is there that was refused. */
  async assertAllThere(client: KafkaClient): Promise<void> {
    const records = (await client.readAll(topic, 0)).flatMap(batch => batch.records)
    const read = new Map(records.map(({ offset, key, value }) => [offset, { name: String(key), value }]))
    for (const [offset, name] of this.acknowledged) assert.equal(read.get(offset)?.name, name)
    for (const [offset, { name, value }] of read) {
      assert.ok(this.acknowledged.get(offset) === name || this.#unknown.has(name), `${name} was refused, and is there`)
      assert.ok(value?.equals(Buffer.alloc(valueBytes, name)), `${name} is not what was sent`)
    }
  }
}

describe('a full disk', { skip: withoutSmallDisk }, () => {
  it('refuses what does not fit, serves what is there, and goes on by itself, again and again', async () => {
    await using disk = await smallDisk(96 * mib)
    await using tidelog = await Tidelog.start({ dataDir: `${disk.path}/data`, set })
    await using client = await KafkaClient.connect(tidelog.port)
    await client.createTopic(topic)
    const sent = new Sent()
    for (let round = 0; round < 3; round++) {
      await disk.fill()
      await sent.sendUntilRefused(client, `round ${round}`)
      await sent.assertAllThere(client)
      assert.equal((await client.call(apis.metadata, 9, { topics: null })).topics.length, 1)
      await disk.free()
      let attempts = 0
      await eventually(5_000, 'that writing resumes', () => sent.send(client, `resumed ${round}, ${attempts++}`))
    }
    await sent.assertAllThere(client)
    assert.equal((await tidelog.stop()).code, 0)

    await using again = await Tidelog.start({ dataDir: tidelog.dataDir, set })
    await using reader = await KafkaClient.connect(again.port)
    await sent.assertAllThere(reader)
  })

  it('is no reason not to start after a kill, nor to lose anything', async () => {
    await using disk = await smallDisk(96 * mib)
    const dataDir = `${disk.path}/data`
    const sent = new Sent()
    {
      await using tidelog = await Tidelog.start({ dataDir, set })
      await using client = await KafkaClient.connect(tidelog.port)
      await client.createTopic(topic)
      await disk.fill()
      await sent.sendUntilRefused(client, 'before')
      await tidelog.kill()
    }
    await disk.fill()
    await using tidelog = await Tidelog.start({ dataDir, set })
    await using client = await KafkaClient.connect(tidelog.port)
    await sent.assertAllThere(client)
    await disk.free()
    let attempts = 0
    await eventually(5_000, 'that writing resumes', () => sent.send(client, `after, ${attempts++}`))
    await sent.assertAllThere(client)
  })

  it('makes kcat wait, not fail', { skip: withoutKcat }, async () => {
    await using disk = await smallDisk(96 * mib)
    await using tidelog = await Tidelog.start({ dataDir: `${disk.path}/data`, set })
    await using client = await KafkaClient.connect(tidelog.port)
    await client.createTopic(topic)
    await disk.fill()
    await new Sent().sendUntilRefused(client, 'before')
    const lines = Array.from({ length: 200 }, (_, i) => `line ${i} ${'x'.repeat(50_000)}`)
    const producing = kcat(tidelog.address, ['-P', '-t', topic, '-X', 'enable.idempotence=true'], {
      input: `${lines.join('\n')}\n`,
      waitMs: 15_000,
    })
    await tidelog.logs(/the disk is full/)
    await disk.free()
    assert.equal((await producing).code, 0)
    const records = (await client.readAll(topic, 0)).flatMap(batch => batch.records)
    const read = records.map(({ value }) => String(value)).filter(value => value.startsWith('line '))
    assert.deepEqual(
      read.map(value => value.slice(0, 8)),
      lines.map(line => line.slice(0, 8)),
    )
  })
})
