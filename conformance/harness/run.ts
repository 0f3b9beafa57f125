/**
 * A run: every client through every scenario against one broker.
 *
 *     clients say who they are, and write each codec → scenarios of each client → mixed groups → checks of the languages
 */
import { within } from '../../test/support/waiting.ts'
import { reasonFor } from '../expected.ts'
import { scenarios } from '../scenarios/all.ts'
import { compressByBroker, writeCodecs } from '../scenarios/codecs.ts'
import { type MixedGroup, mixedGroups, playMixedGroup } from '../scenarios/mixed-groups.ts'
import { Agent, Unsupported } from './agent.ts'
import { type Broker, bootstrapOf } from './broker.ts'
import type { AgentProgram, Check, Folders, Language } from './language.ts'
import { type Client, type Run, type Scenario, Stage, unique } from './stage.ts'
import { type Extra, type Outcome, type Results, type Row, withoutText } from './table.ts'

/** A language whose agents can be started. */
export interface Prepared {
  readonly language: Language
  readonly folders: Folders
}

export interface RunOptions {
  readonly broker: Broker
  readonly languages: readonly Prepared[]
  /** The client that helps: kafkajs, which is installed with the project. */
  readonly helper: Prepared
  /** Only scenarios whose name contains one of these; all when empty. */
  readonly only: readonly string[]
  /** Only these clients, by name; all when empty. */
  readonly clients: readonly string[]
  /** performance.now() after which what is not done is left out. */
  readonly untilMs: number
  /** Of the group of two clients; 0 leaves groups of several clients out. */
  readonly rebalances: number
  readonly say: (line: string) => void
}

/** More clients in one group than these are not listed in a cell. */
const namedMax = 4

const mixedLimitMs = 10 * 60_000

export async function runAll(options: RunOptions): Promise<Results> {
  const { broker, languages } = options
  const columns = scenarios.filter(({ name }) => isWanted(options, name))
  const rows: Row[] = []
  const found = await meetAll(options, rows)
  const run = await writeAll({ broker, clients: found, helper: await helperOf(options) }, columns)
  for (const client of run.clients) rows.push(await playAll(run, client, columns, options))
  const extras = await mixed(run, options)
  for (const prepared of languages) extras.push(...(await checkAll(prepared, options)))
  return { broker: broker.title, columns, rows, extras, leftOut: [] }
}

const isWanted = ({ only }: RunOptions, name: string) => only.length === 0 || only.some(part => name.includes(part))

/** Starts each client once. One that cannot be started has a row that says so. */
async function meetAll({ broker, languages, clients: only, say }: RunOptions, rows: Row[]): Promise<Client[]> {
  const clients: Client[] = []
  for (const { language, folders } of languages) {
    for (const program of language.agents(folders)) {
      if (only.length > 0 && !only.includes(program.client)) continue
      const client = await meet(program, folders, language.name, broker)
      if (typeof client !== 'string') {
        clients.push(client)
        continue
      }
      say(`${program.client} ${program.version ?? ''}: ${client}`)
      const outcomes = new Map(scenarios.map(({ name }) => [name, { kind: 'differs', what: client } as const]))
      rows.push({ language: language.name, client: program.client, version: program.version ?? '', outcomes })
    }
  }
  return clients
}

/** A sentence where it does not answer, or is not the version that it should be. */
async function meet(
  program: AgentProgram,
  folders: Folders,
  language: string,
  broker: Broker,
): Promise<Client | string> {
  try {
    await using agent = await Agent.start(program, folders.source, bootstrapOf(broker))
    const { version } = agent
    await agent.stop()
    if (program.version !== null && program.version !== version) {
      return `${program.client} ${program.version} should run, and ${version} does`
    }
    return { program, folder: folders.source, language, version }
  } catch (error) {
    return messageOf(error)
  }
}

async function helperOf({ helper: { language, folders }, broker }: RunOptions): Promise<Client> {
  const program = language.agents(folders)[0]
  if (program === undefined) throw new Error(`${language.name} has no client to help with`)
  const client = await meet(program, folders, language.name, broker)
  if (typeof client === 'string') throw new Error(`the helping client does not start: ${client}`)
  return client
}

async function writeAll(parts: Pick<Run, 'broker' | 'clients' | 'helper'>, wanted: readonly Scenario[]): Promise<Run> {
  const run: Run = { ...parts, written: [], unwritten: [] }
  if (!wanted.some(({ name }) => name === 'codecs')) return run
  const all = []
  for (const client of run.clients) {
    await using stage = new Stage(run, client)
    all.push(await writeCodecs(stage))
  }
  await using stage = new Stage(run, run.helper)
  return {
    ...run,
    written: [...all.flatMap(({ written }) => written), ...(await compressByBroker(stage))],
    unwritten: all.flatMap(({ unwritten }) => unwritten),
  }
}

async function playAll(
  run: Run,
  client: Client,
  wanted: readonly Scenario[],
  { untilMs, say }: RunOptions,
): Promise<Row> {
  const outcomes = new Map<string, Outcome>()
  const { program, version, language } = client
  await using stage = new Stage(run, client)
  for (const scenario of wanted) {
    const startMs = performance.now()
    const outcome = asExpected(await play(stage, scenario, untilMs), run, client, scenario.name)
    outcomes.set(scenario.name, outcome)
    say(`${program.client} ${version}, ${scenario.name}: ${lineOf(outcome)} (${secondsSince(startMs)} s)`)
  }
  return { language, client: program.client, version, outcomes }
}

