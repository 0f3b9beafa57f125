/**
 * The first figures: how soon a broker takes its first record, what it holds in memory, how much a librdkafka producer gets
 * through with every record synced, and how soon it is back after a kill with much data.
 *
 *     node bench/produce.ts [start] [memory] [throughput] [restart]      all of them by default
 *
 * Throughput and restart need a C compiler and librdkafka (Debian: gcc, librdkafka-dev).
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildBatch } from '../src/wire/build-batch.ts'
import { KafkaClient } from '../test/support/kafka-client.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { Tidelog } from '../test/support/tidelog.ts'

const mib = 1 << 20
const throughputRuns = 3
const runSeconds = 6
const startRuns = 5
const restartPartitions = 100
const restartBytes = 2 * 1024 * mib

const parts = { start, memory, throughput, restart }
type Part = keyof typeof parts

const asked = process.argv.slice(2)
printMachine()
for (const name of Object.keys(parts) as Part[]) {
  if (asked.length === 0 || asked.includes(name)) await parts[name]()
}

async function start(): Promise<void> {
  const tookMs: number[] = []
  for (let run = 0; run < startRuns; run++) {
    await using dir = await tempDir()
    const beganMs = performance.now()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await produceOne(tidelog)
    tookMs.push(performance.now() - beganMs)
    // What was compiled is kept from the first run on.
    await tidelog.stop()
  }
  row('start to the first acknowledged produce', `${list(tookMs)} ms`, 'at most 500 ms')
}

async function memory(): Promise<void> {
  await using dir = await tempDir()
  await using tidelog = await Tidelog.start({ dataDir: dir.path })
  await produceOne(tidelog)
  await sleep(3_000)
  row('resident when idle', `${(tidelog.residentBytes / mib).toFixed(0)} MiB`, 'at most 120 MB')
}

async function throughput(): Promise<void> {
  await using producer = await buildProducer()
  if (producer === null) return
  for (const bytes of [100, 1000]) {
    await using dir = await tempDir()
    await using tidelog = await Tidelog.start({
      dataDir: dir.path,
      set: { 'num.partitions': 6, 'log.retention.bytes': 512 * mib },
    })
    await run(producer.path, tidelog, bytes, 2)
    const results = []
    for (let i = 0; i < throughputRuns; i++) results.push(await run(producer.path, tidelog, bytes, runSeconds))
    const perSecond = results.map(({ records, ms }) => records / ms / 1_000)
    const goal = bytes === 100 ? 'at least 1.5' : ''
    row(`${bytes} B, acks=all, 6 partitions, synced`, `${list(perSecond, 2)} million records/s`, goal)
    row(
      '',
      `${list(
        perSecond.map(million => million * bytes),
        0,
      )} MB/s of values`,
    )
    row('resident after that', `${(tidelog.residentBytes / mib).toFixed(0)} MiB`)
  }
}

async function restart(): Promise<void> {
  await using producer = await buildProducer()
  if (producer === null) return
  await using dir = await tempDir()
  const bytes = 1_000
  {
    await using tidelog = await Tidelog.start({ dataDir: dir.path, set: { 'num.partitions': restartPartitions } })
    await run(producer.path, tidelog, bytes, 600, restartBytes / bytes)
    await tidelog.kill()
  }
  const size = spawnSync('du', ['-sm', dir.path], { encoding: 'utf8' }).stdout.split('\t')[0]
  const tookMs: number[] = []
  for (let i = 0; i < 3; i++) {
    const beganMs = performance.now()
    await using tidelog = await Tidelog.start({ dataDir: dir.path })
    await produceOne(tidelog)
    tookMs.push(performance.now() - beganMs)
    await tidelog.kill()
  }
  row(`restart after SIGKILL, ${size} MiB in ${restartPartitions} partitions`, `${list(tookMs)} ms`, 'at most 1000 ms')
}

async function produceOne(tidelog: Tidelog): Promise<void> {
  await using client = await KafkaClient.connect(tidelog.port)
  const topic = `first-${Date.now()}`
  await client.createTopic(topic)
  const { error } = await client.produce(topic, 0, buildBatch([{ value: 'x', timestampMs: Date.now() }]))
  if (error !== 'NONE') throw new Error(error)
}

async function run(
  producer: string,
  tidelog: Tidelog,
  bytes: number,
  seconds: number,
  recordsMax = -1,
): Promise<{ records: number; ms: number }> {
  const partitions = recordsMax < 0 ? 6 : restartPartitions
  const args = [tidelog.address, 'bench', partitions, bytes, seconds, recordsMax].map(String)
  const { stdout, stderr, status } = spawnSync(producer, args, { encoding: 'utf8', timeout: 900_000 })
  if (status !== 0) throw new Error(`the producer ended with ${status}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Null, after a word about it, where it cannot be compiled. */
async function buildProducer() {
  const dir = await tempDir()
  const path = join(dir.path, 'rdkafka-producer')
  const source = new URL('rdkafka-producer.c', import.meta.url).pathname
  try {
    execFileSync('cc', ['-O2', '-o', path, source, '-lrdkafka'], { stdio: 'pipe' })
  } catch (error) {
    await dir[Symbol.asyncDispose]()
    console.log(`no producer (${String(error).split('\n')[0]}): left out`)
    return null
  }
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

function printMachine(): void {
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0]
  const gigabytes = (totalmem() / 1e9).toFixed(0)
  console.log(`${new Date().toISOString().slice(0, 10)}, ${commit || 'no commit'}, node ${process.version}`)
  console.log(`${cpus().length} × ${cpus()[0]?.model}, ${gigabytes} GB; load before: ${load}`)
}

function row(what: string, value: string, goal = ''): void {
  console.log(`${what.padEnd(52)} ${value.padEnd(40)} ${goal}`.trimEnd())
}

function list(values: readonly number[], digits = 0): string {
  return values.map(value => value.toFixed(digits)).join(', ')
}
