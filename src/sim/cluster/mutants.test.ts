import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotPlanted } from '../mutants.ts'
import { clusterMutants } from './mutant-list.ts'
import { editsOf, findClusterMutant } from './mutants.ts'
import { clusterScenarios } from './scenarios/index.ts'

test('every planted bug of the cluster still finds the text that it changes, and its scenario', () => {
  const problems = clusterMutants.flatMap(editsOf).map(whyNotPlanted)
  assert.deepEqual(
    problems.filter(why => why !== null),
    [],
  )
  const names = new Set(clusterScenarios.map(({ name }) => name))
  for (const { name, scenario } of clusterMutants) assert.ok(names.has(scenario), `${name}: ${scenario}`)
  assert.equal(new Set(clusterMutants.map(({ name }) => name)).size, clusterMutants.length)
})

test('a planted bug of each core is found (all of them: npm run sim -- --cluster --mutants)', async () => {
  const wanted = ['seals without copying the tail', 'votes twice in a term', 'keeps the leader epoch over a recovery']
  for (const mutant of clusterMutants.filter(({ name }) => wanted.includes(name))) {
    assert.notEqual(await findClusterMutant(mutant, () => {}), null, mutant.name)
  }
})
