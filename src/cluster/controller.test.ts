import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { NodeId, SegmentId } from '../base/ids.ts'
import type { PartitionId, Segment } from '../chain/segment.ts'
import { id, node, TestCluster } from './cluster.test-kit.ts'
import { newestFeatureLevel } from './commands.ts'
import { type Controller, control, createController, defaultControllerSettings, type Order } from './controller.ts'
import { createGrantor, defaultLivenessSettings, type Grantor, grantorStep } from './liveness.ts'
import { loadOf } from './node-load.ts'

let cluster: TestCluster
let grantor: Grantor
let controller: Controller
let nowMs = 0

const settings = {
  ...defaultControllerSettings,
  absenceMs: 3000,
  repairBytesPerNodeMax: 450,
  repairsPerNodeMax: 6,
  repairsMax: 16,
}

/** Nodes that are not dead renew, the clock goes on, and the controller has its rounds. */
function run(ms: number, roundMs = 100): Order[] {
  const orders: Order[] = []
  for (const end = nowMs + ms; nowMs < end; nowMs += roundMs) {
    for (const [nodeId, { incarnation }] of cluster.metadata.nodes) {
      if (!cluster.dead.has(nodeId)) grantorStep(grantor, { type: 'renewal', nodeId, incarnation, nowMs })
    }
    grantorStep(grantor, { type: 'tick', nowMs })
    orders.push(...round())
  }
  return orders
}

const round = () =>
  control(controller, { metadata: cluster.metadata, grantor, nowMs, wallMs: 1_600_000_000_000 + nowMs })

function kill(nodeId: number): void {
  cluster.dead.add(nodeId)
  grantorStep(grantor, { type: 'peerDown', nodeId: node(nodeId), nowMs })
}

const show = (order: Order): string => {
  if (order.do === 'propose') {
    const { command } = order
    const about = 'nodeId' in command ? ` ${command.nodeId}` : 'partition' in command ? ` ${command.partition}` : ''
    return `propose ${command.do}${about}`
  }
  const { event, to } = order
  switch (event.type) {
    case 'recover':
      return `${to}: recover ${event.segment}, next on ${event.next.replicas.map(r => r.nodeId)}, spares ${event.spares.map(r => r.nodeId)}`
    case 'placement':
      return `${to}: ${event.reason}, next on ${event.next?.replicas.map(r => r.nodeId)}`
    case 'repair':
      return `${to}: repair ${event.segment} from ${event.sources}`
    default:
      return event.type
  }
}

function start(racks: readonly string[]): void {
  cluster = new TestCluster().withNodes(...racks)
  grantor = createGrantor(defaultLivenessSettings)
  controller = createController(settings)
  grantorStep(grantor, { type: 'lead', nowMs, nodes: [...cluster.metadata.nodes.keys()] })
}

/** A topic of one partition, and its writer. */
function topic(replication = {}): { partition: PartitionId; segment: Segment; writer: number; others: number[] } {
  const partition = { topicId: cluster.createTopic(1, 1, replication), index: 0 }
  const segment = cluster.last(partition)
  const others = segment.replicas.map(replica => replica.nodeId).filter(nodeId => nodeId !== segment.writer)
  return { partition, segment, writer: segment.writer, others }
}

beforeEach(() => {
  nowMs = 0
})

describe('a healthy cluster', () => {
  it('is left alone', () => {
    start(['', '', ''])
    const { partition } = topic()
    cluster.roll(partition)
    assert.deepEqual(run(20_000), [])
  })
})

