/** The stories that can be asked for by name; the first mixes everything. */
import type { ClusterScenario } from '../run.ts'
import { close } from './close.ts'
import { storm } from './storm.ts'

export const clusterScenarios: readonly ClusterScenario[] = [storm, close]
