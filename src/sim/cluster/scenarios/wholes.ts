/** What happens to all nodes, at once or one after the other, and what many small failures must not add up to. */
import type { ClusterScenario } from '../run.ts'
import { story } from './stage.ts'

const powerLoss = story(
  'whole-cluster-power-loss',
  'all nodes lose power at the same moment, with all kinds of writes in flight, and keep their disks',
  { tuning: { partitions: 2 }, clients: { producers: 4, producerPauseMs: 15 }, chain: { rollRecords: 100 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    for (let i = prng.between(1, 4); i > 0; i--) {
      stage.until('records are in flight', () => stage.isInFlight)
      cluster.losePower()
      for (const nodeId of stage.everybody) {
        cluster.timeline.after(prng.between(10, 2000), null, () => cluster.startNode(nodeId))
      }
      stage.until('all are back', () => cluster.live.length === cluster.hosts.length)
      stage.untilWritten()
    }
  },
)

const rollingRestart = story(
  'rolling-restart',
  'every node is restarted, one after the other, when the one before is back',
  { tuning: { partitions: 2 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    for (const nodeId of stage.everybody) {
      cluster.crash(nodeId)
      stage.wait(prng.between(10, 1500))
      cluster.startNode(nodeId)
      stage.until('it is back', () => stage.node(nodeId)?.chain != null)
      stage.untilWritten()
      stage.wait(prng.between(0, 500))
    }
  },
)

const writersRestart = story(
  'writer-restarts-at-once',
  'the writer dies and is back before anybody could miss it: it is another boot, and its segment is recovered',
  {},
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    for (let i = prng.between(1, 5); i > 0; i--) {
      const { open, writer } = stage
      cluster.crash(writer)
      stage.wait(prng.between(1, 20))
      cluster.startNode(writer)
      stage.untilGoesOn(open.id)
    }
  },
)

const singleCopy = story(
  'single-copy-waits-for-its-node',
  'the only copy is on a node that is down: nobody else is made the writer, and nothing is lost when it is back',
  { tuning: { replicas: 1, minInsync: 1, nodes: 3 } },
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    cluster.crash(writer)
    stage.wait(prng.between(2000, 5000))
    stage.promise(stage.open.id === open.id, 'a segment is not sealed without its only copy')
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

const twoCopies = story(
  'two-copies-one-dies',
  'of two copies, both needed for a commit, the one that writes dies: the other one has everything',
  prng => ({ tuning: { replicas: 2, minInsync: prng.pick([1, 2]), nodes: prng.pick([3, 4]) } }),
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    cluster.crash(writer)
    if (prng.chance(0.5)) cluster.wipe(writer)
    stage.untilGoesOn(open.id)
    cluster.startNode(writer)
    stage.untilWritten()
  },
)

const flapping = story(
  'flapping-keeps-chain-short',
  'a link or a node flaps while almost nothing is written: empty segments leave no trace in the chain',
  { clients: { producers: 0, producerPauseMs: 1500 }, chain: { replicaTimeoutMs: 300 } },
  stage => {
    stage.until('records are committed', () => stage.committed() > 0)
    const { cluster, prng } = stage
    const { rolls } = cluster.witness.reached
    for (let i = 0; i < 12; i++) {
      const { writer } = stage
      const other = prng.pick(stage.others)
      if (prng.chance(0.5)) {
        cluster.cut([writer], [other])
        stage.wait(prng.between(50, 800))
        cluster.heal([writer], [other])
      } else {
        const victim = prng.pick([writer, other])
        cluster.crash(victim)
        stage.wait(prng.between(50, 800))
        cluster.startNode(victim)
      }
      stage.wait(prng.between(50, 500))
    }
    stage.untilWritten()
    if (cluster.witness.reached.rolls < rolls + 2) stage.cut('too few segments were begun')
    const { chain } = stage.record
    stage.promise(
      chain.every(({ base, end }) => end === null || end > base),
      'no sealed segment of the chain is empty',
    )
  },
)

export const wholes: readonly ClusterScenario[] = [
  powerLoss,
  rollingRestart,
  writersRestart,
  singleCopy,
  twoCopies,
  flapping,
]
