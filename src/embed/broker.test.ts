import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ConnectionClosed, KafkaClient } from '../../test/support/kafka-client.ts'
import { apis } from '../wire/api-keys.ts'
import { buildBatch } from '../wire/build-batch.ts'
import { kafkaErrorName } from '../wire/kafka-errors.ts'
import { type EmbeddedBroker, Snapshot, startBroker } from './broker.ts'
import { MemoryDisk } from './memory-disk.ts'

const portOf = ({ bootstrap }: EmbeddedBroker) => Number(bootstrap.split(':')[1])
const connect = (broker: EmbeddedBroker) => KafkaClient.connect(portOf(broker))
const batch = (...values: string[]) =>
  buildBatch(
    values.map(value => ({ value })),
    { baseTimestamp: Date.now() },
  )

async function valuesOf(broker: EmbeddedBroker, topic: string, ...options: Parameters<EmbeddedBroker['read']>[1][]) {
  const values: string[] = []
  for await (const { value } of broker.read(topic, options[0])) values.push(String(value))
  return values
}

describe('an embedded broker', () => {
  let broker: EmbeddedBroker
  before(async () => {
    broker = await startBroker()
  })
  after(() => broker.close())

  it('listens on loopback, on a port of its own, and opens no other door', () => {
    assert.match(broker.bootstrap, /^127\.0\.0\.1:\d+$/)
    assert.deepEqual([broker.text, broker.http], [null, null])
  })

  it('tells where each record lies, and gives all of them back', async () => {
    await broker.createTopic('places', { partitions: 3, configs: { 'retention.ms': 60_000 } })
    const at = new Date(Date.now() - 1000)
    const places = await broker.produce('places', [
      { key: 'a', value: '1', headers: { h: 'x' }, timestampMs: at },
      { key: 'b', value: Buffer.from('2') },
      { key: 'a', value: null },
    ])
    assert.equal(places[0]?.partition, places[2]?.partition)
    assert.deepEqual([places[0]?.offset, places[2]?.offset], [0, 1])
    const records = []
    for await (const record of broker.read('places', { partition: places[0]?.partition ?? 0 })) records.push(record)
    assert.deepEqual(records[0], {
      topic: 'places',
      partition: places[0]?.partition,
      offset: 0,
      timestampMs: at.getTime(),
      key: Buffer.from('a'),
      value: Buffer.from('1'),
      headers: [['h', Buffer.from('x')]],
    })
    assert.equal(records[1]?.value, null)
  })

  it('cuts what does not fit into one batch', async () => {
    await broker.createTopic('many', { configs: { 'max.message.bytes': 2000 } })
    const values = Array.from({ length: 100 }, (_, i) => ({ value: `${i}`.padEnd(100) }))
    const places = await broker.produce('many', values)
    assert.deepEqual(
      places.map(({ offset }) => offset),
      values.map((_, i) => i),
    )
    await assert.rejects(broker.produce('many', { value: 'x'.repeat(3000) }), { code: 'TOO_LARGE' })
  })

  it('takes in one call more than its memory for records holds', async () => {
    await using small = await startBroker({ configs: { 'tidelog.log.cache.bytes': 8 << 20 } })
    await small.createTopic('large', { partitions: 2 })
    const value = Buffer.alloc(256 * 1024, 'x')
    const places = await small.produce(
      'large',
      Array.from({ length: 96 }, (_, i) => ({ key: `${i}`, value })),
    )
    assert.deepEqual([places.length, (await valuesOf(small, 'large')).length], [96, 96])
  })

  it('reads from an offset, from a time, and on and on until somebody has enough', async () => {
    await broker.createTopic('reads')
    const startMs = Date.now() - 10_000
    await broker.produce(
      'reads',
      ['0', '1', '2'].map((value, i) => ({ value, timestampMs: startMs + i * 1000 })),
    )
    assert.deepEqual(await valuesOf(broker, 'reads', { from: 1 }), ['1', '2'])
    assert.deepEqual(await valuesOf(broker, 'reads', { from: new Date(startMs + 1500) }), ['2'])
    assert.deepEqual(await valuesOf(broker, 'reads', { from: 'latest' }), [])
    const over = new AbortController()
    const live: string[] = []
    const reading = (async () => {
      for await (const { value } of broker.read('reads', { from: 'latest', until: 'never', signal: over.signal })) {
        live.push(String(value))
        if (live.length === 2) over.abort()
      }
    })()
    await broker.waitForLag('nobody', 0, { timeoutMs: 20 }).catch(() => {})
    await broker.produce('reads', { value: '3' })
    await broker.produce('reads', { value: '4' })
    await reading
    assert.deepEqual(live, ['3', '4'])
  })

  it('says in one sentence what cannot be', async () => {
    await broker.createTopic('exists')
    const read = (options: object, topic = 'exists') => valuesOf(broker, topic, options)
    const wrong: readonly (readonly [code: string, work: () => Promise<unknown>])[] = [
      ['ALREADY_EXISTS', () => broker.createTopic('exists')],
      ['REFUSED', () => broker.createTopic('no/name')],
      ['REFUSED', () => broker.createTopic('t', { configs: { 'no.such': 1 } })],
      ['CONFIG', () => broker.createTopic('t', { partitions: 0 })],
      ['CONFIG', () => broker.createTopic('t', { partition: 1 } as object)],
      ['USAGE', () => broker.createTopic(1 as unknown as string)],
      ['NOT_FOUND', () => broker.deleteTopic('none')],
      ['NOT_FOUND', () => broker.produce('none', { value: 'x' })],
      ['NOT_FOUND', () => broker.produce('exists', { value: 'x' }, { partition: 1 })],
      ['NOT_FOUND', () => broker.produce('__consumer_offsets', { value: 'x' })],
      ['USAGE', () => broker.produce('exists', 'x' as unknown as { value: string })],
      ['USAGE', () => broker.produce('exists', { value: 1 as unknown as string })],
      ['USAGE', () => broker.produce('exists', { value: 'x', timestampMs: Number.NaN })],
      ['NOT_FOUND', () => read({}, 'none')],
      ['NOT_FOUND', () => read({ partition: 3 })],
      ['OUT_OF_RANGE', () => read({ from: 1, until: 'never' })],
      ['USAGE', () => read({ from: 'middle' })],
      ['USAGE', () => read({ until: 'later' })],
      ['CONFIG', () => read({ form: 'latest' })],
      ['TIMED_OUT', () => broker.waitForLag('nobody', 0, { timeoutMs: 1 })],
      ['CONFIG', () => broker.waitForLag('nobody', -1)],
      ['USAGE', () => broker.reset(new Snapshot({ kind: 'folder', path: '/' }))],
    ]
    await broker.createTopic('g').then(() => broker.deleteTopic('g'))
    for (const [code, work] of wrong) {
      const error = await work().then(
        () => assert.fail(`${work} went through`),
        (thrown: Error & { code: string }) => thrown,
      )
      assert.equal(`${error.name} ${error.code}`, `TidelogError ${code}`, `${work}: ${error.message}`)
      assert.match(error.message, /^.{10,200}$/, 'one line')
    }
  })
})