describe('recovery', () => {
  it('is ordered at once of a copy that lives, when the writer is lost', () => {
    start(['', '', '', ''])
    const { writer, others } = topic()
    run(200)
    kill(writer)
    const [order, ...more] = round()
    assert.ok(order?.do === 'order' && order.event.type === 'recover' && more.length === 0)
    assert.ok(others.includes(order.to))
    assert.equal(order.event.next.writer, order.to)
    const outsider = [1, 2, 3, 4].find(nodeId => nodeId !== writer && !others.includes(nodeId))
    assert.deepEqual(
      order.event.spares.map(({ nodeId }) => nodeId),
      [outsider],
    )
    assert.ok(!order.event.next.replicas.some(({ nodeId }) => nodeId === writer))
  })

  it('is repeated, left to its node for a time, and then given to another', () => {
    start(['', '', ''])
    const { writer } = topic()
    kill(writer)
    const recoverers = run(6500).flatMap(order => (order.do === 'order' ? [order.to] : []))
    const changes = recoverers.filter((nodeId, i) => nodeId !== recoverers[i - 1])
    assert.equal(changes.length, 3)
    assert.equal(new Set(changes).size, 2)
    assert.ok(recoverers.length >= 10 && recoverers.length <= 16, `${recoverers.length} orders`)
  })

  it('stays with the only node that can do it, however long it takes', () => {
    start(['', '', ''])
    const { writer, others } = topic({ replicas: 2, minInsync: 1 })
    kill(writer)
    const recoverers = run(9000).flatMap(order => (order.do === 'order' ? [order.to] : []))
    assert.ok(recoverers.length > 12 && recoverers.every(nodeId => nodeId === others[0]), `${recoverers}`)
  })

  it('is called off when the writer is back before anybody has begun it', () => {
    start(['', '', ''])
    const { writer } = topic()
    kill(writer)
    assert.equal(round().length, 1)
    assert.equal(controller.recoveries.size, 1)
    cluster.dead.clear()
    assert.deepEqual(run(2000), [])
    assert.equal(controller.recoveries.size, 0)
  })

  it('is given to another at once when the recoverer dies', () => {
    start(['', '', '', ''])
    const { writer, others } = topic({ minInsync: 1 })
    run(100)
    kill(writer)
    const [first] = round()
    assert.ok(first?.do === 'order')
    kill(first.to)
    nowMs += 10
    // Of three copies with a quorum of two, two must answer.
    assert.deepEqual(round().map(show), [])
    cluster.start(writer)
    const [second] = run(100)
    assert.ok(second?.do === 'order' && second.event.type === 'recover')
    assert.ok([writer, ...others].includes(second.to) && second.to !== first.to)
  })

  it('is also for a writer that has started again, and for a recovery that nobody is known to carry on', () => {
    start(['', '', ''])
    const { partition, segment, writer } = topic()
    cluster.start(writer)
    const [order] = run(100)
    assert.ok(order?.do === 'order' && order.event.type === 'recover' && order.event.segment === segment.id)
    const { topicId } = partition
    cluster.apply({
      do: 'beginRecovery',
      topicId,
      partition: 0,
      segment: segment.id,
      epoch: segment.writeEpoch,
      recoverer: node(order.to),
    })
    controller = createController(defaultControllerSettings)
    assert.deepEqual(
      round().map(other => other.do === 'order' && other.event.type),
      ['recover'],
    )
  })

  it('is also for a writer that lives, but has lost so many disks that it can neither commit nor seal', () => {
    start(['', '', ''])
    const { writer, others } = topic({ minInsync: 3 })
    const [lost, other] = others as [number, number]
    run(100)
    cluster.wipe(lost)
    const [order, ...more] = run(100)
    assert.ok(order?.do === 'order' && order.event.type === 'recover' && more.length === 0)
    assert.ok([writer, other].includes(order.to))
    assert.deepEqual(
      order.event.spares.map(({ nodeId }) => nodeId),
      [lost],
      'the node on its new disk may take the place of the old one',
    )
    start(['', '', ''])
    const enough = topic({ minInsync: 2 })
    run(100)
    cluster.wipe(enough.others[0] as number)
    assert.deepEqual(run(2000), [], 'its writer goes on with the others, and replaces what is lost by a roll')
  })

  it('waits when too few copies live to tell where the segment ends, or too few nodes for the next', () => {
    start(['', '', ''])
    const { writer, others } = topic()
    run(100)
    for (const nodeId of [writer, others[0] as number]) kill(nodeId)
    assert.deepEqual(
      run(3000).filter(order => order.do === 'order'),
      [],
    )
  })

  it('of an only copy waits for it, unless the topic gives up what it holds', () => {
    for (const uncleanSeal of [false, true]) {
      nowMs = 0
      start(['', ''])
      const { writer } = topic({ replicas: 1, minInsync: 1, uncleanSeal })
      run(100)
      kill(writer)
      const orders = round()
      assert.deepEqual(
        orders.map(order => order.do === 'order' && order.to),
        uncleanSeal ? [3 - writer] : [],
      )
    }
  })

  it('of many partitions is shared among those that live', () => {
    start(['', '', '', ''])
    const topicId = cluster.createTopic(1, 40)
    run(100)
    kill(1)
    const recoveries = round().filter(order => order.do === 'order' && order.event.type === 'recover')
    const lost = Array.from({ length: 40 }, (_, index) => cluster.last({ topicId, index }).writer === 1)
    assert.equal(recoveries.length, lost.filter(Boolean).length)
    const counts = [2, 3, 4].map(
      nodeId => recoveries.filter(order => order.do === 'order' && order.to === nodeId).length,
    )
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 3, `${counts}`)
  })
})

