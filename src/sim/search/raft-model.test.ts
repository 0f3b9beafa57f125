import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotPlanted } from '../mutants.ts'
import type { SearchLimits } from './engine.ts'
import { models } from './models.ts'
import { findSearchMutant, searchMutants } from './mutants.ts'

const limits: SearchLimits = { statesMax: 2_000_000, timeMs: 50_000, now: () => performance.now() }
const model = (name: string) => models.find(other => other.name === name)!

test('a removal is searched to the end, and nothing is broken (all of it: npm run search)', () => {
  const { end, violation, sights } = model('raft-removal').search(limits)
  assert.deepEqual(violation, null)
  assert.equal(end, 'complete')
  assert.ok((sights.get('leader of term 2') ?? 0) > 0, 'the rival came to lead')
})

test('a walk goes through every model of Raft and finds nothing', () => {
  for (const each of models.filter(({ name }) => name.startsWith('raft'))) {
    const { violation, walks } = each.walk({ seed: 1, timeMs: 300, actionsMax: 200, now: limits.now })
    assert.deepEqual(violation, null, each.name)
    assert.ok(walks > 0)
  }
})

test('every planted bug of the cores still finds the text that it changes, and a model', () => {
  const problems = searchMutants.flatMap(({ edits }) => edits.map(whyNotPlanted)).filter(why => why !== null)
  assert.deepEqual(problems, [])
  for (const { name, model: wanted } of searchMutants) assert.ok(model(wanted) !== undefined, name)
})

test('a planted bug is found (all of them: npm run search -- --mutants)', async () => {
  const mutant = searchMutants.find(({ model: wanted }) => wanted === 'raft-removal')
  assert.ok(mutant !== undefined)
  const { violation } = await findSearchMutant(mutant, limits)
  assert.match(violation?.sentence ?? '', /committed|leader/)
})
