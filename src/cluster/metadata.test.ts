import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TidelogError } from '../base/errors.ts'
import type { DiskId, NodeId, Offset, SegmentId, TopicId } from '../base/ids.ts'
import { ackQuorumOf, type Partition, type Placement, type ReplicationConfig } from '../chain/segment.ts'
import { encodeRecord, onDisk } from '../wire/on-disk.ts'
import { bytes, int8, int16, message, tagged, uuid } from '../wire/schema.ts'
import { anyCommand, anyStep, commandFor, prelude } from './arbitraries.test-kit.ts'
import { type Command, type CommandOf, encodeCommand, newestFeatureLevel } from './commands.ts'
import { Metadata, rememberedOutcomesMax } from './metadata.ts'
import type { Outcome } from './outcome.ts'
import { decodeMetadata, encodeMetadata } from './snapshot.ts'

const id = (number: number) => number.toString(16).padStart(32, '0') as TopicId
const disk = (number: number) => id(number) as string as DiskId
const node = (number: number) => number as NodeId
const orders = id(0xaa)
const config: ReplicationConfig = { replicas: 3, minInsync: 2, flush: 'sync', uncleanSeal: false }

/** A machine that takes commands one after the other, each with a request id of its own. */
class Machine {
  metadata = new Metadata()
  #requests = 0

