/** Nodes that die with writes that their disk had not synced, at each point of the protocol where that could matter. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, type Stage, story } from './stage.ts'

/** Five nodes, so that the metadata goes on without the writer and one more. */
const five = { tuning: { nodes: 5 } } as const

const replicaDuringAppend = story(
  'crash-during-append',
  'a replica dies with appends that it took and had not synced',
  {},
  stage => {
    stage.begin()
    const { prng, cluster } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    cluster.host(replica).disk.hold()
    stage.until('the replica has taken what it has not synced', () => hasUnsynced(stage, replica))
    stage.wait(prng.between(0, 50))
    loseUnsynced(stage, replica, prng.between(10, 2000))
    stage.untilWritten()
  },
)

const writerDuringAppend = story(
  'writer-crash-during-append',
  'a writer dies with records that its replicas had synced and acknowledged and its own disk had not',
  {},
  stage => {
    stage.begin()
    const { writer, open, cluster } = stage
    stage.leadAwayFrom(writer)
    cluster.host(writer).disk.hold()
    const isAhead = () => (stage.writing()?.commit ?? 0) > (stage.copyAt(writer)?.durableEnd ?? Infinity)
    stage.until('commits are ahead of the writer’s own disk', isAhead)
    loseUnsynced(stage, writer, stage.prng.between(10, 3000))
    stage.untilGoesOn(open.id)
  },
)

const duringFence = story(
  'crash-during-fence',
  'a replica dies with a fence that it had not synced, and comes back without it',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const replica = prng.pick(stage.others)
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    cluster.host(replica).disk.hold()
    cluster.crash(stage.writer)
    stage.until('the fence is written, not synced', () => hasUnsyncedFence(stage, replica))
    loseUnsynced(stage, replica, prng.between(10, 1500))
    stage.wait(prng.between(0, 2000))
    cluster.startNode(open.writer)
    stage.untilGoesOn(open.id)
  },
)

const duringRecoveryAppend = story(
  'crash-during-recovery-append',
  'a replica dies with a part of the tail that a recoverer had sent it, before that was synced',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    const [, short] = unevenTail(stage)
    cluster.crash(open.writer)
    const isFenced = () => (stage.copyAt(short, open.id)?.durableFence ?? 0) > open.writeEpoch
    stage.until('the shorter replica is fenced', isFenced)
    cluster.host(short).disk.hold()
    stage.until('it has been sent the tail', () => hasUnsynced(stage, short))
    loseUnsynced(stage, short, prng.between(10, 1500))
    stage.wait(prng.between(0, 2000))
    cluster.startNode(open.writer)
    stage.untilGoesOn(open.id)
  },
)

const duringSeal = story(
  'crash-during-seal',
  'a replica dies with the end of a segment that it had not synced as sealed',
  five,
  stage => {
    stage.begin()
    const { open, prng } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    if (prng.chance(0.5)) stage.roll()
    else stage.rotate()
    const isSealedUnsynced = () => {
      const copy = stage.copyAt(replica, open.id)
      return copy !== null && copy.sealedEnd !== null && !copy.isSealDurable
    }
    stage.until('the seal is written, not synced', isSealedUnsynced)
    loseUnsynced(stage, replica, prng.between(10, 1500))
    stage.untilGoesOn(open.id)
  },
)

const dirty = story(
  'dirty-replica-does-not-count',
  'a replica that may have lost what it acknowledged does not count as one that never had it',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    stage.until('all replicas have everything', () => stage.isEverywhere)
    cluster.crash(writer)
    cluster.crash(replica)
    const host = cluster.host(replica)
    host.standing = 'dirty'
    const image = host.disk.durable.segments.get(open.id)
    image?.truncate(image.base)
    host.disk.written = host.disk.durable.copy()
    cluster.startNode(replica)
    stage.until('the dirty one is back', () => stage.node(replica)?.chain != null)
    stage.wait(prng.between(1000, 4000))
    stage.promise(stage.open.id === open.id, 'a segment is not sealed on the word of a replica that may have lost it')
    host.standing = 'clean'
    cluster.startNode(writer)
    stage.untilGoesOn(open.id)
  },
)

const failedSyncAt = (who: 'writer' | 'replica' | 'recoverer' | 'raft leader'): ClusterScenario =>
  story(
    `sync-fails-at-${who.replace(' ', '-')}`,
    `a sync fails at the ${who.replace('raft', 'Raft')}: nothing of it counts, and the node stops`,
    five,
    stage => {
      stage.begin()
      const { open, cluster, prng } = stage
      if (who === 'recoverer') {
        stage.leadAwayFrom(open.writer)
        cluster.crash(open.writer)
        stage.until('somebody recovers', () => stage.recoverer !== null)
      }
      const victims = {
        writer: open.writer,
        replica: prng.pick(stage.others),
        recoverer: stage.recoverer,
        'raft leader': cluster.leader?.host.nodeId,
      }
      const disk = cluster.host(victims[who] ?? open.writer).disk
      const { stops } = cluster.counts
      disk.settings = { ...disk.settings, failure: 1 }
      if (who === 'raft leader') stage.roll()
      stage.until('the node stops', () => cluster.counts.stops > stops)
      disk.settings = { ...disk.settings, failure: 0 }
      if (who === 'recoverer') cluster.startNode(open.writer)
      stage.untilWritten()
    },
  )

function hasUnsynced(stage: Stage, nodeId: NodeId): boolean {
  const copy = stage.copyAt(nodeId)
  return copy !== null && copy.end > copy.durableEnd
}

function hasUnsyncedFence(stage: Stage, nodeId: NodeId): boolean {
  const copy = stage.copyAt(nodeId)
  return copy !== null && copy.fenceEpoch > copy.durableFence
}

function loseUnsynced(stage: Stage, nodeId: NodeId, downMs: number): void {
  const { cluster } = stage
  cluster.crash(nodeId, 'nothing')
  cluster.timeline.after(downMs, null, () => cluster.startNode(nodeId))
}

/** One replica has, durably, what the other was never sent: the longer and the shorter one. */
export function unevenTail(stage: Stage): readonly [long: NodeId, short: NodeId] {
  const { open } = stage
  const [first, second] = stage.others as [NodeId, NodeId]
  const [long, short] = stage.prng.chance(0.5) ? [first, second] : [second, first]
  stage.lose((_, to, message) => to === short && isAppendOf(message, open.id))
  // What is under way already arrives.
  stage.wait(30)
  const isUneven = () => (stage.copyAt(long, open.id)?.durableEnd ?? 0) > (stage.copyAt(short, open.id)?.end ?? 0)
  stage.until('one replica has more than the other', isUneven)
  return [long, short]
}

export const crashes: readonly ClusterScenario[] = [
  replicaDuringAppend,
  writerDuringAppend,
  duringFence,
  duringRecoveryAppend,
  duringSeal,
  dirty,
  failedSyncAt('writer'),
  failedSyncAt('replica'),
  failedSyncAt('recoverer'),
  failedSyncAt('raft leader'),
]
