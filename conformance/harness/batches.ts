/**
 * What runs together. Without a limit of time: all languages that can, each reading what all others have written. With one:
 * what runs everywhere first, then the others one after the other as long as they fit; those that do not are left out.
 */
import type { Broker } from './broker.ts'
import { isAlwaysThere, loadLanguage, prepare, reasonAgainst } from './prepare.ts'
import { type Prepared, type RunOptions, runAll } from './run.ts'
import type { LeftOut, Results } from './table.ts'

export interface BatchOptions extends Omit<RunOptions, 'languages' | 'helper' | 'untilMs'> {
  readonly broker: Broker
  /** Folders. */
  readonly names: readonly string[]
  /** Null: as long as it takes. */
  readonly withinMs: number | null
}

const prepareMsMax = 15 * 60_000
/** A client that nobody has met yet may be slower than those before it. */
const cautiously = 1.3

export async function runBatches(options: BatchOptions): Promise<Results> {
  const { names, withinMs } = options
  if (withinMs === null) return await runBatch(options, names, Number.POSITIVE_INFINITY)
  const startMs = performance.now()
  const untilMs = startMs + withinMs
  const results = [await runBatch(options, names.filter(isAlwaysThere), Number.POSITIVE_INFINITY)]
  for (const name of names.filter(each => !isAlwaysThere(each))) {
    const done = results.reduce((sum, { rows }) => sum + rows.length, 0)
    const perClientMs = (cautiously * (performance.now() - startMs)) / Math.max(1, done)
    results.push(await runIfItFits({ ...options, rebalances: 0 }, name, perClientMs, untilMs))
  }
  return merged(results)
}

async function runIfItFits(
  options: BatchOptions,
  name: string,
  perClientMs: number,
  untilMs: number,
): Promise<Results> {
  const { language, folders } = await loadLanguage(name)
  // Checks alone take as long as a client, about.
  const neededMs = perClientMs * Math.max(1, language.agents(folders).length)
  if (performance.now() + neededMs < untilMs) return await runBatch(options, [name], untilMs, untilMs - neededMs)
  return noResults(options, [{ language: language.name, why: reasonAgainst(language) ?? 'no time left for it' }])
}

/** Prepares the languages, as far as they can run here, and runs them. */
async function runBatch(
  options: BatchOptions,
  names: readonly string[],
  untilMs: number,
  preparedUntilMs = Number.POSITIVE_INFINITY,
): Promise<Results> {
  const ready: Prepared[] = []
  const leftOut: LeftOut[] = []
  for (const name of names) {
    const prepared = await prepareOne(options, name, preparedUntilMs)
    if ('why' in prepared) leftOut.push(prepared)
    else ready.push(prepared)
  }
  if (ready.length === 0) return noResults(options, leftOut)
  const results = await runAll({ ...options, languages: ready, helper: await loadLanguage('javascript'), untilMs })
  return { ...results, leftOut }
}

async function prepareOne({ say, withinMs }: BatchOptions, name: string, untilMs: number): Promise<Prepared | LeftOut> {
  const { language, folders } = await loadLanguage(name)
  const against = reasonAgainst(language)
  if (against !== null) {
    say(`left out: ${language.name} (${against})`)
    return { language: language.name, why: against }
  }
  const startMs = performance.now()
  const failure = await prepare(language, folders, Math.min(prepareMsMax, untilMs - startMs))
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  say(`${language.name}: ${failure ?? 'prepared'} (${seconds} s)`)
  if (failure === null) return { language, folders }
  if (performance.now() >= untilMs) return { language: language.name, why: 'no time left for its preparation' }
  const why = `its preparation failed: ${failure}`
  // A machine that has a language's tools by chance may lack the way to its packages. Who asks for all languages wants to know.
  const isByChance = withinMs !== null && !isAlwaysThere(name)
  return { language: language.name, why, ...(isByChance ? {} : { isFailure: true as const }) }
}

const noResults = ({ broker }: BatchOptions, leftOut: readonly LeftOut[]): Results => ({
  broker: broker.title,
  columns: [],
  rows: [],
  extras: [],
  leftOut,
})

function merged(results: readonly Results[]): Results {
  const [first] = results
  if (first === undefined) throw new Error('there are no results')
  return {
    broker: first.broker,
    columns: results.find(({ columns }) => columns.length > 0)?.columns ?? [],
    rows: results.flatMap(({ rows }) => rows),
    extras: results.flatMap(({ extras }) => extras),
    leftOut: results.flatMap(({ leftOut }) => leftOut),
  }
}
