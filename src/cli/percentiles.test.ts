/** What many durations come down to. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { percentilesOf, rounded } from './percentiles.ts'

describe('percentiles', () => {
  it('are durations that did occur', () => {
    const thousand = Array.from({ length: 1000 }, (_, i) => 1000 - i)
    assert.deepEqual(percentilesOf(thousand), { p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 })
    assert.deepEqual(percentilesOf([7]), { p50: 7, p90: 7, p99: 7, p999: 7, max: 7 })
    assert.equal(percentilesOf([]), null)
  })

  it('are told in three figures', () => {
    assert.deepEqual([0.12345, 1.2345, 99.96, 1234.5].map(rounded), [0.123, 1.23, 100, 1235])
  })
})
