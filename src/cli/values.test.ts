/** What people write for numbers, durations, sizes, times and places. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { parseBytes, parseDuration, parsePair, parsePartitions, parsePlace, parseTime, wholeNumber } from './values.ts'

function assertRefused(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), InvalidArgumentError, `'${text}'`)
}

describe('a value of an option', () => {
  it('may be a duration', () => {
    assert.equal(parseDuration('500ms'), 500)
    assert.equal(parseDuration('30s'), 30_000)
    assert.equal(parseDuration('1h30m'), 5_400_000)
    assert.equal(parseDuration('1.5s'), 1_500)
    assertRefused(parseDuration, ['', '30', 's', '30 s', '-1s', '1y', '1s2'])
  })

  it('may be a size', () => {
    assert.equal(parseBytes('100'), 100)
    assert.equal(parseBytes('10KiB'), 10_240)
    assert.equal(parseBytes('1.5mib'), 1_572_864)
    assert.equal(parseBytes('1kB'), 1000)
    assertRefused(parseBytes, ['', 'x', '1 XB', '-1', '1e3'])
  })

  it('may be a whole number within bounds', () => {
    assert.equal(wholeNumber(1)('7'), 7)
    assert.equal(wholeNumber(-10)('-3'), -3)
    assertRefused(wholeNumber(1), ['', '0', '1.5', 'x', '1e3', '99999999999999999999'])
    assertRefused(wholeNumber(1, 5), ['6'])
  })

  it('may be partitions', () => {
    assert.deepEqual(parsePartitions('0'), [0])
    assert.deepEqual(parsePartitions('5,0-2,1'), [0, 1, 2, 5])
    assertRefused(parsePartitions, ['', 'a', '2-1', '-1', '0,', '0-999999'])
  })

  it('may be a name with a value', () => {
    assert.deepEqual(parsePair('a=b=c'), ['a', 'b=c'])
    assert.deepEqual(parsePair('a='), ['a', ''])
    assertRefused(parsePair, ['a', '=b', ''])
  })

  it('may be a time', () => {
    assert.equal(parseTime('now', 5), 5)
    assert.equal(parseTime('1700000000000'), 1_700_000_000_000)
    assert.equal(parseTime('-15m', 1_000_000), 100_000)
    assert.equal(parseTime('2026-11-21T10:00:00Z'), Date.UTC(2026, 10, 21, 10))
    assert.equal(parseTime('2026-11-21 10:00'), new Date(2026, 10, 21, 10).getTime())
    assert.equal(parseTime('2026-11-21'), new Date(2026, 10, 21).getTime())
    assertRefused(
      parseTime,
      ['', 'yesterday', '2026', '2026-13-01', '21.11.2026', '-'].filter(text => text !== '2026'),
    )
  })

  it('may be a place in a log', () => {
    assert.deepEqual(parsePlace('beginning'), { at: 'beginning' })
    assert.deepEqual(parsePlace('end'), { at: 'end' })
    assert.deepEqual(parsePlace('17'), { at: 'offset', offset: 17 })
    assert.deepEqual(parsePlace('-3'), { at: 'last', count: 3 })
    assert.deepEqual(parsePlace('@1700000000000'), { at: 'time', timestampMs: 1_700_000_000_000 })
    assertRefused(parsePlace, ['', 'start', '1.5', '--1', '@', '@x'])
  })
})