describe('the options of a broker', () => {
  it('are refused with what is wrong', async () => {
    const wrong: readonly (readonly [options: object, message: RegExp])[] = [
      [{ storag: 'memory' }, /has no option 'storag'; did you mean storage\?/],
      [{ storage: 'disk' }, /storage must be 'memory' or/],
      [{ storage: { dir: '' } }, /storage must be/],
      [{ port: -1 }, /port must be a whole number from 0 to 65535, not -1/],
      [{ port: '9092' }, /port must be a whole number/],
      [{ configs: { 'num.partition': 1 } }, /num\.partition/],
      [{ configs: { 'num.partitions': 'many' } }, /num\.partitions/],
      [{ configs: { 'num.partitions': null } }, /must be a text, a number/],
      [{ logLevel: 'loud' }, /logLevel must be/],
      [{ callsMax: 1.5 }, /callsMax/],
    ]
    for (const [options, message] of wrong) await assert.rejects(startBroker(options), { code: 'CONFIG', message })
  })

  it('may be configs of the broker', async () => {
    await using broker = await startBroker({ configs: { 'num.partitions': 4 } })
    await broker.createTopic('t')
    const places = await Promise.all([0, 1, 2, 3].map(() => broker.produce('t', { value: 'x' })))
    assert.deepEqual(
      places.map(([place]) => place?.partition),
      [0, 1, 2, 3],
    )
  })

  it('a port that is taken is an error', async () => {
    await using broker = await startBroker()
    await assert.rejects(startBroker({ port: portOf(broker) }), { code: 'LISTEN' })
  })
})

