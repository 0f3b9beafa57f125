import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Prng } from '../base/prng.ts'
import { encodeRecord, onDisk } from '../wire/on-disk.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { bytes, int8, int16, message, uuid } from '../wire/schema.ts'
import { anyCommand, anyId } from './arbitraries.test-kit.ts'
import { decodeCommand, encodeCommand } from './commands.ts'

const envelope = message({
  name: 'Command',
  ...onDisk,
  versions: [0, 0],
  body: { type: int8, version: int16, requestId: uuid, body: bytes },
})

describe('a command', () => {
  it('of any kind reads back as it was written, with its request id', () => {
    fc.assert(
      fc.property(anyCommand, anyId, (command, requestId) => {
        assert.deepEqual(decodeCommand(encodeCommand(command, requestId)), { requestId, command })
      }),
    )
  })

  it('of a type or version that nobody knows is told apart, not guessed at', () => {
    const requestId = '00000000000000000000000000000001' as never
    for (const [type, version] of [
      [99, 0],
      [2, 1],
      [-1, 0],
    ] as const) {
      const encoded = encodeRecord(envelope, { type, version, requestId, body: Buffer.from('whatever') })
      assert.deepEqual(decodeCommand(encoded), { unknownType: type, version })
    }
  })

  it('that was cut or changed is an error of the reader or another command, never anything else', () => {
    const prng = new Prng(3)
    fc.assert(
      fc.property(anyCommand, anyId, (command, requestId) => {
        const encoded = encodeCommand(command, requestId)
        const mutated = Buffer.from(encoded.subarray(0, prng.between(0, encoded.length + 1)))
        if (mutated.length > 0) mutated[prng.between(0, mutated.length)] = prng.between(0, 256)
        try {
          decodeCommand(mutated)
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error))
        }
      }),
      { numRuns: 500 },
    )
  })
})
