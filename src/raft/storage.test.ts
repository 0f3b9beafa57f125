import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { LogIndex, NodeId, Term } from '../base/ids.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { decodeHardState, decodeRaftEntry, encodeHardState, encodeRaftEntry, entryTypes } from './storage.ts'

const count = fc.maxSafeNat()

describe('what Raft keeps on disk', () => {
  it('reads back as it was written', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map(data => Buffer.from(data))
    fc.assert(
      fc.property(count, count, fc.constantFrom(...Object.values(entryTypes)), bytes, (term, index, type, data) => {
        const entry = { term: term as Term, index: index as LogIndex, type, data }
        assert.deepEqual(decodeRaftEntry(encodeRaftEntry(entry)), entry)
      }),
    )
    fc.assert(
      fc.property(count, fc.oneof(fc.constant(null), fc.nat({ max: 0x7fff_ffff })), (term, votedFor) => {
        const state = { term: term as Term, votedFor: votedFor as NodeId | null }
        assert.deepEqual(decodeHardState(encodeHardState(state)), state)
      }),
    )
  })

  it('cut short or with something behind it is an error, never something else', () => {
    const entry = encodeRaftEntry({ term: 1 as Term, index: 2 as LogIndex, type: 1, data: Buffer.from('command') })
    const state = encodeHardState({ term: 3 as Term, votedFor: 1 as NodeId })
    for (const [bytes, decode] of [
      [entry, decodeRaftEntry],
      [state, decodeHardState],
    ] as const) {
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decode(bytes.subarray(0, length)), ProtocolError)
      }
      assert.throws(() => decode(Buffer.concat([bytes, Buffer.alloc(1)])), ProtocolError)
    }
  })
})