describe('faults and calls', () => {
  let broker: EmbeddedBroker
  before(async () => {
    broker = await startBroker({ callsMax: 50 })
    await broker.createTopic('t')
  })
  after(() => broker.close())

  it('answer the next request of an API with an error, and nothing happens to the topic', async () => {
    await using client = await connect(broker)
    const rule = broker.faults.once('Produce', { error: 'NOT_LEADER_OR_FOLLOWER' })
    assert.equal((await client.produce('t', 0, batch('a'))).error, 'NOT_LEADER_OR_FOLLOWER')
    assert.equal((await client.produce('t', 0, batch('b'))).error, 'NONE')
    assert.equal(rule.met, 1)
    assert.deepEqual(await valuesOf(broker, 't'), ['b'])
  })

  it('answer for each partition of a fetch, also within a session, which goes on', async () => {
    await using client = await connect(broker)
    const topics = [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }]
    const fetch = (more: object) => client.call(apis.fetch, 11, { maxWaitMs: 0, minBytes: 0, topics: [], ...more })
    const first = await fetch({ topics, sessionEpoch: 0 })
    broker.faults.once('Fetch', { error: 'NOT_LEADER_OR_FOLLOWER' })
    const second = await fetch({ sessionId: first.sessionId, sessionEpoch: 1 })
    assert.equal(second.errorCode, 0)
    assert.equal(kafkaErrorName(second.responses[0]?.partitions[0]?.errorCode ?? 0), 'NOT_LEADER_OR_FOLLOWER')
    const third = await fetch({ sessionId: first.sessionId, sessionEpoch: 2 })
    assert.deepEqual([third.errorCode, third.responses[0]?.partitions[0]?.errorCode], [0, 0])
    broker.faults.once('Fetch', { error: 'FETCH_SESSION_ID_NOT_FOUND' })
    const fourth = await fetch({ sessionId: first.sessionId, sessionEpoch: 3 })
    assert.equal(kafkaErrorName(fourth.errorCode), 'FETCH_SESSION_ID_NOT_FOUND')
  })

  it('drop a connection, for one client id only', async () => {
    await using client = await connect(broker)
    const other = broker.faults.always('*', { drop: true, clientId: 'somebody else' })
    assert.equal((await client.produce('t', 0, batch('c'))).error, 'NONE')
    other.remove()
    broker.faults.once('Metadata', { drop: true, clientId: 'test' })
    await assert.rejects(client.call(apis.metadata, 9, { topics: null }), ConnectionClosed)
  })

  it('delay a request and what comes behind it', async () => {
    await using client = await connect(broker)
    const rule = broker.faults.always('Metadata', { delayMs: 60 })
    const startMs = performance.now()
    const metadata = client.call(apis.metadata, 9, { topics: null })
    const produced = client.produce('t', 0, batch('d'))
    await metadata
    assert.ok(performance.now() - startMs >= 55)
    await produced
    rule.remove()
    broker.faults.once('Metadata', { delayMs: 100_000 })
    const held = client.call(apis.metadata, 9, { topics: null })
    const other = client.latest('t', 0)
    broker.faults.clear()
    await Promise.all([held, other])
  })

  it('drop all connections at once', async () => {
    await using client = await connect(broker)
    await client.latest('t', 0)
    broker.faults.dropConnections()
    await client.closed
    await using again = await connect(broker)
    await again.latest('t', 0)
  })

  it('are refused when there is no such API or error', () => {
    const { faults } = broker
    assert.throws(() => faults.once('Prodcue', { drop: true }), { code: 'USAGE', message: /did you mean Produce\?/ })
    assert.throws(() => faults.once('Produce', { error: 'NOT_LEADER' as 'NOT_CONTROLLER' }), { code: 'USAGE' })
    assert.throws(() => faults.once('Produce', {}), { code: 'USAGE' })
    assert.throws(() => faults.once('Produce', { delayMs: -1 }), { code: 'USAGE' })
  })

  it('requests are remembered, the newest of them', async () => {
    await using client = await connect(broker)
    await client.produce('t', 0, batch('e'))
    const call = broker.calls.findLast(({ api }) => api === 'Produce')
    assert.deepEqual([call?.version, call?.clientId], [9, 'test'])
    const { topicData } = (call?.body ?? {}) as { topicData: { name: string; partitionData: { records: unknown }[] }[] }
    assert.equal(topicData[0]?.name, 't')
    assert.deepEqual(topicData[0]?.partitionData[0]?.records, { bytes: batch('e').length })
    for (let i = 0; i < 120; i++) await client.latest('t', 0)
    assert.equal(broker.calls.length, 50)
    await broker.reset()
    assert.deepEqual(broker.calls, [])
  })
})

