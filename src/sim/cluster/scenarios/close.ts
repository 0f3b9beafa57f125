/**
 * Everything close together: tiny segments, quick elections, short leases, a fault every few hundred milliseconds. A run is
 * short, so that many of them fit into a minute; planted bugs (../mutant-list.ts) are looked for here.
 */
import type { Prng } from '../../../base/prng.ts'
import type { Troubles } from '../nemesis.ts'
import type { ClusterScenario, Conditions } from '../run.ts'

export const close: ClusterScenario = {
  name: 'close',
  title: 'short runs with tiny segments, quick elections and a fault every few hundred milliseconds',
  conditions: closer,
}

function closer({ tuning, troubles, clients, ...drawn }: Conditions, prng: Prng): Conditions {
  return {
    ...drawn,
    tuning: {
      ...tuning,
      nodes: prng.pick([3, 3, 4]),
      partitions: prng.pick([1, 2]),
      tickMs: 10,
      raftTickMs: 20,
      controlMs: 50,
      proposeTimeoutMs: 200,
      snapshotEntries: prng.pick([10, 40]),
      raft: { ...tuning.raft, electionTicks: prng.pick([6, 10]), trailingEntries: prng.pick([0, 5]) },
      chain: { ...tuning.chain, rollRecords: prng.pick([10, 40, 200]), replicaTimeoutMs: 300, resendMs: 50 },
      liveness: { ...tuning.liveness, sessionMs: 600, renewMs: 50 },
      controller: {
        ...tuning.controller,
        repeatMs: 200,
        recoveryMs: 1000,
        growPauseMs: 400,
        rotationPauseMs: 1000,
        absenceMs: 3000,
      },
    },
    troubles: closerTogether(troubles),
    clients: {
      ...clients,
      producers: prng.between(1, 4),
      producerPauseMs: 20,
      readerPauseMs: 60,
      trimPauseMs: prng.chance(0.5) ? 500 : null,
    },
    troubledMs: prng.between(2000, 6000),
  }
}

function closerTogether(troubles: Troubles): Troubles {
  return Object.fromEntries(Object.entries(troubles).map(([trouble, gapMs]) => [trouble, gapMs / 4]))
}