  apply(command: Command): Outcome {
    return this.metadata.apply(command, id(++this.#requests))
  }

  ok(command: Command): number {
    const outcome = this.apply(command)
    assert.ok(outcome.ok, `${command.do}: ${outcome.ok ? '' : outcome.message}`)
    return outcome.value
  }

  refused(command: Command): string {
    const before = stateOf(this.metadata)
    const outcome = this.apply(command)
    assert.ok(!outcome.ok, `${command.do} is refused`)
    assert.ok(stateOf(this.metadata).equals(before), 'a refusal changes nothing')
    return outcome.error
  }

  /** Nodes 1 to `count` are there. */
  withNodes(count: number): this {
    for (let i = 1; i <= count; i++)
      this.ok(register(0, 0, 1, { nodeId: node(i), diskId: disk(0xd0 + i), featureLevel: newestFeatureLevel }))
    return this
  }

  place(...nodeIds: number[]): Placement {
    const replicas = nodeIds.map(number => {
      const { diskId, incarnation } = this.metadata.nodes.get(node(number)) as { diskId: DiskId; incarnation: number }
      return { nodeId: node(number), diskId, incarnation }
    })
    const [writer] = replicas as [(typeof replicas)[number]]
    const ackQuorum = ackQuorumOf(nodeIds.length, 2)
    return { writer: writer.nodeId, writerIncarnation: writer.incarnation, replicas, ackQuorum }
  }

  partition(index = 0, topicId = orders): Partition {
    return this.metadata.topics.get(topicId)?.partitions[index] as Partition
  }

  chain(index = 0): string[] {
    return this.partition(index).chain.map(
      ({ id: segment, base, end, state }) => `${segment}: [${base}, ${end ?? ''}) ${state}`,
    )
  }
}

/** The state without what is remembered of requests. */
function stateOf(metadata: Metadata): Buffer {
  const copy = decodeMetadata(encodeMetadata(metadata))
  copy.outcomes.clear()
  copy.applied = 0
  return encodeMetadata(copy)
}

const create = (name = 'orders', topicId = orders, partitions = 2): Command => ({
  do: 'createTopic',
  topicId,
  name,
  writer: node(1),
  partitions,
  configs: [{ name: 'retention.ms', value: '5' }],
  nowMs: 77,
})
/** A topic of three copies on nodes 1, 2 and 3; its second partition has no segment yet. */
const createReplicated = (m: Machine, nodes = [1, 2, 3]): Command => ({
  do: 'createTopic',
  topicId: orders,
  name: 'orders',
  partitions: 2,
  configs: [],
  replication: config,
  placements: [{ partition: 0, next: m.place(...nodes) }],
  nowMs: 5,
})
const seal = (version: number, end: number, writer = 1): Command => ({
  do: 'rollOneCopy',
  topicId: orders,
  partition: 0,
  version,
  end: end as Offset,
  bytes: end * 10,
  maxTimestamp: end + 1000,
  writer: node(writer),
  nowMs: 88,
})
const advance = (version: number, offset: number): Command => ({
  do: 'advanceStart',
  topicId: orders,
  partition: 0,
  version,
  offset: offset as Offset,
})
const grow = (version: number, total: number): CommandOf<'createPartitions'> & Command => ({
  do: 'createPartitions',
  topicId: orders,
  version,
  total,
  placements: [],
  nowMs: 9,
})
const drop = (version: number, through: number): Command => ({
  do: 'dropSegments',
  topicId: orders,
  partition: 0,
  version,
  through: through as SegmentId,
})
const register = (confirmed: number, attempted: number, incarnation: number, more: object = {}): Command => ({
  do: 'registerNode',
  nodeId: node(1),
  diskId: disk(0xd1),
  confirmed,
  attempted,
  incarnation,
  ...more,
})

describe('createTopic', () => {
  it('opens the first segment of each partition that has a placement; others wait for theirs', () => {
    const m = new Machine().withNodes(3)
    m.ok(createReplicated(m))
    const [first] = m.partition(0).chain
    assert.deepEqual([first?.id, first?.writer, first?.ackQuorum, first?.createdAtMs], [1, 1, 2, 5])
    assert.deepEqual(
      first?.replicas.map(replica => replica.nodeId),
      [1, 2, 3],
    )
    assert.deepEqual(m.partition(1).chain, [])
    const open: Command = { do: 'openFirst', topicId: orders, partition: 1, version: 0, next: m.place(2, 3), nowMs: 6 }
    assert.equal(m.ok(open), 2)
    assert.equal(m.refused(open), 'STALE')
    assert.deepEqual([m.chain(0), m.chain(1)], [['1: [0, ) open'], ['2: [0, ) open']])
  })

  it('is refused whole when one placement is, and for a replication that makes no sense', () => {
    const m = new Machine().withNodes(3)
    const wrong = { ...m.place(1, 2, 3), ackQuorum: 1 }
    const command = createReplicated(m) as Extract<Command, { do: 'createTopic' }>
    const placements = [...(command.placements ?? []), { partition: 1, next: wrong }]
    assert.equal(m.refused({ ...command, placements }), 'INVALID')
    assert.equal(m.metadata.nextSegmentId, 1)
    assert.equal(m.refused({ ...command, replication: { ...config, minInsync: 4 } }), 'INVALID')
    assert.equal(m.refused({ ...command, replication: { ...config, minInsync: 0 } }), 'INVALID')
    assert.equal(m.refused({ ...command, replication: { ...config, replicas: -1 } }), 'INVALID')
    const { replication: _, ...alone } = command
    assert.equal(m.refused(alone), 'INVALID', 'one copy, at nobody’s')
  })

  it('without a replication is of one copy, as a node by itself makes it', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(create('other', id(0xbb)))
    assert.equal(m.metadata.topicNamed('orders')?.id, orders)
    assert.deepEqual([m.chain(0), m.chain(1)], [['1: [0, ) open'], ['2: [0, ) open']])
    assert.equal(m.partition(0, id(0xbb)).chain[0]?.id, 3)
    const [first] = m.partition().chain
    assert.deepEqual([first?.writer, first?.leaderEpoch, first?.createdAtMs, first?.replicas.length], [1, 0, 77, 1])
    assert.deepEqual([...(m.metadata.topics.get(orders)?.configs ?? [])], [['retention.ms', '5']])
  })

  it('is refused for a name or an id that is taken, and for no partitions at all', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused(create('orders', id(0xbb))), 'EXISTS')
    assert.equal(m.refused(create('other', orders)), 'EXISTS')
    assert.equal(m.refused(create('other', id(0xbb), 0)), 'INVALID')
    assert.equal(m.refused(create('other', id(0xbb), 100_001)), 'INVALID')
  })

