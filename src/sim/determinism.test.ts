import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCluster } from './cluster/run.ts'
import { clusterScenarios } from './cluster/scenarios/index.ts'
import { openEngine } from './node.ts'
import { scenarios } from './scenarios/index.ts'
import { runScenario } from './simulation.ts'

test('a seed twice is the same run, event by event', async () => {
  const hashes = new Set<string>()
  for (let seed = 1; seed <= 8; seed++) {
    const scenario = scenarios[seed % scenarios.length]
    assert.ok(scenario !== undefined)
    const first = await runScenario({ seed, scenario, openWith: openEngine })
    const second = await runScenario({ seed, scenario, openWith: openEngine })
    assert.equal(second.hash, first.hash, `seed ${seed} ${scenario.name}`)
    assert.equal(second.events, first.events)
    hashes.add(first.hash)
  }
  assert.equal(hashes.size, 8, 'different seeds are different runs')
})

test('and so is a cluster’s', () => {
  const hashes = new Set<string>()
  for (const scenario of clusterScenarios.filter(({ name }) =>
    ['storm', 'close', 'zombie-own-seal-in-flight'].includes(name),
  )) {
    const [first, second] = [runCluster({ seed: 3, scenario }), runCluster({ seed: 3, scenario })]
    assert.equal(second.hash, first.hash, scenario.name)
    assert.deepEqual(second.counts, first.counts)
    hashes.add(first.hash)
  }
  assert.equal(hashes.size, 3)
})
