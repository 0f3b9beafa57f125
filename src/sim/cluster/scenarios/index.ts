/** The stories that can be asked for by name; the first mixes everything. */
import type { ClusterScenario } from '../run.ts'
import { cuts } from './cuts.ts'
import { storm } from './storm.ts'
import { zombies } from './zombies.ts'

export const clusterScenarios: readonly ClusterScenario[] = [storm, ...zombies, ...cuts]
