/** Cutting bytes into lines. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Splitter } from './lines.ts'

describe('lines', () => {
  it('are the same however the bytes come', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 5 }).map(text => text.replaceAll('\n', '')),
          { maxLength: 20 },
        ),
        fc.array(fc.nat(7)),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''))
          const splitter = new Splitter('test')
          const found: string[] = []
          let from = 0
          for (let i = 0; from < bytes.length; i++) {
            const to = from + (cuts[i] ?? 1000)
            found.push(...splitter.push(bytes.subarray(from, to)).map(line => line.bytes.toString()))
            from = to
          }
          assert.equal(splitter.end(), null)
          assert.deepEqual(found, lines)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('count, and the last one needs no newline', () => {
    const splitter = new Splitter('a file')
    assert.deepEqual(
      splitter.push(Buffer.from('one\n\nthr')).map(({ number, bytes }) => [number, bytes.toString()]),
      [
        [1, 'one'],
        [2, ''],
      ],
    )
    assert.deepEqual(splitter.push(Buffer.from('ee')), [])
    const last = splitter.end()
    assert.deepEqual([last?.number, last?.source, last?.bytes.toString()], [3, 'a file', 'three'])
  })

  it('have an end, or nobody could send them', () => {
    const splitter = new Splitter('a file')
    const chunk = Buffer.alloc(40 << 20)
    splitter.push(chunk)
    assert.throws(() => splitter.push(chunk), /line 1 of a file is longer than 64 MiB/)
  })
})