  it('does not come back from the dead: a retry of what was made, deleted and forgotten is refused', () => {
    const m = new Machine()
    m.metadata.apply(create(), id(0xf00), 0)
    m.ok({ do: 'deleteTopic', topicId: orders })
    m.ok({ do: 'purgeTopic', topicId: orders })
    for (let i = 0; i < rememberedOutcomesMax; i++) m.ok({ do: 'allocateProducerIds', nodeId: node(1), count: 1 })
    assert.equal(m.metadata.outcomes.has(id(0xf00)), false)
    const again = m.metadata.apply(create(), id(0xf00), 0)
    assert.deepEqual(again, { ok: false, error: 'STALE', message: 'the request is too old' })
  })
})

describe('createPartitions', () => {
  const withTopic = () => {
    const m = new Machine().withNodes(3)
    m.ok({ do: 'setFeatureLevel', level: newestFeatureLevel })
    m.ok(createReplicated(m))
    return m
  }

  it('lets a topic grow; a new partition without a placement waits for its own', () => {
    const m = withTopic()
    m.metadata.takeTouched()
    const before = [m.partition(0), m.partition(1)]
    m.ok({ ...grow(0, 5), placements: [{ partition: 1, count: 3, next: m.place(2, 3, 1) }] })
    const topic = m.metadata.topics.get(orders)
    assert.deepEqual([topic?.partitions.length, topic?.version], [5, 1])
    assert.deepEqual([m.partition(0), m.partition(1)], before, 'those that were there are as they were')
    assert.deepEqual([m.chain(2), m.chain(3), m.chain(4)], [['2: [0, ) open'], ['3: [0, ) open'], []])
    assert.deepEqual([m.metadata.nextSegmentId, m.partition(2).config, m.partition(2).version], [4, config, 1])
    const touched = m.metadata.takeTouched()
    assert.deepEqual(
      touched.map(({ index }) => index),
      [2, 3, 4],
    )
    m.ok({ do: 'openFirst', topicId: orders, partition: 4, version: 0, next: m.place(1, 2), nowMs: 6 })
    assert.equal(m.metadata.loads.get(node(2))?.writers, 2)
  })

  it('is not done twice, by a retry or by another who saw the same', () => {
    const m = withTopic()
    const request = id(0xf00)
    const first = m.metadata.apply(grow(0, 4), request)
    assert.deepEqual([first, m.metadata.apply(grow(0, 4), request)], [{ ok: true, value: 0 }, first])
    assert.equal(m.refused(grow(0, 6)), 'STALE')
    m.ok(grow(1, 6))
    assert.equal(m.metadata.topics.get(orders)?.partitions.length, 6)
  })

  it('is refused, whole, where it would not grow, for too many, and with a placement that is refused', () => {
    const m = withTopic()
    for (const total of [2, 1, 0, -1, 100_001]) assert.equal(m.refused(grow(0, total)), 'INVALID')
    assert.equal(m.refused({ ...grow(0, 3), topicId: id(9) }), 'UNKNOWN')
    const wrong = { ...m.place(1, 2, 3), ackQuorum: 1 }
    assert.equal(m.refused({ ...grow(0, 4), placements: [{ partition: 3, next: wrong }] }), 'INVALID')
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.equal(m.refused(grow(0, 3)), 'UNKNOWN')
  })
})

describe('configureTopic', () => {
  it('changes the configs of a topic and what its partitions want, at the version that was seen', () => {
    const m = new Machine().withNodes(3)
    m.ok(createReplicated(m))
    const command: Command = {
      do: 'configureTopic',
      topicId: orders,
      version: 0,
      configs: [{ name: 'min.insync.replicas', value: '1' }],
      replication: { ...config, minInsync: 1 },
    }
    m.ok(command)
    assert.deepEqual([...(m.metadata.topics.get(orders)?.configs ?? [])], [['min.insync.replicas', '1']])
    assert.deepEqual([m.partition(1).config.minInsync, m.partition(1).version, m.partition(0).version], [1, 1, 2])
    assert.equal(m.refused(command), 'STALE')
    assert.equal(m.refused({ ...command, version: 1, replication: { ...config, replicas: 0 } }), 'INVALID')
    assert.equal(m.refused({ ...command, topicId: id(9) }), 'UNKNOWN')
  })
})

