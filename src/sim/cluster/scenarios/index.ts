/** The stories that can be asked for by name; the first mixes everything. */
import type { ClusterScenario } from '../run.ts'
import { clocks } from './clocks.ts'
import { crashes } from './crashes.ts'
import { cuts } from './cuts.ts'
import { delays } from './delays.ts'
import { disks } from './disks.ts'
import { leaders } from './leaders.ts'
import { recoveries } from './recoveries.ts'
import { sizes } from './sizes.ts'
import { slownesses } from './slowness.ts'
import { storm } from './storm.ts'
import { zombies } from './zombies.ts'

export const clusterScenarios: readonly ClusterScenario[] = [
  storm,
  ...zombies,
  ...cuts,
  ...crashes,
  ...delays,
  ...recoveries,
  ...leaders,
  ...disks,
  ...slownesses,
  ...clocks,
  ...sizes,
]