describe('copies of sealed segments', () => {
  const sealed = (partition: PartitionId) => cluster.partition(partition).chain[0] as Segment

  it('that lack their end are completed by their own node', () => {
    start(['', '', '', ''])
    const { partition, writer, others } = topic()
    cluster.roll(partition, [writer, others[0] as number])
    const [order] = run(100)
    assert.ok(order !== undefined)
    assert.equal(
      show(order),
      `${others[1]}: repair 1 from ${[writer, others[0]].sort((a, b) => indexOf(a) - indexOf(b))}`,
    )
    function indexOf(nodeId: number | undefined): number {
      return sealed(partition).replicas.findIndex(replica => replica.nodeId === nodeId)
    }
    assert.equal(run(400).length, 0, 'not again at once')
    assert.equal(run(400).length, 1, 'but later: it may have been lost')
    cluster.addReplica(partition, sealed(partition), node(others[1] as number))
    assert.deepEqual(run(5000), [])
    assert.equal(controller.repairs.underWay.size, 0)
  })

  it('on a lost disk are made elsewhere at once, and the lost one is taken out afterwards', () => {
    start(['', '', '', ''])
    const { partition, others } = topic()
    cluster.roll(partition)
    const lost = others[0] as number
    cluster.wipe(lost)
    const orders = run(100).filter(order => order.do === 'order' && order.event.type === 'repair')
    const [order] = orders
    assert.ok(order?.do === 'order' && orders.length === 1)
    cluster.addReplica(partition, sealed(partition), order.to)
    const after = run(5000).filter(other => other.do === 'propose')
    if (order.to === lost) assert.deepEqual(after, [])
    else {
      assert.ok(after[0]?.do === 'propose' && after[0].command.do === 'removeSurplus')
      assert.equal(after[0].command.nodeId, lost)
      cluster.apply(after[0].command)
      assert.equal(sealed(partition).replicas.length, 3)
    }
  })

  it('of a node that is away are waited for a while, then made elsewhere', () => {
    start(['', '', '', ''])
    const { partition, segment, writer, others } = topic()
    cluster.roll(partition)
    const away = others[0] as number
    const outsider = [1, 2, 3, 4].find(nodeId => nodeId !== writer && !others.includes(nodeId)) as number
    run(100)
    kill(away)
    const repairs = (orders: Order[]) =>
      orders.flatMap(order => (order.do === 'order' && order.event.type === 'repair' ? [order.to] : []))
    assert.deepEqual(repairs(run(2900)), [])
    assert.deepEqual([...new Set(repairs(run(500)))], [outsider])
    cluster.addReplica(partition, sealed(partition), node(outsider))
    const proposals = run(1000).flatMap(order => (order.do === 'propose' ? [order.command] : []))
    const removal = proposals.find(command => command.do === 'removeSurplus')
    assert.ok(removal?.do === 'removeSurplus' && removal.nodeId === away && removal.segment === segment.id)
  })

  it('that are fewest are made first, and not too many at a time', () => {
    start(['', '', '', '', '', ''])
    const topicId = cluster.createTopic(1, 30, { minInsync: 1 })
    for (let index = 0; index < 30; index++) cluster.roll({ topicId, index })
    for (const nodeId of [1, 2]) cluster.wipe(nodeId)
    const repairs = run(100).flatMap(order => (order.do === 'order' && order.event.type === 'repair' ? [order] : []))
    assert.equal(repairs.length, settings.repairsMax)
    // Segments of 100 bytes each.
    const toNode = [1, 2, 3, 4, 5, 6].map(nodeId => repairs.filter(({ to }) => to === nodeId).length)
    assert.equal(Math.max(...toNode), 4)
    const counts = repairs.map(({ event }) => (event.type === 'repair' ? event.sources.length : 0))
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    )
    assert.equal(counts[0], 1)
  })

  it('come to a node in small numbers, by bytes and by count, and a single large one alone', () => {
    for (const [bytesMax, countMax, expected] of [
      [450, 30, 4],
      [1000, 6, 6],
      [50, 6, 1],
    ] as const) {
      start(['', '', ''])
      nowMs = 0
      controller = createController({ ...settings, repairBytesPerNodeMax: bytesMax, repairsPerNodeMax: countMax })
      const topicId = cluster.createTopic(1, 20)
      for (let index = 0; index < 20; index++) cluster.roll({ topicId, index })
      cluster.wipe(1)
      const repairs = run(100).filter(order => order.do === 'order' && order.event.type === 'repair')
      assert.equal(repairs.length, expected)
    }
  })

  it('cannot be made of nothing', () => {
    start(['', '', '', ''])
    const { partition, writer, others } = topic()
    cluster.roll(partition, [writer, others[0] as number])
    for (const nodeId of [writer, others[0] as number]) cluster.wipe(nodeId)
    const repairs = run(3000).filter(order => order.do === 'order' && order.event.type === 'repair')
    assert.deepEqual(repairs, [])
  })

  it('are ordered of another node when the first one is lost, or takes too long', () => {
    start(['', '', '', '', '', ''])
    const { partition, others } = topic()
    cluster.roll(partition)
    const repairers = (orders: Order[]) =>
      orders.flatMap(order => (order.do === 'order' && order.event.type === 'repair' ? [order.to] : []))
    cluster.wipe(others[0] as number)
    const [first] = repairers(run(100))
    assert.deepEqual([...new Set(repairers(run(settings.repairMs - 200)))], [first])
    kill(first as number)
    const [second] = repairers(run(600))
    assert.ok(second !== undefined && second !== first)
    cluster.start(second)
    assert.deepEqual(repairers(run(200)).slice(0, 1), [second], 'its new boot knows nothing of the order')
    const { sinceMs } = controller.repairs.underWay.get(sealed(partition).id) ?? { sinceMs: -1 }
    run(settings.repairMs + 200)
    const later = controller.repairs.underWay.get(sealed(partition).id)?.sinceMs ?? -1
    assert.ok(later >= sinceMs + settings.repairMs)
  })

  it('are looked after in turns when there are many', () => {
    start(['', '', '', ''])
    const topicIds = [cluster.createTopic(1, 5), cluster.createTopic(2, 5), cluster.createTopic(3, 5)]
    for (const topicId of topicIds) for (let index = 0; index < 5; index++) cluster.roll({ topicId, index }, undefined)
    cluster.apply({ do: 'deleteTopic', topicId: topicIds[1] as never })
    controller = createController({ ...settings, auditedMax: 4, purgeMs: 1e9 })
    cluster.wipe(1)
    const seen = new Set<string>()
    for (let i = 0; i < 8; i++) {
      for (const order of run(100)) {
        if (order.do === 'order' && order.event.type === 'repair') {
          seen.add(`${topicIds.indexOf(order.event.partition.topicId)} ${order.event.partition.index}`)
        }
      }
    }
    const expected = topicIds.flatMap((topicId, topicIndex) =>
      topicIndex === 1
        ? []
        : [0, 1, 2, 3, 4].flatMap(index => {
            const [segment] = cluster.partition({ topicId, index }).chain
            return segment?.replicas.some(({ nodeId }) => nodeId === 1) ? [`${topicIndex} ${index}`] : []
          }),
    )
    assert.deepEqual([...seen].sort(), expected.sort())
  })

  it('that are more than wanted are given up one at a time, never a wanted one', () => {
    start(['a', 'a', 'b', 'c'])
    const { partition } = topic()
    cluster.roll(partition)
    for (let nodeId = 1; nodeId <= 4; nodeId++) {
      const isCopy = sealed(partition).replicas.some(replica => replica.nodeId === nodeId)
      if (!isCopy) cluster.addReplica(partition, sealed(partition), node(nodeId))
    }
    const [order, ...more] = run(100)
    assert.ok(order?.do === 'propose' && order.command.do === 'removeSurplus' && more.length === 0)
    assert.ok([1, 2].includes(order.command.nodeId), 'of a rack that has two')
    cluster.apply(order.command)
    assert.deepEqual(run(3000), [])
    const nodeId = sealed(partition).replicas[0]?.nodeId as NodeId
    const { version } = cluster.partition(partition)
    const outcome = cluster.metadata.apply({ ...order.command, version, nodeId }, id(0xfff))
    assert.ok(!outcome.ok, 'the machine itself refuses to go below what is wanted')
  })

  it('of deleted segments on lost disks are taken out: nobody else will', () => {
    start(['', '', ''])
    const { partition, others } = topic()
    cluster.roll(partition)
    cluster.roll(partition)
    const { version } = cluster.partition(partition)
    cluster.apply({ do: 'advanceStart', topicId: partition.topicId, partition: 0, version, offset: 10 as never })
    assert.deepEqual(run(1000), [])
    cluster.wipe(others[0] as number)
    assert.deepEqual(
      run(100)
        .map(show)
        .filter(line => line.startsWith('propose')),
      [`propose removeReplica ${others[0]}`],
    )
  })
})

