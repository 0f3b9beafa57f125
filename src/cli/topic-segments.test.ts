/** The drawing of a chain of segments. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Chain, drawing, type Segment } from './topic-segments.ts'

const segment = (fields: Partial<Segment>): Segment => ({
  id: 1,
  base: 0,
  end: null,
  bytes: 100,
  state: 'open',
  writer: 1,
  epoch: 0,
  maxTimestamp: null,
  ...fields,
})

const lines = (chain: Partial<Chain>, columns = 200) =>
  drawing('tides', [{ partition: 0, leftOut: 0, segments: [], ...chain }], columns).split('\n')

describe('a chain', () => {
  it('is a cell per segment, whose brackets say the state and whose width says how much it holds', () => {
    const segments = [
      segment({ base: 0, end: 10, bytes: 500, state: 'deleting' }),
      segment({ id: 2, base: 10, end: 99, bytes: 1000, state: 'sealed', maxTimestamp: 1_700_000_000_000 }),
      segment({ id: 3, base: 99, epoch: 2, bytes: 0 }),
    ]
    const [head, , facts, cells] = lines({ segments })
    assert.equal(head, 'tides  1 partition; a cell is writer@epoch base..end bytes')
    assert.equal(facts, 'partition 0   3 segments, 1.5 KiB, newest record 2023-11-14T22:13:20.000Z')
    assert.equal(cells, `(${'1@0 0..10 500 B'.padEnd(24)})[${'1@0 10..99 1000 B'.padEnd(48)}][1@2 99.. 0 B>`)
  })

  it('goes on in the next line, and says what is left out', () => {
    const segments = Array.from({ length: 4 }, (_, i) => segment({ id: i, base: i, end: i + 1, state: 'sealed' }))
    const [, , facts, ...rows] = lines({ segments, leftOut: 7 }, 110)
    assert.match(facts!, /^partition 0 {3}11 segments/)
    assert.match(rows[0]!, /^… 7 older\[/)
    assert.deepEqual(rows.filter(row => row !== '').length, 2)
    assert.ok(rows.every(row => row.length <= 110))
  })

  it('may be without segments', () => {
    assert.deepEqual(lines({}), [
      'tides  1 partition; a cell is writer@epoch base..end bytes',
      '',
      'partition 0   0 segments, 0 B',
      '',
    ])
  })
})