describe('deleteTopic', () => {
  it('frees the name at once and the topic with its purge', () => {
    const m = new Machine()
    m.ok(create())
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.equal(m.metadata.topicNamed('orders'), undefined)
    assert.equal(m.metadata.topics.get(orders)?.isDeleting, true)
    m.ok(create('orders', id(0xbb)))
    assert.equal(m.refused(create('again', orders)), 'EXISTS', 'its id is taken as long as its files are there')
    m.ok({ do: 'purgeTopic', topicId: orders })
    assert.equal(m.metadata.topics.has(orders), false)
    assert.equal(m.metadata.topicNamed('orders')?.id, id(0xbb), 'the name is the new topic’s')
  })

  it('is refused twice and for what is not there; only what was deleted is purged', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused({ do: 'deleteTopic', topicId: id(9) }), 'UNKNOWN')
    assert.equal(m.refused({ do: 'purgeTopic', topicId: orders }), 'UNKNOWN')
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.equal(m.refused({ do: 'deleteTopic', topicId: orders }), 'UNKNOWN')
    for (const command of [seal(1, 5), advance(1, 0), drop(1, 1)]) assert.equal(m.refused(command), 'UNKNOWN')
  })
})

describe('rollOneCopy, as a node by itself did it', () => {
  it('ends the open segment where it says and opens the next there', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 30))
    assert.deepEqual(m.chain(), ['1: [0, 10) sealed', '3: [10, 30) sealed', '4: [30, ) open'])
    const { version, chain, leaderEpoch } = m.partition()
    assert.deepEqual([version, leaderEpoch, chain[1]?.bytes, chain[1]?.maxTimestamp], [3, 0, 300, 1030])
    assert.deepEqual(
      chain.map(({ writeEpoch }) => writeEpoch),
      [1, 2, 3],
    )
    assert.equal(m.partition(1).version, 1, 'others are not touched')
  })

  it('raises the leader epoch when the writer changes, and only then', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 20, 2))
    m.ok(seal(3, 30, 2))
    assert.deepEqual(
      m.partition().chain.map(({ leaderEpoch, writer }) => [leaderEpoch, writer]),
      [
        [0, 1],
        [0, 1],
        [1, 2],
        [1, 2],
      ],
    )
  })

  it('is refused for an empty segment, a stale version and what is not there', () => {
    const m = new Machine()
    m.ok(create())
    assert.equal(m.refused(seal(1, 0)), 'INVALID')
    m.ok(seal(1, 10))
    assert.equal(m.refused(seal(1, 20)), 'STALE')
    assert.equal(m.refused(seal(3, 20)), 'STALE')
    assert.equal(m.refused(seal(2, 10)), 'INVALID')
    assert.equal(m.refused({ ...seal(2, 20), partition: 2 } as Command), 'UNKNOWN')
    assert.equal(m.refused({ ...seal(2, 20), topicId: id(9) } as Command), 'UNKNOWN')
  })
})

