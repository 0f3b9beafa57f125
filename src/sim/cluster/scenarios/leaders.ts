/** The metadata's leader changes, or its answer is lost, while a seal is decided. */
import type { NodeId } from '../../../base/ids.ts'
import type { ReadCommand } from '../../../cluster/commands.ts'
import type { ClusterScenario } from '../run.ts'
import { isAsking, isChain, isReplicating, type Stage, story } from './stage.ts'

/** Five nodes, so that the metadata goes on without its leader and one more. */
const five = { tuning: { nodes: 5 } } as const

interface Change {
  readonly name: string
  readonly title: string
  readonly command: ReadCommand['do']
  /** Whether the next leader has the entry. */
  readonly survives: boolean
}

const leaderChange = ({ name, title, command, survives }: Change): ClusterScenario =>
  story(name, title, five, stage => {
    stage.begin()
    const { open, cluster, prng } = stage
    const isSeal = command === 'sealAndOpen'
    const old = stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
    // While the leader hears nobody it commits nothing.
    const deaf = stage.lose(
      (_, to, message) => to === old && message.type === 'raft' && message.message.type === 'appendAck' && hasAsked(),
    )
    const entries = stage.watch((from, _, message) => from === old && isReplicating(message, command))
    const hasAsked = () => entries.count > 0
    if (!survives) stage.lose((from, _, message) => from === old && isReplicating(message, command))
    if (!isSeal) cluster.crash(open.writer)
    else if (prng.chance(0.5)) stage.roll()
    else stage.rotate()
    stage.until('the leader has the command in its log', hasAsked)
    if (survives) stage.until('so has another node', () => heirs(stage, old).length > 0)
    cluster.cut([old], stage.allBut(old))
    stage.until('another one leads', () => cluster.live.some(node => node.isLeader && node.host.nodeId !== old))
    stage.wait(prng.between(0, 1500))
    stage.untilSealed(open.id)
    deaf()
    cluster.heal([old], stage.allBut(old))
    cluster.startNode(open.writer)
    stage.untilGoesOn(open.id)
  })

/** Nodes whose disk has as much of the log as the leader's. */
function heirs(stage: Stage, leader: NodeId): NodeId[] {
  const lastOf = (nodeId: NodeId) => stage.cluster.host(nodeId).disk.durable.entries.at(-1)?.index ?? 0
  const written = stage.cluster.host(leader).disk.written.entries.at(-1)?.index ?? 0
  return stage.allBut(leader).filter(nodeId => lastOf(nodeId) >= written)
}

const outcomeUnknown = story(
  'outcome-unknown',
  'a writer’s seal is applied and it does not hear so for a long time: it stays frozen and asks again',
  {},
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    const asks = stage.watch((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    if (prng.chance(0.5)) stage.roll()
    else stage.rotate()
    stage.until('the writer asks for its seal', () => asks.count > 0)
    const hears = stage.lose(
      (_, to, message) => to === writer && (message.type === 'raft' || message.type === 'proposed'),
    )
    stage.until('the seal is applied', () => stage.open.id !== open.id)
    const commit = stage.writing(writer, open.id)?.commit ?? 0
    stage.until('the writer asks again', () => asks.count > 1)
    stage.wait(prng.between(0, cluster.tuning.proposeTimeoutMs))
    const writing = stage.writing(writer, open.id)
    stage.promise(writing === null || writing.phase === 'frozen', 'a writer that knows no outcome stays frozen')
    stage.promise(writing === null || writing.commit <= commit, 'a frozen writer commits nothing')
    hears()
    stage.untilGoesOn(open.id)
  },
)

const appliedTwice = (command: 'sealAndOpen' | 'completeRecovery'): ClusterScenario =>
  story(
    command === 'sealAndOpen' ? 'command-applied-twice' : 'completion-applied-twice',
    `the request for a ${command === 'sealAndOpen' ? 'writer’s' : 'recoverer’s'} seal arrives again, later, several times`,
    five,
    stage => {
      stage.begin()
      const { open, cluster, prng } = stage
      stage.leadAmong(stage.allBut(...open.replicas.map(({ nodeId }) => nodeId)))
      const echoes: (() => void)[] = []
      cluster.network.interceptors.push((_, __, message, deliver) => {
        if (isAsking(message as Parameters<typeof isAsking>[0], command)) echoes.push(deliver)
        return false
      })
      if (command === 'completeRecovery') cluster.crash(open.writer)
      else if (prng.chance(0.5)) stage.roll()
      else stage.rotate()
      stage.untilSealed(open.id)
      cluster.startNode(open.writer)
      const entries = stage.watch((_, __, message) => isReplicating(message, command))
      for (let i = prng.between(1, 4); i > 0; i--) {
        for (const echo of echoes.slice()) cluster.timeline.after(prng.between(0, 2000), null, echo)
      }
      stage.until('it is in the log again', () => entries.count > 0)
      stage.untilWritten()
    },
  )

const forwarded = story(
  'command-asked-of-an-old-leader',
  'a writer asks the former leader for its seal; the request is passed on, and asked again of the new one',
  {},
  stage => {
    stage.begin()
    const { open, writer } = stage
    const old = stage.leadAwayFrom(writer)
    const asks = stage.hold((from, to, message) => from === writer && to === old && isAsking(message, 'sealAndOpen'))
    stage.roll()
    stage.until('the writer asks for its seal', () => asks.kept.length > 0)
    stage.leadAwayFrom(old)
    asks.letGo()
    stage.untilSealed(open.id)
    stage.untilWritten()
  },
)

const behind = story(
  'snapshot-instead-of-the-seal',
  'a writer misses the log from its own seal on, and learns how it ended from a snapshot',
  { tuning: { snapshotEntries: 5 }, raft: { trailingEntries: 0 } },
  stage => {
    stage.begin()
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    const asks = stage.watch((from, _, message) => from === writer && isAsking(message, 'sealAndOpen'))
    stage.rotate()
    stage.until('the writer asks for its seal', () => asks.count > 0)
    const hears = stage.lose((_, to, message) => to === writer && !isChain(message))
    stage.untilSealed(open.id)
    const { snapshotsInstalled } = cluster.witness.reached
    for (let i = prng.between(8, 12); i > 0; i--) {
      stage.roll()
      stage.wait(prng.between(100, 400))
    }
    hears()
    stage.until('a snapshot is installed', () => cluster.witness.reached.snapshotsInstalled > snapshotsInstalled)
    stage.untilWritten()
  },
)

export const leaders: readonly ClusterScenario[] = [
  leaderChange({
    name: 'raft-leader-change-before-seal-applies',
    title: 'the leader that took a writer’s seal is replaced by one that has never seen it',
    command: 'sealAndOpen',
    survives: false,
  }),
  leaderChange({
    name: 'raft-leader-change-keeps-the-seal',
    title: 'the leader that took a writer’s seal is replaced by one that may have it in its log',
    command: 'sealAndOpen',
    survives: true,
  }),
  leaderChange({
    name: 'raft-leader-change-before-completion-applies',
    title: 'the leader that took a recoverer’s seal is replaced by one that has never seen it',
    command: 'completeRecovery',
    survives: false,
  }),
  leaderChange({
    name: 'raft-leader-change-keeps-the-completion',
    title: 'the leader that took a recoverer’s seal is replaced by one that may have it in its log',
    command: 'completeRecovery',
    survives: true,
  }),
  outcomeUnknown,
  appliedTwice('sealAndOpen'),
  appliedTwice('completeRecovery'),
  forwarded,
  behind,
]
