import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutants } from './mutant-list.ts'
import { findMutant, whyNotPlanted } from './mutants.ts'

test('every planted bug still finds the text that it changes', () => {
  const edits = mutants.flatMap(({ bug }) => ('edits' in bug ? bug.edits : []))
  assert.deepEqual(
    edits.map(whyNotPlanted).filter(why => why !== null),
    [],
  )
})

test('a planted bug is found (all of them: npm run sim -- --mutants)', async () => {
  const [lyingDisk] = mutants.filter(({ bug }) => 'disk' in bug)
  // One that the first seeds find.
  const changedSource = mutants.find(({ name }) => name.startsWith('ignores whose life a group'))
  for (const mutant of [lyingDisk, changedSource]) {
    assert.ok(mutant !== undefined)
    assert.notEqual(await findMutant(mutant, () => {}), null, mutant.name)
  }
})
