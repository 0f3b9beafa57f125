import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from './protocol-error.ts'
import { encodeTextReply, escapeText, type TextFrame, TextReader, textFaults } from './text.ts'

const bytesMax = 64

const frame = (text: string | Buffer): Buffer => {
  const body = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(body.length)
  return Buffer.concat([length, body])
}
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** What a reader makes of bytes, in pieces of the given sizes, over and over. */
function read(bytes: Buffer, sizes: readonly number[] = [bytes.length], limit = bytesMax): string[] {
  const reader = new TextReader(limit)
  const found: string[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(sizes[i % sizes.length] as number, 1)
    const chunk = bytes.subarray(at, at + size)
    // Of its own, as from a socket: nothing may depend on what lies beside it.
    reader.push(Buffer.from(chunk))
    at += chunk.length
    for (let next = reader.next(); next !== null; next = reader.next()) found.push(shown(next))
    assert.ok(reader.pendingBytes <= limit + 5, `${reader.pendingBytes} bytes are held`)
  }
  return found
}

function shown({ mode, content }: TextFrame): string {
  return `${mode[0]} ${'text' in content ? content.text : textFaults[content.fault]}`
}

const line = (text: string) => Buffer.from(text)

describe('frames', () => {
  const cases: readonly (readonly [string, Buffer, readonly string[]])[] = [
    ['one', frame('GET t'), ['f GET t']],
    ['two in a row', Buffer.concat([frame('GET t'), frame('GET u')]), ['f GET t', 'f GET u']],
    ['as long as may be', frame('x'.repeat(64)), [`f ${'x'.repeat(64)}`]],
    ['of nothing', Buffer.concat([word(0), frame('A')]), ['f ERR invalid frame length', 'f A']],
    ['a byte too long', Buffer.concat([frame('x'.repeat(65)), frame('A')]), ['f ERR invalid frame length', 'f A']],
    ['a megabyte', Buffer.concat([frame('x'.repeat(1 << 20)), frame('A')]), ['f ERR invalid frame length', 'f A']],
    ['that are no UTF-8', Buffer.concat([frame(Buffer.from([0xff])), frame('A')]), ['f ERR invalid utf-8', 'f A']],
    ['with newlines inside', frame('PUT t a\nb\\n'), ['f PUT t a\nb\\n']],
    [
      'whose length begins like a word',
      Buffer.concat([frame('x'.repeat(65)), frame('A')]),
      ['f ERR invalid frame length', 'f A'],
    ],
    ['cut off', frame('GET t').subarray(0, 7), []],
  ]
  for (const [name, bytes, expected] of cases) {
    it(`${name}, in any pieces`, () => {
      for (const sizes of bytes.length > 1e6 ? [[1 << 16], [70_001]] : [[bytes.length], [1], [3], [5, 1]]) {
        assert.deepEqual(read(bytes, sizes), expected)
      }
    })
  }

  it('are given up when they are far too long', () => {
    const zeros = Buffer.alloc(1 << 16)
    const reader = new TextReader(bytesMax)
    reader.push(word(0xffff_ffff))
    assert.equal(shown(reader.next() as TextFrame), 'f ERR invalid frame length')
    let dropped = 0
    assert.throws(() => {
      for (; dropped < 32 << 20; dropped += zeros.length) {
        reader.push(zeros)
        assert.equal(reader.next(), null)
        assert.equal(reader.pendingBytes, 0)
      }
    }, ProtocolError)
    assert.equal(dropped, 16 << 20)
  })

  it('are frames still when a length that is too long is spelt like a word', () => {
    const bytes = Buffer.concat([word(0x00_01_01_41), Buffer.alloc(0x01_01_41), frame('A')])
    assert.deepEqual(read(bytes), ['f ERR invalid frame length', 'f A'])
  })
})

