/** Clocks that jump, drift, or stand still while their machine sleeps, on both sides of a lease. */
import type { ClusterScenario } from '../run.ts'
import { isChain, type Stage, story } from './stage.ts'

/** Some ask for acks=1, for which the lease matters. */
function withWeakProducers(stage: Stage): void {
  stage.addProducer({ acks: 1, isIdempotent: false, pauseMs: 20, timeoutMs: 300 })
}

const wall = story(
  'wall-clocks-jump',
  'wall clocks jump by hours in both directions, which nothing depends on',
  {},
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    for (let i = 0; i < 5; i++) {
      const host = prng.pick(cluster.hosts)
      host.clock.wallJumpMs += prng.between(-7_200_000, 7_200_000)
      const { open } = stage
      stage.roll()
      stage.untilGoesOn(open.id)
    }
  },
)

const aheadAtHolder = story(
  'clock-jumps-ahead-at-holder',
  'the writer’s clock jumps ahead: its lease is over for it, and it asks for a new one',
  {},
  stage => {
    stage.begin()
    withWeakProducers(stage)
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    const chain = stage.node(writer)?.chain ?? stage.cut('the writer runs')
    for (let i = 0; i < 3; i++) {
      cluster.host(writer).clock.jumpAhead(prng.between(2000, 60_000))
      stage.until('its lease is over', () => chain.nowMs >= chain.leaseUntilMs)
      stage.until('it has a lease again', () => chain.nowMs < chain.leaseUntilMs)
      stage.wait(prng.between(0, 500))
    }
    stage.promise(stage.open.id === open.id, 'a clock that jumps takes no partition away from anybody')
    stage.untilWritten()
  },
)

const aheadAtGrantor = story(
  'clock-jumps-ahead-at-grantor',
  'the Raft leader’s clock jumps ahead by more than a lease: that counts as its own sleep, and nobody loses a lease',
  {},
  stage => {
    stage.begin()
    withWeakProducers(stage)
    const { open, cluster, prng, writer } = stage
    const leader = stage.leadAwayFrom(writer)
    for (let i = 0; i < 3; i++) {
      cluster.host(leader).clock.jumpAhead(prng.between(2000, 60_000))
      stage.wait(prng.between(100, 1000))
    }
    stage.promise(stage.open.id === open.id, 'a leader whose clock jumps takes no partition away from anybody')
    stage.untilWritten()
  },
)

const drift = story(
  'clocks-drift-within-bound',
  'the writer’s clock is slow and the leader’s is fast, as far as allowed: the lease ends at the writer first',
  {},
  stage => {
    stage.begin()
    withWeakProducers(stage)
    const { open, cluster, prng, writer } = stage
    const { driftMax } = cluster.tuning.liveness
    const leader = stage.leadAwayFrom(writer)
    cluster.host(writer).clock.drift(1 - (driftMax / 2) * prng.float())
    cluster.host(leader).clock.drift(1 + (driftMax / 2) * prng.float())
    stage.wait(prng.between(500, 3000))
    const chain = stage.node(writer)?.chain ?? stage.cut('the writer runs')
    const apart = stage.lose((from, to, message) => (from === writer || to === writer) && !isChain(message))
    stage.until(
      'the leader takes the partition away',
      () => stage.open.state === 'sealing' || stage.open.id !== open.id,
    )
    stage.promise(
      cluster.host(writer).clock.monotonicMs >= chain.leaseUntilMs,
      'a lease is over at its holder when the grantor acts on its end',
    )
    apart()
    stage.untilGoesOn(open.id)
  },
)

const driftBeyond = story(
  'clocks-drift-beyond-bound',
  'the writer’s clock runs at half the speed, so that its lease outlasts its partition: the fence is the safety',
  {},
  stage => {
    stage.begin()
    withWeakProducers(stage)
    const { open, cluster, prng, writer } = stage
    stage.leadAwayFrom(writer)
    cluster.host(writer).clock.drift(0.3 + prng.float() * 0.3)
    stage.wait(prng.between(0, 1000))
    const chain = stage.node(writer)?.chain ?? stage.cut('the writer runs')
    const apart = stage.lose((from, to, message) => (from === writer || to === writer) && !isChain(message))
    stage.untilSealing(open.id)
    if (cluster.host(writer).clock.monotonicMs >= chain.leaseUntilMs) stage.cut('the lease was over all the same')
    stage.untilGoesOn(open.id)
    stage.wait(prng.between(0, 1000))
    apart()
    stage.untilWritten()
  },
)

const suspended = (who: 'holder' | 'grantor', counts: boolean): ClusterScenario =>
  story(
    `suspend-of-${who}-${counts ? 'counted' : 'not-counted'}`,
    `the ${who === 'holder' ? 'writer' : 'Raft leader'} is suspended, and its clock ${counts ? 'jumps over' : 'does not know'} the time`,
    {},
    stage => {
      stage.begin()
      withWeakProducers(stage)
      const { cluster, prng, writer } = stage
      const leader = stage.leadAwayFrom(writer)
      const nodeId = who === 'holder' ? writer : leader
      const { clock } = cluster.host(nodeId)
      const forMs = prng.between(1000, 5000)
      cluster.stall(nodeId, forMs)
      if (!counts) clock.drift(0)
      stage.wait(forMs)
      clock.drift(1)
      stage.until('it goes on', () => !cluster.host(nodeId).isStalled)
      stage.untilWritten()
      stage.wait(prng.between(0, 2000))
      stage.untilWritten()
    },
  )

export const clocks: readonly ClusterScenario[] = [
  wall,
  aheadAtHolder,
  aheadAtGrantor,
  drift,
  driftBeyond,
  suspended('holder', true),
  suspended('holder', false),
  suspended('grantor', true),
  suspended('grantor', false),
]
