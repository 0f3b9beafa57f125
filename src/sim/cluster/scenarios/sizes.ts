/** Segments and tails of the sizes at which off-by-one errors live. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isAppendOf, isAsking, isChain, story } from './stage.ts'

const emptySegment = story(
  'empty-segment',
  'the writer of a segment dies before anything is in it: the segment is replaced where it stands',
  { clients: { producers: 0, producerPauseMs: 200 } },
  stage => {
    stage.until('records are committed', () => stage.committed() > 0)
    const { open, cluster, prng } = stage
    for (const nodeId of stage.everybody) cluster.hiddenFromClients.add(nodeId)
    stage.until('everything is committed', () => stage.isEverywhere)
    if (prng.chance(0.5)) stage.roll()
    else stage.rotate()
    stage.until('the next segment is open', () => stage.open.id !== open.id)
    const { open: empty } = stage
    const { replacedInPlace } = cluster.witness.reached
    stage.leadAwayFrom(empty.writer)
    for (let i = prng.between(1, 4); i > 0; i--) {
      const { writer } = stage
      cluster.crash(writer)
      cluster.timeline.after(prng.between(500, 3000), null, () => cluster.startNode(writer))
      const { open: last } = stage
      stage.until('it is replaced', () => stage.open.id !== last.id && stage.open.state === 'open')
    }
    cluster.hiddenFromClients.clear()
    stage.until('it left no trace', () => cluster.witness.reached.replacedInPlace > replacedInPlace)
    stage.promise(stage.segment(empty.id) === undefined, 'an empty segment does not stay in the chain')
    stage.untilWritten()
  },
)

const tail = (isKept: boolean): ClusterScenario =>
  story(
    isKept ? 'one-batch-tail-kept' : 'one-batch-tail-dropped',
    isKept
      ? 'a recovery finds one batch beyond what was committed, on one replica, and keeps it'
      : 'one batch beyond what was committed is on the dead writer’s disk only, and is cut off when that is back',
    { clients: { producers: 0, producerPauseMs: 50 } },
    stage => {
      stage.begin()
      const { open, cluster, prng, writer } = stage
      stage.leadAwayFrom(writer)
      stage.until('everything is committed', () => stage.isEverywhere)
      const [first, second] = stage.others as [NodeId, NodeId]
      const keeper = prng.pick([first, second])
      stage.lose((_, to, message) => isAppendOf(message, open.id) && (!isKept || to !== keeper))
      const acks = stage.lose((_, to, message) => to === writer && isChain(message, 'ack'))
      const holder = isKept ? keeper : writer
      const commit = stage.committed()
      stage.until('there is a tail', () => (stage.copyAt(holder)?.durableEnd ?? 0) > commit)
      const end = stage.copyAt(holder)?.durableEnd ?? 0
      const writing = stage.writing() ?? stage.cut('the writer runs')
      if (writing.entries.length - writing.committed !== 1) stage.cut('there is more than one batch')
      cluster.crash(writer)
      stage.untilSealed(open.id)
      acks()
      const sealedEnd = stage.segment(open.id)?.end ?? stage.open.base
      stage.promise(sealedEnd === (isKept ? end : commit), `the segment ends at ${sealedEnd}, not as its copies say`)
      stage.wait(prng.between(0, 1000))
      cluster.startNode(writer)
      stage.untilGoesOn(open.id)
    },
  )

const atEnd = (how: 'roll' | 'recovery'): ClusterScenario =>
  story(
    how === 'roll' ? 'commit-exactly-at-end' : 'recovery-with-commit-exactly-at-end',
    how === 'roll'
      ? 'a segment is rolled when all of it is committed: nothing is sent again'
      : 'a writer dies when all replicas have everything and know that it is committed',
    { clients: { producers: 0, producerPauseMs: 60 } },
    stage => {
      stage.begin()
      const { open, cluster, writer } = stage
      stage.leadAwayFrom(writer)
      const knows = () =>
        stage.others.every(nodeId => stage.copyAt(nodeId)?.commit === stage.committed()) && stage.isEverywhere
      stage.until('all replicas have everything and know it', knows)
      const commit = stage.committed()
      if (how === 'roll') stage.roll()
      else cluster.crash(writer)
      stage.untilSealed(open.id)
      const { end } = stage.segment(open.id) ?? stage.open
      stage.promise(
        end === commit || how === 'roll',
        `the segment ends at ${end}; everything up to ${commit} was there`,
      )
      cluster.startNode(writer)
      stage.untilGoesOn(open.id)
    },
  )

const sizeLimit = story(
  'segment-at-size-limit',
  'a segment is full while its writer does not reach the Raft leader: it takes no more, and loses nothing',
  {
    clients: { producers: 3, producerPauseMs: 15 },
    chain: { rollBytes: 8000, segmentBytesMax: 10_000, bufferBytesMax: 3000 },
  },
  stage => {
    stage.until('records are committed', () => stage.committed() > 10)
    const { prng, run, writer } = stage
    stage.leadAwayFrom(writer)
    const { open } = stage
    const asks = stage.hold((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    const isFull = () => stage.writing(writer, open.id)?.phase === 'frozen'
    stage.until('the segment is full', () => isFull() || stage.open.writer !== writer)
    const { tallies } = run.clients
    const before = tallies['definite refusals']
    stage.until('producers are refused', () => tallies['definite refusals'] > before)
    stage.promise((stage.writing(writer)?.bytes ?? 0) <= 10_000, 'a segment does not outgrow its limit')
    stage.wait(prng.between(0, 1000))
    asks.letGo()
    stage.untilWritten()
  },
)

const fullPipeline = story(
  'roll-under-full-pipeline',
  'segments are rolled every few records while more is in flight than the window holds; the rest is sent again',
  {
    clients: { producers: 3, producerPauseMs: 10 },
    chain: { rollRecords: 60, inflightBytesMax: 1000, drainMs: 5 },
  },
  stage => {
    const { cluster } = stage
    cluster.network.settings = { ...cluster.network.settings, delayMeanMs: 8 }
    let carried = 0
    for (let i = 0; i < 5; i++) {
      const { open, writer } = stage
      const isRolling = () => {
        const writing = stage.writing(writer, open.id)
        return stage.open.id !== open.id || (writing?.roll?.end != null && writing.next > writing.roll.end)
      }
      stage.until('the segment is rolled', isRolling)
      if (stage.open.id === open.id) carried += 1
      stage.untilGoesOn(open.id)
    }
    if (carried === 0) stage.cut('nothing was in flight')
  },
)

export const sizes: readonly ClusterScenario[] = [
  emptySegment,
  tail(true),
  tail(false),
  atEnd('roll'),
  atEnd('recovery'),
  sizeLimit,
  fullPipeline,
]
