/** `tidelog consume`: what can be said to it; `consume-run.ts` does it. */
import { type Command, Option } from 'commander'
import { brokersOption, verb } from './options.ts'
import { outputFormats } from './output.ts'
import { parsePartitions, parsePlace, wholeNumber } from './values.ts'

const help = `
Tokens of --format: %t topic, %p partition, %o offset, %k key, %s value, %h headers, %T timestamp (ms), %K and %S
lengths of key and value (-1 for null), %% a percent sign; \\n, \\t, \\r, \\0, \\\\, \\x00. Nothing is added: end it with \\n.

Places of --offset: beginning, end, an offset, -N for the last N of each partition, @TIME (@2026-11-21T10:00:00Z,
@1700000000000, @-15m for a quarter of an hour ago).`

export function define(program: Command): void {
  verb(program, 'consume <TOPIC>', 'Print records, up to the end as it is now.')
    .addOption(brokersOption())
    .option('-o, --offset <PLACE>', 'where to begin (default: beginning; with --group: where it left off)', parsePlace)
    .option('-p, --partition <LIST>', 'only these: 0 or 0,2 or 0-3', parsePartitions)
    .option('-n, --count <N>', 'stop after so many', wholeNumber(1))
    .option('-F, --follow', 'go on at the end and wait for more')
    .option('-g, --group <ID>', 'read as a member of this group, and commit what was printed')
    .option('-f, --format <TEXT>', 'how to print a record (default: the value and a newline)')
    .addOption(new Option('--output <FORMAT>', 'instead of --format: a line of JSON each, …').choices(outputFormats))
    .addHelpText('after', help)
    .action(async (topic, flags) => (await import('./consume-run.ts')).consume(topic, flags))
}