describe('what else there is to do', () => {
  it('an open segment with too few copies grows when nodes are there again', () => {
    start(['', '', ''])
    cluster.dead.add(3)
    const { writer } = topic()
    cluster.dead.delete(3)
    assert.deepEqual(run(100).map(show), [`${writer}: replica joined, next on ${[writer, 3 - writer, 3]}`])
    assert.equal(run(1800).length, 0)
    assert.equal(run(400).length, 1)
  })

  it('an open segment stays as it is while there are no nodes for more copies', () => {
    start(['', '', ''])
    kill(3)
    topic()
    assert.deepEqual(
      run(10_000).filter(order => order.do === 'order'),
      [],
    )
  })

  it('writers stay where they are when a move would only change who has more', () => {
    start(['', '', ''])
    cluster.createTopic(1, 4)
    const counts = [1, 2, 3].map(nodeId => loadOf(cluster.metadata.loads, node(nodeId)).writers)
    assert.deepEqual(counts.toSorted(), [1, 1, 2])
    assert.deepEqual(run(20_000), [])
  })

  it('writers move to where a copy is already, of topics that stay, and not while there is something to recover', () => {
    start(['', '', '', ''])
    for (const nodeId of [3, 4]) cluster.dead.add(nodeId)
    const gone = cluster.createTopic(1, 2, { replicas: 1, minInsync: 1 })
    const apart = cluster.createTopic(2, 2, { replicas: 2, minInsync: 1 })
    cluster.dead.delete(3)
    for (const nodeId of [2]) cluster.dead.add(nodeId)
    // Node 1 writes all of these, and node 3 has a copy of them.
    const together = cluster.createTopic(3, 2, { replicas: 2, minInsync: 1 })
    cluster.dead.clear()
    cluster.apply({ do: 'deleteTopic', topicId: gone })
    const writers = [together, together, apart, apart].map(
      (topicId, i) => cluster.last({ topicId, index: i % 2 }).writer,
    )
    nowMs = 10_000
    grantorStep(grantor, { type: 'lead', nowMs, nodes: [1, 2, 3, 4].map(node) })
    const rotations = run(40_000).flatMap(order =>
      order.do === 'order' && order.event.type === 'placement' ? [{ to: order.to, event: order.event }] : [],
    )
    assert.ok(rotations.length > 0, `writers are ${writers}`)
    for (const { to, event } of rotations) {
      assert.equal(cluster.last(event.partition).writer, to)
      assert.notEqual(event.partition.topicId, gone)
    }
    kill(2)
    controller.rotatedMs = 0
    const during = round()
    assert.ok(during.some(order => order.do === 'order' && order.event.type === 'recover'))
    assert.ok(!during.some(order => order.do === 'order' && order.event.type === 'placement'))
  })

  it('writers move from a node that has two more than another, one at a time', () => {
    start(['', '', ''])
    cluster.dead.add(3)
    cluster.createTopic(1, 8, { minInsync: 1, replicas: 2 })
    cluster.dead.delete(3)
    assert.equal(loadOf(cluster.metadata.loads, node(3)).writers, 0)
    nowMs = 10_000
    grantorStep(grantor, { type: 'lead', nowMs, nodes: [node(1), node(2), node(3)] })
    const rotations = run(5000).flatMap(order =>
      order.do === 'order' && order.event.type === 'placement' ? [order.event] : [],
    )
    assert.equal(rotations.length, 1)
    assert.deepEqual([rotations[0]?.reason, rotations[0]?.next?.writer], ['rotation', 3])
  })

  it('first segments are opened when there are nodes for them', () => {
    start(['', '', ''])
    for (const nodeId of [2, 3]) cluster.dead.add(nodeId)
    for (const nodeId of [2, 3]) kill(nodeId)
    const topicId = cluster.createTopic(1, 1)
    assert.deepEqual(
      run(1000)
        .map(show)
        .filter(line => !line.includes('setNodeUp')),
      [],
    )
    cluster.dead.clear()
    const [order] = run(100).filter(other => other.do === 'propose' && other.command.do === 'openFirst')
    assert.ok(order?.do === 'propose')
    assert.equal(cluster.apply(order.command), 1)
    assert.equal(cluster.last({ topicId, index: 0 }).id, 1 as SegmentId)
    assert.ok(cluster.last({ topicId, index: 0 }).createdAtMs >= 1_600_000_000_000, 'a time of day')
    assert.deepEqual(
      run(1000)
        .map(show)
        .filter(line => !line.includes('setNodeUp')),
      [],
    )
  })

  it('partitions that a topic got later are opened like its first ones, and belong to the balance', () => {
    start(['', '', ''])
    const topicId = cluster.createTopic(1, 3)
    run(100)
    cluster.apply({ do: 'setFeatureLevel', level: newestFeatureLevel })
    cluster.apply({ do: 'createPartitions', topicId, version: 0, total: 6, placements: [], nowMs: 0 })
    const orders = run(100)
    assert.deepEqual(orders.map(show), ['propose openFirst 3', 'propose openFirst 4', 'propose openFirst 5'])
    for (const order of orders) if (order.do === 'propose') cluster.apply(order.command)
    const writers = [1, 2, 3].map(nodeId => loadOf(cluster.metadata.loads, node(nodeId)).writers)
    assert.deepEqual(writers, [2, 2, 2])
    assert.deepEqual(run(1000).map(show), [])
    kill(1)
    const recovered = round().filter(order => order.do === 'order' && order.event.type === 'recover')
    assert.equal(recovered.length, 2)
  })

  it('nodes are told to be down and up as their leases are, until the metadata says so', () => {
    start(['', ''])
    run(1000)
    kill(2)
    const downs = run(3500).map(show)
    assert.ok(downs.length >= 2 && downs.every(line => line === 'propose setNodeUp 2'), downs.join())
    cluster.apply({ do: 'setNodeUp', nodeId: node(2), incarnation: 1, isUp: false })
    assert.deepEqual(run(2000), [])
    grantorStep(grantor, { type: 'lead', nowMs, nodes: [node(1), node(2)] })
    assert.deepEqual(run(1000), [], 'the first session of a new leader tells nothing')
    cluster.dead.delete(2)
    const [up] = run(100)
    assert.ok(up?.do === 'propose' && up.command.do === 'setNodeUp' && up.command.isUp)
  })

  it('deleted topics are forgotten after a while', () => {
    start(['', '', ''])
    const { partition } = topic()
    cluster.apply({ do: 'deleteTopic', topicId: partition.topicId })
    const { purgeMs } = defaultControllerSettings
    assert.deepEqual(run(purgeMs), [])
    assert.deepEqual(run(100).map(show), ['propose purgeTopic'])
  })

  it('a new leader comes to the same orders', () => {
    start(['', '', '', ''])
    const { writer } = topic()
    run(100)
    kill(writer)
    const first = round().map(show)
    controller = createController(defaultControllerSettings)
    assert.deepEqual(round().map(show), first)
  })
})
