/** `tidelog bench`: what can be said to it; `bench-run.ts` does it. */
import { Argument, type Command, Option } from 'commander'
import { brokersOption, outputOption, verb } from './options.ts'
import { bytesUpTo, collect, parseDuration, parsePair, wholeNumber } from './values.ts'

const help = `
producer sends --records as fast as they are acknowledged, consumer reads them back, latency sends --rate a second for
--duration and measures each from the moment it was due until it was read. One process does all of it: where that is the
slower side, the figures are the client's and not the broker's. Without --topic it makes one, and deletes it at the end.`

export function define(program: Command): void {
  verb(program, 'bench', 'Measure a broker, tidelog or any other with Kafka’s protocol.')
    .addArgument(
      new Argument('[PARTS...]', 'what to measure (default: all)').choices(['producer', 'consumer', 'latency']),
    )
    .addOption(brokersOption())
    .addOption(outputOption())
    .option('--topic <NAME>', 'use this topic, and leave what was sent in it')
    .option('--partitions <N>', 'of the topic that it makes', wholeNumber(1, 1000), 1)
    .option('--replication-factor <N>', 'of the topic that it makes', wholeNumber(1, 100))
    .option('--config <NAME=VALUE>', 'of the topic that it makes; may be repeated', collect(parsePair))
    .option('--records <N>', 'how many records to send', wholeNumber(1, 100_000_000), 100_000)
    .option('--size <BYTES>', 'of each value: 100, 1KiB', bytesUpTo(64 << 20, '64 MiB'), 100)
    .option('--batch-records <N>', 'records in a request', wholeNumber(1, 10_000), 500)
    .option('--in-flight <N>', 'requests at a time', wholeNumber(1, 100), 5)
    .addOption(new Option('-a, --acks <WHOSE>', 'who has it before it counts').choices(['all', '1']).default('all'))
    .addOption(
      new Option('-z, --compression <CODEC>', 'how batches are compressed')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('--rate <N>', 'records a second, for latency', wholeNumber(1, 10_000), 200)
    .option('--duration <DURATION>', 'how long, for latency', parseDuration, 5_000)
    .addHelpText('after', help)
    .action(async (parts, flags) => (await import('./bench-run.ts')).bench(parts, flags))
}
