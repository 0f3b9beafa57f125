import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNotPlanted } from '../mutants.ts'
import { chainConfigurations } from './chain-configurations.ts'
import { chainMutants } from './chain-mutants.ts'

test('every planted bug of the chain still finds the text that it changes', () => {
  const edits = chainMutants.flatMap(mutant => mutant.edits)
  assert.deepEqual(
    edits.map(whyNotPlanted).filter(why => why !== null),
    [],
  )
})

test('every planted bug of the chain names a model', () => {
  const names = chainConfigurations.map(({ name }) => name)
  for (const { name, model } of chainMutants) assert.ok(names.includes(model), name)
})
