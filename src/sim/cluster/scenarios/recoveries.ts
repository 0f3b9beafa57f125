/** Recoveries: two at a time, ones that wake up late, ones that die after each of their steps, ones that race the writer. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { unevenTail } from './crashes.ts'
import { isAsking, isChain, type Stage, story } from './stage.ts'

/** Five nodes, so that the metadata goes on without the writer and one more. */
const five = { tuning: { nodes: 5 } } as const

const severalAtOnce = (name: string, title: string, count: number): ClusterScenario =>
  story(name, title, five, stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    leadOutside(stage)
    const epochs = new Set<number>()
    const look = () => {
      const last = stage.open
      if (last.id === open.id && last.recoveryEpoch !== null) epochs.add(last.recoveryEpoch)
      return last.id !== open.id
    }
    const isWriterAlive = prng.chance(0.3)
    if (!isWriterAlive) cluster.crash(open.writer)
    const recoverers = [...stage.others, open.writer].filter(nodeId => nodeId !== open.writer || isWriterAlive)
    // The next one begins before this one can have sealed.
    const answers = stage.hold((_, __, message) => isChain(message, 'fenceReply'))
    for (let begun = 0; begun < count; begun++) {
      stage.recover(recoverers[begun % recoverers.length] as NodeId)
      stage.until('a recovery has begun', () => look() || epochs.size > begun)
    }
    answers.letGo(prng.pick(['in order', 'backwards']))
    stage.until('the segment is sealed', look)
    stage.promise(epochs.size <= 1 || stage.open.writeEpoch > Math.max(...epochs), 'each recovery has a higher epoch')
    if (epochs.size < count) stage.cut('the first recovery was faster')
    cluster.startNode(open.writer)
    stage.untilGoesOn(open.id)
  })

const oldWakes = story(
  'old-recoverer-wakes',
  'a recoverer sleeps while another one seals the segment, and wakes up with answers to its own fences',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const recoverer = firstRecoverer(stage)
    const answers = stage.hold((_, to, message) => to === recoverer && isChain(message, 'fenceReply'))
    stage.until('it fences', () => stage.recoveryAt(recoverer)?.phase === 'fencing')
    cluster.timeline.after(prng.between(0, 1000), null, () => cluster.startNode(open.writer))
    stage.asleepUntil(recoverer, 'another one has sealed the segment', () => stage.open.id !== open.id)
    stage.wait(prng.between(0, 500))
    answers.letGo()
    stage.until('the old recovery is over', () => stage.recoveryAt(recoverer)?.segment !== open.id)
    stage.untilGoesOn(open.id)
  },
)

const oldAsks = story(
  'old-recoverer-asks-late',
  'a recoverer asks for its seal, and that reaches the leader when a later recovery is under way or done',
  five,
  stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const recoverer = firstRecoverer(stage)
    const asks = stage.hold((from, _, message) => from === recoverer && isAsking(message, 'completeRecovery'))
    stage.until('it asks for its seal', () => asks.kept.length > 0)
    const first = stage.open.recoveryEpoch ?? 0
    cluster.startNode(open.writer)
    const isLater = () => stage.open.id !== open.id || (stage.open.recoveryEpoch ?? 0) > first
    const isDone = () => stage.open.id !== open.id
    stage.asleepUntil(recoverer, 'another one recovers', prng.chance(0.5) ? isLater : isDone)
    asks.letGo()
    stage.untilGoesOn(open.id)
  },
)

// ── a recoverer that dies

type Step = (stage: Stage, recoverer: NodeId, before: number) => boolean

const steps: readonly (readonly [sentence: string, isDone: Step])[] = [
  [
    'its recovery has begun in the metadata, before it heard so',
    (stage, recoverer) => stage.open.state === 'sealing' && stage.recoveryAt(recoverer)?.phase === 'beginning',
  ],
  [
    'its fence has reached another replica',
    (stage, recoverer) => {
      const epoch = stage.recoveryAt(recoverer)?.epoch ?? 0
      return epoch > 0 && stage.others.some(other => other !== recoverer && stage.copyAt(other)?.fenceEpoch === epoch)
    },
  ],
  [
    'enough replicas have answered, and it waits for the others',
    (stage, recoverer) => {
      const recovery = stage.recoveryAt(recoverer)
      return recovery?.phase === 'fencing' && recovery.replies.size >= recovery.fenceQuorum
    },
  ],
  ['it has decided where the segment ends', (stage, at) => stage.recoveryAt(at)?.phase === 'copying'],
  [
    'a quorum has the tail, and it has asked for its seal',
    (stage, at) => stage.recoveryAt(at)?.phase === 'completing' && stage.open.state === 'sealing',
  ],
  [
    'the segment is sealed, before it heard so',
    (stage, at, before) => stage.open.id !== before && stage.recoveryAt(at) !== null,
  ],
  [
    'all nodes know of the seal, before all copies are whole',
    (stage, _, before) =>
      stage.open.id !== before && stage.cluster.live.every(node => recordOf(stage, node.host.nodeId) === stage.open.id),
  ],
]

