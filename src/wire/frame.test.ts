/** Frames out of chunks as a socket gives them, and what a peer cannot make the reader do. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { flattenRope, ropeOf } from '../base/rope.ts'
import { FrameReader, writeFrame } from './frame.ts'
import { ProtocolError } from './protocol-error.ts'

const limits = { bytesMin: 0, bytesMax: 100_000 }

function frameOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** All frames that come out when the chunks go in one after the other. */
function framesOf(chunks: readonly Buffer[], reader = new FrameReader(limits)): string[] {
  const frames: string[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(flattenRope(frame).toString())
  }
  return frames
}

test('a frame is read the same when it arrives in two parts, split at every byte', () => {
  const bodies = ['first', '', 'the third']
  const stream = Buffer.concat(bodies.map(body => frameOf(Buffer.from(body))))
  for (let cut = 0; cut <= stream.length; cut++) {
    const chunks = [stream.subarray(0, cut), stream.subarray(cut)].map(chunk => Buffer.from(chunk))
    assert.deepEqual(framesOf(chunks), bodies, `cut at ${cut}`)
  }
})

test('any bodies come out of any chunks in order, and what is held adds up', () => {
  const body = fc.oneof(
    { weight: 5, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    { weight: 1, arbitrary: fc.nat(9000).map(length => new Uint8Array(length).fill(length)) },
  )
  const chunkBytes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 4000 })), {
    minLength: 1,
  })
  fc.assert(
    fc.property(fc.array(body, { maxLength: 8 }), chunkBytes, (bodies, sizes) => {
      const stream = Buffer.concat(bodies.map(bytes => frameOf(Buffer.from(bytes))))
      const reader = new FrameReader(limits)
      const out: Buffer[] = []
      let taken = 0
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]!
        // Copied, as each chunk of a socket has memory of its own.
        reader.push(Buffer.from(stream.subarray(at, at + size)))
        at = Math.min(at + size, stream.length)
        for (let frame = reader.next(); frame !== null; frame = reader.next()) {
          out.push(Buffer.from(flattenRope(frame)))
          taken += frame.length + 4
        }
        const lengthTaken = reader.missingBytes > 0 ? 4 : 0
        assert.equal(reader.heldBytes, at - taken - lengthTaken)
      }
      assert.deepEqual(
        out.map(bytes => bytes.toString('hex')),
        bodies.map(bytes => Buffer.from(bytes).toString('hex')),
      )
      assert.equal(reader.heldBytes, 0)
      assert.equal(reader.missingBytes, 0)
    }),
    { numRuns: 200 },
  )
})

test('frames that were handed out stay as they were, whatever arrives later', () => {
  const reader = new FrameReader(limits)
  const stream = Buffer.concat(Array.from({ length: 200 }, (_, i) => frameOf(Buffer.from(`frame ${i}`))))
  const frames = []
  for (let at = 0; at < stream.length; at += 3) {
    reader.push(Buffer.from(stream.subarray(at, at + 3)))
    for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(frame)
  }
  assert.deepEqual(
    frames.map(frame => flattenRope(frame).toString()),
    Array.from({ length: 200 }, (_, i) => `frame ${i}`),
  )
})

test('a large frame is not joined: it comes out as views of the chunks that it came in', () => {
  const chunks = Array.from({ length: 4 }, (_, i) => Buffer.alloc(16 * 1024, i))
  const length = Buffer.alloc(4)
  length.writeInt32BE(4 * 16 * 1024)
  const reader = new FrameReader(limits)
  reader.push(length)
  assert.equal(reader.next(), null)
  assert.equal(reader.missingBytes, 64 * 1024)
  for (const chunk of chunks) reader.push(chunk)
  assert.deepEqual(
    reader.next()?.chunks.map(chunk => chunk.buffer),
    chunks.map(chunk => chunk.buffer),
  )
})

test('ten thousand frames of one chunk come out within a moment', () => {
  const stream = Buffer.concat(Array.from({ length: 10_000 }, () => frameOf(Buffer.alloc(20))))
  const start = performance.now()
  assert.equal(framesOf([stream]).length, 10_000)
  assert.ok(performance.now() - start < 1000)
})

