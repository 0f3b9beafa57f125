/** What the witness says of states that no planted bug brings about by itself (those: mutant-list.ts). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Batch } from '../../chain/messages.ts'
import type { SimNode } from './node.ts'
import { ClusterRun } from './run.ts'
import { clusterScenarios } from './scenarios/index.ts'

/** A cluster in the middle of its work. */
function atWork() {
  const scenario = clusterScenarios.find(({ name }) => name === 'silent-replica')
  assert.ok(scenario !== undefined)
  const { cluster } = new ClusterRun(1, scenario)
  const open = () => cluster.openSegment(0)
  const image = () => cluster.host(open().writer).disk.written.segments.get(open().id)
  assert.ok(cluster.until(() => (image()?.batches.length ?? 0) > 3, 10_000))
  const { witness } = cluster
  const batch = image()?.batches[1]
  const writer = cluster.host(open().writer).node
  const other = cluster.live.find(({ host }) => host.nodeId !== open().writer)
  assert.ok(batch !== undefined && writer !== null && other !== undefined)
  const kinds = () => witness.anomalies.map(({ kind }) => kind)
  return { witness, segment: open().id, batch, writer, other, kinds }
}

const append = (batch: Batch, segment: number) =>
  ({ do: 'write', write: 1, record: { kind: 'batch', segment: segment as never, batch } }) as const
const produce = { type: 'tick', nowMs: 0 } as const
const message = (from: SimNode) =>
  ({ type: 'message', from: from.peer, message: { type: 'producers', segment: 1 as never } }) as const

test('I1: two nodes append to a segment of their own accord', () => {
  const { witness, segment, batch, other, kinds } = atWork()
  witness.onChainStep(other, produce, [append(batch, segment)])
  assert.deepEqual(kinds(), ['I1 SingleWriter'])
})

test('I8: a node takes other bytes than are at that offset elsewhere', () => {
  const { witness, segment, batch, writer, other, kinds } = atWork()
  witness.onChainStep(other, message(writer), [append({ ...batch, crc: batch.crc + 1 }, segment)])
  assert.deepEqual(kinds(), ['I8 PrefixAgreement'])
})

test('I11: a fence that was durable is lower afterwards, or gone after a start', () => {
  const { witness, segment, writer, kinds } = atWork()
  const fence = (epoch: number) => ({ kind: 'chain', write: 1, record: { kind: 'fence', segment, epoch } }) as const
  witness.onDurable(writer, [fence(9)])
  assert.deepEqual(kinds(), [])
  witness.onDurable(writer, [fence(8)])
  assert.deepEqual(kinds(), ['I11 FenceMonotonic'])
  const restored = writer.host.disk.written.restored('clean')
  witness.onChainStart(writer, restored)
  assert.deepEqual(kinds(), ['I11 FenceMonotonic', 'I11 FenceMonotonic'])
})

test('a message says more than the disk has', () => {
  const { witness, segment, batch, writer, kinds } = atWork()
  const { epoch } = writer.chain?.segments.get(segment) ?? { epoch: 0 }
  const ack = { type: 'ack', segment, epoch, end: (batch.end + 1_000_000) as never } as const
  witness.onChainStep(writer, produce, [{ do: 'send', to: writer.host.nodeId, channel: 'data', message: ack }])
  witness.onRaftSend(writer, {
    type: 'voteReply',
    from: writer.member,
    to: { nodeId: 2 as never, diskId: 'x' as never },
    term: 1_000_000 as never,
    isGranted: true,
  })
  assert.deepEqual(kinds(), ['told before durable', 'told before durable'])
})
