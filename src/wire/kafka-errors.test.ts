import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KafkaErrorName, kafkaErrorName, kafkaErrors } from './kafka-errors.ts'

test('every name has a code of its own, and the code leads back to the name', () => {
  const names = Object.keys(kafkaErrors) as KafkaErrorName[]
  for (const name of names) assert.equal(kafkaErrorName(kafkaErrors[name]), name)
  assert.equal(new Set(Object.values(kafkaErrors)).size, names.length)
})

test('codes run from -1 without a hole; one that nobody knows is an unknown server error', () => {
  const codes = Object.values(kafkaErrors).sort((a, b) => a - b)
  assert.deepEqual(
    codes,
    codes.map((_, i) => i - 1),
  )
  assert.equal(kafkaErrorName(9999), 'UNKNOWN_SERVER_ERROR')
})
