/** `tidelog produce`: what can be said to it; `produce-run.ts` does it. */
import { type Command, Option } from 'commander'
import { brokersOption, verb } from './options.ts'
import { collect, parsePair, wholeNumber } from './values.ts'

const help = `
Lines come from the files, or from standard input, and each is a record. With --value there is one text instead,
and --count sends it so many times; then value, key and headers may hold {{.Count}}, {{.TimeStamp}}, {{.Unix}},
{{.UnixMs}}, {{.ID}} and {{Random 10 20}}.`

export function define(program: Command): void {
  verb(program, 'produce <TOPIC> [FILES...]', 'Send lines as records.')
    .addOption(brokersOption())
    .option('-K, --key-separator <TEXT>', 'the key is what stands before it in each line')
    .option('-k, --key <TEXT>', 'one key for all')
    .option('-H, --header <NAME=VALUE>', 'a header for all; may be repeated', collect(parsePair))
    .option('-v, --value <TEXT>', 'send this instead of lines')
    .option('--count <N>', 'how many times to send --value', wholeNumber(1))
    .option('-Z, --tombstones', 'an empty value is a tombstone (null), an empty key is none')
    .option('-p, --partition <N>', 'to this partition (default: by the key, as Java clients do it)', wholeNumber(0))
    .addOption(
      new Option('-a, --acks <WHOSE>', 'who has it before it counts').choices(['all', '1', '0']).default('all'),
    )
    .addOption(
      new Option('-z, --compression <CODEC>', 'how batches are compressed')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('--create', 'create the topic, as the broker is set, where there is none')
    .option('-q, --quiet', 'do not say at the end what was acknowledged')
    .addHelpText('after', help)
    .action(async (topic, files, flags) => (await import('./produce-run.ts')).produce(topic, files, flags))
}