describe('advanceStart and dropSegments', () => {
  it('mark what lies wholly below the log start, and take it out once its files are gone', () => {
    const m = new Machine()
    m.ok(create())
    for (const [version, end] of [
      [1, 10],
      [2, 20],
      [3, 30],
    ] as const)
      m.ok(seal(version, end))
    m.ok(advance(4, 19))
    assert.deepEqual(m.chain(), ['1: [0, 10) deleting', '3: [10, 20) sealed', '4: [20, 30) sealed', '5: [30, ) open'])
    assert.equal(m.partition().logStartOffset, 19)
    m.ok(advance(5, 20))
    m.ok(drop(6, 3))
    assert.deepEqual(m.chain(), ['4: [20, 30) sealed', '5: [30, ) open'])
    m.ok(advance(7, 35))
    m.ok(drop(8, 4))
    assert.deepEqual(m.chain(), ['5: [30, ) open'], 'the open segment stays')
  })

  it('are refused when they would go back, or drop what is not below the log start', () => {
    const m = new Machine()
    m.ok(create())
    m.ok(seal(1, 10))
    m.ok(seal(2, 20))
    m.ok(advance(3, 10))
    assert.equal(m.refused(advance(4, 9)), 'INVALID')
    assert.equal(m.refused(advance(3, 15)), 'STALE')
    assert.equal(m.refused(drop(4, 3)), 'INVALID')
    assert.equal(m.refused(drop(4, 99)), 'UNKNOWN')
    assert.equal(m.refused(drop(3, 1)), 'STALE')
  })
})

describe('allocateProducerIds', () => {
  it('gives each block once, one behind the other', () => {
    const m = new Machine()
    const take = (count: number) => m.ok({ do: 'allocateProducerIds', nodeId: node(1), count })
    assert.deepEqual([take(1000), take(10), take(1)], [1, 1001, 1011])
    assert.equal(m.refused({ do: 'allocateProducerIds', nodeId: node(1), count: 0 }), 'INVALID')
  })
})

describe('registerNode', () => {
  it('takes a node whose record lies between what it confirmed and what it attempted, however it crashed', () => {
    const m = new Machine()
    m.ok(register(0, 0, 1))
    m.ok(register(1, 1, 2))
    // Registered as 2, and crashed before it noted that.
    m.ok(register(1, 2, 3))
    // Stored its attempt at 4, and crashed before it registered.
    m.ok(register(3, 4, 5))
    // Its 6 came to be registered after its 7 had given up waiting.
    m.ok(register(5, 5, 6))
    m.ok(register(5, 7, 8))
    assert.equal(m.metadata.nodes.get(node(1))?.incarnation, 8)
  })

  it('notes what the node says of itself', () => {
    const m = new Machine()
    const addresses = [{ name: 'peer', host: 'n1', port: 9 }]
    m.ok(register(0, 0, 1, { rack: 'a', addresses, wasClean: true, featureLevel: 3 }))
    const { diskId, isUp, registeredBy, ...node1 } = m.metadata.nodes.get(node(1)) ?? {}
    assert.deepEqual([diskId, isUp, registeredBy], [disk(0xd1), true, id(1)])
    assert.deepEqual(node1, { incarnation: 1, rack: 'a', addresses, wasClean: true, featureLevel: 3 })
  })

  it('refuses an old copy of the disk, another disk, and an incarnation that was', () => {
    const m = new Machine()
    for (let i = 0; i < 5; i++) m.ok(register(i, i, i + 1))
    assert.equal(m.refused(register(3, 3, 6)), 'STALE')
    assert.equal(m.refused(register(3, 4, 6)), 'STALE')
    assert.equal(m.refused(register(6, 6, 7)), 'STALE')
    assert.equal(m.refused(register(5, 5, 6, { diskId: disk(0xe) })), 'STALE')
    assert.equal(m.refused(register(5, 5, 5)), 'INVALID')
    assert.equal(m.refused(register(1, 1, 2, { nodeId: node(2) })), 'STALE', 'of another cluster')
  })

  it('takes a fresh disk for a node that lost its own, once the node is down', () => {
    const m = new Machine()
    for (let i = 0; i < 5; i++) m.ok(register(i, i, i + 1))
    const fresh = register(0, 0, 6, { diskId: disk(0xe) })
    assert.equal(m.refused(fresh), 'STALE', 'a second process does not push out a node that runs')
    m.ok({ do: 'setNodeUp', nodeId: node(1), incarnation: 5, isUp: false })
    assert.equal(m.refused(register(0, 0, 5, { diskId: disk(0xe) })), 'INVALID')
    assert.equal(m.refused(register(4, 4, 6, { diskId: disk(0xe) })), 'STALE', 'it has been another node’s')
    m.ok(register(0, 6, 7, { diskId: disk(0xe) }))
    assert.deepEqual([m.metadata.nodes.get(node(1))?.diskId, m.metadata.nodes.get(node(1))?.isUp], [disk(0xe), true])
    assert.equal(m.refused(register(5, 5, 8)), 'STALE', 'the old disk is gone for good')
  })

  it('is done once, even for a retry that comes when its outcome is forgotten', () => {
    const m = new Machine()
    m.metadata.apply(register(0, 0, 1), id(0xf00))
    for (let i = 0; i < rememberedOutcomesMax; i++) m.ok({ do: 'allocateProducerIds', nodeId: node(1), count: 1 })
    assert.deepEqual(m.metadata.apply(register(0, 0, 1), id(0xf00)), { ok: true, value: 0 })
    assert.equal(m.refused(register(0, 1, 1)), 'INVALID', 'another process with the same number')
  })
})

