/** A replica that falls silent, and the time before anybody has noticed. */
import type { ClusterScenario } from '../run.ts'
import { story } from './stage.ts'

const pauseMsMax = 250

const silentReplica = story(
  'silent-replica',
  'a replica is cut off, and until it counts as lost the others commit without it as if it were there',
  { clients: { producers: 2, producerPauseMs: 20 } },
  stage => {
    stage.begin()
    const { cluster, prng } = stage
    const replica = prng.pick(stage.others)
    stage.leadAwayFrom(replica)
    stage.begin()
    cluster.cut([replica], stage.allBut(replica))
    const { replicaTimeoutMs } = stage.run.conditions.tuning.chain
    let [reached, sinceMs] = [stage.committed(), cluster.nowMs]
    for (const untilMs = cluster.nowMs + replicaTimeoutMs - pauseMsMax; cluster.nowMs < untilMs; ) {
      stage.wait(10)
      if (stage.committed() > reached || !stage.isInFlight) sinceMs = cluster.nowMs
      reached = Math.max(reached, stage.committed())
      const pausedMs = cluster.nowMs - sinceMs
      stage.promise(pausedMs < pauseMsMax, `L4: a silent replica stopped commits for ${Math.round(pausedMs)} ms`)
    }
    stage.untilWritten()
    cluster.heal([replica], stage.allBut(replica))
  },
)

export const silences: readonly ClusterScenario[] = [silentReplica]
