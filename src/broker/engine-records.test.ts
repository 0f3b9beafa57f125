/** Topics that ask for more of a record than its batch's header tells: keys, or another codec. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Prng } from '../base/prng.ts'
import { flattenRope, ropeOf } from '../base/rope.ts'
import type { Compute } from '../io/compute.ts'
import { ManualClock } from '../sim/clock.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { type BatchOptions, buildBatch } from '../wire/build-batch.ts'
import { codecOfBatch, readBatchHeader } from '../wire/record-batch.ts'
import { brokerConfigs, topicSettings } from './configs.ts'
import { Engine, nodeLogSettings } from './engine.ts'
import type { Acks, AppendOutcome, PartitionStore } from './storage.ts'

interface Job {
  readonly finish: () => void
}

/** Takes a job when it is told to; what it gets in between it does when it pleases. */
class SlowCompute implements Compute {
  readonly jobs: Job[] = []
  isAtOnce = false

  compress(_codec: string, _level: number | null, bytes: Parameters<Compute['compress']>[2]): Promise<Buffer> {
    return this.#later(() => gzipSync(flattenRope(bytes)))
  }

  decompress(_codec: string, bytes: Parameters<Compute['decompress']>[1]): Promise<Buffer> {
    return this.#later(() => gunzipSync(flattenRope(bytes)))
  }

  async finish(which = 0): Promise<void> {
    this.jobs.splice(which, 1)[0]?.finish()
    await turn()
  }

  #later(work: () => Buffer): Promise<Buffer> {
    if (this.isAtOnce) return Promise.resolve(work())
    return new Promise(resolve => this.jobs.push({ finish: () => resolve(work()) }))
  }
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

async function start(configs: Record<string, string>, disk = new MemoryDisk()) {
  const clock = new ManualClock()
  const compute = new SlowCompute()
  const defaults = brokerConfigs()
  const engine = await Engine.open(
    { disk, clock, random: new Prng(1), compute },
    {
      log: nodeLogSettings({ journalBytes: 64 << 20, cacheBytes: 16 << 20, openFilesMax: 100, acceptDataLoss: false }),
      retentionCheckMs: 60_000,
      producerIdExpirationMs: 86_400_000,
      topicSettings: given => topicSettings(defaults, given),
    },
    { report: () => {}, fail: error => assert.fail(error) },
  )
  const spec = { name: 't', partitions: 2, replicationFactor: 1, configs: new Map(Object.entries(configs)) }
  const created = await engine.createTopic(spec)
  assert.ok(created.error === 'NONE')
  const [partition, other] = created.topic.partitions as [PartitionStore, PartitionStore]
  /** What became of batches, in the order in which it did. */
  const outcomes: string[] = []
  const send = (name: string, options: BatchOptions = {}, acks: Acks = -1, to = partition) =>
    to.append(batch(name, options), acks).then(outcome => void outcomes.push(`${name}: ${say(outcome)}`))
  return { engine, clock, compute, partition, other, outcomes, send }
}

function batch(name: string, options: BatchOptions) {
  const key = name.startsWith('keyless') ? null : name
  const bytes = buildBatch([{ key, value: `${name} ${'and so on '.repeat(30)}` }], options)
  return { header: readBatchHeader(bytes), bytes: ropeOf(bytes) }
}

const say = (outcome: AppendOutcome) => (outcome.error === 'NONE' ? `at ${outcome.baseOffset}` : outcome.error)
const gzipped: BatchOptions = { compression: { codec: 'gzip', compress: gzipSync } }
const settled = async (times = 10) => {
  for (let i = 0; i < times; i++) await turn()
}

async function stored(partition: PartitionStore): Promise<string[]> {
  const { records } = await partition.read({ from: partition.logStartOffset, bytesMax: 1 << 20, minOne: true })
  const bytes = flattenRope(records)
  const codecs: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const header = readBatchHeader(bytes, at)
    codecs.push(`${header.baseOffset} ${codecOfBatch(header)}`)
    at += header.bytes
  }
  return codecs
}

test('batches keep their order, whether they are looked into or not and however long that takes', async () => {
  const { engine, compute, partition, outcomes, send } = await start({ 'compression.type': 'gzip' })
  void send('a')
  void send('b', gzipped)
  void send('c')
  void send('d', gzipped, 0)
  await settled()
  assert.deepEqual([compute.jobs.length, outcomes], [2, []])
  await compute.finish(1)
  await settled()
  assert.deepEqual(outcomes, [], 'c is ready, and waits for a')
  await compute.finish(0)
  await settled()
  assert.deepEqual(outcomes.toSorted(), ['a: at 0', 'b: at 1', 'c: at 2', 'd: at 3'])
  assert.deepEqual(await stored(partition), ['0 gzip', '1 gzip', '2 gzip', '3 gzip'])
  await engine.close()
})

