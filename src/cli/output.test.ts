/** Tables, YAML, and what keeps both readable whatever is in them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytesText, printable, tableOf, timeText, yamlOf } from './output.ts'

describe('a table', () => {
  it('has columns as wide as their widest cell, numbers to the right', () => {
    const table = tableOf<readonly [string, number | null]>(
      [
        { title: 'name', of: ([name]) => name },
        { title: 'n', of: ([, count]) => count, right: true },
      ],
      [
        ['tides', 3],
        ['a', null],
        ['b', 1000],
      ],
    )
    assert.equal(table, 'NAME      N\ntides     3\na         -\nb      1000\n')
  })

  it('does not let a name steer the terminal', () => {
    assert.equal(printable('a\u001b[31mb\nc\u0090'), 'a·[31mb·c·')
  })
})

describe('YAML', () => {
  it('is blocks of plain names, and quotes what could be something else', () => {
    const data = {
      name: 'tides',
      empty: [],
      none: {},
      nothing: null,
      left: undefined,
      parts: [{ id: 1, state: 'yes' }, { id: 2 }],
      list: ['a b', 'plain', '12', ''],
      nested: [[1, 2], []],
    }
    assert.equal(
      yamlOf(data),
      [
        'name: tides',
        'empty: []',
        'none: {}',
        'nothing: null',
        'parts:',
        '  - id: 1',
        '    state: "yes"',
        '  - id: 2',
        'list:',
        '  - "a b"',
        '  - plain',
        '  - "12"',
        '  - ""',
        'nested:',
        '  - - 1',
        '    - 2',
        '  - []',
        '',
      ].join('\n'),
    )
  })
})

describe('figures', () => {
  it('are told in units that people read', () => {
    assert.deepEqual([0, 1023, 1024, 1_500_000, 2 ** 40].map(bytesText), [
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.4 MiB',
      '1.0 TiB',
    ])
    assert.equal(timeText(0), '1970-01-01T00:00:00.000Z')
    assert.deepEqual([-1, null, 1e18, Number.NaN].map(timeText), [null, null, null, null])
  })
})
