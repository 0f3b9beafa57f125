/**
 * The simulator's command line:
 *
 *   npm run sim -- --seed 7 [--scenario NAME] [--trace]     one run again, event by event
 *   npm run sim -- --seeds 500 [--from 1] [--scenario NAME] so many runs, over all scenarios of one node
 *   npm run sim -- --cluster --seeds 500                    the same over all scenarios of a cluster
 *   … --within 4 --reach recoveries=300                     ends early after so many minutes; is bad when it did not get that far
 *   npm run sim -- [--cluster] --hunt 30                    runs for so many minutes, with seeds nobody has tried
 *   npm run sim -- --sweep 7                                one small run, with a fault at every seventh call of the disk
 *   npm run sim -- [--cluster] --mutants                    planted bugs, each of which must be found
 *
 * Ends with 1 when a run broke something, after printing the command that repeats it.
 */
import { parseArgs } from 'node:util'
import { clusterMutants } from './cluster/mutant-list.ts'
import { findClusterMutant } from './cluster/mutants.ts'
import { mutants } from './mutant-list.ts'
import { findMutant } from './mutants.ts'
import { sweepFaults, sweepScenario, sweepSeed } from './scenarios/sweep.ts'
import type { RunReport } from './simulation.ts'
import { startWatchdog } from './watchdog.ts'
import type { Counts } from './world.ts'
import { type Job, jobNamed, nodeJob, worlds } from './worlds.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    scenario: { type: 'string' },
    cluster: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    seeds: { type: 'string' },
    from: { type: 'string' },
    within: { type: 'string' },
    reach: { type: 'string', multiple: true, default: [] },
    hunt: { type: 'string' },
    sweep: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** After so many bad runs a search has told enough. */
const badRunsMax = 10
const runLimitMs = 30_000

// `| head` has seen enough.
process.stdout.on('error', () => process.exit())

const watchdog = startWatchdog(runLimitMs)
process.exitCode = await main()
await watchdog.stop()

function main(): number | Promise<number> {
  if (values.help) return printHelp()
  if (values.mutants) return plant()
  if (values.sweep !== undefined) return search(sweep(Number(values.sweep)))
  if (values.seed !== undefined) return repeat(Number(values.seed))
  return search(runs())
}

function printHelp(): number {
  console.log(
    'npm run sim -- --seed N [--scenario NAME] [--trace] | [--cluster] --seeds COUNT [--from N] [--within MINUTES] [--reach NAME=COUNT]… | [--cluster] --hunt MINUTES | --sweep STEP | [--cluster] --mutants',
  )
  for (const [world, { scenarios }] of Object.entries(worlds)) {
    console.log(`\nscenarios of a ${world}:`)
    for (const { name, title } of scenarios) console.log(`  ${name.padEnd(46)} ${title}`)
  }
  return 0
}

async function repeat(seed: number): Promise<number> {
  watchdog.begin(seed)
  const report = await jobOf(seed).run(values.trace ? line => console.log(line) : undefined)
  printRun(report)
  if (report.state !== undefined) console.log(report.state)
  printCounts(report.counts)
  return report.anomalies.length > 0 ? 1 : 0
}

function jobOf(seed: number): Job {
  if (values.scenario !== undefined) return jobNamed(seed, values.scenario)
  return worlds[values.cluster ? 'cluster' : 'node'].job(seed)
}

function* runs(): Generator<Job> {
  const untilMs = Date.now() + Number(values.hunt ?? values.within ?? Number.POSITIVE_INFINITY) * 60_000
  const first = Number(values.from ?? (values.hunt === undefined ? 1 : Date.now() % 1_000_000_000))
  const count = values.hunt === undefined ? Number(values.seeds ?? 100) : Number.POSITIVE_INFINITY
  for (let seed = first; seed < first + count && Date.now() < untilMs; seed++) yield jobOf(seed)
}

/** Faults at every `step`-th operation of a run, as many as a run without a fault has. */
async function* sweep(step: number): AsyncGenerator<Job> {
  const whole = await nodeJob(sweepSeed, sweepScenario('kill', 0)).run()
  const operations = whole.counts.get('operations') ?? 0
  console.log(`a sweep over ${operations} operations, every ${step}`)
  for (const fault of sweepFaults) {
    for (let at = 1; at <= operations; at += step) yield nodeJob(sweepSeed, sweepScenario(fault, at))
  }
}

async function search(jobs: Iterable<Job> | AsyncIterable<Job>): Promise<number> {
  const startedMs = Date.now()
  const counts: Counts = new Map()
  const sum = { runs: 0, bad: 0, events: 0, virtualMs: 0 }
  for await (const job of jobs) {
    watchdog.begin(job.seed)
    const report = await job.run()
    sum.runs += 1
    sum.events += report.events
    sum.virtualMs += report.virtualMs
    for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times)
    if (report.anomalies.length === 0) continue
    sum.bad += 1
    printRun(report)
    if (sum.bad >= badRunsMax) break
  }
  printCounts(counts)
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1)
  const virtual = Math.round(sum.virtualMs / 1000)
  console.log(`${sum.runs} runs, ${sum.bad} bad; ${sum.events} events, ${virtual} s of virtual time in ${seconds} s`)
  return sum.bad > 0 || !isReached(counts) ? 1 : 0
}

/** Whether the runs got to where bugs would show; a search that goes nowhere finds nothing. */
function isReached(counts: Counts): boolean {
  const missed = values.reach.filter(wanted => {
    const [name = '', count] = wanted.split('=')
    return (counts.get(name) ?? 0) < Number(count)
  })
  for (const wanted of missed) console.log(`NOT REACHED: ${wanted}`)
  return missed.length === 0
}

function plant(): Promise<number> {
  if (values.cluster) return plantAll(clusterMutants, findClusterMutant)
  return plantAll(mutants, async (mutant, onSeed) => {
    const report = await findMutant(mutant, onSeed)
    const first = report?.anomalies[0]
    return report === null || first === undefined ? null : { seed: report.seed, ...first }
  })
}

interface Planted {
  readonly name: string
  readonly scenario: string
  readonly seedsMax: number
}

async function plantAll<M extends Planted>(
  planted: readonly M[],
  find: (
    mutant: M,
    onSeed: (seed: number) => void,
  ) => Promise<{ readonly seed: number; readonly kind: string; readonly text: string } | null>,
): Promise<number> {
  let missed = 0
  for (const mutant of planted) {
    const found = await find(mutant, seed => watchdog.begin(seed))
    if (found === null) missed += 1
    const what =
      found === null ? `MISSED in ${mutant.seedsMax} seeds` : `seed ${found.seed}: ${found.kind}, ${found.text}`
    console.log(`${mutant.name.padEnd(64)} ${mutant.scenario.padEnd(24)} ${what.split('\n')[0]?.slice(0, 140)}`)
  }
  return missed > 0 ? 1 : 0
}

function printRun(report: RunReport): void {
  const { seed, scenario, hash, events, virtualMs, anomalies } = report
  const result =
    anomalies.length === 0 ? 'good' : `BROKEN: npm run sim -- --seed ${seed} --scenario ${scenario} --trace`
  console.log(`seed ${seed} ${scenario} ${hash} ${events} events ${Math.round(virtualMs)} ms: ${result}`)
  for (const { kind, text, atMs } of anomalies.slice(0, 5)) console.log(`  ${atMs.toFixed(3)} ${kind}: ${text}`)
}

function printCounts(counts: Counts): void {
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [what, times] of rows) console.log(`${String(times).padStart(10)} ${what}`)
}
