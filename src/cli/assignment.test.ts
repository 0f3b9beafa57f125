/** The consumers' protocol, in which members tell each other what they have. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeAssignment } from './assignment.ts'

function int32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => {
    bytes.writeInt32BE(value, 4 * i)
  })
  return bytes
}

describe('an assignment', () => {
  const sound = Buffer.concat([
    Buffer.from([0, 1]),
    int32(1),
    Buffer.from([0, 5]),
    Buffer.from('tides'),
    int32(2, 0, 3),
    int32(-1),
  ])

  it('names topics with their partitions', () => {
    assert.deepEqual(decodeAssignment(sound), [{ topic: 'tides', partitions: [0, 3] }])
    assert.deepEqual(decodeAssignment(Buffer.alloc(0)), [])
  })

  it('of another protocol is none', () => {
    assert.equal(decodeAssignment(sound.subarray(0, 15)), null)
    assert.equal(decodeAssignment(Buffer.concat([Buffer.from([0, 1]), int32(2 ** 31 - 1)])), null)
  })
})
