import type { Scenario } from '../simulation.ts'
import { tell } from './cycles.ts'
import { failOneSync, fillDisk, refuseSome, slowDown } from './weather.ts'

export const text: Scenario = {
  name: 'text',
  title:
    "The text protocol's shared cursor, through kills, power losses and replies that never arrive: nothing is skipped.",
  overrides: prng => ({
    profile: { sendsMax: 20 },
    crowd: {
      text: {
        writers: prng.between(1, 4),
        readers: prng.between(1, 5),
        partitions: prng.pick([1, 1, 3]),
        putsMax: prng.pick([100, 400]),
        pauseMs: prng.pick([1, 5, 20]),
      },
      groups: null,
      plainProducers: [{ pauseMs: 10, pipelined: 1 }],
      idempotentProducers: [],
      tailReaders: 0,
      catchUpReaders: 0,
      admin: null,
    },
  }),
  run: simulation =>
    tell(simulation, {
      cycles: simulation.prng.between(3, 8),
      ends: ['close', 'kill', 'kill', 'power', 'power'],
      powerWhileDown: 0.1,
      weather: story => {
        if (story.prng.chance(0.3)) story.prng.pick([fillDisk, failOneSync, refuseSome, slowDown])(story)
      },
    }),
}
