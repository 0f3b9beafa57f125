/**
 * `tidelog bench`: each part in turn, against a topic of its own that is deleted at the end, come what may.
 *
 *     producer: as many requests as --in-flight at a time, each timed from sending to its acknowledgement
 *     consumer: from the beginning to the end, as fast as it comes
 *     latency:  a record is due every 1/rate seconds; its time runs from then, also where the sender is late, so that a
 *               broker that stands still is not measured by fewer records
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessageToProduce, Producer } from '@platformatic/kafka'
import { exitCodes } from '../base/errors.ts'
import { type Cluster, type TopicFacts, withCluster } from './connection.ts'
import { attempt, CliError, interruptedExitCode } from './failure.ts'
import { interrupted } from './interrupt.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { bytesText, type Json, note, paint, show } from './output.ts'
import { readPartitions } from './partition-reader.ts'
import { type Percentiles, percentilesOf, rounded } from './percentiles.ts'
import { Progress } from './progress.ts'
import type { codecs } from './sender.ts'

interface BenchFlags extends BrokerFlags, OutputFlags {
  readonly topic?: string
  readonly partitions: number
  readonly replicationFactor?: number
  readonly config?: readonly (readonly [string, string])[]
  readonly records: number
  readonly size: number
  readonly batchRecords: number
  readonly inFlight: number
  readonly acks: 'all' | '1'
  readonly compression: (typeof codecs)[number]
  readonly rate: number
  readonly duration: number
}

const allParts = ['producer', 'consumer', 'latency'] as const
type Part = (typeof allParts)[number]

interface Result {
  readonly part: Part
  readonly records: number
  readonly seconds: number
  readonly recordsPerSecond: number
  /** Of values. */
  readonly bytesPerSecond: number
  readonly latencyMs: Percentiles | null
}

interface Bench {
  readonly cluster: Cluster
  readonly topic: TopicFacts
  readonly flags: BenchFlags
  readonly signal: AbortSignal
}

export async function bench(asked: readonly Part[], flags: BenchFlags): Promise<void> {
  const parts = allParts.filter(part => asked.length === 0 || asked.includes(part))
  if (parts.includes('consumer') && !parts.includes('producer') && flags.topic === undefined) {
    throw new CliError(
      exitCodes.usage,
      'consumer by itself reads what a topic has; name one with --topic, or measure producer too',
    )
  }
  const signal = interrupted()
  await withCluster(flags.brokers, async cluster => {
    await using place = await placeFor(cluster, flags)
    const results: Result[] = []
    for (const part of parts) {
      if (!signal.aborted)
        results.push(await attempt(part, () => measure(part, { cluster, topic: place.topic, flags, signal })))
    }
    if (signal.aborted) throw new CliError(interruptedExitCode, 'interrupted; nothing that was measured counts')
    await showResults(results, cluster, flags)
  })
}

interface Place extends AsyncDisposable {
  readonly topic: TopicFacts
}

