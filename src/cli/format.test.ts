/** How records are printed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CliError } from './failure.ts'
import { type ConsumedRecord, compileFormat, recordJson } from './format.ts'

const record: ConsumedRecord = {
  topic: 'tides',
  partition: 2,
  offset: 17,
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('dover'),
  value: Buffer.from('hoch ü'),
  headers: [
    { key: 'a', value: Buffer.from('1') },
    { key: 'a', value: null },
  ],
}
const tombstone: ConsumedRecord = { ...record, key: null, value: null, headers: [] }

const text = (format: string, of = record) => compileFormat(format)(of).toString('latin1')

describe('a format', () => {
  it('has kcat’s tokens', () => {
    assert.equal(text('%t[%p] %o %k %T %K %S %h %%'), 'tides[2] 17 dover 1700000000000 5 7 a=1,a=NULL %')
    assert.equal(text('%k|%s|%K|%S|%h', tombstone), '||-1|-1|')
  })

  it('has escapes, and adds nothing', () => {
    assert.equal(text('a\\tb\\n\\x00\\xff\\\\%o'), 'a\tb\n\0\xff\\17')
    assert.equal(text(''), '')
    assert.equal(text('\\q\\'), '\\q\\')
  })

  it('keeps the bytes of keys and values', () => {
    const bytes = Buffer.from([0xff, 0x00, 0x80])
    assert.deepEqual(compileFormat('%s')({ ...record, value: bytes }), bytes)
  })

  it('refuses a token that there is not', () => {
    for (const format of ['%x', '%', 'a%\n']) assert.throws(() => compileFormat(format), CliError)
  })
})

describe('a record as JSON', () => {
  it('has text as text and other bytes in Base64', () => {
    assert.deepEqual(recordJson(record), {
      topic: 'tides',
      partition: 2,
      offset: 17,
      timestampMs: 1_700_000_000_000,
      key: 'dover',
      value: 'hoch ü',
      headers: [
        { key: 'a', value: '1' },
        { key: 'a', value: null },
      ],
    })
    assert.equal(recordJson(tombstone).headers.length, 0)
    const binary = recordJson({ ...tombstone, value: Buffer.from([0xff]) })
    const { value, ...others } = recordJson(tombstone) as Record<string, unknown>
    assert.equal(value, null)
    assert.deepEqual(binary, { ...others, valueBase64: '/w==' })
  })
})
