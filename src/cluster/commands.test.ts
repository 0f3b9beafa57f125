import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DiskId, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import type { ChainCommand } from '../chain/events.ts'
import { expectedBody } from '../wire/arbitraries.test-kit.ts'
import { encodeRecord, onDisk } from '../wire/on-disk.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { bytes, int8, int16, int64, message, tagged, uuid } from '../wire/schema.ts'
import { anyCommand, anyId } from './arbitraries.test-kit.ts'
import { type Command, commandTables, decodeCommand, encodeCommand, fromChain } from './commands.ts'

const envelope = message({
  name: 'Command',
  ...onDisk,
  versions: [0, 0],
  body: {
    type: int8,
    version: int16,
    requestId: uuid,
    body: bytes,
    level: tagged(0, 0, int16, 1),
    seen: tagged(1, 0, int64, -1),
  },
})
const requestId = '00000000000000000000000000000001' as TopicId

describe('a command', () => {
  it('of any kind reads back as it was written, with its request id', () => {
    fc.assert(
      fc.property(anyCommand, anyId, fc.integer({ min: -1, max: 1e9 }), (command, id, seen) => {
        const { table } = commandTables[command.do]
        const read = { do: command.do, ...(expectedBody(table, table.versions[1], command) as object) }
        assert.deepEqual(decodeCommand(encodeCommand(command, id, seen)), { requestId: id, seen, command: read })
      }),
    )
  })

  it('has a number of its own, for ever', () => {
    const types = Object.values(commandTables).map(({ type }) => type)
    assert.deepEqual(
      types,
      types.map((_, i) => i + 1),
    )
  })

  it('of a type or version that nobody knows is told apart, with its feature level, not guessed at', () => {
    for (const [type, version, level] of [
      [99, 0, 1],
      [2, 2, 1],
      [2, -1, 1],
      [-1, 0, 7],
    ] as const) {
      const encoded = encodeRecord(envelope, { type, version, requestId, body: Buffer.from('whatever'), level })
      assert.deepEqual(decodeCommand(encoded), { requestId, seen: -1, unknownType: type, version, level })
    }
  })

  it('that was cut or changed is an error of the reader or another command, never anything else', () => {
    const prng = new Prng(3)
    fc.assert(
      fc.property(anyCommand, anyId, (command, id) => {
        const encoded = encodeCommand(command, id)
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

describe('what the chain proposes', () => {
  const partition = { topicId: requestId, index: 3 }
  const replica = { nodeId: 2 as NodeId, diskId: 'd'.repeat(32) as DiskId, incarnation: 4 }
  const next = { writer: replica.nodeId, writerIncarnation: 4, replicas: [replica], ackQuorum: 1 }
  const sealed = { end: 9 as Offset, bytes: 8, maxTimestamp: 7, checksum: 6, next }
  const about = { partition, segment: 5 as SegmentId }
  const commands: readonly ChainCommand[] = [
    { do: 'sealAndOpen', ...about, epoch: 1, ...sealed, complete: [replica.nodeId], reason: 'replica lost' },
    { do: 'beginRecovery', ...about, epoch: 1, recoverer: replica.nodeId },
    { do: 'completeRecovery', ...about, epoch: 1, ...sealed, complete: [replica] },
    { do: 'addReplica', ...about, replica },
    { do: 'removeReplica', ...about, nodeId: replica.nodeId },
  ]
  for (const command of commands) {
    it(`comes through as it is: ${command.do}`, () => {
      const decoded = decodeCommand(encodeCommand(fromChain(command, 77), requestId))
      assert.ok('command' in decoded)
      const { partition: id, ...fields } = command
      const time = 'next' in command ? { nowMs: 77 } : {}
      const expected = { ...fields, topicId: id.topicId, partition: id.index, ...time }
      assert.deepEqual(decoded.command, expected as unknown as Command)
    })
  }
})
