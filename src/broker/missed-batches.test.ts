import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildBatch } from '../wire/build-batch.ts'
import { type BatchHeader, readBatchHeader } from '../wire/record-batch.ts'
import { MissedBatches } from './missed-batches.ts'

const plain = readBatchHeader(buildBatch([{ key: null, value: Buffer.from('v') }]))
const batch = (baseSequence: number, producerEpoch = 0): BatchHeader => ({
  ...plain,
  producerId: 7,
  producerEpoch,
  baseSequence,
})

test('what comes after a refused batch is refused until that one comes again', () => {
  const missed = new MissedBatches()
  missed.note(batch(0), 0)
  missed.note(batch(14), 0)
  assert.equal(missed.isAfterMissed(batch(14), 10), true)
  assert.equal(missed.isAfterMissed(batch(0), 20), false)
  assert.equal(missed.isAfterMissed(batch(14), 30), false)
})

test('a new epoch, a minute, and producers without an id have nothing to wait for', () => {
  const missed = new MissedBatches()
  missed.note(batch(0), 0)
  assert.equal(missed.isAfterMissed(batch(14, 1), 10), false)
  missed.note(batch(0), 0)
  assert.equal(missed.isAfterMissed(batch(14), 60_000), false)
  missed.note(plain, 0)
  assert.equal(missed.isAfterMissed(plain, 1), false)
})
