/**
 * The stories that can be asked for by name; the first two mix everything. Together the others are the interleavings that the protocol
 * must survive (docs/protocol.md), by what they are about:
 *
 *      1  a writer that sleeps while it is replaced                  zombies
 *      2  a writer cut off from some of the others                   cuts
 *      3  crashes that lose what was not synced                      crashes
 *      4  late, doubled, reordered appends                           delays
 *      5  two recoveries, dying recoverers, the writer's own seal    recoveries
 *      6  a leader change or silence while a seal is decided         leaders
 *         half-connected members, leaders that nobody hears              elections
 *      7  fences and disks that are lost in a recovery               disks
 *      8  full disks                                                 (a node's: full-disk)
 *      9  failed syncs: sync-fails-at-…, in crashes; errors of reads, bit rot, torn tails (a node's: failed-sync, rot, sweep)
 *     10  slow disks, links and loops; backlogs                      slowness, silences
 *     11  clocks                                                     clocks
 *     12  too many deaths                                            disks
 *     13  empty, smallest and full segments                          sizes
 *     14  deletion against repair, recovery and readers              removals
 *     15  readers at replicas that hold more than is sealed          retries
 *     16  retries across seals, failovers and dropped tails; acks=1  retries
 *     17  power losses, rolling restarts                             wholes (a node id that comes back: disks)
 *
 * Where a node's scenarios are named, the interleaving is about a real file system, which simulated nodes of a cluster do not
 * have: there one node's production code runs down to its journal. Archives come with the archive.
 */
import type { ClusterScenario } from '../run.ts'
import { clocks } from './clocks.ts'
import { close } from './close.ts'
import { crashes } from './crashes.ts'
import { cuts } from './cuts.ts'
import { delays } from './delays.ts'
import { disks } from './disks.ts'
import { leaderships } from './elections.ts'
import { leaders } from './leaders.ts'
import { recoveries } from './recoveries.ts'
import { removals } from './removals.ts'
import { retries } from './retries.ts'
import { rivalries } from './rivals.ts'
import { silences } from './silences.ts'
import { sizes } from './sizes.ts'
import { slownesses } from './slowness.ts'
import { storm } from './storm.ts'
import { wholes } from './wholes.ts'
import { zombies } from './zombies.ts'

export const clusterScenarios: readonly ClusterScenario[] = [
  storm,
  close,
  ...zombies,
  ...cuts,
  ...crashes,
  ...delays,
  ...rivalries,
  ...recoveries,
  ...leaders,
  ...leaderships,
  ...disks,
  ...silences,
  ...slownesses,
  ...clocks,
  ...sizes,
  ...removals,
  ...retries,
  ...wholes,
]
