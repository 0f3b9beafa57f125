/** Everything at once, as the seed draws it. */
import type { ClusterScenario } from '../run.ts'

export const storm: ClusterScenario = {
  name: 'storm',
  title: 'random faults of several kinds while producers write and readers read at every replica',
}
