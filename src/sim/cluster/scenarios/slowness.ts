/** Nodes, disks and loops that are slow and not dead, and what must go on all the same. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isChain, type Stage, story } from './stage.ts'

/** Few, large messages: simulated links reorder them, and a burst of small ones would have to be sent again and again. */
const chain = { appendBytesMax: 1 << 20 } as const
const busy = { clients: { producers: 3, producerPauseMs: 20 }, chain } as const

const slowReplica = story(
  'slow-replica',
  'the disk of one replica takes a hundred times as long: it stays a replica, and nobody waits for it',
  busy,
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    slowDown(stage, replica, prng.between(50, 130))
    neverStops(stage, prng.between(2000, 5000))
    const copy = stage.copyAt(replica)
    stage.until('it is behind', () => copy !== null && copy.durableEnd < stage.committed())
    stage.promise(stage.open.id === open.id, 'a replica that gets on, slowly, is not given up')
    cluster.host(replica).disk.settings = stage.run.conditions.disk
    stage.untilWritten()
  },
)

const slowWriterDisk = story(
  'slow-writer-disk',
  'the writer’s own disk is slow, and commits go on with the disks of the others',
  busy,
  stage => {
    stage.begin()
    const { writer, open, prng } = stage
    stage.leadAwayFrom(writer)
    slowDown(stage, writer, prng.between(50, 300))
    const isAhead = () => stage.committed(writer) > (stage.copyAt(writer, open.id)?.durableEnd ?? Infinity)
    stage.until('commits are ahead of the writer’s disk', isAhead)
    neverStops(stage, prng.between(1000, 4000))
  },
)

const slowRaftDisk = story(
  'slow-raft-disk',
  'the disk of the Raft leader is slow: segments go on, only what needs a decision waits',
  { ...busy, tuning: { nodes: 5 } },
  stage => {
    stage.begin()
    const { open, prng } = stage
    const leader = stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    slowDown(stage, leader, prng.between(100, 800))
    neverStops(stage, prng.between(500, 1500))
    stage.promise(stage.open.id === open.id, 'a slow leader takes no partition away from anybody')
    stage.roll()
    stage.untilGoesOn(open.id)
  },
)

const longStall = (who: 'raft leader' | 'replica' | 'everybody'): ClusterScenario =>
  story(
    who === 'everybody' ? 'long-stall-of-everybody' : `long-stall-of-the-${who.replace(' ', '-')}`,
    who === 'everybody'
      ? 'all nodes sleep for longer than every lease, and wake up at different times'
      : `the ${who.replace('raft', 'Raft')} sleeps for longer than its lease, with all that was on its way to it`,
    busy,
    stage => {
      stage.begin()
      const { cluster, prng } = stage
      const { leader } = cluster
      const replica = prng.pick(stage.others)
      if (who === 'replica') stage.leadAwayFrom(replica)
      const sleepers =
        who === 'everybody' ? stage.everybody : [who === 'replica' ? replica : (leader?.host.nodeId ?? replica)]
      for (const nodeId of sleepers) cluster.stall(nodeId, prng.between(2000, 5000))
      stage.until('they are awake', () => cluster.hosts.every(host => !host.isStalled))
      stage.untilWritten()
    },
  )

const backlogLimit = story(
  'backlog-limit',
  'a replica falls behind by more than the bound: the segment is sealed without it',
  { ...busy, chain: { ...chain, backlogBytesMax: 5000, replicaTimeoutMs: 20_000, rollRecords: 1_000_000 } },
  stage => {
    stage.begin()
    const { open, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    const acks = stage.lose((from, to, message) => from === replica && to === writer && isChain(message))
    stage.until('the segment is sealed', () => stage.open.id !== open.id)
    stage.promise(stage.segment(open.id)?.sealReason === 'replica lost', 'it is sealed because a replica is lost')
    acks()
    stage.untilGoesOn(open.id)
  },
)

const pipelineLimit = story(
  'uncommitted-limit',
  'nothing is acknowledged for a while: the writer takes up to its bound and refuses the rest, to be sent again',
  { ...busy, chain: { ...chain, uncommittedBytesMax: 600, replicaTimeoutMs: 5000 } },
  stage => {
    stage.begin()
    const { prng, run, writer } = stage
    const acks = stage.hold((_, to, message) => to === writer && isChain(message, 'ack'))
    const { tallies } = run.clients
    const before = tallies['definite refusals']
    stage.until('producers are refused', () => tallies['definite refusals'] > before + 3)
    stage.wait(prng.between(0, 1000))
    acks.letGo()
    stage.untilWritten()
  },
)

const slowMinority = story(
  'slow-minority-never-stops-commits',
  'whatever is slow about one replica (its disk, its links, its loop), the others commit without a pause',
  { ...busy, chain: { ...chain, replicaTimeoutMs: 600 } },
  stage => {
    stage.begin()
    const { prng, cluster } = stage
    for (let i = 0; i < 3; i++) {
      const replica = prng.pick(stage.others)
      stage.leadAwayFrom(replica)
      const slowness = prng.pick(['disk', 'links', 'loop'])
      const held =
        slowness === 'links' ? stage.hold((from, to) => (from === replica || to === replica) && prng.chance(0.7)) : null
      if (slowness === 'disk') slowDown(stage, replica, prng.between(100, 800))
      if (slowness === 'loop') cluster.stall(replica, prng.between(300, 2000))
      neverStops(stage, prng.between(500, 2000))
      held?.letGo('backwards')
      cluster.host(replica).disk.settings = stage.run.conditions.disk
      stage.wait(prng.between(0, 500))
    }
    stage.untilWritten()
  },
)

function slowDown(stage: Stage, nodeId: NodeId, syncMeanMs: number): void {
  stage.cluster.host(nodeId).disk.settings = { syncMinMs: syncMeanMs / 4, syncMeanMs, failure: 0 }
}

/** A roll may come in between. */
const pauseMsMax = 1500

/** L4: what is appended is committed, all the time. */
function neverStops(stage: Stage, forMs: number): void {
  const { cluster } = stage
  const untilMs = cluster.nowMs + forMs
  let reached = 0
  let sinceMs = cluster.nowMs
  while (cluster.nowMs < untilMs) {
    stage.wait(20)
    const commit = Math.max(stage.open.base, stage.committed())
    if (commit > reached || !stage.isInFlight) sinceMs = cluster.nowMs
    reached = Math.max(commit, reached)
    const pausedMs = cluster.nowMs - sinceMs
    stage.promise(pausedMs < pauseMsMax, `L4: what was appended was not committed for ${Math.round(pausedMs)} ms`)
  }
}

export const slownesses: readonly ClusterScenario[] = [
  slowReplica,
  slowWriterDisk,
  slowRaftDisk,
  longStall('raft leader'),
  longStall('replica'),
  longStall('everybody'),
  backlogLimit,
  pipelineLimit,
  slowMinority,
]
