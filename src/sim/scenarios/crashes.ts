import type { Scenario } from '../simulation.ts'
import { tell } from './cycles.ts'

export const kills: Scenario = {
  name: 'kills',
  title: 'SIGKILL at any moment, in the middle of recovery too.',
  run: simulation => tell(simulation, { cycles: simulation.prng.between(3, 9), ends: ['kill'] }),
}

export const powerLosses: Scenario = {
  name: 'power-losses',
  title: 'The machine goes off at any moment; of what was not synced any part survives, torn at sectors.',
  run: simulation =>
    tell(simulation, { cycles: simulation.prng.between(3, 9), ends: ['power', 'power', 'kill'], powerWhileDown: 0.3 }),
}
