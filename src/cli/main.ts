/**
 * The command line. Each verb is a file of its own, loaded when it is asked for, so that none pays for the others at its
 * start. Errors are one line on standard error; exit codes are those of `base/errors.ts`.
 */
import { Command, CommanderError, Option } from 'commander'
import { exitCodes } from '../base/errors.ts'
import { type OptionDefinition, optionTable, settingsHelp } from '../server/settings.ts'
import { oneLine, say } from './say.ts'
import { verbs } from './verbs.ts'
import { version } from './version.ts'

async function run(words: readonly string[]): Promise<number> {
  let exitCode: number | null = null
  const program = new Command('tidelog')
    .description('A Kafka-compatible message streaming engine.')
    .usage('[command] [options]')
    .version(version(), '-V, --version')
    .addHelpText('after', "\nWithout a command: start. 'tidelog COMMAND --help' tells more of each.")
  configure(program)
  program.addCommand(
    startCommand(async flags => {
      const { start } = await import('./start.ts')
      exitCode = await start(flags)
    }),
  )
  const asked = withVerb(words)
  for (const { name, summary, load } of verbs) {
    if (asked[0] === name || (asked[0] === 'help' && asked[1] === name)) (await load()).define(program)
    else program.command(name).description(summary)
  }
  try {
    await program.parseAsync(asked, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    return await endOf(error)
  }
  return exitCode ?? Number(process.exitCode ?? exitCodes.ok)
}

/** What a verb could not do: said in one line, unless it is only that nobody reads any more. */
async function endOf(error: unknown): Promise<number> {
  const { failureOf, OutputClosed } = await import('./failure.ts')
  if (error instanceof OutputClosed) return exitCodes.ok
  const { message, exitCode } = failureOf(error)
  say(message)
  return exitCode
}

const rootFlags: ReadonlySet<string> = new Set(['-h', '--help', '-V', '--version'])

/** `tidelog --port 0` means `tidelog start --port 0`. */
function withVerb(words: readonly string[]): string[] {
  const [first] = words
  const hasVerb = first !== undefined && (rootFlags.has(first) || !first.startsWith('-'))
  return hasVerb ? [...words] : ['start', ...words]
}

type Flags = ReadonlyMap<string, readonly string[]>

function startCommand(action: (flags: Flags) => Promise<void>): Command {
  const flags = new Map<string, string[]>()
  const command = new Command('start')
    .description('Run a broker on local disk.')
    .allowExcessArguments(false)
    .addHelpText('after', settingsHelp)
    .action(() => action(flags))
  configure(command)
  for (const option of optionTable) {
    command.addOption(flagOf(option))
    command.on(`option:${option.name}`, (text: string | null) => {
      flags.set(option.name, [...(flags.get(option.name) ?? []), text ?? 'true'])
    })
  }
  return command
}

/** Defaults are applied where all sources of settings meet; here they are only shown. */
function flagOf({ name, value, help, default: fallback }: OptionDefinition): Option {
  const shown = value !== null && fallback !== null ? `${help} (default: ${fallback})` : help
  return new Option(value === null ? `--${name}` : `--${name} <${value}>`, shown)
}

/** Commands that are made below this one inherit it. */
function configure(command: Command): void {
  command.exitOverride().configureOutput({ outputError: text => say(oneLine(text).replace(/^error: /, '')) })
}

// Whatever is still open by now, a timer or a pipe, must not keep the process.
process.exit(await run(process.argv.slice(2)))
