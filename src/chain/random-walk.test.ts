import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Prng } from '../base/prng.ts'
import { Walk, type WalkOptions } from './testing/random-walk.ts'

const { WALKS, WALK_SEED } = process.env

/** Runs walks by seed; a failure names the seed and shows the end of its trace. `WALK_SEED` repeats one. */
function walks(options: WalkOptions, count: number): Map<string, number> {
  const reached = new Map<string, number>()
  const seeds = WALK_SEED === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(WALK_SEED)]
  for (const seed of seeds) {
    const walk = new Walk(new Prng(seed), options)
    try {
      walk.run()
    } catch (error) {
      const trace = walk.world.out.slice(WALK_SEED === undefined ? -30 : 0).join('\n')
      assert.fail(`seed ${seed}: ${(error as Error).stack}\n${trace}`)
    }
    for (const [what, times] of walk.reached) reached.set(what, (reached.get(what) ?? 0) + times)
  }
  return reached
}

const count = Number(WALKS ?? 60)

describe('random walks', () => {
  it('three nodes, three copies', () => {
    const reached = walks({ nodes: 3, copies: 3, minInsync: 2, steps: 600, wipes: 0 }, count)
    for (const what of ['sealAndOpen', 'beginRecovery', 'completeRecovery', 'acknowledged'])
      assert.ok(reached.has(what), what)
  })

  it('four nodes, three copies, one disk wiped', () => {
    const reached = walks({ nodes: 4, copies: 3, minInsync: 2, steps: 600, wipes: 1 }, count)
    assert.ok(reached.has('addReplica'))
  })

  it('three nodes, two copies of which both are needed', () => {
    walks({ nodes: 3, copies: 2, minInsync: 2, steps: 500, wipes: 0 }, count)
  })

  it('three copies that acknowledge before they sync, and one crash', () => {
    walks({ nodes: 3, copies: 3, minInsync: 2, steps: 500, wipes: 0, isRelaxed: true }, count)
  })

  it('one writer with a lease, which acknowledges at once', () => {
    walks({ nodes: 4, copies: 3, minInsync: 2, steps: 500, wipes: 0, isOneWriter: true }, count)
  })

  it('retention over all that is sealed, and producers that repeat', () => {
    walks({ nodes: 4, copies: 3, minInsync: 2, steps: 700, wipes: 0, isTrimmed: true }, count)
  })

  it('one copy', () => {
    walks({ nodes: 2, copies: 1, minInsync: 1, steps: 400, wipes: 0 }, count)
  })
})
