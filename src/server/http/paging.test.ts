import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { pageAsked, pageByName, pageByNumber } from './paging.ts'

/** All pages, one after the other. */
function walk<T>(page: (after: string | null) => { items: readonly T[]; next: string | null }): T[] {
  const all: T[] = []
  for (let after: string | null = null; ; ) {
    const { items, next } = page(after)
    all.push(...items)
    if (next === null) return all
    after = next
  }
}

describe('pages', () => {
  it('have everything once, in order, whatever their size', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (names, limit) => {
        const sorted = names.toSorted((a, b) => (a < b ? -1 : 1))
        assert.deepEqual(
          walk(after => pageByName(sorted, name => name, { limit, after })),
          sorted,
        )
        assert.deepEqual(
          walk(after => pageByNumber(sorted, { limit, after })),
          sorted,
        )
      }),
      { numRuns: 50 },
    )
  })

  it('go on behind what is gone by now', () => {
    const { items, next } = pageByName(['a', 'c', 'd'], name => name, { limit: 1, after: 'b' })
    assert.deepEqual([items, next], [['c'], 'c'])
    assert.deepEqual(pageByNumber([1, 2], { limit: 5, after: '7' }), { items: [], next: null })
  })

  it('are asked for with what is known', () => {
    assert.deepEqual(pageAsked({}), { limit: 1_000, after: null })
    assert.deepEqual(pageAsked({ limit: '10000', after: 'x' }), { limit: 10_000, after: 'x' })
    for (const query of [{ limit: '' }, { limit: '10001' }, { limit: '1e3' }, { limit: ['1', '2'] }, { afer: 'x' }]) {
      assert.throws(() => pageAsked(query), { name: 'HttpProblem' }, JSON.stringify(query))
    }
    assert.throws(() => pageByNumber([1], { limit: 1, after: 'x' }), { name: 'HttpProblem' })
  })
})