describe('a node', () => {
  it('goes down when its lease is over, and comes back with a renewal or a registration of its own', () => {
    const m = new Machine().withNodes(1)
    const up = (isUp: boolean, incarnation = 1): Command => ({ do: 'setNodeUp', nodeId: node(1), incarnation, isUp })
    const isUp = () => m.metadata.nodes.get(node(1))?.isUp
    m.ok(up(false))
    assert.equal(isUp(), false)
    m.ok(up(true))
    m.ok(up(false))
    m.ok(register(1, 1, 2))
    assert.equal(isUp(), true)
    assert.equal(m.refused(up(false)), 'STALE', 'that was the boot before')
    assert.equal(m.refused({ do: 'setNodeUp', nodeId: node(9), incarnation: 1, isUp: true }), 'UNKNOWN')
  })

  it('leaves when it has no copies any more, and its id goes to a later boot only', () => {
    const m = new Machine().withNodes(4)
    m.ok(createReplicated(m))
    m.ok({ do: 'removeNode', nodeId: node(4), incarnation: 1 })
    const remove: Command = { do: 'removeNode', nodeId: node(3), incarnation: 1 }
    assert.equal(m.refused(remove), 'INVALID')
    m.ok({ do: 'deleteTopic', topicId: orders })
    m.ok({ do: 'purgeTopic', topicId: orders })
    assert.equal(m.refused({ ...remove, incarnation: 2 }), 'STALE')
    m.ok(remove)
    assert.equal(m.refused(remove), 'UNKNOWN')
    const back = m.apply(register(1, 1, 2, { nodeId: node(3), diskId: disk(0xd3) }))
    assert.deepEqual(back, { ok: false, error: 'STALE', message: 'node 3 was removed' })
    const again = (incarnation: number) => register(0, 0, incarnation, { nodeId: node(3), diskId: disk(0xe3) })
    assert.equal(m.refused(again(1)), 'INVALID')
    m.ok(again(2))
  })
})

