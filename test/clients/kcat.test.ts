/** kcat 1.7 with librdkafka 2.0, as people type it: produce, consume, look around. Q1 and Q2 are about this client. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { KafkaClient } from '../support/kafka-client.ts'
import { kcat, withoutKcat } from '../support/kcat.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { Tidelog } from '../support/tidelog.ts'

describe('kcat', { skip: withoutKcat }, () => {
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

  /** Must end well and say nothing on standard error. */
  const quietly = async (args: readonly string[], input?: string | Buffer) => {
    const run = await kcat(tidelog.address, args, input === undefined ? {} : { input })
    assert.deepEqual({ code: run.code, stderr: run.stderr }, { code: 0, stderr: '' })
    return run.stdout
  }
  const lines = (text: string) => text.split('\n').slice(0, -1)
  const consume = (topic: string, ...args: string[]) => quietly(['-C', '-t', topic, '-e', '-q', ...args])

  it('produces to a topic that nobody has made, without a word of trouble, and reads it back', async () => {
    await quietly(['-P', '-t', 'first'], 'one\ntwo\nthree\n')
    assert.equal(await consume('first'), 'one\ntwo\nthree\n')
  })

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`Q1 Q2: -z ${codec} is stored with that codec and read back`, async () => {
      const topic = `codec-${codec}`
      // Each alone compresses, too: librdkafka sends a batch as it is when compressing does not make it shorter.
      const values = Array.from({ length: 200 }, (_, i) => `${'a value that compresses well '.repeat(10)}${i}`)
      await quietly(['-P', '-t', topic, '-z', codec], `${values.join('\n')}\n`)
      const batches = await client.readAll(topic, 0)
      assert.deepEqual([...new Set(batches.map(batch => batch.codec))], [codec])
      assert.deepEqual(
        batches.flatMap(batch => batch.records).map(({ value }) => String(value)),
        values,
      )
      assert.deepEqual(lines(await consume(topic)), values)
    })
  }

  it('keeps keys, empty values, tombstones and headers', async () => {
    await quietly(['-P', '-t', 'keyed', '-K', ':', '-Z', '-H', 'trace=abc', '-H', 'empty='], 'a:1\nb:2\nc:\n:4\n')
    const seen = await consume('keyed', '-Z', '-f', '%o|%k|%s|%h\n')
    assert.deepEqual(lines(seen), [
      '0|a|1|trace=abc,empty=',
      '1|b|2|trace=abc,empty=',
      '2|c|NULL|trace=abc,empty=',
      '3|NULL|4|trace=abc,empty=',
    ])
    const records = (await client.readAll('keyed', 0)).flatMap(batch => batch.records)
    assert.deepEqual(
      records.map(({ key, value }) => [key?.toString() ?? null, value?.toString() ?? null]),
      [
        ['a', '1'],
        ['b', '2'],
        ['c', null],
        [null, '4'],
      ],
    )
  })

  it('puts a key always in the same partition, and every record in one', async () => {
    await client.createTopic('spread', 6)
    const input = Array.from({ length: 300 }, (_, i) => `key ${i % 30}:value ${i}\n`).join('')
    await quietly(['-P', '-t', 'spread', '-K', ':'], input)
    const seen = lines(await consume('spread', '-f', '%k %p %s\n')).map(line => line.split(' '))
    assert.equal(seen.length, 300)
    const places = new Set(seen.map(([, key, partition]) => `${key} in ${partition}`))
    assert.equal(places.size, 30)
    assert.ok(new Set(seen.map(([, , partition]) => partition)).size > 3)
  })

  it('reads from the beginning, the end, an offset and so many before the end', async () => {
    await client.createTopic('placed')
    await quietly(['-P', '-t', 'placed'], Array.from({ length: 10 }, (_, i) => `${i}\n`).join(''))
    const from = async (place: string) => lines(await consume('placed', '-p', '0', '-o', place))
    const digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
    assert.deepEqual(await from('beginning'), digits)
    assert.deepEqual(await from('end'), [])
    assert.deepEqual(await from('7'), ['7', '8', '9'])
    assert.deepEqual(await from('-3'), ['7', '8', '9'])
    assert.deepEqual(lines(await consume('placed', '-p', '0', '-o', '2', '-c', '3')), ['2', '3', '4'])
  })

  it('reads between two points in time', async () => {
    await client.createTopic('timed')
    const times: number[] = []
    for (const value of ['early', 'middle', 'late']) {
      await quietly(['-P', '-t', 'timed'], `${value}\n`)
      const records = (await client.readAll('timed', 0)).flatMap(batch => batch.records)
      times.push(records.at(-1)?.timestampMs ?? 0)
    }
    assert.deepEqual(lines(await consume('timed', '-o', `s@${times[1]}`)), ['middle', 'late'])
    assert.deepEqual(lines(await consume('timed', '-o', `s@${times[0]}`, '-o', `e@${times[2]}`)), ['early', 'middle'])
    assert.deepEqual(lines(await consume('timed', '-o', `s@${(times[2] ?? 0) + 60_000}`)), [])
    assert.match(await quietly(['-Q', '-t', `timed:0:${times[2]}`]), /timed \[0\] offset 2/)
  })

  it('lists nodes and topics with -L', async () => {
    await client.createTopic('listed', 3)
    const text = await quietly(['-L'])
    assert.match(text, /1 brokers:\n {2}broker 1 at 127\.0\.0\.1:\d+ \(controller\)/)
    assert.match(text, / {2}topic "listed" with 3 partitions:\n/)
    for (const partition of [0, 1, 2]) {
      assert.ok(text.includes(`    partition ${partition}, leader 1, replicas: 1, isrs: 1\n`), text)
    }
    const one = JSON.parse(await quietly(['-L', '-J', '-t', 'listed']))
    assert.deepEqual(
      one.topics.map(({ topic, partitions }: { topic: string; partitions: unknown[] }) => [topic, partitions.length]),
      [['listed', 3]],
    )
  })

  it('takes a message as large as the limit, and says which limit a larger one met', async () => {
    await client.createTopic('large', 1, { 'max.message.bytes': 100_000 })
    // The batch header and the lengths of the record take some of it.
    const fitting = 'x'.repeat(100_000 - 100)
    await quietly(['-P', '-t', 'large'], `${fitting}\n`)
    assert.equal((await consume('large')).length, fitting.length + 1)
    const refused = await kcat(tidelog.address, ['-P', '-t', 'large'], { input: `${'x'.repeat(100_001)}\n` })
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /Delivery failed for message: Broker: Message size too large/)
    assert.equal(await client.latest('large', 0), 1)
  })

  it('takes a megabyte by default, and 20 MB where the topic allows it', async () => {
    const megabyte = 'm'.repeat(999_000)
    await client.createTopic('megabyte')
    await quietly(['-P', '-t', 'megabyte'], `${megabyte}\n`)
    assert.equal((await consume('megabyte')).length, megabyte.length + 1)
    const huge = 'h'.repeat(20_000_000)
    await client.createTopic('huge', 1, { 'max.message.bytes': 25_000_000 })
    await quietly(['-P', '-t', 'huge', '-X', 'message.max.bytes=30000000'], `${huge}\n`)
    assert.equal((await consume('huge')).length, huge.length + 1)
  })

  it('refuses names that are none', async () => {
    for (const name of ['../x', 'a b', '..']) {
      const run = await kcat(tidelog.address, ['-P', '-t', name, '-X', 'message.timeout.ms=3000'], { input: 'x\n' })
      assert.notEqual(run.code, 0, name)
      // The one or the other, by whether the broker's answer or librdkafka's own wait is first.
      assert.match(run.stderr, /(Invalid|Unknown) topic/i, name)
    }
  })

  it('produces as an idempotent producer', async () => {
    await client.createTopic('idempotent', 2)
    const input = Array.from({ length: 1000 }, (_, i) => `${i}\n`).join('')
    await quietly(
      ['-P', '-t', 'idempotent', '-p', '1', '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50'],
      input,
    )
    const batches = await client.readAll('idempotent', 1)
    assert.ok(batches.every(({ producerId }) => producerId >= 0n))
    assert.equal(new Set(batches.map(({ producerId }) => producerId)).size, 1)
    assert.deepEqual(
      batches.flatMap(batch => batch.records).map(({ value }) => String(value)),
      Array.from({ length: 1000 }, (_, i) => String(i)),
    )
  })

  it('is told plainly that there are no transactions', async () => {
    const run = await kcat(
      tidelog.address,
      ['-P', '-t', 'transactional', '-X', 'transactional.id=t', '-X', 'transaction.timeout.ms=5000'],
      { input: 'x\n' },
    )
    assert.notEqual(run.code, 0)
    assert.match(run.stderr, /transaction/i)
  })

  for (const acks of ['0', '1', 'all'] as const) {
    it(`produces with acks=${acks}`, async () => {
      const topic = `acks-${acks}`
      await client.createTopic(topic)
      await quietly(['-P', '-t', topic, '-X', `acks=${acks}`], 'one\ntwo\n')
      assert.equal(await consume(topic, '-c', '2'), 'one\ntwo\n')
    })
  }

  it('follows a topic as it grows', async () => {
    await client.createTopic('followed')
    const reading = kcat(tidelog.address, ['-C', '-t', 'followed', '-c', '3', '-q', '-u'])
    for (const value of ['one', 'two', 'three']) await quietly(['-P', '-t', 'followed'], `${value}\n`)
    assert.equal((await reading).stdout, 'one\ntwo\nthree\n')
  })

  it('left no line of trouble in the log', () => {
    assert.deepEqual([...tidelog.logged('error'), ...tidelog.logged('fatal')], [])
  })
})