describe('a length that cannot be', () => {
  const strict = { bytesMin: 8, bytesMax: 1000 }
  for (const length of [0, 3, 7, 1001, -1, 0x7fff_ffff, -0x8000_0000]) {
    test(`${length} is refused as soon as its four bytes are there`, () => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(length)
      const reader = new FrameReader(strict)
      for (const byte of bytes.subarray(0, 3)) {
        reader.push(Buffer.from([byte]))
        assert.equal(reader.next(), null)
      }
      reader.push(bytes.subarray(3))
      assert.throws(() => reader.next(), ProtocolError)
    })
  }

  test('the bounds themselves are taken', () => {
    assert.equal(framesOf([frameOf(Buffer.alloc(8))], new FrameReader(strict)).length, 1)
    assert.equal(framesOf([frameOf(Buffer.alloc(1000))], new FrameReader(strict)).length, 1)
  })

  test('an HTTP request and a TLS hello are refused at once', () => {
    const kafka = { bytesMin: 8, bytesMax: 100 * 1024 * 1024 }
    for (const hello of ['GET / HTTP/1.1\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01']) {
      assert.throws(() => framesOf([Buffer.from(hello, 'latin1')], new FrameReader(kafka)), ProtocolError)
    }
  })
})

describe('memory follows what has arrived', () => {
  test('a declared length allocates nothing', () => {
    const reader = new FrameReader({ bytesMin: 0, bytesMax: 0x7fff_ffff })
    const before = process.memoryUsage()
    reader.push(Buffer.from('7fffffff', 'hex'))
    assert.equal(reader.next(), null)
    assert.equal(reader.missingBytes, 0x7fff_ffff)
    assert.ok(process.memoryUsage().arrayBuffers - before.arrayBuffers < 1 << 20)
  })

  test('a drip-fed frame is kept in few chunks', () => {
    const reader = new FrameReader({ bytesMin: 0, bytesMax: 1 << 20 })
    const length = Buffer.alloc(4)
    length.writeInt32BE(200_000)
    reader.push(length)
    for (let i = 0; i < 200_000; i++) {
      assert.equal(reader.next(), null)
      reader.push(Buffer.from([i & 0xff]))
    }
    const frame = reader.next()
    assert.equal(frame?.length, 200_000)
    assert.ok(frame.chunks.length < 20, `${frame.chunks.length} chunks`)
    assert.ok(flattenRope(frame).every((byte, i) => byte === (i & 0xff)))
  })

  for (const [begun, held] of [
    [2, 2],
    [10, 6],
  ] as const) {
    test(`${begun} bytes of a frame that has begun do not keep alive the chunk of the frames before it`, () => {
      const second = frameOf(Buffer.from('the second'))
      const chunk = Buffer.concat([frameOf(Buffer.alloc(64 * 1024)), second.subarray(0, begun)])
      const reader = new FrameReader(limits)
      reader.push(chunk)
      assert.notEqual(reader.next(), null)
      assert.equal(reader.next(), null)
      assert.equal(reader.heldBytes, held)
      reader.push(Buffer.from(second.subarray(begun)))
      const frame = reader.next()
      assert.equal(frame && flattenRope(frame).toString(), 'the second')
      assert.ok(frame?.chunks.every(part => part.buffer !== chunk.buffer))
    })
  }

  test('the bytes of a frame that has begun stay where they are when they are most of their chunk', () => {
    const body = Buffer.alloc(20_000, 'x')
    const stream = frameOf(body)
    const chunk = Buffer.from(stream.subarray(0, 15_000))
    const reader = new FrameReader(limits)
    reader.push(chunk)
    assert.equal(reader.next(), null)
    reader.push(Buffer.from(stream.subarray(15_000)))
    assert.equal(reader.next()?.chunks[0]?.buffer, chunk.buffer)
  })
})

test('a frame is written with its length before it, around chunks that are not copied', () => {
  const records = Buffer.from('records')
  const frame = writeFrame(to => {
    to.int16(1)
    to.rope(ropeOf(records))
    to.int16(2)
  })
  assert.equal(flattenRope(frame).toString('hex'), `0000000b0001${records.toString('hex')}0002`)
  assert.ok(frame.chunks.includes(records))
  assert.equal(flattenRope(writeFrame(() => {})).toString('hex'), '00000000')
})

test('a frame whose first field is appended by reference still has its length in front', () => {
  const frame = writeFrame(to => to.rope(ropeOf(Buffer.from('abc'))))
  assert.equal(flattenRope(frame).toString('hex'), '00000003616263')
})