const noTime: Outcome = { kind: 'n/a', why: 'no time left' }

/** One scenario, whatever it does to its agents and the broker. */
async function play(stage: Stage, { limitMs, run }: Scenario, untilMs: number): Promise<Outcome> {
  const leftMs = untilMs - performance.now()
  if (leftMs <= 0) return noTime
  let outcome: Outcome
  try {
    await within(Math.min(limitMs, leftMs), () => `the end of the scenario (it was at: ${stage.at})`, run(stage))
    outcome = outcomeOf(stage)
    await stage.next()
  } catch (error) {
    outcome =
      error instanceof Unsupported ? { kind: 'n/a', why: error.message } : { kind: 'differs', what: messageOf(error) }
    await stage.clear()
    if (performance.now() > untilMs) outcome = noTime
  }
  return withTrouble(outcome, await brokerTrouble(stage.broker))
}

/** A scenario of which the client could do no step at all has shown nothing. */
function outcomeOf({ without, done }: Stage): Outcome {
  const [first] = without
  return first !== undefined && done === 0 ? { kind: 'n/a', why: first.why } : { kind: 'pass', without }
}

/** A broker that died in a scenario is that scenario's difference; the next finds a new one. */
async function brokerTrouble(broker: Broker): Promise<string | null> {
  const complaint = await broker.complaint()
  if (complaint === null) return null
  const why = await broker.restart?.().then(
    () => '',
    error => `; and it could not be restarted: ${messageOf(error)}`,
  )
  return `${complaint}${why ?? ''}`
}

function withTrouble(outcome: Outcome, trouble: string | null): Outcome {
  if (trouble === null) return outcome
  return { kind: 'differs', what: outcome.kind === 'differs' ? `${outcome.what}\n${trouble}` : trouble }
}

function asExpected(outcome: Outcome, { broker }: Run, { program, version }: Client, scenario: string): Outcome {
  if (outcome.kind !== 'differs') return outcome
  const { what } = outcome
  const why = reasonFor({ client: program.client, version, scenario, against: broker.kind, what })
  return why === null ? outcome : { kind: 'known', what, why }
}

async function mixed(run: Run, options: RunOptions): Promise<Extra[]> {
  if (options.rebalances === 0 || !isWanted(options, 'mixed group')) return []
  const extras: Extra[] = []
  for (const group of mixedGroups(run, options.rebalances)) extras.push(await playMixed(run, group, options))
  return extras
}

async function playMixed(run: Run, group: MixedGroup, { untilMs, say }: RunOptions): Promise<Extra> {
  const { name, clients } = group
  await using stage = new Stage(run, run.helper)
  const startMs = performance.now()
  const about = { name, about: '', limitMs: mixedLimitMs }
  const outcome = await play(stage, { ...about, run: () => playMixedGroup(stage, group) }, untilMs)
  const program = clients.length > namedMax ? 'all of the above' : clients.map(titleOf).join(', ')
  say(`${program}, ${name}: ${lineOf(outcome)} (${secondsSince(startMs)} s)`)
  return { program, name, outcome }
}

async function checkAll({ language, folders }: Prepared, options: RunOptions): Promise<Extra[]> {
  const extras: Extra[] = []
  for (const check of language.checks?.(folders) ?? []) {
    if (!isWanted(options, check.name) && !isWanted(options, check.client)) continue
    const startMs = performance.now()
    const outcome = performance.now() > options.untilMs ? noTime : await runCheck(check, options.broker)
    options.say(`${check.client} ${check.version}, ${check.name}: ${lineOf(outcome)} (${secondsSince(startMs)} s)`)
    extras.push({ program: `${check.client} ${check.version}`, name: check.name, outcome })
  }
  return extras
}

async function runCheck(check: Check, broker: Broker): Promise<Outcome> {
  const over = new AbortController()
  let outcome: Outcome
  try {
    const context = { broker, bootstrap: bootstrapOf(broker), unique, signal: over.signal }
    await within(check.limitMs, 'the end of the check', check.run(context))
    outcome = { kind: 'pass', without: [] }
  } catch (error) {
    outcome =
      error instanceof Unsupported ? { kind: 'n/a', why: error.message } : { kind: 'differs', what: messageOf(error) }
  } finally {
    over.abort()
  }
  return withTrouble(outcome, await brokerTrouble(broker))
}

function lineOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'pass':
      return outcome.without.length === 0 ? 'pass' : `pass, ${withoutText(outcome.without).join('; ')}`
    case 'differs':
      return `DIFFERS: ${outcome.what}`
    case 'known':
      return `differs as expected: ${outcome.what}`
    case 'n/a':
      return `n/a: ${outcome.why}`
  }
}

const titleOf = ({ program, version }: Client) => `${program.client} ${version}`

const secondsSince = (startMs: number) => ((performance.now() - startMs) / 1000).toFixed(1)

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
