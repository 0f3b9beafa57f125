/** `group rm`: shows the positions that go, and takes them away with `--yes`. */
import { exitCodes } from '../base/errors.ts'
import { withCluster } from './connection.ts'
import { attempt, CliError } from './failure.ts'
import { type Committed, committedOf, membersSentence, requireGroup } from './group-facts.ts'
import type { BrokerFlags, OutputFlags } from './options.ts'
import { note, show, tableOf } from './output.ts'

type Lost = Committed & { readonly group: string }

export async function removeGroups(
  ids: readonly string[],
  flags: BrokerFlags & OutputFlags & { readonly yes?: boolean },
): Promise<void> {
  const groups = [...new Set(ids)]
  await withCluster(flags.brokers, async cluster => {
    const lost: Lost[] = []
    // All are looked at before any is touched.
    for (const id of groups) {
      const inUse = membersSentence(await requireGroup(cluster, id))
      if (inUse !== null) throw new CliError(exitCodes.runtime, `${inUse}; stop them, then delete the group`)
      for (const position of await committedOf(cluster, id)) lost.push({ group: id, ...position })
    }
    await show(flags.output, {
      data: groups.map(id => ({
        id,
        offsets: lost
          .filter(({ group }) => group === id)
          .map(({ topic, partition, offset }) => ({ topic, partition, offset })),
      })),
      names: () => groups,
      table: () =>
        tableOf<Lost>(
          [
            { title: 'group', of: row => row.group },
            { title: 'topic', of: row => row.topic },
            { title: 'partition', of: row => row.partition, right: true },
            { title: 'offset', of: row => row.offset, right: true },
          ],
          lost,
        ),
    })
    const what = groups.length === 1 ? `group ${groups[0]}` : `groups ${groups.join(', ')}`
    if (flags.yes !== true) return note(`nothing was deleted; add --yes to delete ${what} and the positions above`)
    await attempt(`delete ${what}`, () => cluster.admin.deleteGroups({ groups }))
    note(`deleted ${what}`)
  })
}