test('a batch that needs no look goes its direct way, past those of other partitions', async () => {
  const { engine, compute, other, outcomes, send } = await start({ 'compression.type': 'gzip' })
  void send('slow')
  void send('quick', gzipped, -1, other)
  await settled()
  assert.deepEqual(outcomes, ['quick: at 0'])
  await compute.finish()
  await settled()
  assert.deepEqual(outcomes, ['quick: at 0', 'slow: at 0'])
  await engine.close()
})

test("idempotent producers' sequences and retries are judged in order", async () => {
  const { engine, compute, outcomes, send } = await start({ 'compression.type': 'gzip' })
  compute.isAtOnce = true
  const at = (baseSequence: number) => ({ producerId: 5, producerEpoch: 0, baseSequence })
  const all = [send('a', at(0)), send('b', { ...gzipped, ...at(1) }), send('a again', at(0)), send('gap', at(7))]
  await Promise.all(all)
  await send('a once more', { ...gzipped, ...at(0) })
  assert.deepEqual(outcomes.toSorted(), [
    'a again: at 0',
    'a once more: at 0',
    'a: at 0',
    'b: at 1',
    'gap: OUT_OF_ORDER_SEQUENCE_NUMBER',
  ])
  await engine.close()
})

test('pitfall 24: a compacted topic takes what has keys, compressed or not, and refuses the rest', async () => {
  const { engine, compute, partition, outcomes, send } = await start({ 'cleanup.policy': 'compact' })
  compute.isAtOnce = true
  await Promise.all([
    send('a'),
    send('keyless'),
    send('keyless too', gzipped),
    send('b', gzipped),
    send('keyless 3', {}, 0),
  ])
  assert.deepEqual(outcomes.toSorted(), [
    'a: at 0',
    'b: at 1',
    'keyless 3: INVALID_RECORD',
    'keyless too: INVALID_RECORD',
    'keyless: INVALID_RECORD',
  ])
  assert.deepEqual(await stored(partition), ['0 none', '1 gzip'], 'as they came')
  await engine.close()
})

test('what waits too long for its look is to be tried again, and its followers with it', async () => {
  const { engine, clock, compute, outcomes, send } = await start({ 'compression.type': 'gzip' })
  void send('a')
  void send('b')
  void send('c', { producerId: 5, producerEpoch: 0, baseSequence: 0 })
  void send('d', { ...gzipped, producerId: 5, producerEpoch: 0, baseSequence: 1 })
  await settled()
  clock.advance(5000)
  await compute.finish()
  await compute.finish()
  await settled()
  assert.deepEqual(outcomes.toSorted(), [
    'a: at 0',
    'b: at 1',
    'c: KAFKA_STORAGE_ERROR',
    'd: OUT_OF_ORDER_SEQUENCE_NUMBER',
  ])
  compute.isAtOnce = true
  await send('c again', { producerId: 5, producerEpoch: 0, baseSequence: 0 })
  await send('d again', { ...gzipped, producerId: 5, producerEpoch: 0, baseSequence: 1 })
  assert.deepEqual(outcomes.slice(4), ['c again: at 2', 'd again: at 3'])
  await engine.close()
})

test('a topic that is deleted, and a node that stops, answer what is being looked into', async () => {
  for (const isStop of [true, false]) {
    const { engine, compute, outcomes, send } = await start({ 'compression.type': 'gzip' })
    for (const name of ['a', 'b', 'c', 'd']) void send(name)
    await settled()
    if (isStop) await engine.close()
    else await engine.deleteTopic(engine.topicByName('t')!.id)
    await settled()
    assert.deepEqual(
      outcomes.toSorted(),
      ['a', 'b', 'c', 'd'].map(name => `${name}: UNKNOWN_TOPIC_OR_PARTITION`),
    )
    while (compute.jobs.length > 0) await compute.finish()
    await settled()
    assert.equal(outcomes.length, 4)
    await engine.close()
  }
})

test('a codec that the topic is given later is that of the next batch', async () => {
  const { engine, compute, partition, send } = await start({})
  compute.isAtOnce = true
  await send('a')
  const { id, version } = engine.topicByName('t')!
  await engine.configureTopic(id, version, new Map([['compression.type', 'gzip']]))
  await send('b')
  await engine.configureTopic(id, version + 1, new Map([['compression.type', 'uncompressed']]))
  await send('c', gzipped)
  assert.deepEqual(await stored(partition), ['0 none', '1 gzip', '2 none'])
  await engine.close()
})
