import type { Scenario, Simulation } from '../simulation.ts'
import { tell } from './cycles.ts'
import { breakSome, failOneSync, fillDisk, refuseSome, slowDown } from './weather.ts'

export const mixed: Scenario = {
  name: 'mixed',
  title:
    'Clients of all kinds, clean stops, kills and power losses, and now and then a disk that is full, slow or broken.',
  run: simulation =>
    tell(simulation, {
      cycles: simulation.prng.between(2, 6),
      ends: ['close', 'kill', 'kill', 'power', 'power'],
      powerWhileDown: 0.1,
      weather: anyWeather,
    }),
}

export function anyWeather(simulation: Simulation): void {
  const { prng } = simulation
  if (prng.chance(0.5)) return
  prng.pick([fillDisk, fillDisk, failOneSync, refuseSome, breakSome, slowDown])(simulation)
}
