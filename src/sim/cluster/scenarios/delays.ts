/** Messages and writes that come late, twice, or in another order than they were sent. */
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, isChain, story } from './stage.ts'

const appendAfterFence = story(
  'delayed-append-after-fence',
  'an append of the old writer reaches a replica when that is fenced already',
  {},
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(writer)
    const appends = stage.hold((from, to, message) => from === writer && to === replica && isAppendOf(message, open.id))
    stage.until('an append is under way', () => appends.kept.length > 0)
    stage.wait(prng.between(0, 100))
    cluster.crash(writer)
    const refusals = stage.watch((from, _, message) => from === replica && isChain(message, 'fenced'))
    const isFenced = () => (stage.copyAt(replica, open.id)?.durableFence ?? 0) > open.writeEpoch
    stage.until('the replica is fenced', isFenced)
    appends.letGo(prng.pick(['in order', 'backwards']))
    stage.until('the append is refused', () => refusals.count > 0)
    stage.untilGoesOn(open.id)
  },
)

const appendBeforeFence = story(
  'append-before-fence-synced-after',
  'an append was written before the fence and is synced with it: it counts, and the recovery keeps it',
  { tuning: { nodes: 5 } },
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    cluster.host(replica).disk.hold()
    const copy = stage.copyAt(replica)
    stage.until('an append is written, not synced', () => copy !== null && copy.end > copy.durableEnd)
    cluster.crash(writer)
    stage.until('so is the fence', () => copy !== null && copy.fenceEpoch > copy.durableFence)
    const end = copy?.end ?? 0
    stage.wait(prng.between(0, 500))
    stage.promise(stage.open.id === open.id, 'a recovery waits for fences that are not synced')
    cluster.host(replica).disk.letGo()
    stage.untilSealed(open.id)
    stage.promise(stage.open.base >= end, `the segment ends at ${stage.open.base}; a fenced replica held ${end}`)
    stage.untilWritten()
  },
)

const doubledAndReordered = story(
  'doubled-and-reordered-appends',
  'appends arrive twice and overtake each other, through rolls and a failover',
  { clients: { producers: 3 }, chain: { rollRecords: 200 } },
  stage => {
    const { cluster, prng } = stage
    stage.begin()
    cluster.network.settings = { ...cluster.network.settings, delayMeanMs: prng.between(5, 30), doubling: 0.5 }
    const gaps = stage.watch((_, __, message) => isChain(message, 'gap'))
    stage.wait(prng.between(500, 2000))
    const { open } = stage
    cluster.crash(open.writer)
    stage.wait(prng.between(0, 2000))
    cluster.startNode(open.writer)
    stage.untilGoesOn(open.id)
    stage.until('appends have overtaken each other', () => gaps.count > 0)
    stage.until('messages were doubled', () => cluster.network.counts.doubled > 100)
  },
)

const acksLate = story(
  'acks-of-the-past',
  'acknowledgements of a replica arrive, doubled and backwards, long after the replica died and came back',
  {},
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    const acks = stage.hold((from, to, message) => from === replica && to === writer && isChain(message, 'ack', 'gap'))
    stage.until('acknowledgements are under way', () => acks.kept.length > 2)
    cluster.crash(replica, 'nothing')
    stage.wait(prng.between(0, 500))
    cluster.startNode(replica)
    stage.until('the replica is back', () => stage.node(replica)?.chain != null)
    acks.kept.push(...acks.kept)
    acks.letGo('backwards')
    stage.wait(prng.between(10, 300))
    if (prng.chance(0.5)) cluster.crash(writer)
    stage.wait(prng.between(0, 1000))
    cluster.startNode(writer)
    stage.untilWritten()
    stage.promise(stage.segment(open.id)?.state !== 'sealing', 'a segment whose replicas run is not left half sealed')
  },
)

const appendsOfALivingWriter = story(
  'appends-of-a-living-writer-after-fence',
  'a writer that knows nothing of a recovery sends to replicas that are fenced: nothing of it may be acknowledged',
  {},
  stage => {
    stage.begin()
    const { open, prng, writer, others } = stage
    stage.leadAwayFrom(writer)
    stage.lose((from, to, message) => (from === writer || to === writer) && !isChain(message))
    stage.lose((_, to, message) => to === writer && isChain(message, 'fence'))
    stage.untilSealing(open.id)
    const appends = stage.hold((from, _, message) => from === writer && isAppendOf(message, open.id))
    const answers = stage.hold((_, __, message) => isChain(message, 'fenceReply'))
    // What was under way before is refused too early for this story.
    const early = stage.lose((_, to, message) => to === writer && isChain(message, 'fenced'))
    stage.until('an append is under way', () => appends.kept.length > 0)
    const areFenced = () => others.every(other => (stage.copyAt(other, open.id)?.durableFence ?? 0) > open.writeEpoch)
    stage.until('the replicas are fenced', areFenced)
    const fencedEnd = Math.max(...others.map(nodeId => stage.copyAt(nodeId, open.id)?.end ?? 0))
    early()
    const refusals = stage.watch((_, to, message) => to === writer && isChain(message, 'fenced'))
    appends.letGo()
    stage.wait(prng.between(20, 200))
    stage.promise(
      (stage.writing(writer, open.id)?.commit ?? 0) <= fencedEnd,
      'fenced replicas acknowledge nothing to the old writer',
    )
    if (refusals.count === 0) stage.cut('nobody refused')
    // What counts is what was said when the fence was new.
    answers.kept.splice(1)
    answers.letGo()
    stage.untilGoesOn(open.id)
  },
)

export const delays: readonly ClusterScenario[] = [
  appendAfterFence,
  appendBeforeFence,
  appendsOfALivingWriter,
  doubledAndReordered,
  acksLate,
]
