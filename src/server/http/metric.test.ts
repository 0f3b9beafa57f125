import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Histogram } from '../../base/histogram.ts'
import { linesOf, type Metric } from './metric.ts'
import type { Snapshot } from './snapshot.ts'

const nothing = {} as Snapshot
const facts = { name: 'm', help: 'A metric.' }

describe('a metric', () => {
  it('that is a number is one line', () => {
    const metric: Metric = { ...facts, type: 'gauge', tell: () => 3 }
    assert.deepEqual(linesOf(metric, nothing), [{ metricName: 'm', labels: {}, value: 3 }])
  })

  it('that is a histogram of milliseconds tells how many took at most so many seconds', () => {
    const ms = new Histogram([1, 500])
    for (const value of [0.5, 20, 30, 1000]) ms.record(value)
    const metric: Metric = { ...facts, type: 'histogram', tell: () => [{ labels: { api: 'a' }, ms }] }
    const told = linesOf(metric, nothing).map(({ metricName, labels, value }) => [metricName, Object(labels).le, value])
    assert.deepEqual(told, [
      ['m_bucket', '0.001', 1],
      ['m_bucket', '0.5', 3],
      ['m_bucket', '+Inf', 4],
      ['m_sum', undefined, 1.0505],
      ['m_count', undefined, 4],
    ])
  })
})
