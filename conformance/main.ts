/**
 * `npm run conformance [-- LANGUAGE… options]`: client libraries of several languages against a broker, and a table of what works.
 * Exit code 0 when nothing differs but what `expected.ts` explains, 1 when something does, 2 for words it does not know.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { root } from '../test/support/source.ts'
import { runBatches } from './harness/batches.ts'
import { type Broker, runningBroker, startKafka, startTidelog } from './harness/broker.ts'
import { languageFolders } from './harness/prepare.ts'
import { differencesOf, markdownOf, withTable } from './harness/table.ts'

interface Flags {
  readonly against?: string
  readonly kafka?: true
  readonly out?: string
  readonly readme?: true
  readonly within?: number
  readonly only: readonly string[]
  readonly client: readonly string[]
  readonly rebalances: number
}

const say = (line: string) => process.stderr.write(`${line}\n`)

function readWords(): { folders: readonly string[]; flags: Flags } {
  const known = languageFolders()
  const positive = (text: string) => {
    const value = Number(text)
    if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.')
    return value
  }
  const command = new Command('conformance')
    .description('Runs client libraries against a broker and prints what works.')
    .argument('[languages...]', `of ${known.join(', ')}; all where none is given`)
    .option('--against <host:port>', 'a broker that runs already; nothing is restarted')
    .option('--kafka', 'against Apache Kafka, started from its artifacts')
    .option('--out <file>', 'write the table there, too')
    .option('--readme', 'write the table into the README')
    .option(
      '--within <minutes>',
      'leave out languages that no longer fit; those that run everywhere always do',
      positive,
    )
    .option('--only <part...>', 'only scenarios with this in their name', [])
    .option('--client <name...>', 'only these clients of the languages', [])
    .option('--rebalances <count>', 'of the mixed group', positive, 20)
    .exitOverride()
    .parse()
  const strange = command.args.filter(name => !known.includes(name))
  if (strange.length > 0)
    command.error(`error: there is no language ${strange.join(', ')}; there are ${known.join(', ')}`)
  return { folders: command.args.length > 0 ? command.args : known, flags: command.opts<Flags>() }
}

async function startBroker({ against, kafka }: Flags): Promise<Broker> {
  if (against !== undefined) return runningBroker(against)
  return kafka ? await startKafka() : await startTidelog()
}

async function main(): Promise<number> {
  const { folders, flags } = readWords()
  await using broker = await startBroker(flags)
  say(`against ${broker.title}`)
  const results = await runBatches({
    broker,
    another: flags.against === undefined && flags.kafka === undefined ? startTidelog : null,
    names: folders,
    withinMs: flags.within === undefined ? null : flags.within * 60_000,
    only: flags.only,
    clients: flags.client,
    rebalances: flags.rebalances,
    say,
  })
  const table = markdownOf(results)
  process.stdout.write(`\n${table}`)
  if (flags.out !== undefined) writeFileSync(flags.out, table)
  if (flags.readme) {
    const path = join(root, 'README.md')
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), table))
  }
  const differences = differencesOf(results)
  for (const difference of differences) say(`\nDIFFERS: ${difference}`)
  return differences.length === 0 ? 0 : 1
}

// Agents are groups of processes of their own, which nobody else ends.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(1))

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : 2
}
