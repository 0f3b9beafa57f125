/** Writers that are cut off from some of the others, in both directions or in one. */
import type { NodeId } from '../../../base/ids.ts'
import type { ClusterScenario } from '../run.ts'
import { isChain, type Stage, story } from './stage.ts'

const fromRaft = story(
  'cut-from-raft-not-replicas',
  'a writer that reaches its replicas but not the Raft leader goes on committing until somebody fences it',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    stage.leadAwayFrom(writer)
    const before = stage.committed()
    const joined = stage.lose((from, to, message) => (from === writer || to === writer) && !isChain(message))
    stage.until('the writer goes on', () => stage.committed(writer) > before)
    stage.untilSealing(open.id)
    stage.untilSealed(open.id)
    joined()
    stage.untilGoesOn(open.id)
  },
)

const fromMinority = story(
  'cut-from-minority-of-replicas',
  'a writer that does not reach one replica commits with the others and goes on without it',
  { chain: { replicaTimeoutMs: 400 } },
  stage => {
    stage.begin()
    const { writer, open, cluster } = stage
    const lost = replicaThatDoesNotLead(stage)
    const before = stage.committed()
    cluster.cut([writer], [lost])
    stage.until('the writer goes on', () => stage.committed() > before)
    stage.untilGoesOn(open.id)
    stage.wait(stage.prng.between(0, 2000))
    cluster.heal([writer], [lost])
    stage.untilWritten()
  },
)

const withItsClients = story(
  'cut-off-with-its-clients',
  'a writer that reaches nobody but its clients promises them nothing that does not last',
  {},
  stage => {
    stage.begin()
    const { writer, open, cluster } = stage
    stage.leadAwayFrom(writer)
    stage.addProducer({ acks: 1, isIdempotent: false, timeoutMs: 300, pauseMs: 10 })
    cluster.cut([writer], stage.allBut(writer))
    stage.untilGoesOn(open.id)
    stage.promise(
      !(stage.committed(writer) > open.base && stage.writing(writer, open.id)?.phase === 'writing'),
      'a writer that reaches nobody commits nothing',
    )
    stage.untilWritten()
    cluster.heal([writer], stage.allBut(writer))
    stage.until('the writer of the past gives up', () => stage.writing(writer, open.id) === null)
    stage.untilWritten()
  },
)

const fromClients = story(
  'cut-from-clients-only',
  'a writer that no client reaches stays the writer, and takes up their records when they are back',
  {},
  stage => {
    stage.begin()
    const { writer, open, cluster } = stage
    const sinceMs = cluster.nowMs
    cluster.hiddenFromClients.add(writer)
    stage.wait(stage.prng.between(1500, 4000))
    stage.promise(stage.open.id === open.id, 'nobody takes a partition away from a writer that is well')
    stage.promise(
      stage.run.clients.lastAcknowledgedAtMs(0) < sinceMs + 50,
      'clients that reach nobody are told nothing',
    )
    cluster.hiddenFromClients.delete(writer)
    stage.untilWritten()
  },
)

// ── in one direction

const fromWriter = story(
  'one-way-from-writer',
  'nothing that the writer sends arrives anywhere, while it hears everybody',
  {},
  stage => {
    stage.begin()
    const { writer, open, cluster } = stage
    stage.leadAwayFrom(writer)
    cluster.cut([writer], stage.allBut(writer), false)
    stage.untilGoesOn(open.id)
    stage.wait(stage.prng.between(0, 1000))
    cluster.heal([writer], stage.allBut(writer), false)
    stage.untilWritten()
  },
)

const toWriter = story(
  'one-way-to-writer',
  'the writer hears nobody, while all that it sends arrives: its lease ends on its side only',
  { clients: { producers: 3 } },
  stage => {
    stage.begin()
    const { writer, cluster } = stage
    stage.leadAwayFrom(writer)
    cluster.cut(stage.allBut(writer), [writer], false)
    const { chain } = stage.node(writer) ?? {}
    stage.until('its lease is over', () => chain !== null && chain !== undefined && chain.nowMs > chain.leaseUntilMs)
    stage.wait(stage.prng.between(0, 3000))
    cluster.heal(stage.allBut(writer), [writer], false)
    stage.untilWritten()
  },
)

const appendsLost = story(
  'one-way-appends-lost',
  'a replica hears nothing of the writer, which hears the replica',
  { chain: { replicaTimeoutMs: 400 } },
  stage => oneWay(stage, (writer, replica) => [[writer], [replica]]),
)

const acksLost = story(
  'one-way-acks-lost',
  'a replica takes everything, and none of its acknowledgements arrives',
  { chain: { replicaTimeoutMs: 400 } },
  stage => oneWay(stage, (writer, replica) => [[replica], [writer]]),
)

function oneWay(stage: Stage, directionOf: (writer: NodeId, replica: NodeId) => [NodeId[], NodeId[]]): void {
  stage.begin()
  const { open, cluster } = stage
  const [from, to] = directionOf(stage.writer, replicaThatDoesNotLead(stage))
  const before = stage.committed()
  cluster.cut(from, to, false)
  stage.until('the writer goes on', () => stage.committed() > before)
  stage.untilGoesOn(open.id)
  stage.wait(stage.prng.between(0, 2000))
  cluster.heal(from, to, false)
  stage.untilWritten()
}

const renewalsLost = story(
  'one-way-renewals-lost',
  'the writer hears the Raft leader, which does not hear the writer and gives its work to another',
  {},
  stage => {
    stage.begin()
    const { writer, open } = stage
    const leader = stage.leadAwayFrom(writer)
    const heard = stage.lose((from, to, message) => from === writer && to === leader && !isChain(message))
    stage.untilGoesOn(open.id)
    heard()
    stage.untilWritten()
  },
)

const grantsLost = story(
  'one-way-grants-lost',
  'the Raft leader hears the writer, which does not hear the leader and commits without a lease',
  { clients: { producers: 3 } },
  stage => {
    stage.begin()
    const { writer } = stage
    const leader = stage.leadAwayFrom(writer)
    const heard = stage.lose((from, to, message) => from === leader && to === writer && !isChain(message))
    const { chain } = stage.node(writer) ?? {}
    stage.until('its lease is over', () => chain !== null && chain !== undefined && chain.nowMs > chain.leaseUntilMs)
    stage.untilWritten()
    stage.wait(stage.prng.between(0, 2000))
    heard()
    stage.untilWritten()
  },
)

function replicaThatDoesNotLead(stage: Stage): NodeId {
  const lost = stage.prng.pick(stage.others)
  stage.leadAwayFrom(lost)
  return lost
}

export const cuts: readonly ClusterScenario[] = [
  fromRaft,
  fromMinority,
  withItsClients,
  fromClients,
  fromWriter,
  toWriter,
  appendsLost,
  acksLost,
  renewalsLost,
  grantsLost,
]
