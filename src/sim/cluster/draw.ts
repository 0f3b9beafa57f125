/**
 * What a seed draws: the shape of the cluster, how bad its network and disks are, which faults happen. The ranges reach to
 * where a real cluster would hardly do any work; half of the seeds are gentler, because a cluster that never gets anywhere
 * tests nothing behind the first step.
 */
import type { Prng } from '../../base/prng.ts'
import { type ChainSettings, chainSettings } from '../../chain/settings.ts'
import { defaultControllerSettings } from '../../cluster/controller.ts'
import { defaultLivenessSettings } from '../../cluster/liveness.ts'
import type { RaftSettings } from '../../raft/events.ts'
import type { DiskSettings } from './disk.ts'
import type { Trouble, Troubles } from './nemesis.ts'
import type { NetworkSettings } from './network.ts'
import type { Conditions } from './run.ts'
import type { ClusterTuning } from './tuning.ts'

export function drawConditions(prng: Prng): Conditions {
  const severity = prng.pick([0, 0.1, 0.3, 1])
  return {
    tuning: drawTuning(prng),
    network: drawNetwork(prng, severity),
    disk: drawDisk(prng, severity),
    troubles: drawTroubles(prng),
    clients: {
      producers: prng.between(0, 4),
      followers: prng.between(0, 2),
      samplers: 1,
      producerPauseMs: prng.pick([30, 100, 300]),
      readerPauseMs: prng.pick([100, 300]),
      trimPauseMs: prng.chance(0.5) ? 10_000 : null,
    },
    troubledMs: prng.between(10_000, 40_000),
  }
}

export function drawTuning(prng: Prng): ClusterTuning {
  const nodes = prng.pick([3, 3, 3, 4, 5])
  const replicas = prng.pick([3, 3, 3, 3, 2, 2, 1])
  const tickMs = prng.pick([10, 20, 40])
  return {
    nodes,
    partitions: prng.between(1, 4),
    replicas,
    minInsync: Math.min(prng.pick([2, 2, 2, 1, 3]), replicas),
    tickMs,
    raftTickMs: 50,
    controlMs: prng.pick([50, 100, 200]),
    proposeTimeoutMs: prng.pick([200, 500, 1000]),
    snapshotEntries: prng.pick([20, 100, 1000]),
    raft: drawRaft(prng),
    chain: drawChain(prng),
    liveness: defaultLivenessSettings,
    controller: defaultControllerSettings,
  }
}

function drawRaft(prng: Prng): RaftSettings {
  return {
    electionTicks: prng.pick([6, 10, 20]),
    heartbeatTicks: prng.pick([1, 2]),
    inflightMessagesMax: prng.pick([1, 4, 64]),
    inflightBytesMax: prng.pick([500, 10_000, 1_000_000]),
    appendBytesMax: prng.pick([200, 2000, 100_000]),
    uncommittedBytesMax: prng.pick([5000, 1_000_000]),
    snapshotChunkBytes: prng.pick([2000, 20_000, 100_000]),
    trailingEntries: prng.pick([0, 5, 100]),
    waitingReadsMax: 100,
  }
}

function drawChain(prng: Prng): ChainSettings {
  const settings = chainSettings({
    appendBytesMax: prng.pick([200, 2000, 1 << 20]),
    inflightBytesMax: prng.pick([500, 5000, 1 << 20]),
    backlogBytesMax: prng.pick([5000, 1 << 20]),
    uncommittedBytesMax: prng.pick([5000, 1 << 20]),
    bufferBytesMax: prng.pick([2000, 1 << 20]),
    rollRecords: prng.pick([5, 20, 100, 500]),
    replicaTimeoutMs: prng.pick([300, 1500]),
    resendMs: prng.pick([50, 100, 300]),
    drainMs: prng.pick([5, 50, 200]),
    fenceWaitMs: prng.pick([50, 300]),
    publishMs: prng.pick([5, 20]),
  })
  if (settings === null) throw new Error('the draws lie within the bounds')
  return settings
}

function drawNetwork(prng: Prng, severity: number): NetworkSettings {
  const upTo = (most: number) => prng.float() * most * severity
  return {
    delayMinMs: 0.1 + upTo(30),
    delayMeanMs: 0.2 + upTo(100),
    loss: upTo(0.3),
    doubling: upTo(0.5),
    clog: upTo(0.02),
    clogMaxMs: upTo(5000),
  }
}

function drawDisk(prng: Prng, severity: number): DiskSettings {
  return { syncMinMs: 0.1 + prng.float() * severity, syncMeanMs: 0.2 + prng.float() * 20 * severity, failure: 0 }
}

const gapsMs: Readonly<Record<Trouble, readonly [number, number]>> = {
  crash: [1500, 10_000],
  restart: [3000, 15_000],
  'power loss': [10_000, 60_000],
  partition: [2000, 15_000],
  'one-way partition': [3000, 15_000],
  flapping: [5000, 20_000],
  stall: [2000, 15_000],
  wipe: [4000, 20_000],
  drift: [5000, 20_000],
  'clock jump': [5000, 20_000],
  'slow disk': [3000, 20_000],
  'failed sync': [8000, 30_000],
  rotation: [1000, 10_000],
  transfer: [3000, 20_000],
  'stray recovery': [1000, 10_000],
  'hidden from clients': [4000, 20_000],
}

/** A few kinds at a time: with all of them at once everything waits for everything. */
function drawTroubles(prng: Prng): Troubles {
  const drawn: Partial<Record<Trouble, number>> = {}
  for (const [trouble, [least, most]] of Object.entries(gapsMs)) {
    if (prng.chance(0.4)) drawn[trouble as Trouble] = prng.between(least, most)
  }
  return drawn
}
