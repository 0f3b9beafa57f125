/**
 * The search's command line:
 *
 *   npm run search                                   every model, to completion or to its bound
 *   npm run search -- --model NAME [--minutes 10]    one of them
 *   npm run search -- --walk SECONDS [--seed N]      random walks through every model (or one), deeper than a search goes
 *   npm run search -- --mutants                      planted bugs, each of which must be found
 *   npm run search -- --ci                           the quick models and planted bugs of both cores
 *
 * Ends with 1 when something does not hold, after printing how to get there, or when a search did not come to its end.
 */
import { parseArgs } from 'node:util'
import type { SearchResult } from './engine.ts'
import { models, modelsInCi, walkedModels } from './models.ts'
import { findSearchMutant, mutantsInCi, searchMutants } from './mutants.ts'
import type { SearchMutant } from './search-mutant.ts'
import type { Searchable } from './searchable.ts'
import { printViolation } from './violation.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    states: { type: 'string', default: '30000000' },
    walk: { type: 'string' },
    seed: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    ci: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const now = () => performance.now()
const limits = { statesMax: Number(values.states), timeMs: Number(values.minutes) * 60_000, now }
/** A walk longer than this mostly repeats itself: the budgets of a model are spent. */
const walkActionsMax = 400

function main(): number | Promise<number> {
  if (values.help) return printHelp()
  if (values.ci) return checkQuickly()
  if (values.mutants) return plant(searchMutants.filter(({ model }) => isChosen(model)))
  const all = values.walk === undefined ? models : [...models, ...walkedModels]
  const chosen = all.filter(({ name }) => isChosen(name))
  if (chosen.length === 0) throw new Error(`no model is called ${values.model}; there are ${names(all)}`)
  return Math.max(...chosen.map(values.walk === undefined ? searchOne : walkOne))
}

function isChosen(name: string): boolean {
  return name.startsWith(values.model ?? '')
}

/** What continuous integration has time for; the rest is named, so that nobody takes it for all. */
async function checkQuickly(): Promise<number> {
  const quick = models.filter(({ name }) => modelsInCi.includes(name))
  const worst = Math.max(...quick.map(searchOne))
  console.log(`left to npm run search: ${names(models.filter(model => !quick.includes(model)))}`)
  const planted = searchMutants.filter(({ name }) => mutantsInCi.includes(name))
  const missed = await plant(planted)
  console.log(`left to npm run search -- --mutants: ${searchMutants.length - planted.length} planted bugs`)
  return Math.max(worst, missed)
}

const names = (all: readonly Searchable[]) => all.map(({ name }) => name).join(', ')

function printHelp(): number {
  console.log('npm run search -- [--model NAME] [--minutes N] [--walk SECONDS [--seed N]] | --mutants\n')
  for (const { name, title, limits } of [...models, ...walkedModels]) {
    console.log(`${name.padEnd(22)} ${title}`)
    for (const limit of limits) console.log(`${' '.repeat(23)}- ${limit}`)
  }
  return 0
}

function searchOne(model: Searchable): number {
  console.log(`${model.name}: ${model.title}`)
  for (const limit of model.limits) console.log(`  - ${limit}`)
  const cpuBefore = process.cpuUsage()
  const result = model.search(limits)
  console.log(`  ${summary(result, cpuBefore)}`)
  console.log(`  reached ${sightsText(result.sights)}`)
  if (result.violation !== null) console.log(printViolation(result.violation))
  return result.end === 'complete' ? 0 : 1
}

function summary(result: SearchResult, cpuBefore: NodeJS.CpuUsage): string {
  const end = {
    complete: 'complete',
    states: 'NOT COMPLETE: too many states',
    time: 'NOT COMPLETE: out of time',
    violation: 'BROKEN',
  }[result.end]
  const { states, transitions, depth, elapsedMs, nodeStates, messages, steps } = result
  const { user, system } = process.cpuUsage(cpuBefore)
  const cpu = ((user + system) / 1e6).toFixed(1)
  const megabytes = Math.round(process.memoryUsage().rss / 1e6)
  return [
    `${end}: ${states} states, ${transitions} transitions, depth ${depth}, ${(elapsedMs / 1000).toFixed(1)} s (${cpu} s of a core), ${megabytes} MB`,
    `(${nodeStates} states of nodes, ${messages} messages, ${steps} steps of the core)`,
  ].join(' ')
}

function walkOne(model: Searchable): number {
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000)
  const result = model.walk({ seed, timeMs: Number(values.walk) * 1000, actionsMax: walkActionsMax, now })
  console.log(`${model.name}: seed ${seed}, ${result.walks} walks, ${result.actions} actions`)
  console.log(`  reached ${sightsText(result.sights)}`)
  if (result.violation === null) return 0
  console.log(printViolation(result.violation))
  return 1
}

function sightsText(sights: ReadonlyMap<string, number>): string {
  const sorted = [...sights].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([name, count]) => `${name}: ${count}`).join(', ')
}

async function plant(mutants: readonly SearchMutant[]): Promise<number> {
  let missed = 0
  for (const mutant of mutants) {
    const result = await findSearchMutant(mutant, limits)
    if ((result.violation === null) !== (mutant.harmless !== undefined)) missed += 1
    const cost = `${result.states} states, ${(result.elapsedMs / 1000).toFixed(1)} s`
    console.log(
      `${mutant.name.padEnd(60)} ${mutant.model.padEnd(22)} ${cost.padEnd(24)} ${outcomeText(mutant, result)}`,
    )
  }
  return missed > 0 ? 1 : 0
}

function outcomeText({ harmless }: SearchMutant, { end, violation }: SearchResult): string {
  if (violation !== null) {
    const found = `in ${violation.trace.length} actions: ${violation.sentence.split('\n')[0]}`
    return harmless === undefined ? found : `FOUND, though it should do no harm, ${found}`
  }
  if (harmless === undefined) return 'MISSED'
  return end === 'complete' ? `does no harm: ${harmless}` : `not found (${end}); does no harm: ${harmless}`
}

process.exitCode = await main()