for (const kind of ['memory', 'directory'] as const) {
  describe(`snapshots and resets, in ${kind === 'memory' ? 'memory' : 'a directory'}`, () => {
    let dir: string
    let broker: EmbeddedBroker
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'tidelog-embed-'))
      await writeFile(join(dir, 'notes.txt'), 'somebody else’s')
      broker = await startBroker({ storage: kind === 'memory' ? 'memory' : { dir } })
    })
    after(async () => {
      await broker.close()
      await rm(dir, { recursive: true })
    })

    it('put back what was kept, to the record and the commit, while clients stay connected', async () => {
      await using client = await connect(broker)
      const commit = (offset: number) =>
        client.call(apis.offsetCommit, 8, {
          groupId: 'g',
          generationIdOrMemberEpoch: -1,
          memberId: '',
          topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }],
        })
      await client.createTopic('t')
      await client.produce('t', 0, batch('a', 'b'))
      await commit(1)
      const kept = await broker.snapshot()
      await client.produce('t', 0, batch('c'))
      await client.createTopic('u')
      await commit(3)
      await broker.waitForLag('g', 0)
      for (let round = 0; round < 2; round++) {
        await broker.reset(kept)
        assert.deepEqual(await valuesOf(broker, 't'), ['a', 'b'])
        await broker.waitForLag('g', 1)
        await assert.rejects(broker.waitForLag('g', 0, { timeoutMs: 0 }), { code: 'TIMED_OUT' })
        await assert.rejects(valuesOf(broker, 'u'), { code: 'NOT_FOUND' })
        assert.equal((await client.produce('t', 0, batch('again'))).baseOffset, 2)
      }
    })

    it('empty the broker, which stays of the same cluster, and never give a producer id twice', async () => {
      await using client = await connect(broker)
      const clusterId = async () => (await client.call(apis.metadata, 9, { topics: [] })).clusterId
      const producerId = async () =>
        (await client.call(apis.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })).producerId
      const before = [await clusterId(), await producerId()] as const
      await broker.reset()
      assert.equal(await clusterId(), before[0])
      assert.ok((await producerId()) > before[1])
      assert.deepEqual((await client.call(apis.metadata, 9, { topics: null })).topics, [])
      if (kind === 'directory') assert.ok((await readdir(dir)).includes('notes.txt'))
    })

    it('requests under way are answered first, and those that come meanwhile wait', async () => {
      await using client = await connect(broker)
      await client.createTopic('t')
      const waiting = client.fetch('t', 0, 0, { maxWaitMs: 10_000, minBytes: 1 })
      while (!broker.calls.some(({ api }) => api === 'Fetch')) await new Promise(resolve => setImmediate(resolve))
      const resetting = broker.reset()
      const refused = broker.produce('t', { value: 'x' })
      assert.equal((await waiting).error, 'NONE')
      await assert.rejects(refused, { code: 'NOT_FOUND' })
      await resetting
      const reading = valuesOf(broker, 't', { until: 'never' })
      await assert.rejects(reading, { code: 'NOT_FOUND' })
    })

    it('a reading that a reset comes upon ends with an error', async () => {
      await broker.createTopic('live')
      await broker.produce('live', { value: 'x' })
      const reading = assert.rejects(valuesOf(broker, 'live', { until: 'never' }), { code: 'CLOSED' })
      await broker.produce('live', { value: 'y' })
      await broker.reset()
      await reading
    })
  })
}