async function placeFor(cluster: Cluster, flags: BenchFlags): Promise<Place> {
  if (flags.topic !== undefined) {
    return { topic: await cluster.topic(flags.topic), [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const name = `tidelog-bench-${randomBytes(4).toString('hex')}`
  const { partitions, replicationFactor: replicas = -1, config = [] } = flags
  await attempt(`create topic ${name}`, () =>
    cluster.admin.createTopics({
      topics: [name],
      partitions,
      replicas,
      configs: config.map(([each, value]) => ({ name: each, value })),
    }),
  )
  const remove = async () => {
    await cluster.admin
      .deleteTopics({ topics: [name] })
      .catch(() => note(`topic ${name} could not be deleted; tidelog topic rm ${name} --yes`))
  }
  return { topic: await cluster.createdTopic(name), [Symbol.asyncDispose]: remove }
}

function measure(part: Part, bench: Bench): Promise<Result> {
  switch (part) {
    case 'producer':
      return measureProducer(bench)
    case 'consumer':
      return measureConsumer(bench)
    default:
      return measureLatency(bench)
  }
}

/** Random text, so that no codec gets more out of it than out of any text of its kind. */
function valuesOf(size: number): () => Buffer {
  const pool = Buffer.from(randomBytes(Math.ceil((size + poolBytes) * 0.75)).toString('base64'))
  return () => {
    const from = Math.floor(Math.random() * poolBytes)
    return pool.subarray(from, from + size)
  }
}

const poolBytes = 1 << 20

function producerFor({ cluster, flags }: Bench): Producer {
  const { acks, compression } = flags
  // Not idempotent: that would allow one request at a time for each partition.
  return new Producer({ ...cluster.clientOptions, acks: acks === 'all' ? -1 : 1, compression })
}

async function measureProducer(bench: Bench): Promise<Result> {
  const { topic, flags, signal } = bench
  const { records, size, batchRecords, inFlight } = flags
  const producer = producerFor(bench)
  const value = valuesOf(size)
  const partitions = topic.partitions.length
  const latencies: number[] = []
  let taken = 0
  let acknowledged = 0
  let requests = 0
  using progress = new Progress()
  const work = async () => {
    while (taken < records && !signal.aborted) {
      const count = Math.min(batchRecords, records - taken)
      taken += count
      const partition = requests++ % partitions
      const messages: MessageToProduce[] = Array.from({ length: count }, () => ({
        topic: topic.name,
        partition,
        value: value(),
      }))
      const sentMs = performance.now()
      await producer.send({ messages })
      latencies.push(performance.now() - sentMs)
      acknowledged += count
      progress.tell(() => `producer: ${acknowledged} of ${records} records`)
    }
  }
  try {
    // Connections and what is loaded with the first request are not measured.
    await producer.send({ messages: [{ topic: topic.name, partition: 0, value: value() }] })
    const startedMs = performance.now()
    await Promise.all(Array.from({ length: inFlight }, work))
    return resultOf('producer', acknowledged, performance.now() - startedMs, acknowledged * size, latencies)
  } finally {
    await producer.close().catch(() => undefined)
  }
}

async function measureConsumer({ cluster, topic, signal }: Bench): Promise<Result> {
  let records = 0
  let bytes = 0
  using progress = new Progress()
  const startedMs = performance.now()
  await readPartitions(cluster, topic, {
    from: { at: 'beginning' },
    follow: false,
    signal,
    print: async found => {
      records += found.length
      for (const { value } of found) bytes += value?.length ?? 0
      progress.tell(() => `consumer: ${records} records`)
      return { count: found.length, goesOn: true }
    },
  })
  return resultOf('consumer', records, performance.now() - startedMs, bytes, [])
}

/** What was sent and is still on its way when the time is over has so long to come. */
const lateMsMax = 10_000

async function measureLatency(bench: Bench): Promise<Result> {
  const { cluster, topic, flags, signal } = bench
  const { rate, duration, size } = flags
  const total = Math.max(Math.round((rate * duration) / 1000), 1)
  const producer = producerFor(bench)
  const value = valuesOf(size)
  const dueMs = new Map<string, number>()
  const latencies: number[] = []
  const over = new AbortController()
  const reading = readPartitions(cluster, topic, {
    from: { at: 'end' },
    follow: true,
    signal: AbortSignal.any([signal, over.signal]),
    print: async found => {
      const nowMs = performance.now()
      for (const { key } of found) {
        const due = key === null ? undefined : dueMs.get(key.toString())
        if (due !== undefined) latencies.push(nowMs - due)
      }
      return { count: found.length, goesOn: latencies.length < total }
    },
  })
  // The reader must wait at the end before the first record comes.
  await sleep(settleMs)
  const startedMs = performance.now()
  const run = randomBytes(4).toString('hex')
  const sends: Promise<unknown>[] = []
  using progress = new Progress()
  try {
    for (let i = 0; i < total && !signal.aborted; i++) {
      const due = startedMs + (i * 1000) / rate
      const earlyMs = due - performance.now()
      if (earlyMs > 1) await sleep(earlyMs)
      const key = `${run}-${i}`
      dueMs.set(key, due)
      const partition = i % topic.partitions.length
      sends.push(producer.send({ messages: [{ topic: topic.name, partition, key: Buffer.from(key), value: value() }] }))
      // Looked at below, all together.
      sends.at(-1)?.catch(() => undefined)
      progress.tell(() => `latency: ${i} of ${total} records`)
    }
    await Promise.all(sends)
    await Promise.race([reading, sleep(lateMsMax, undefined, { ref: false })])
    over.abort()
    await reading
    return resultOf('latency', latencies.length, performance.now() - startedMs, latencies.length * size, latencies)
  } finally {
    over.abort()
    await reading.catch(() => undefined)
    await producer.close().catch(() => undefined)
  }
}

const settleMs = 1_000

function resultOf(part: Part, records: number, tookMs: number, bytes: number, latencies: readonly number[]): Result {
  const seconds = tookMs / 1000
  return {
    part,
    records,
    seconds,
    recordsPerSecond: records / seconds,
    bytesPerSecond: bytes / seconds,
    latencyMs: percentilesOf(latencies),
  }
}

async function showResults(results: readonly Result[], cluster: Cluster, flags: BenchFlags): Promise<void> {
  const { size, batchRecords, inFlight, acks, compression, rate, partitions } = flags
  const settings = {
    valueBytes: size,
    batchRecords,
    inFlight,
    acks,
    compression,
    rate,
    partitions: flags.topic === undefined ? partitions : null,
  }
  await show(flags.output, {
    data: {
      brokers: cluster.name,
      client: '@platformatic/kafka',
      node: process.versions.node,
      settings,
      results,
    } as unknown as Json,
    names: () => results.map(({ part }) => part),
    table: () => `${results.map(result => textOf(result, flags)).join('\n')}\n${paint('dim', caveat)}\n`,
  })
}

const caveat =
  'One client process (@platformatic/kafka) on this machine, random text as values: what it cannot do, no broker can show.'

function textOf(
  { part, records, seconds, recordsPerSecond, bytesPerSecond, latencyMs }: Result,
  flags: BenchFlags,
): string {
  const { size, acks, batchRecords, inFlight, rate } = flags
  const figures = `${records} records in ${rounded(seconds)} s: ${rounded(recordsPerSecond)} records/s, ${bytesText(rounded(bytesPerSecond))}/s of values`
  const times = latencyMs === null ? '' : percentileText(latencyMs)
  switch (part) {
    case 'producer':
      return `${paint('bold', 'producer')}   ${figures}\n           request to acknowledgement (acks=${acks}), ${batchRecords} records of ${size} bytes each, ${inFlight} at a time:\n           ${times}\n`
    case 'consumer':
      return `${paint('bold', 'consumer')}   ${figures}\n`
    default:
      return `${paint('bold', 'latency')}    ${records} records at ${rate} a second, from when each was due to when it was read (acks=${acks}):\n           ${times}\n`
  }
}

function percentileText({ p50, p90, p99, p999, max }: Percentiles): string {
  const entries = { p50, p90, p99, 'p99.9': p999, max }
  return Object.entries(entries)
    .map(([name, ms]) => `${name} ${rounded(ms)} ms`)
    .join('  ')
}