const recordOf = (stage: Stage, nodeId: NodeId) => stage.recordAt(nodeId)?.chain.at(-1)?.id

const crashAfter = ([sentence, isDone]: (typeof steps)[number], index: number): ClusterScenario =>
  story(
    `recoverer-crash-after-step-${index + 1}`,
    `a recoverer dies when ${sentence}`,
    prng => ({ tuning: { nodes: 5 }, chain: { fenceWaitMs: prng.pick([50, 300]) } }),
    stage => {
      stage.begin()
      const { open, cluster, prng } = stage
      leadOutside(stage)
      unevenTail(stage)
      cluster.crash(open.writer)
      stage.until('somebody recovers', () => stage.recoverer !== null)
      const recoverer = stage.recoverer as NodeId
      stage.until(sentence, () => isDone(stage, recoverer, open.id))
      cluster.crash(recoverer)
      for (const nodeId of [recoverer, open.writer]) {
        cluster.timeline.after(prng.between(10, 2500), null, () => cluster.startNode(nodeId))
      }
      stage.untilGoesOn(open.id)
      stage.until('all are back', () => cluster.live.length === cluster.hosts.length)
      stage.untilWritten()
    },
  )

// ── the writer against the recoverer

const sealFirst = story(
  'writer-seal-beats-recovery',
  'a writer’s own seal is applied just before somebody’s recovery of the same segment begins',
  five,
  stage => {
    stage.begin()
    const { open, prng, writer } = stage
    leadOutside(stage)
    const recoverer = prng.pick(stage.others)
    const begins = stage.hold((from, _, message) => from === recoverer && isAsking(message, 'beginRecovery'))
    stage.recover(recoverer)
    stage.roll()
    stage.until('both have asked', () => begins.kept.length > 0)
    stage.until('the seal is applied', () => stage.open.id !== open.id)
    begins.letGo()
    stage.until('there is nothing to recover', () => stage.recoveryAt(recoverer) === null)
    stage.promise(stage.writer === writer, 'a recovery of a sealed segment changes nothing')
    stage.untilGoesOn(open.id)
  },
)

const recoveryFirst = story(
  'recovery-beats-writer-seal',
  'a writer is frozen and asks for its own seal when a recovery of its segment has just begun',
  five,
  stage => {
    stage.begin()
    const { open, prng, writer } = stage
    leadOutside(stage)
    const recoverer = prng.pick(stage.others)
    const seals = stage.hold((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    if (prng.chance(0.5)) stage.roll()
    else stage.rotate()
    stage.until('the writer asks for its seal', () => seals.kept.length > 0)
    stage.recover(recoverer)
    stage.untilSealing(open.id)
    seals.letGo()
    stage.untilGoesOn(open.id)
    stage.until('the writer has given up', () => stage.writing(writer, open.id) === null)
  },
)

function leadOutside(stage: Stage): void {
  stage.leadAmong(stage.allBut(...stage.open.replicas.map(({ nodeId }) => nodeId)))
}

/** The writer dies; whoever is told to recover its segment. */
function firstRecoverer(stage: Stage): NodeId {
  leadOutside(stage)
  stage.cluster.crash(stage.open.writer)
  stage.until('somebody recovers', () => stage.recoverer !== null)
  return stage.recoverer as NodeId
}

export const recoveries: readonly ClusterScenario[] = [
  severalAtOnce('double-recovery', 'two nodes recover one segment at the same time', 2),
  severalAtOnce('triple-recovery', 'three recoveries of one segment overtake each other', 3),
  oldWakes,
  oldAsks,
  ...steps.map(crashAfter),
  sealFirst,
  recoveryFirst,
]
