import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { consumerAssignment } from './assignment.ts'

/** Version 1, `t` with partitions 0 and 7, no user data. */
const bytes = Buffer.from('0001 00000001 0001 74 00000002 00000000 00000007 00000000'.replaceAll(' ', ''), 'hex')

describe('an assignment', () => {
  it('reads as partitions by topic', () => {
    assert.deepEqual(consumerAssignment(bytes), [{ topic: 't', partitions: [0, 7] }])
    assert.deepEqual(consumerAssignment(Buffer.alloc(0)), [])
  })

  it('of somebody else is none, however it is cut or bent', () => {
    for (let length = 1; length < bytes.length - 4; length++) {
      assert.equal(consumerAssignment(bytes.subarray(0, length)), null, `${length} bytes`)
    }
    const huge = Buffer.from(bytes)
    huge.writeInt32BE(0x7fffffff, 2)
    assert.equal(consumerAssignment(huge), null)
  })
})
