import { describe, it } from 'node:test'
import { Prng } from '../../base/prng.ts'
import { walk } from './testing/walk.ts'

describe('a group at random', () => {
  for (let seed = 1; seed <= 40; seed++) {
    it(`keeps what must hold, seed ${seed}`, () => walk(new Prng(seed), 200))
  }
})
