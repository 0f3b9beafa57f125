import type { Scenario } from '../simulation.ts'
import { tell } from './cycles.ts'
import { fillDisk, refuseSome, startFull } from './weather.ts'

export const fullDisk: Scenario = {
  name: 'full-disk',
  title: 'The disk fills up under load; when there is room again writing goes on by itself.',
  run: simulation =>
    tell(simulation, {
      cycles: simulation.prng.between(2, 5),
      ends: ['close', 'kill', 'power'],
      whileDown: story => {
        if (story.prng.chance(0.3)) startFull(story)
      },
      weather: story => (story.prng.chance(0.8) ? fillDisk(story) : refuseSome(story)),
    }),
}
