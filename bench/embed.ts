/**
 * How long a program waits for a broker of its own: from the call to the moment in which clients are served, in memory and in a
 * directory, the first of the process apart from the others.
 *
 *     node bench/embed.ts [--rounds 50] [--dir FOLDER]
 *
 * A round starts a broker, makes a topic, appends a record and closes; only the start (and, where it says so, reset) is timed. The
 * directory is a new one for each round, in the system's folder for temporary files unless --dir names a disk to measure. What
 * importing the sources takes comes once, before the first start, and is told by itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { BrokerStartOptions } from '../src/index.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '50' }, dir: { type: 'string', default: tmpdir() } },
})
const rounds = Number(values.rounds)
const together = 50
const targetsMs = { memory: 100, directory: 150 } as const

const importBeganMs = performance.now()
const { startBroker } = await import('../src/index.ts')
const importMs = performance.now() - importBeganMs

interface Round {
  readonly startMs: number
  readonly resetMs: number
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now()
  await work()
  return performance.now() - beganMs
}

async function round(options: BrokerStartOptions): Promise<Round> {
  const beganMs = performance.now()
  await using broker = await startBroker(options)
  const startMs = performance.now() - beganMs
  await broker.createTopic('t')
  await broker.produce('t', { value: 'x' })
  return { startMs, resetMs: await timed(() => broker.reset()) }
}

async function inDirectory(): Promise<Round> {
  const dir = await mkdtemp(join(values.dir, 'tidelog-bench-'))
  try {
    return await round({ storage: { dir } })
  } finally {
    await rm(dir, { recursive: true })
  }
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)
}

function line(what: string, times: readonly number[], target: string): string {
  const sorted = times.toSorted((a, b) => a - b)
  const cells = [quantile(sorted, 0.5), quantile(sorted, 0.95), quantile(sorted, 1), target]
  return what.padEnd(28) + cells.map(cell => cell.padStart(9)).join('')
}

async function measure(kind: keyof typeof targetsMs, once: () => Promise<Round>): Promise<void> {
  const first = await once()
  const all: Round[] = []
  for (let i = 0; i < rounds; i++) all.push(await once())
  console.log(line(`${kind}: first start`, [first.startMs], ''))
  console.log(
    line(
      `${kind}: start`,
      all.map(({ startMs }) => startMs),
      `${targetsMs[kind]}`,
    ),
  )
  console.log(
    line(
      `${kind}: reset`,
      all.map(({ resetMs }) => resetMs),
      '',
    ),
  )
}

async function measureTogether(): Promise<void> {
  const rssBefore = process.memoryUsage.rss()
  const brokers: Awaited<ReturnType<typeof startBroker>>[] = []
  const startMs = await timed(async () => {
    brokers.push(...(await Promise.all(Array.from({ length: together }, () => startBroker()))))
  })
  const mib = (process.memoryUsage.rss() - rssBefore) / 2 ** 20
  console.log(
    `\n${together} in memory at once: ${startMs.toFixed(0)} ms until the last serves, ${mib.toFixed(0)} MiB more resident`,
  )
  await Promise.all(brokers.map(broker => broker.close()))
}

console.log(
  `node ${process.version}, ${rounds} rounds, ms${''.padEnd(5)}${['median', 'p95', 'max', 'target'].map(head => head.padStart(9)).join('')}`,
)
console.log(line('import', [importMs], ''))
await measure('memory', () => round({}))
await measure('directory', inDirectory)
await measureTogether()
