import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeId, SegmentId, TopicId } from '../base/ids.ts'
import { decodeWhole } from '../log/whole-file.ts'
import { decodeCommand } from './commands.ts'
import { Metadata } from './metadata.ts'
import { oneNodeCommands, oneNodeCommandsInFile, oneNodeFile } from './one-node.test-kit.ts'
import { decodeMetadata, encodeMetadata, fromFile, metadataFile } from './snapshot.ts'

const orders = '000000000000000000000000000000aa' as TopicId
const commands = oneNodeCommands.map(text => Buffer.from(text, 'base64'))

function replayed(count: number): Metadata {
  const metadata = new Metadata()
  for (const command of commands.slice(0, count)) metadata.applyEncoded(command)
  return metadata
}

const fromOldFile = () => fromFile(decodeWhole(Buffer.from(oneNodeFile, 'base64'), 'metadata', metadataFile))

describe('what a node by itself wrote before there were clusters', () => {
  it('is read, command by command', () => {
    const names = commands.map(command => {
      const decoded = decodeCommand(command)
      return 'command' in decoded ? decoded.command.do : 'unknown'
    })
    assert.deepEqual(names, [
      'registerNode',
      'createTopic',
      'allocateProducerIds',
      'rollOneCopy',
      'registerNode',
      'rollOneCopy',
      'rollOneCopy',
      'advanceStart',
      'createTopic',
      'deleteTopic',
      'dropSegments',
      'purgeTopic',
    ])
  })

  it('comes to the chain that it came to then, of one copy each', () => {
    const metadata = replayed(oneNodeCommandsInFile)
    const topic = metadata.topicNamed('orders')
    assert.deepEqual([...metadata.outcomes.values()].map(outcome => outcome.ok).indexOf(false), 6, 'the stale one')
    assert.deepEqual(topic?.replication, { replicas: 1, minInsync: 1, flush: 'relaxed', uncleanSeal: false })
    const [first] = topic?.partitions ?? []
    assert.deepEqual([first?.version, first?.nextEpoch, first?.leaderEpoch, first?.logStartOffset], [4, 3, 0, 12])
    assert.deepEqual(
      first?.chain.map(({ id, base, end, state, writeEpoch, leaderEpoch, bytes, maxTimestamp, createdAtMs }) =>
        [id, base, end, state, writeEpoch, leaderEpoch, bytes, maxTimestamp, createdAtMs].join(' '),
      ),
      ['1 0 10 deleting 1 0 100 1010 77', '3 10 20 sealed 2 0 100 1020 88', '4 20  open 3 0 0 -1 99'],
    )
    assert.deepEqual(
      first?.chain.map(({ replicas, complete, ackQuorum }) => [replicas.map(one => one.nodeId), complete, ackQuorum]),
      [
        [[1], [1], 1],
        [[1], [1], 1],
        [[1], null, 1],
      ],
    )
    assert.deepEqual([metadata.nextSegmentId, metadata.nextProducerId], [6, 1001])
    assert.equal(metadata.nodes.get(1 as NodeId)?.incarnation, 2)
  })

  it('is restored from its file, with Raft’s place, and goes on with the commands behind it', () => {
    const saved = fromOldFile()
    const { lastIndex, lastTerm, hardState, membership } = saved
    assert.deepEqual(
      { lastIndex, lastTerm, hardState, membership },
      {
        lastIndex: 12,
        lastTerm: 3,
        hardState: { term: 4, votedFor: 1 },
        membership: null,
      },
    )
    const metadata = decodeMetadata(saved.state)
    const whole = replayed(oneNodeCommandsInFile)
    for (const command of commands.slice(oneNodeCommandsInFile)) {
      assert.deepEqual(metadata.applyEncoded(command), whole.applyEncoded(command))
    }
    // A snapshot of that time did not tell as which boot a node had opened its segments.
    assert.equal(whole.partition({ topicId: orders, index: 1 })?.chain[0]?.writerIncarnation, 1)
    const records = (of: Metadata) =>
      [...of.topics.values()].flatMap(topic =>
        topic.partitions.flatMap(({ chain }) =>
          chain.map(({ writerIncarnation: _, replicas: __, ...segment }) => segment),
        ),
      )
    assert.deepEqual(records(metadata), records(whole))
    assert.deepEqual(metadata.byName, whole.byName)
    assert.deepEqual(metadata.outcomes, whole.outcomes)
    const again = decodeMetadata(encodeMetadata(metadata))
    assert.deepEqual(again.topics, metadata.topics)
  })

  it('goes on with segments of a cluster: the open one is sealed by the node’s next boot, as a new writer', () => {
    const metadata = decodeMetadata(fromOldFile().state)
    const known = metadata.nodes.get(1 as NodeId)
    assert.ok(known !== undefined)
    const { diskId, incarnation } = known
    const again = { diskId, confirmed: incarnation, attempted: incarnation, incarnation: incarnation + 1 }
    metadata.apply({ do: 'registerNode', nodeId: 1 as NodeId, ...again }, '01'.repeat(16) as TopicId)
    const replica = { nodeId: 1 as NodeId, diskId, incarnation: incarnation + 1 }
    const outcome = metadata.apply(
      {
        do: 'sealAndOpen',
        topicId: orders,
        partition: 0,
        segment: 4 as SegmentId,
        epoch: 3,
        end: 30 as never,
        bytes: 1,
        maxTimestamp: 2,
        checksum: 0,
        complete: [1 as NodeId],
        reason: 'size',
        next: { writer: 1 as NodeId, writerIncarnation: incarnation + 1, replicas: [replica], ackQuorum: 1 },
        nowMs: 5,
      },
      '02'.repeat(16) as TopicId,
    )
    assert.ok(outcome.ok)
    assert.equal(metadata.partition({ topicId: orders, index: 0 })?.leaderEpoch, 1)
  })
})
