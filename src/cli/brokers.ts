/** Where brokers are, as `--brokers` says it. */
import { exitCodes } from '../base/errors.ts'
import { type Address, parseAddress } from '../server/address.ts'
import { CliError } from './failure.ts'

const kafkaPort = 9092

/** `HOST`, `HOST:PORT`, several with commas between them. */
export function parseBrokers(text: string): readonly Address[] {
  return text.split(',').map(part => {
    const trimmed = part.trim()
    const address = parseAddress(trimmed) ?? parseAddress(`${trimmed}:${kafkaPort}`)
    if (address !== null) return address
    throw new CliError(
      exitCodes.usage,
      `--brokers ${text}: '${trimmed}' is not HOST:PORT; write localhost:9092 or [::1]:9092`,
    )
  })
}
