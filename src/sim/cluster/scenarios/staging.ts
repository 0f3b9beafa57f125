/**
 * The conditions of a told story: calm where the story needs it, so that what it tells happens as it tells it, and drawn by
 * the seed in everything else, so that no two runs of a story are the same run.
 */
import type { Prng } from '../../../base/prng.ts'
import type { ChainSettings } from '../../../chain/settings.ts'
import type { RaftSettings } from '../../../raft/events.ts'
import type { ClientOptions } from '../clients.ts'
import type { Conditions } from '../run.ts'
import type { ClusterTuning } from '../tuning.ts'

export interface Staging {
  readonly tuning?: Partial<Omit<ClusterTuning, 'chain' | 'raft'>>
  readonly chain?: Partial<ChainSettings>
  readonly raft?: Partial<RaftSettings>
  readonly clients?: Partial<ClientOptions>
  /** Messages are lost, doubled and late. Stories that hold certain messages back would wait in vain for lost ones. */
  readonly isRough?: boolean
}

/** `staging` may be drawn too. */
export const staged =
  (staging: Staging | ((prng: Prng) => Staging)) =>
  (drawn: Conditions, prng: Prng): Conditions => {
    const changes = typeof staging === 'function' ? staging(prng) : staging
    const isRough = changes.isRough ?? false
    return {
      tuning: {
        ...calmTuning(drawn.tuning, prng),
        ...changes.tuning,
        raft: { ...calmRaft(drawn.tuning.raft, prng), ...changes.raft },
        chain: { ...calmChain(drawn.tuning.chain, prng), ...changes.chain },
      },
      network: {
        delayMinMs: 0.1 + prng.float(),
        delayMeanMs: prng.pick(isRough ? [2, 10, 30] : [0.2, 1, 3]),
        loss: isRough ? prng.float() * 0.1 : 0,
        doubling: isRough ? prng.float() * 0.3 : prng.pick([0, 0, 0.05]),
        clog: 0,
        clogMaxMs: 0,
      },
      disk: { syncMinMs: 0.1, syncMeanMs: prng.pick([0.2, 1, 4]), failure: 0 },
      troubles: {},
      clients: {
        producers: prng.between(0, 3),
        followers: 1,
        samplers: 1,
        producerPauseMs: prng.pick([15, 30, 50]),
        readerPauseMs: 150,
        trimPauseMs: null,
        ...changes.clients,
      },
      troubledMs: 0,
    }
  }

function calmTuning(drawn: ClusterTuning, prng: Prng): ClusterTuning {
  const tickMs = prng.pick([10, 20])
  const nodes = prng.pick([3, 3, 4, 5])
  return { ...drawn, nodes, partitions: 1, replicas: 3, minInsync: 2, tickMs, controlMs: 100, snapshotEntries: 1000 }
}

function calmRaft(drawn: RaftSettings, prng: Prng): RaftSettings {
  return {
    ...drawn,
    electionTicks: prng.pick([6, 10]),
    inflightMessagesMax: prng.pick([4, 64]),
    inflightBytesMax: 1_000_000,
    appendBytesMax: prng.pick([2000, 100_000]),
    uncommittedBytesMax: 1_000_000,
  }
}

/** Nothing rolls by itself, and nobody is given up early, unless the story says so. */
function calmChain(drawn: ChainSettings, prng: Prng): ChainSettings {
  return {
    ...drawn,
    appendBytesMax: prng.pick([2000, 1 << 20]),
    inflightBytesMax: prng.pick([5000, 1 << 20]),
    backlogBytesMax: 1 << 20,
    uncommittedBytesMax: 1 << 20,
    bufferBytesMax: 1 << 20,
    rollRecords: 1_000_000,
    replicaTimeoutMs: 1500,
    resendMs: prng.pick([50, 100]),
  }
}