describe('the feature level', () => {
  const envelope = message({
    name: 'Command',
    ...onDisk,
    versions: [0, 0],
    body: { type: int8, version: int16, requestId: uuid, body: bytes, level: tagged(0, 0, int16, 1) },
  })
  const unknown = (level: number, requestId = id(0xf01)) =>
    encodeRecord(envelope, { type: 77, version: 0, requestId, body: Buffer.from('news'), level })
  const isFormat = (error: unknown) => error instanceof TidelogError && error.code === 'FORMAT'

  it('makes a newer command an outcome that is remembered, like any other, while it is not finalised', () => {
    const m = new Metadata()
    const outcome = m.applyEncoded(unknown(2))
    assert.ok(!outcome.ok && outcome.error === 'FEATURE')
    assert.equal(m.applied, 1)
    assert.deepEqual(m.applyEncoded(unknown(2)), outcome)
    assert.equal(m.applied, 1)
    // Programs that know a command of that level say the very same.
    const known = m.applyEncoded(encodeCommand(grow(0, 3), id(0xf02)))
    assert.deepEqual(known, outcome)
  })

  it('makes a program that does not know a command of a finalised level stop, with a sentence', () => {
    const m = new Metadata()
    assert.throws(() => m.applyEncoded(unknown(1)), isFormat)
    assert.equal(m.applied, 0)
  })

  it('is raised only when every node knows it, and by programs that do', () => {
    const m = new Machine()
    m.ok(register(0, 0, 1, { featureLevel: 3 }))
    m.ok(register(0, 0, 1, { nodeId: node(2), diskId: disk(0xd2) }))
    assert.equal(m.refused({ do: 'setFeatureLevel', level: 1 }), 'STALE')
    assert.equal(m.refused({ do: 'setFeatureLevel', level: 2 }), 'FEATURE')
    m.ok(register(1, 1, 2, { nodeId: node(2), diskId: disk(0xd2), featureLevel: 3 }))
    m.ok({ do: 'setFeatureLevel', level: newestFeatureLevel })
    assert.equal(m.refused({ do: 'setFeatureLevel', level: newestFeatureLevel }), 'STALE')
    assert.throws(() => m.apply({ do: 'setFeatureLevel', level: 3 }), isFormat)
    assert.equal(m.refused(register(1, 1, 3, { featureLevel: 1 })), 'FEATURE')
  })
})

describe('what has changed', () => {
  it('is told partition by partition, once; after a restore it is all there is', () => {
    const m = new Machine().withNodes(3)
    assert.deepEqual(m.metadata.takeTouched(), [])
    m.ok(createReplicated(m))
    const [first, second] = [0, 1].map(index => ({ topicId: orders, index }))
    assert.deepEqual(m.metadata.takeTouched(), [first, second])
    assert.deepEqual(m.metadata.takeTouched(), [])
    const segment = m.partition().chain[0]?.id as SegmentId
    const fence: Command = {
      do: 'beginRecovery',
      topicId: orders,
      partition: 0,
      segment,
      epoch: 1,
      recoverer: node(2),
    }
    m.ok(fence)
    m.ok(fence)
    assert.equal(m.refused({ ...fence, epoch: 7 }), 'STALE')
    assert.deepEqual(m.metadata.takeTouched(), [first])
    assert.deepEqual(decodeMetadata(encodeMetadata(m.metadata)).takeTouched(), [first, second])
    m.ok({ do: 'deleteTopic', topicId: orders })
    assert.deepEqual(m.metadata.takeTouched(), [first, second])
    assert.equal(m.metadata.partition({ topicId: orders, index: 0 }), null)
    assert.deepEqual(m.metadata.allPartitions(), [])
  })
})

