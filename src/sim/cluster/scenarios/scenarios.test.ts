/** Every story of a cluster, with a few seeds: it gets to its point, and nothing breaks on the way or afterwards. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runCluster } from '../run.ts'
import { clusterScenarios } from './index.ts'

const seeds = [1, 2, 3, 4]
const stories = clusterScenarios.filter(scenario => scenario.run !== undefined)

describe('the stories of a cluster', () => {
  for (const scenario of stories) {
    it(`${scenario.name}: ${scenario.title}`, () => {
      const reports = seeds.map(seed => runCluster({ seed, scenario }))
      for (const { seed, anomalies } of reports) {
        const sentences = anomalies.map(({ kind, text, atMs }) => `seed ${seed}, ${atMs.toFixed(3)} ${kind}: ${text}`)
        assert.deepEqual(sentences, [])
      }
      const reached = reports.filter(({ counts }) => (counts.get(`reached: ${scenario.name}`) ?? 0) > 0)
      assert.ok(reached.length > 0, 'the story never gets to its point')
    })
  }

  it('have names of their own', () => {
    assert.equal(new Set(clusterScenarios.map(({ name }) => name)).size, clusterScenarios.length)
  })
})