describe('lines', () => {
  const cases: readonly (readonly [string, Buffer, readonly string[]])[] = [
    ['one', line('GET t\n'), ['l GET t']],
    ['that end in CR LF', line('HELP\r\nGET t\r\n'), ['l HELP', 'l GET t']],
    ['of three letters', line('GET\nPUT\n'), ['l GET', 'l PUT']],
    ['that are empty', line('HELP\n\n\r\nHELP\n'), ['l HELP', 'l ', 'l ', 'l HELP']],
    ['as long as may be', line(`PUT t ${'x'.repeat(58)}\r\nHELP\n`), [`l PUT t ${'x'.repeat(58)}`, 'l HELP']],
    ['a byte too long', line(`PUT t ${'x'.repeat(59)}\nHELP\n`), ['l ERR line too long', 'l HELP']],
    ['far too long', line(`PUT t ${'x'.repeat(5000)}\nHELP\n`), ['l ERR line too long', 'l HELP']],
    ['with what is escaped', line('PUT t a\\nb\\\\n\\t\\\\\\n\\\n'), ['l PUT t a\nb\\n\\t\\\n\\']],
    [
      'that are no UTF-8',
      Buffer.concat([line('HELP\n'), Buffer.from([0xc3, 0x0a]), line('HELP\n')]),
      ['l HELP', 'l ERR invalid utf-8', 'l HELP'],
    ],
    ['without an end', line('PUT t half of it'), []],
    ['like those of HTTP, but not first', line('HELP\nGET / HTTP/1.1\n'), ['l HELP', 'l GET / HTTP/1.1']],
  ]
  for (const [name, bytes, expected] of cases) {
    it(`${name}, in any pieces`, () => {
      for (const sizes of [[bytes.length], [1], [3], [5, 1], [100, 1]]) assert.deepEqual(read(bytes, sizes), expected)
    })
  }

  it('are given up when one has no end', () => {
    const reader = new TextReader(bytesMax)
    assert.throws(() => {
      for (let i = 0; i < 600; i++) {
        reader.push(Buffer.alloc(1 << 16, 'A'))
        reader.next()
      }
    }, ProtocolError)
  })

  it('are given up when the first is of HTTP: a page in a browser can make it send anything', () => {
    for (const first of ['POST / HTTP/1.1', 'GET /x HTTP/1.0', 'OPTIONS * HTTP/1.1', 'CONNECT a:1 HTTP/1.1']) {
      assert.throws(() => read(line(`${first}\r\nHost: localhost\r\n\r\nPUT t evil\n`)), ProtocolError, first)
    }
    for (const length of [40, 100, 1000]) {
      const first = `POST /${'x'.repeat(length)} HTTP/1.1`
      for (const size of [1, 5000]) {
        assert.throws(() => read(line(`${first}\r\n\r\nPUT t evil\n`), [size]), ProtocolError, first)
      }
    }
    assert.deepEqual(read(line('GET t HTTP/1.1\n')), ['l GET t HTTP/1.1'], 'no path')
  })
})

describe('any bytes', () => {
  it('are understood the same in any pieces', () => {
    const texts = fc.array(
      fc.oneof(
        fc.string({ unit: fc.constantFrom('a', ' ', '\\', '\n', 'ü', '🌊'), maxLength: 80 }).map(text => frame(text)),
        fc.uint8Array({ maxLength: 80 }).map(bytes => frame(Buffer.from(bytes))),
        fc.uint8Array({ minLength: 1, maxLength: 12 }).map(bytes => Buffer.from(bytes)),
        fc.string({ maxLength: 90 }).map(text => Buffer.from(`PUT ${text}\n`)),
      ),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(texts, fc.array(fc.nat(40), { minLength: 1, maxLength: 8 }), (parts, sizes) => {
        const bytes = Buffer.concat(parts)
        assert.deepEqual(
          attempt(() => read(bytes, sizes)),
          attempt(() => read(bytes)),
        )
      }),
      { numRuns: 150 },
    )
  })

  it('that are bad leave the next good frame as it is', () => {
    const bad = fc.oneof(
      fc.constant(word(0)),
      fc.integer({ min: bytesMax + 1, max: 5000 }).map(length => frame(Buffer.alloc(length, 0xa5))),
      fc.constant(frame(Buffer.from([0xff, 0xfe]))),
    )
    fc.assert(
      fc.property(fc.array(bad, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 99 }), (frames, size) => {
        const found = read(Buffer.concat([...frames, frame('GET t')]), [size])
        assert.equal(found.length, frames.length + 1)
        assert.equal(found.at(-1), 'f GET t')
      }),
      { numRuns: 60 },
    )
  })

  it('of a reply come back as they were, in one line where that is asked for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), text => {
        const bytes = encodeTextReply('frames', text)
        assert.equal(bytes.readUInt32LE(0), bytes.length - 4)
        assert.deepEqual(bytes.subarray(4), Buffer.from(text))
        const inLine = encodeTextReply('lines', text)
        assert.equal(inLine.indexOf(0x0a), inLine.length - 1)
        // The reading side takes a CR before the LF for part of the line's end.
        const command = `PUT ${text.replaceAll('\r', '')}`
        assert.deepEqual(read(Buffer.from(`${escapeText(command)}\n`), [7], 1000), [`l ${Buffer.from(command)}`])
      }),
    )
  })
})

function attempt<T>(work: () => T): T | string {
  try {
    return work()
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
}
