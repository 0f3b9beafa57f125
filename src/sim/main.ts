/**
 * The simulator's command line:
 *
 *   npm run sim -- --seed 7 [--scenario NAME] [--trace]     one run again, event by event
 *   npm run sim -- --seeds 500 [--from 1]                   so many runs, over all scenarios
 *   npm run sim -- --hunt 30                                runs for so many minutes, with seeds nobody has tried
 *
 * Ends with 1 when a run broke something, after printing the command that repeats it.
 */
import { parseArgs } from 'node:util'
import { openEngine } from './node.ts'
import { scenarios } from './scenarios/index.ts'
import { type RunReport, runScenario, type Scenario } from './simulation.ts'
import type { Counts } from './world.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    scenario: { type: 'string' },
    trace: { type: 'boolean', default: false },
    seeds: { type: 'string' },
    from: { type: 'string' },
    hunt: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

/** After so many bad runs a search has told enough. */
const badRunsMax = 10

process.exitCode = values.help ? printHelp() : values.seed !== undefined ? await repeat(values.seed) : await search()

function printHelp(): number {
  console.log('npm run sim -- --seed N [--scenario NAME] [--trace] | --seeds COUNT [--from N] | --hunt MINUTES\n')
  for (const { name, title } of scenarios) console.log(`${name.padEnd(14)} ${title}`)
  return 0
}

async function repeat(seedText: string): Promise<number> {
  const seed = Number(seedText)
  const scenario = values.scenario === undefined ? scenarioOf(seed) : named(values.scenario)
  const trace = values.trace ? { onTrace: (line: string) => console.log(line) } : {}
  const report = await runScenario({ seed, scenario, openWith: openEngine, ...trace })
  printRun(report)
  printCounts(report.counts)
  return report.anomalies.length > 0 ? 1 : 0
}

async function search(): Promise<number> {
  const untilMs = values.hunt === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(values.hunt) * 60_000
  const first = Number(values.from ?? (values.hunt === undefined ? 1 : Date.now() % 1_000_000_000))
  const count = values.hunt === undefined ? Number(values.seeds ?? 100) : Number.POSITIVE_INFINITY
  const startedMs = Date.now()
  const counts: Counts = new Map()
  let runs = 0
  let badRuns = 0
  let events = 0
  let virtualMs = 0
  for (let seed = first; seed < first + count && Date.now() < untilMs && badRuns < badRunsMax; seed++) {
    const scenario = values.scenario === undefined ? scenarioOf(seed) : named(values.scenario)
    const report = await runScenario({ seed, scenario, openWith: openEngine })
    runs += 1
    events += report.events
    virtualMs += report.virtualMs
    for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times)
    if (report.anomalies.length === 0) continue
    badRuns += 1
    printRun(report)
  }
  printCounts(counts)
  const seconds = (Date.now() - startedMs) / 1000
  console.log(
    `${runs} runs, ${badRuns} bad; ${events} events, ${Math.round(virtualMs / 1000)} s of virtual time in ${seconds.toFixed(1)} s`,
  )
  return badRuns > 0 ? 1 : 0
}

/** Half of all runs mix everything; the others look closer at one thing. */
function scenarioOf(seed: number): Scenario {
  const special = scenarios[1 + (Math.floor(seed / 2) % (scenarios.length - 1))]
  return (seed % 2 === 0 ? special : undefined) ?? (scenarios[0] as Scenario)
}

function named(name: string): Scenario {
  const scenario = scenarios.find(other => other.name === name)
  if (scenario === undefined)
    throw new Error(`no scenario is called ${name}; there are ${scenarios.map(s => s.name).join(', ')}`)
  return scenario
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
