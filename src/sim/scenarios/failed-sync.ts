import type { Scenario } from '../simulation.ts'
import { tell } from './cycles.ts'
import { failOneSync } from './weather.ts'

export const failedSync: Scenario = {
  name: 'failed-sync',
  title:
    'A sync fails: the process ends without another acknowledgement. The next one finds pages in the cache that never reached the disk, and may lose power.',
  run: simulation =>
    tell(simulation, {
      cycles: simulation.prng.between(2, 6),
      ends: ['kill', 'power', 'power'],
      weather: failOneSync,
      powerWhileDown: 0.2,
    }),
}
