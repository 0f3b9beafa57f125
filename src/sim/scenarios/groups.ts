import type { Scenario } from '../simulation.ts'
import { drawGroups } from '../tuning.ts'
import { tell } from './cycles.ts'
import { failOneSync, fillDisk, refuseSome, slowDown } from './weather.ts'

export const groups: Scenario = {
  name: 'groups',
  title:
    'Groups that rebalance and commit, through kills, power losses, full disks and failed syncs; the log of their offsets is rewritten all the time.',
  overrides: prng => ({
    tuning: { offsetsRewriteBytesMin: prng.pick([500, 2000, 10_000]) },
    profile: { sendsMax: 50 },
    crowd: {
      groups: { ...drawGroups(prng), commitsMax: prng.pick([300, 800]) },
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
        if (story.prng.chance(0.4)) story.prng.pick([fillDisk, failOneSync, refuseSome, slowDown])(story)
      },
    }),
}
