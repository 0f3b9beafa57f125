/**
 * Who leads the metadata, and that those who cannot lead disturb nobody who does: a random run that is about little else, and
 * stories of half-connected members. Elections without end are what PreVote and CheckQuorum are there against.
 */
import type { Prng } from '../../../base/prng.ts'
import type { ClusterScenario, Conditions } from '../run.ts'
import { type Stage, story } from './stage.ts'

const elections: ClusterScenario = {
  name: 'elections',
  title: 'leaders of the metadata come and go many times a second, and members change disks',
  conditions: restless,
}

function restless({ tuning, clients, network, ...drawn }: Conditions, prng: Prng): Conditions {
  return {
    ...drawn,
    tuning: {
      ...tuning,
      nodes: prng.pick([3, 4, 5]),
      partitions: 1,
      tickMs: 10,
      raftTickMs: 10,
      controlMs: 40,
      proposeTimeoutMs: 100,
      snapshotEntries: prng.pick([5, 20, 100]),
      raft: { ...tuning.raft, electionTicks: 6, heartbeatTicks: 2, trailingEntries: prng.pick([0, 3, 20]) },
      chain: { ...tuning.chain, rollRecords: prng.pick([1, 5, 20]) },
    },
    network: { ...network, delayMinMs: 0.1, delayMeanMs: prng.pick([0.5, 2, 10]) },
    troubles: {
      crash: prng.pick([500, 1500, 5000]),
      partition: prng.pick([1500, 4000]),
      'one-way partition': 3000,
      flapping: prng.pick([200, 1000]),
      stall: 4000,
      transfer: prng.pick([40, 150, 1000]),
      'slow disk': 3000,
      'power loss': prng.pick([600, 3000]),
      wipe: prng.pick([1000, 4000]),
    },
    clients: { ...clients, producers: 0, followers: 0, producerPauseMs: 60, readerPauseMs: 400, trimPauseMs: null },
    troubledMs: prng.between(3000, 10_000),
  }
}

// ── half-connected members

const calm = { clients: { producers: 0, producerPauseMs: 50 } } as const

/** A member that cannot lead has no influence on who does, as long as a majority hears the leader. */
function keepsItsLeader(stage: Stage, forMs: number): void {
  const { leader } = stage.cluster
  const term = leader?.raft.term
  stage.wait(forMs)
  const now = stage.cluster.leader
  const isSame = now !== null && now.host.nodeId === leader?.host.nodeId && now.raft.term === term
  stage.promise(isSame, `L5: a leader that a majority hears goes on leading, from term ${term} to ${now?.raft.term}`)
}

const deafMember = story(
  'deaf-member',
  'a member hears nobody while everybody hears it: it asks whether it could lead, and raises no term',
  calm,
  stage => {
    stage.begin()
    const leader = stage.leadAmong(stage.everybody)
    const deaf = stage.prng.pick(stage.allBut(leader))
    stage.wait(500)
    stage.cluster.cut(stage.allBut(deaf), [deaf], false)
    keepsItsLeader(stage, stage.prng.between(2000, 6000))
    stage.cluster.heal(stage.allBut(deaf), [deaf], false)
    keepsItsLeader(stage, 2000)
  },
)

const halfConnected = story(
  'half-connected-member',
  'the leader and one member do not reach each other while the others reach both',
  calm,
  stage => {
    stage.begin()
    const leader = stage.leadAmong(stage.everybody)
    const member = stage.prng.pick(stage.allBut(leader))
    stage.wait(500)
    stage.cluster.cut([leader], [member])
    keepsItsLeader(stage, stage.prng.between(2000, 6000))
    stage.cluster.heal([leader], [member])
    keepsItsLeader(stage, 2000)
  },
)

const muteFollowers = story(
  'deaf-leader',
  'the leader hears nobody while everybody hears it: it steps down, and another one leads',
  calm,
  stage => {
    stage.begin()
    const leader = stage.leadAmong(stage.everybody)
    const { term } = stage.cluster.host(leader).node!.raft
    stage.cluster.cut(stage.allBut(leader), [leader], false)
    const { electionTicks } = stage.cluster.tuning.raft
    // It counts for up to two times of an election, and then an election takes as long, now and then twice.
    const limitMs = 8 * electionTicks * stage.cluster.tuning.raftTickMs
    const isReplaced = () => {
      const now = stage.cluster.leader
      return now !== null && now.host.nodeId !== leader && now.raft.term > term
    }
    const isInTime = stage.cluster.until(isReplaced, limitMs)
    stage.promise(isInTime, `L5: a leader that hears no majority is replaced within ${limitMs} ms`)
    stage.wait(stage.prng.between(500, 3000))
    stage.cluster.heal(stage.allBut(leader), [leader], false)
  },
)

const handOvers = story(
  'quiet-hand-overs',
  'leadership is handed over and over among healthy nodes: nobody is taken for dead, and no writer loses a segment',
  calm,
  stage => {
    stage.begin()
    const { recoveries } = stage.cluster.witness.reached
    for (let i = 0; i < 5; i++) {
      stage.leadAwayFrom(stage.leadAmong(stage.everybody))
      stage.wait(stage.prng.between(100, 1000))
    }
    const { nodes } = stage.cluster.witness.reference
    stage.promise(
      [...nodes.values()].every(({ isUp }) => isUp),
      'a new leader grants everybody a session',
    )
    stage.promise(stage.cluster.witness.reached.recoveries === recoveries, 'a new leader takes nobody’s segments away')
  },
)

const longOutage = story(
  'node-down-for-long',
  'a node is down for long: partitions are written again without it soon, and segments do not roll for ever',
  prng => ({ ...calm, tuning: { nodes: prng.pick([3, 3, 4]), replicas: prng.pick([2, 3]), minInsync: 1 } }),
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    cluster.crash(prng.pick([stage.writer, ...stage.others]))
    const downAtMs = cluster.nowMs
    const isWritten = () => stage.run.clients.lastAcknowledgedAtMs(0) > downAtMs + 2000
    stage.promise(cluster.until(isWritten, outageMsMax), `L2: the others take over within ${outageMsMax} ms`)
    const { rolls } = cluster.witness.reached
    stage.wait(3000)
    const count = cluster.witness.reached.rolls - rolls
    stage.promise(count < 10, `L3: without a reason to roll, the segment was rolled ${count} times in 3 s`)
  },
)

/** A lease, the wait for an answer, an order that was given to the dead node first, and a roll. */
const outageMsMax = 10_000

export const leaderships: readonly ClusterScenario[] = [
  elections,
  deafMember,
  halfConnected,
  muteFollowers,
  handOvers,
  longOutage,
]