describe('the state machine', () => {
  it('gives a retry the outcome of the first, and changes nothing by it', () => {
    const machine = new Metadata()
    const request = id(1)
    const block: Command = { do: 'allocateProducerIds', nodeId: node(1), count: 10 }
    const first = machine.apply(block, request)
    const before = encodeMetadata(machine)
    assert.deepEqual(machine.apply(block, request), first)
    assert.ok(encodeMetadata(machine).equals(before))
    assert.deepEqual(machine.apply(block, id(2)), { ok: true, value: 11 })
    const refusal = machine.apply({ do: 'deleteTopic', topicId: orders }, id(3))
    machine.apply(create(), id(4))
    assert.deepEqual(machine.apply({ do: 'deleteTopic', topicId: orders }, id(3)), refusal, 'a refusal stays one')
  })

  it('remembers a bounded number of outcomes, the newest', () => {
    const machine = new Metadata()
    const take = (request: number) =>
      machine.apply({ do: 'allocateProducerIds', nodeId: node(1), count: 1 }, id(request))
    const last = rememberedOutcomesMax + 44
    for (let i = 1; i <= last; i++) take(i)
    assert.equal(machine.outcomes.size, rememberedOutcomesMax)
    assert.deepEqual(
      [take(last), take(45)],
      [last, 45].map(value => ({ ok: true, value })),
    )
    assert.deepEqual(take(44), { ok: true, value: last + 1 }, 'too long ago')
  })

  it('applies no command twice, however late its retry comes', () => {
    const isForgotten = (m: Machine) => {
      for (let i = 0; i < rememberedOutcomesMax; i++) m.ok({ do: 'allocateProducerIds', nodeId: node(1), count: 1 })
    }
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 30 }), later => {
        const m = new Machine()
        const asked = [...prelude, ...later].map((step, i) => {
          const command = commandFor(m.metadata, step)
          const request = { command, requestId: id(0xee0000 + i), seen: m.metadata.applied }
          m.metadata.apply(command, request.requestId, request.seen)
          return request
        })
        isForgotten(m)
        const before = stateOf(m.metadata)
        for (const { command, requestId, seen } of asked) m.metadata.apply(command, requestId, seen)
        assert.ok(stateOf(m.metadata).equals(before))
      }),
      { numRuns: 20 },
    )
    const m = new Machine()
    const first = m.metadata.apply(create(), id(0xee0000), 0)
    for (let i = 0; i < rememberedOutcomesMax - 1; i++) m.ok({ do: 'allocateProducerIds', nodeId: node(1), count: 1 })
    assert.deepEqual(m.metadata.apply(create(), id(0xee0000), 0), first, 'remembered for as long as it is not too old')
    assert.equal(m.metadata.apply(create('new', id(9)), id(0xef0000), 0).ok, true)
    assert.equal(m.metadata.apply(create('newer', id(10)), id(0xf00000), 0).ok, false)
  })

  it('keeps its promises over random histories: chains without gaps, ids given once, names of what is there', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 80 }), steps => {
        const m = new Machine()
        const segmentIds = new Set<number>()
        let nextProducerId = 1
        for (const step of steps) {
          const before = stateOf(m.metadata)
          const versions = new Map(
            [...m.metadata.topics].map(([topic, { partitions }]) => [topic, partitions.map(p => p.version)]),
          )
          const command = commandFor(m.metadata, step)
          const outcome = m.apply(command)
          if (!outcome.ok) assert.ok(stateOf(m.metadata).equals(before))
          if (outcome.ok && command.do === 'allocateProducerIds') {
            assert.equal(outcome.value, nextProducerId)
            nextProducerId += command.count
          }
          for (const topic of m.metadata.topics.values()) {
            if (!topic.isDeleting) assert.equal(m.metadata.byName.get(topic.name), topic.id)
            topic.partitions.forEach((partition, i) => {
              const was = versions.get(topic.id)?.[i]
              if (was !== undefined) assert.ok(partition.version === was || partition.version === was + 1)
              checkChain(partition)
              for (const segment of partition.chain) segmentIds.add(segment.id)
            })
          }
          for (const [name, topic] of m.metadata.byName) assert.equal(m.metadata.topics.get(topic)?.name, name)
          const live = [...m.metadata.topics.values()].flatMap(topic =>
            topic.partitions.flatMap(p => p.chain.map(s => s.id)),
          )
          assert.equal(new Set(live).size, live.length)
          assert.ok(live.every(segment => segment < m.metadata.nextSegmentId))
        }
      }),
    )
  })

  function checkChain({ chain, logStartOffset }: Partition): void {
    chain.forEach((segment, i) => {
      const isLast = i === chain.length - 1
      assert.equal(segment.end === null, isLast)
      if (isLast) return
      assert.equal(segment.end, chain[i + 1]?.base)
      assert.ok(segment.base < (segment.end as number))
      if (segment.state === 'deleting') assert.ok((segment.end as number) <= logStartOffset)
    })
  }

  it('never throws, whatever commands come', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 20 }), commands => {
        const m = new Machine()
        let count = 0
        for (const command of commands) {
          // To raise the level above what this program knows is the one way to stop it.
          if (command.do === 'setFeatureLevel') continue
          m.metadata.applyEncoded(encodeCommand(command, id(0xfff000 + count++)))
        }
      }),
    )
  })
})
