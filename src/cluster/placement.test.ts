import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Placement } from '../chain/segment.ts'
import { id, node, TestCluster } from './cluster.test-kit.ts'
import { loadOf } from './node-load.ts'
import { placeNext, placeTopic } from './placement.ts'
import { decodeMetadata, encodeMetadata } from './snapshot.ts'

const nodesOf = (placement: Placement | null) => placement?.replicas.map(({ nodeId }) => nodeId) ?? null
const racksOf = (cluster: TestCluster, placement: Placement) =>
  placement.replicas.map(({ nodeId }) => cluster.metadata.nodes.get(nodeId)?.rack)

/** A cluster with a topic of one partition. */
function withTopic(cluster: TestCluster, replication = {}) {
  const partition = { topicId: cluster.createTopic(1, 1, replication), index: 0 }
  const next = (more: Partial<Parameters<typeof placeNext>[0]> = {}) =>
    placeNext({ metadata: cluster.metadata, isLive: cluster.isLive, partition, avoid: [], reason: 'size', ...more })
  return { partition, next }
}

describe('the next segment', () => {
  it('stays where it is as long as nothing speaks against it', () => {
    const cluster = new TestCluster().withNodes('a', 'b', 'c', 'd', 'e')
    const { partition, next } = withTopic(cluster)
    const { writer, replicas } = cluster.last(partition)
    assert.equal(next()?.writer, writer)
    assert.deepEqual(nodesOf(next())?.sort(), replicas.map(({ nodeId }) => nodeId).sort())
  })

  it('leaves nodes that are dead or to be avoided, and says as which boot its writer is meant', () => {
    const cluster = new TestCluster().withNodes('', '', '', '')
    const { partition, next } = withTopic(cluster)
    const { writer } = cluster.last(partition)
    cluster.dead.add(writer)
    const other = next()
    assert.ok(other !== null && other.writer !== writer && !nodesOf(other)?.includes(writer))
    cluster.start(other.writer)
    assert.equal(next()?.writerIncarnation, 2)
    const avoided = next({ avoid: [other.writer] })
    assert.deepEqual([avoided?.replicas.length, nodesOf(avoided)?.includes(other.writer)], [2, false])
  })

  it('has fewer copies, and a quorum of their own, when there are fewer nodes; none below the minimum in sync', () => {
    const cluster = new TestCluster().withNodes('', '', '')
    const { next } = withTopic(cluster)
    assert.deepEqual([next()?.replicas.length, next()?.ackQuorum], [3, 2])
    cluster.dead.add(1)
    assert.deepEqual([next()?.replicas.length, next()?.ackQuorum], [2, 2])
    cluster.dead.add(2)
    assert.equal(next(), null)
    const alone = new TestCluster().withNodes('', '')
    const lenient = withTopic(alone, { minInsync: 1 })
    alone.dead.add(1)
    const last = lenient.next()
    assert.deepEqual([nodesOf(last), last?.ackQuorum], [[2], 1])
  })

  it('changes the writer in a rotation, to who writes least, while there is another', () => {
    const cluster = new TestCluster().withNodes('', '', '')
    const { partition, next } = withTopic(cluster)
    const { writer } = cluster.last(partition)
    assert.notEqual(next({ reason: 'rotation' })?.writer, writer)
    for (let nodeId = 1; nodeId <= 3; nodeId++) if (nodeId !== writer) cluster.dead.add(nodeId)
    assert.equal(next({ reason: 'rotation' }), null)
    const single = new TestCluster().withNodes('')
    assert.equal(withTopic(single, { replicas: 1, minInsync: 1 }).next({ reason: 'rotation' })?.writer, 1)
  })

  it('is written by who is wished for, if that one lives', () => {
    const cluster = new TestCluster().withNodes('', '', '', '')
    const { next } = withTopic(cluster)
    for (const preferred of [1, 2, 3, 4]) assert.equal(next({ preferred: node(preferred) })?.writer, preferred)
    cluster.dead.add(4)
    assert.notEqual(next({ preferred: node(4) })?.writer, 4)
  })

  it('goes to nodes with a full disk only when there are no others', () => {
    const cluster = new TestCluster().withNodes('', '', '', '')
    const { next } = withTopic(cluster)
    const freeShareOf = (nodeId: number) => (nodeId === 2 ? 0.01 : 0.5)
    assert.equal(nodesOf(next({ freeShareOf, preferred: node(1) }))?.includes(node(2)), false)
    cluster.dead.add(3)
    cluster.dead.add(4)
    assert.deepEqual(nodesOf(next({ freeShareOf, preferred: node(1) })), [1, 2])
  })

  it('of what is not there is nowhere', () => {
    const cluster = new TestCluster().withNodes('')
    const wish = { metadata: cluster.metadata, isLive: cluster.isLive, avoid: [], reason: 'size' } as const
    assert.equal(placeNext({ ...wish, partition: { topicId: id(9), index: 0 } }), null)
  })
})

