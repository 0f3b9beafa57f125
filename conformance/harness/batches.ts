/**
 * What runs together. Without a limit of time: all languages that can, each reading what all others have written. With one:
 * what runs everywhere first, while the others are prepared; then those side by side, each against a broker of its own where
 * there can be one, as far as they fit. Clients spend most of their time waiting.
 */
import type { Broker } from './broker.ts'
import { isAlwaysThere, loadLanguage, prepare, reasonAgainst } from './prepare.ts'
import { type Prepared, type RunOptions, runAll } from './run.ts'
import type { LeftOut, Results } from './table.ts'

export interface BatchOptions extends Omit<RunOptions, 'languages' | 'helper' | 'untilMs'> {
  readonly broker: Broker
  /** Another like it; null where there is only the one. */
  readonly another: (() => Promise<Broker>) | null
  /** Folders. */
  readonly names: readonly string[]
  /** Null: as long as it takes. */
  readonly withinMs: number | null
}

const prepareMsMax = 15 * 60_000
/** A client that nobody has met yet may be slower than those before it, and others run beside it. */
const cautiously = 1.5

export async function runBatches(options: BatchOptions): Promise<Results> {
  const { names, withinMs } = options
  if (withinMs === null) return await runBatch(options, await prepareAll(options, names), Number.POSITIVE_INFINITY)
  const startMs = performance.now()
  const untilMs = startMs + withinMs
  const everywhere = await prepareAll(options, names.filter(isAlwaysThere))
  const others = prepareInTurn(
    options,
    names.filter(each => !isAlwaysThere(each)),
    untilMs,
  )
  const first = await runBatch(options, everywhere, Number.POSITIVE_INFINITY)
  // What comes besides the clients' rows takes as long as a client, about.
  const done = first.rows.length + first.extras.length
  const perClientMs = (cautiously * (performance.now() - startMs)) / Math.max(1, done)
  const alone = { ...options, rebalances: 0 }
  const results = [first]
  if (options.another !== null) {
    results.push(...(await Promise.all(others.map(other => runIfItFits(alone, other, perClientMs, untilMs)))))
  } else {
    for (const other of others) results.push(await runIfItFits(alone, other, perClientMs, untilMs))
  }
  return merged(results)
}

interface Preparing {
  readonly name: string
  readonly prepared: Promise<Prepared | LeftOut>
}

/** Begins to prepare each when the one before it is done: a build has the machine's other cores for itself. */
function prepareInTurn(options: BatchOptions, names: readonly string[], untilMs: number): Preparing[] {
  let before: Promise<unknown> = Promise.resolve()
  return names.map(name => {
    const prepared = before.then(() => prepareOne(options, name, untilMs))
    before = prepared
    return { name, prepared }
  })
}

async function runIfItFits(
  options: BatchOptions,
  { name, prepared }: Preparing,
  perClientMs: number,
  untilMs: number,
): Promise<Results> {
  const { language, folders } = await loadLanguage(name)
  const ready = await prepared
  if ('why' in ready) return noResults(options, [ready])
  // Checks alone take as long as a client, about.
  const neededMs = perClientMs * Math.max(1, language.agents(folders).length)
  if (performance.now() + neededMs > untilMs) {
    return noResults(options, [{ language: language.name, why: 'no time left for it' }])
  }
  if (options.another === null) return await runBatch(options, [ready], untilMs)
  await using broker = await options.another()
  return await runBatch({ ...options, broker }, [ready], untilMs)
}

async function prepareAll(options: BatchOptions, names: readonly string[]): Promise<(Prepared | LeftOut)[]> {
  const all: (Prepared | LeftOut)[] = []
  for (const name of names) all.push(await prepareOne(options, name, Number.POSITIVE_INFINITY))
  return all
}

/** Runs what could be prepared. */
async function runBatch(
  options: BatchOptions,
  prepared: readonly (Prepared | LeftOut)[],
  untilMs: number,
): Promise<Results> {
  const leftOut = prepared.filter(each => 'why' in each)
  const languages = prepared.filter((each): each is Prepared => !('why' in each))
  if (languages.length === 0) return noResults(options, leftOut)
  const results = await runAll({ ...options, languages, helper: await loadLanguage('javascript'), untilMs })
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
