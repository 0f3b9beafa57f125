import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Histogram } from './histogram.ts'

describe('a histogram', () => {
  it('counts each value under the first bound that is not below it', () => {
    const histogram = new Histogram([1, 10])
    for (const value of [0, 1, 1.5, 10, 11]) histogram.record(value)
    assert.deepEqual(histogram.counts, [2, 2, 1])
    assert.equal(histogram.count, 5)
    assert.equal(histogram.sum, 23.5)
  })
})
