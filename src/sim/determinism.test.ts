import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEngine } from './node.ts'
import { scenarios } from './scenarios/index.ts'
import { runScenario } from './simulation.ts'

test('a seed twice is the same run, event by event', async () => {
  const hashes = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const scenario = scenarios[seed % scenarios.length]
    assert.ok(scenario !== undefined)
    const first = await runScenario({ seed, scenario, openWith: openEngine })
    const second = await runScenario({ seed, scenario, openWith: openEngine })
    assert.equal(second.hash, first.hash, `seed ${seed} ${scenario.name}`)
    assert.equal(second.events, first.events)
    hashes.add(first.hash)
  }
  assert.equal(hashes.size, 20, 'different seeds are different runs')
})
