/** `tidelog topic`: what can be said to it. What each word does is in files of their own, loaded when it is used. */
import type { Command } from 'commander'
import { brokersOption, httpOption, outputOption, verb, yesOption } from './options.ts'
import { collect, parsePair, parsePartitions, parsePlace, wholeNumber } from './values.ts'

export function define(program: Command): void {
  const topic = program.command('topic').description('List, create, describe, configure, trim and delete topics.')
  defineReading(topic)
  defineChanging(topic)
}

function defineReading(topic: Command): void {
  verb(topic, 'ls', 'List topics with their partitions and records.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .option('--internal', 'those of the broker’s own as well')
    .action(async flags => (await import('./topic-show.ts')).listTopics(flags))
  verb(topic, 'info <NAME>', 'Describe a topic: partitions, offsets, configs of its own.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .action(async (name, flags) => (await import('./topic-show.ts')).describeTopic(name, flags))
  verb(topic, 'segments <NAME>', 'Draw the chain of segments of each partition (tidelog only).')
    .addOption(brokersOption())
    .addOption(outputOption())
    .addOption(httpOption())
    .action(async (name, flags) => (await import('./topic-segments.ts')).showSegments(name, flags))
}

function defineChanging(topic: Command): void {
  verb(topic, 'create <NAME>', 'Create a topic.')
    .addOption(brokersOption())
    .option('--partitions <N>', 'how many (default: as the broker is set)', wholeNumber(1, 100_000))
    .option('--replication-factor <N>', 'copies of each (default: as the broker is set)', wholeNumber(1, 1000))
    .option('--config <NAME=VALUE>', 'a config under Kafka’s name; may be repeated', collect(parsePair))
    .option('--if-not-exists', 'leave it as it is where it exists already')
    .action(async (name, flags) => (await import('./topic-change.ts')).createTopic(name, flags))
  verb(topic, 'config <NAME>', 'Show the configs of a topic, or change them.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .option('--add-config <NAME=VALUE>', 'set it; may be repeated', collect(parsePair))
    .option('--delete-config <NAME>', 'back to the default; may be repeated', collect(String))
    .action(async (name, flags) => (await import('./topic-config.ts')).configureTopic(name, flags))
  verb(topic, 'trim <NAME>', 'Delete the oldest records of a topic.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .requiredOption('--before <PLACE>', 'an offset, end, -N to keep the last N, or @TIME', parsePlace)
    .option('-p, --partition <LIST>', 'only these: 0 or 0,2 or 0-3', parsePartitions)
    .addOption(yesOption())
    .action(async (name, flags) => (await import('./topic-change.ts')).trimTopic(name, flags))
  verb(topic, 'rm <NAME...>', 'Delete topics and everything in them.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .option('--if-exists', 'no error for one that does not exist')
    .addOption(yesOption())
    .action(async (names, flags) => (await import('./topic-change.ts')).removeTopics(names, flags))
}
