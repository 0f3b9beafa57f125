/**
 * `tidelog health`: whether a broker is ready for clients. `--wait` asks again until it is, or the time is over; for a
 * container's health check, or a script that needs the broker it has just started.
 */
import type { Command } from 'commander'
import { brokersOption, httpOption, outputOption, verb } from './options.ts'
import { parseDuration } from './values.ts'

export function define(program: Command): void {
  verb(program, 'health', 'Ask a broker whether it is ready (tidelog only); exit code 6 when it is not.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .addOption(httpOption())
    .option('--wait <DURATION>', 'ask until it is ready, for so long: 30s', parseDuration)
    .action(async flags => (await import('./health-ask.ts')).askHealth(flags))
}