describe('the end of a broker', () => {
  it('is final, may be asked for twice, and leaves no handle', async () => {
    const handles = () => process.getActiveResourcesInfo().filter(name => /TCP|Timeout|Pipe/.test(name)).length
    const before = handles()
    const broker = await startBroker()
    await broker.createTopic('t')
    const reading = valuesOf(broker, 't', { until: 'never' })
    await using client = await connect(broker)
    const waiting = client.fetch('t', 0, 0, { maxWaitMs: 10_000, minBytes: 1 }).catch(() => {})
    await Promise.all([broker.close(), broker.close(), assert.rejects(reading, { code: 'CLOSED' })])
    await waiting
    await client.closed
    await assert.rejects(broker.produce('t', { value: 'x' }), { code: 'CLOSED' })
    await assert.rejects(broker.reset(), { code: 'CLOSED' })
    assert.equal(handles(), before)
  })

  it('what a directory holds is there at the next start, and only one broker has it at a time', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidelog-embed-'))
    try {
      {
        await using broker = await startBroker({ storage: { dir } })
        await broker.createTopic('t')
        await broker.produce('t', { value: 'kept' })
        await assert.rejects(startBroker({ storage: { dir } }), { code: 'DATA_DIR_IN_USE' })
      }
      await using broker = await startBroker({ storage: { dir } })
      assert.deepEqual(await valuesOf(broker, 't'), ['kept'])
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('comes by itself when the disk fails: nothing is acknowledged any more, and every call says why', async t => {
    let isBroken = false
    const open = MemoryDisk.prototype.open
    t.mock.method(MemoryDisk.prototype, 'open', async function (this: MemoryDisk, ...asked: Parameters<typeof open>) {
      const file = await open.apply(this, asked)
      const sync = file.sync.bind(file)
      const broken = () => Promise.reject(Object.assign(new Error('the disk is broken'), { code: 'EIO' }))
      return Object.assign(file, { sync: () => (isBroken ? broken() : sync()) })
    })
    const told: Error[] = []
    const broker = await startBroker({ onFatal: error => told.push(error) })
    await broker.createTopic('t')
    await using client = await connect(broker)
    await client.latest('t', 0)
    isBroken = true
    await assert.rejects(broker.produce('t', { value: 'x' }))
    await client.closed
    await assert.rejects(broker.produce('t', { value: 'x' }), { code: 'DISK_FAILED' })
    await broker.close()
    assert.equal(told.length, 1)
  })
})
