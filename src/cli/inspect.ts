/** `tidelog inspect`: what can be said to it; `inspect-run.ts` does it. */
import type { Command } from 'commander'
import { outputOption, verb } from './options.ts'
import { wholeNumber } from './values.ts'

const help = `
It reads the files of a data directory (journal/*.journal, topics/*/*.log and *.seal, metadata, checkpoint.*, identity) and
Kafka's own .log files. It needs no broker, never writes, and may be used on files that are being written. Where something is
damaged the exit code is 1 and each place is told on standard error.`

export function define(program: Command): void {
  verb(program, 'inspect <FILES...>', 'Show and check a file of a data directory.')
    .addOption(outputOption())
    .option('--check', 'only say whether it is sound, records inside of batches included')
    .option('--records', 'of segments: the records as well')
    .option('-n, --count <N>', 'show so many entries at most', wholeNumber(0))
    .addHelpText('after', help)
    .action(async (files, flags) => (await import('./inspect-run.ts')).inspect(files, flags))
}
