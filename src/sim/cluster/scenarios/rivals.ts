/** Writers that live, and recoveries of their segments all the same, several at a time, over a network that reorders. */
import type { Prng } from '../../../base/prng.ts'
import type { ClusterScenario, Conditions } from '../run.ts'
import { story } from './stage.ts'

const rivals: ClusterScenario = {
  name: 'rivals',
  title: 'segments are recovered several times a second under the hands of their writers, and of each other',
  conditions: rivalling,
}

function rivalling({ tuning, clients, network, ...drawn }: Conditions, prng: Prng): Conditions {
  return {
    ...drawn,
    tuning: {
      ...tuning,
      nodes: prng.pick([3, 3, 4]),
      partitions: 1,
      replicas: 3,
      tickMs: 10,
      raftTickMs: 20,
      controlMs: 50,
      proposeTimeoutMs: 200,
      chain: {
        ...tuning.chain,
        rollRecords: prng.pick([20, 200]),
        fenceWaitMs: prng.pick([0, 0, 50]),
        resendMs: 50,
        replicaTimeoutMs: 300,
        appendBytesMax: 1 << 20,
        inflightBytesMax: 1 << 20,
        backlogBytesMax: 1 << 20,
        uncommittedBytesMax: 1 << 20,
      },
      controller: { ...tuning.controller, repeatMs: 200, recoveryMs: 800, growPauseMs: 400 },
    },
    network: {
      ...network,
      delayMinMs: 0.1,
      delayMeanMs: prng.pick([2, 10, 25]),
      loss: prng.pick([0, 0, 0.05]),
      clog: 0,
    },
    disk: { syncMinMs: 0.1, syncMeanMs: prng.pick([0.5, 5, 20]), failure: 0 },
    troubles: {
      'stray recovery': prng.pick([60, 200]),
      rotation: 400,
      flapping: prng.pick([300, 1000]),
      crash: prng.pick([600, 3000]),
      'slow disk': 2000,
      stall: 2000,
    },
    clients: {
      ...clients,
      producers: prng.between(2, 5),
      followers: 0,
      producerPauseMs: prng.pick([5, 15]),
      readerPauseMs: 100,
      trimPauseMs: null,
    },
    troubledMs: prng.between(1500, 3000),
  }
}

const zombieWithReplica = story(
  'zombie-with-one-replica',
  'a writer reaches one replica and nobody else, and goes on while the two others, that replica among them, are fenced and seal',
  prng => ({
    tuning: { nodes: 3 },
    clients: { producers: 4, producerPauseMs: 5 },
    chain: { fenceWaitMs: prng.pick([50, 300]) },
  }),
  stage => {
    stage.begin()
    const { cluster, open, writer } = stage
    const recoverer = stage.leadAwayFrom(writer)
    const [both] = stage.allBut(writer, recoverer)
    // What it took waits for its disk when the fence comes.
    cluster.host(both!).disk.settings = { syncMinMs: 5, syncMeanMs: 20, failure: 0 }
    stage.wait(300)
    cluster.cut([writer], [recoverer])
    stage.untilWritten()
    stage.recover(recoverer)
    stage.untilSealed(open.id)
    stage.wait(500)
    cluster.heal([writer], [recoverer])
  },
)

export const rivalries: readonly ClusterScenario[] = [rivals, zombieWithReplica]
