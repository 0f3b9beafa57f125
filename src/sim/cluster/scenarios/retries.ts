/** What clients see when their records cross a seal: readers at followers, producers that repeat, weak acknowledgements. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, isChain, type Stage, story } from './stage.ts'

const followerReader = story(
  'follower-reader-while-segment-seals-lower',
  'readers look at a replica that holds more than the segment in the end has: they must not have seen the rest',
  { clients: { followers: 4, samplers: 2, readerPauseMs: 20 }, chain: { drainMs: 5 } },
  stage => {
    stage.begin()
    const { open, writer, cluster } = stage
    stage.leadAwayFrom(writer)
    const acks = stage.lose((_, to, message) => to === writer && isChain(message, 'ack'))
    const longest = () => Math.max(...stage.others.map(nodeId => stage.copyAt(nodeId, open.id)?.durableEnd ?? 0))
    const commit = stage.committed()
    stage.until('replicas have more than is known to be committed', () => longest() > commit)
    const ends = stage.others.map(nodeId => stage.copyAt(nodeId, open.id)?.end ?? 0)
    stage.rotate()
    stage.untilSealed(open.id)
    acks()
    const sealedEnd = stage.segment(open.id)?.end ?? stage.open.base
    if (sealedEnd >= Math.max(...ends)) stage.cut('nothing was cut off')
    stage.untilGoesOn(open.id)
    cluster.crash(stage.others[0] as NodeId)
    stage.untilWritten()
  },
)

// ── retries of idempotent producers

const idempotent = {
  isIdempotent: true,
  acks: 'all',
  timeoutMs: 300,
  attemptsMax: 1000,
  pauseMs: 15,
  openMax: 5,
} as const

const crossing = (what: 'seal' | 'failover' | 'dropped-tail'): ClusterScenario =>
  story(
    `idempotent-retry-crossing-${what}`,
    {
      seal: 'producers hear nothing of what was committed, and repeat it to the writer of the next segment',
      failover: 'producers hear nothing of what was committed, and repeat it to the writer after a failover',
      'dropped-tail': 'producers repeat what only the dead writer had, and it is written again, once',
    }[what],
    { clients: { producers: 0 } },
    stage => {
      stage.addProducer(idempotent)
      stage.addProducer({ ...idempotent, repeatsOneByOne: stage.prng.chance(0.5) })
      stage.begin()
      const { open, cluster, prng, writer } = stage
      stage.leadAwayFrom(writer)
      if (what === 'dropped-tail') stage.lose((_, __, message) => isAppendOf(message, open.id))
      stage.until('records are in flight', () => stage.isInFlight)
      if (what === 'dropped-tail') stage.until('only the writer has them', () => onlyAt(stage, writer))
      for (const nodeId of stage.everybody) cluster.hiddenFromClients.add(nodeId)
      if (what === 'seal') {
        stage.until('all is committed', () => !stage.isInFlight)
        if (prng.chance(0.5)) stage.roll()
        else stage.rotate()
      } else cluster.crash(writer)
      stage.untilSealed(open.id)
      cluster.hiddenFromClients.clear()
      stage.wait(prng.between(0, 1000))
      cluster.startNode(writer)
      stage.untilGoesOn(open.id)
    },
  )

// ── acks=1

const weak = (isKept: boolean): ClusterScenario =>
  story(
    isKept ? 'acks1-kept' : 'acks1-dropped',
    isKept
      ? 'a writer dies after it vouched alone for records that one replica has too: they are kept'
      : 'a writer dies after it vouched alone for records that nobody else has: they go, everywhere alike',
    { clients: { producers: 0, producerPauseMs: 50 } },
    stage => {
      stage.addProducer({ isIdempotent: false, acks: 1, timeoutMs: 1000, pauseMs: 20 })
      stage.begin()
      const { open, cluster, prng, writer } = stage
      stage.leadAwayFrom(writer)
      const keeper = prng.pick(stage.others)
      stage.lose((_, to, message) => isAppendOf(message, open.id) && (!isKept || to !== keeper))
      const acks = stage.lose((_, to, message) => to === writer && isChain(message, 'ack'))
      // What is under way already arrives.
      stage.wait(30)
      const isVouched = () => {
        const { least, most } = copiedEnds(stage)
        const end = vouchedEnd(stage)
        return isKept ? end > least && end <= most : end > most
      }
      stage.until('the writer alone has vouched for something', isVouched, 1000)
      const end = vouchedEnd(stage)
      cluster.crash(writer)
      stage.untilSealed(open.id)
      acks()
      const sealedEnd = stage.segment(open.id)?.end ?? stage.open.base
      stage.promise(isKept ? sealedEnd >= end : sealedEnd < end, `the segment ends at ${sealedEnd}; ${end} was there`)
      stage.wait(prng.between(0, 1000))
      cluster.startNode(writer)
      stage.until('the writer of the past is back', () => stage.node(writer)?.chain != null)
      stage.untilGoesOn(open.id)
    },
  )

/** Behind the last record that was acknowledged on the writer's word alone. */
function vouchedEnd(stage: Stage): number {
  const { entries = [], committed = 0, local = 0 } = stage.writing() ?? {}
  const vouched = entries.slice(committed, local).findLast(entry => entry.acks === 1 && entry.isAnswered)
  return vouched?.end ?? 0
}

/** How far the replicas but the writer have the segment. */
function copiedEnds(stage: Stage): { readonly least: number; readonly most: number } {
  const ends = stage.others.map(nodeId => stage.copyAt(nodeId)?.durableEnd ?? 0)
  return { least: Math.min(...ends), most: Math.max(...ends) }
}

/** What is not committed is, durably, at one node only. */
function onlyAt(stage: Stage, nodeId: NodeId): boolean {
  const commit = stage.committed()
  return stage.open.replicas.every(replica => {
    const end = stage.copyAt(replica.nodeId)?.durableEnd ?? 0
    return replica.nodeId === nodeId ? end > commit : end <= commit
  })
}

export const retries: readonly ClusterScenario[] = [
  followerReader,
  crossing('seal'),
  crossing('failover'),
  crossing('dropped-tail'),
  weak(true),
  weak(false),
]
