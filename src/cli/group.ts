/** `tidelog group`: what can be said to it. What each word does is in files of their own, loaded when it is used. */
import type { Command } from 'commander'
import { brokersOption, outputOption, verb, yesOption } from './options.ts'
import { collect, parseDuration, parseTime, wholeNumber } from './values.ts'

const seekHelp = `
It shows where each position is and where it would go; --yes moves it. A group that has members is not moved: they would
go on from where they are. Offsets outside of what there is become the nearest that there is.`

export function define(program: Command): void {
  const group = program.command('group').description('List, describe, move and delete consumer groups.')
  verb(group, 'ls', 'List groups.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .action(async flags => (await import('./group-show.ts')).listGroups(flags))
  verb(group, 'info <ID>', 'Describe a group: members, positions, lag.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .action(async (id, flags) => (await import('./group-show.ts')).describeGroup(id, flags))
  verb(group, 'seek <ID>', 'Move the positions of a group.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .option(
      '--topic <TOPIC[:LIST]>',
      'only these: tides or tides:0,2; may be repeated (default: all it has)',
      collect(String),
    )
    .option('--to-earliest', 'to the beginning')
    .option('--to-latest', 'to the end')
    .option('--to-offset <N>', 'to this offset', wholeNumber(0))
    .option('--to-datetime <TIME>', 'to the first record of that time: 2026-11-21T10:00:00Z', text => parseTime(text))
    .option('--by-duration <DURATION>', 'to the first record so long ago: 15m', parseDuration)
    .option(
      '--shift-by <N>',
      'so many records forward, or back where it is negative',
      wholeNumber(Number.MIN_SAFE_INTEGER),
    )
    .addOption(yesOption())
    .addHelpText('after', seekHelp)
    .action(async (id, flags) => (await import('./group-seek.ts')).seekGroup(id, flags))
  verb(group, 'rm <ID...>', 'Delete groups and their positions.')
    .addOption(brokersOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .action(async (ids, flags) => (await import('./group-remove.ts')).removeGroups(ids, flags))
}
