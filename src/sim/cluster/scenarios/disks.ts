/** Disks that forget: fences that were never synced, disks that are replaced in the middle of a recovery, too many of them. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, isAsking, isChain, type Stage, story } from './stage.ts'

const five = { tuning: { nodes: 5 } } as const

const fenceLost = story(
  'fence-lost-on-reboot',
  'a replica loses a fence that it had not synced, and takes an old append before it is fenced again',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    const appends = stage.hold((from, to, message) => from === writer && to === replica && isAppendOf(message, open.id))
    stage.until('an append is under way', () => appends.kept.length > 0)
    cluster.host(replica).disk.hold()
    cluster.crash(writer)
    const copy = stage.copyAt(replica)
    stage.until('the fence is written, not synced', () => copy !== null && copy.fenceEpoch > copy.durableFence)
    const fences = stage.hold((_, to, message) => to === replica && isChain(message, 'fence'))
    cluster.crash(replica, 'nothing')
    stage.wait(prng.between(10, 500))
    cluster.startNode(replica)
    stage.until('the replica is back', () => stage.node(replica)?.chain != null)
    appends.letGo()
    const hasTaken = () => {
      const again = stage.copyAt(replica, open.id)
      return again !== null && again.end > (copy?.durableEnd ?? 0)
    }
    stage.until('it takes the old append', hasTaken)
    fences.letGo()
    stage.wait(prng.between(0, 1000))
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

const wipedBeforeSeal = story(
  'wiped-between-fence-and-seal',
  'a replica answers the fence, and has another, empty disk when the recovery that counts on it asks for its seal',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    const asks = stage.hold((_, __, message) => isAsking(message, 'completeRecovery'))
    const [first, second] = stage.others as [NodeId, NodeId]
    cluster.crash(writer)
    stage.until('a recovery asks for its seal', () => asks.kept.length > 0)
    const recoverer = stage.recoverer
    const victim = recoverer === first ? second : first
    replaceDisk(stage, victim)
    asks.letGo()
    stage.wait(prng.between(0, 2000))
    stage.promise(stage.open.id === open.id, 'a recovery that counts on a disk that is gone does not seal')
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

const wipedRecoverer = story(
  'recoverer-wiped-before-its-seal',
  'a recoverer asks for its seal and loses its disk; the request arrives when it is back with an empty one',
  five,
  stage => {
    stage.begin()
    const { open, cluster, writer } = stage
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    const asks = stage.hold((_, __, message) => isAsking(message, 'completeRecovery'))
    cluster.crash(writer)
    stage.until('a recovery asks for its seal', () => asks.kept.length > 0)
    replaceDisk(stage, asks.kept[0]?.from as NodeId)
    asks.letGo()
    stage.wait(stage.prng.between(0, 1000))
    stage.promise(stage.open.id === open.id, 'a recovery that counts on a disk that is gone does not seal')
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

const idReuse = story(
  'node-id-reuse',
  'another disk comes back under a replica’s node id, and what its former self sent arrives afterwards',
  prng => ({ tuning: { nodes: prng.pick([3, 5]) } }),
  stage => {
    stage.begin()
    const { open, prng } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    const said = stage.hold(from => from === replica)
    stage.until('it has said something', () => said.kept.some(({ message }) => isChain(message, 'ack')))
    const spoken = said.kept.splice(0)
    said.forget()
    replaceDisk(stage, replica)
    for (const { deliver } of spoken) stage.cluster.timeline.after(prng.between(0, 200), null, deliver)
    stage.wait(prng.between(10, 1000))
    stage.untilGoesOn(open.id)
    const isVoter = () => {
      const disk = stage.cluster.diskIdOf(replica)
      const seats = stage.cluster.leader?.membership ?? []
      return seats.some(seat => seat.diskId === disk && seat.role === 'voter')
    }
    stage.untilNowAndThen('the new disk is a voter', isVoter)
  },
)

/** A node loses its disk and is back with an empty one, known to the cluster. */
function replaceDisk(stage: Stage, nodeId: NodeId): void {
  const { cluster, prng } = stage
  cluster.crash(nodeId)
  cluster.wipe(nodeId)
  stage.wait(prng.between(0, 500))
  cluster.startNode(nodeId)
  stage.until('it is back with another disk', () => stage.node(nodeId)?.chain != null)
}

// ── how many disks may go

const oneLess = story(
  'lose-one-disk-less-than-a-quorum',
  'of a segment’s disks as many are destroyed at once as the topic tolerates, the writer’s among them: nothing is lost',
  prng => ({ tuning: { nodes: 5, minInsync: prng.pick([2, 3]) } }),
  stage => {
    stage.begin()
    const { open } = stage
    destroy(stage, open.ackQuorum - 1)
    stage.untilGoesOn(open.id)
  },
)

const quorum = story(
  'lose-a-quorum-of-disks',
  'as many disks are destroyed as make an acknowledgement quorum: the segment is not sealed on the word of the rest',
  prng => ({ tuning: { nodes: 7, partitions: 2, minInsync: prng.pick([2, 2, 3]) } }),
  stage => {
    stage.begin()
    refusesAfter(stage, stage.open.ackQuorum)
  },
)

const all = story(
  'lose-all-disks',
  'all disks of a segment are destroyed: it is not declared empty, and other partitions go on',
  { tuning: { nodes: 7, partitions: 2 } },
  stage => {
    stage.begin()
    refusesAfter(stage, stage.open.replicas.length)
  },
)

function refusesAfter(stage: Stage, count: number): void {
  const { open, cluster } = stage
  destroy(stage, count)
  stage.excuseLosses()
  stage.until('the nodes are back', () => cluster.live.every(node => node.chain !== null))
  stage.wait(stage.prng.between(2000, 6000))
  stage.promise(stage.open.id === open.id, 'a segment of which too few copies are left is not sealed')
  stage.promise(stage.run.given.has(0), 'the partition is counted as lost')
}

/** At once: the writer's disk and as many of the others. */
function destroy(stage: Stage, count: number): void {
  const { cluster, prng } = stage
  const victims = [stage.writer, ...stage.others].slice(0, count)
  stage.leadAwayFrom(...victims)
  for (const nodeId of victims) cluster.crash(nodeId)
  for (const nodeId of victims) {
    cluster.wipe(nodeId)
    cluster.timeline.after(prng.between(10, 2000), null, () => cluster.startNode(nodeId))
  }
}

const changeThenDeaths = story(
  'replica-change-then-two-deaths',
  'the replicas change, then the writer dies, then another one of the new replicas',
  prng => ({ tuning: { nodes: prng.pick([4, 5]) } }),
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const first = prng.pick(stage.others)
    stage.leadAwayFrom(first)
    cluster.crash(first)
    stage.until('the replicas change', () => stage.open.id !== open.id)
    stage.wait(prng.between(0, 100))
    const { writer, others } = stage
    const second = prng.pick(others)
    cluster.crash(writer)
    stage.wait(prng.between(0, 300))
    cluster.crash(second)
    for (const nodeId of [first, writer, second]) {
      cluster.timeline.after(prng.between(100, 4000), null, () => cluster.startNode(nodeId))
    }
    stage.until('all are back', () => cluster.live.length === cluster.hosts.length)
    stage.untilWritten()
  },
)

export const disks: readonly ClusterScenario[] = [
  fenceLost,
  wipedBeforeSeal,
  wipedRecoverer,
  idReuse,
  oneLess,
  quorum,
  all,
  changeThenDeaths,
]
