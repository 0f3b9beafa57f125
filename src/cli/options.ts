/** Options that many verbs share, each with one name and one meaning. */
import { type Command, Option } from 'commander'
import { type OutputFormat, outputFormats } from './output.ts'

export interface BrokerFlags {
  readonly brokers: string
}

export interface OutputFlags {
  readonly output: OutputFormat
}

export interface HttpFlags {
  readonly http?: string
}

const defaultBrokers = 'localhost:9092'

export function brokersOption(): Option {
  return (
    new Option('-b, --brokers <HOST:PORT>', 'where a broker listens; several with commas between them')
      .env('TIDELOG_BROKERS')
      .default(defaultBrokers)
      // An empty variable counts as unset: that is how compose files and shells leave one out.
      .argParser(text => (text === '' ? defaultBrokers : text))
  )
}

export function outputOption(): Option {
  return new Option('-o, --output <FORMAT>', 'how to print it').choices(outputFormats).default('table')
}

export function httpOption(): Option {
  return new Option('--http <HOST:PORT>', 'where the broker’s HTTP port is (default: the host of --brokers, port 8080)')
}

export function yesOption(): Option {
  return new Option('-y, --yes', 'do it; without this, only show what would be done')
}

/** A verb, or one below another, that takes exactly the arguments that it names. */
export function verb(parent: Command, usage: string, description: string): Command {
  return parent.command(usage).description(description).allowExcessArguments(false)
}