describe('whatever the cluster looks like', () => {
  const shape = fc.record({
    racks: fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 9 }),
    dead: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }),
    replicas: fc.integer({ min: 1, max: 4 }),
    minInsync: fc.integer({ min: 1, max: 3 }),
    partitions: fc.integer({ min: 1, max: 40 }),
  })

  it('placements are of live nodes, spread over racks, balanced, the same again, and accepted by the metadata', () => {
    fc.assert(
      fc.property(shape, ({ racks, dead, replicas, minInsync, partitions }) => {
        const cluster = new TestCluster().withNodes(...racks)
        for (const nodeId of dead) cluster.dead.add(nodeId)
        const replication = { replicas, minInsync: Math.min(minInsync, replicas) }
        const live = racks.map((_, i) => node(i + 1)).filter(cluster.isLive)
        const topicId = cluster.createTopic(1, partitions, replication)
        const config = cluster.partition({ topicId, index: 0 }).config
        const again = placeTopic(cluster, { topicId: id(2), partitions, replication: config })
        assert.deepEqual(again, placeTopic(cluster, { topicId: id(2), partitions, replication: config }))
        const copies = Math.min(replicas, live.length)
        if (copies < replication.minInsync) {
          assert.equal(cluster.partition({ topicId, index: 0 }).chain.length, 0)
          return
        }
        assert.equal(again.length, partitions)
        const racksLive = new Set(live.map(nodeId => cluster.metadata.nodes.get(nodeId)?.rack)).size
        for (const { next } of again) {
          assert.equal(next.replicas.length, copies)
          assert.ok(nodesOf(next)?.every(cluster.isLive))
          assert.equal(new Set(racksOf(cluster, next)).size, Math.min(racksLive, copies))
        }
        const loads = live.map(nodeId => loadOf(cluster.metadata.loads, nodeId))
        const spread = (values: number[]) => Math.max(...values) - Math.min(...values)
        assert.ok(spread(loads.map(load => load.writers)) <= 1, 'writers')
        if (racksLive === 1) assert.ok(spread(loads.map(load => load.copies)) <= 2, 'copies')
      }),
      { numRuns: 300 },
    )
  })

  it('what nodes have to do is counted with every change, and again after a restore', () => {
    const cluster = new TestCluster().withNodes('', '', '', '')
    const topicId = cluster.createTopic(1, 8)
    for (let index = 0; index < 8; index++) cluster.roll({ topicId, index })
    cluster.createTopic(2, 3)
    cluster.apply({ do: 'deleteTopic', topicId })
    const total = () => [...cluster.metadata.loads.values()].reduce((sum, { copies }) => sum + copies, 0)
    assert.equal(total(), 9)
    const restored = decodeMetadata(encodeMetadata(cluster.metadata))
    assert.deepEqual([...restored.loads].sort(), [...cluster.metadata.loads].sort())
    cluster.apply({ do: 'purgeTopic', topicId })
    assert.equal(total(), 9)
    cluster.apply({ do: 'deleteTopic', topicId: id(2) })
    assert.equal(cluster.metadata.loads.size, 0)
  })
})
