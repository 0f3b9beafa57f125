/**
 * How much simulated time a second of one core buys: `node bench/simulator.ts [SIMULATED_SECONDS]`. Two loads: a steady one (three
 * nodes, one partition of three copies, now and then a crash or a stall) and the storms that hunts consist of, whose small
 * segments, short ticks and bad networks make five times the events.
 */

import { type ClusterScenario, type Conditions, runCluster } from '../src/sim/cluster/run.ts'
import { storm } from '../src/sim/cluster/scenarios/storm.ts'

const simulatedMs = Number(process.argv[2] ?? 300) * 1000

const steady: ClusterScenario = {
  name: 'steady',
  title: 'a cluster at work',
  conditions: (drawn: Conditions): Conditions => ({
    ...drawn,
    tuning: {
      ...drawn.tuning,
      nodes: 3,
      partitions: 1,
      replicas: 3,
      minInsync: 2,
      tickMs: 40,
      controlMs: 200,
      raft: { ...drawn.tuning.raft, electionTicks: 20, heartbeatTicks: 4 },
      chain: { ...drawn.tuning.chain, rollRecords: 500 },
    },
    network: { delayMinMs: 0.1, delayMeanMs: 0.4, loss: 0.001, doubling: 0, clog: 0, clogMaxMs: 0 },
    disk: { syncMinMs: 0.2, syncMeanMs: 0.3, failure: 0 },
    troubles: { crash: 20_000, stall: 30_000 },
    clients: { ...drawn.clients, producers: 1, followers: 0, samplers: 0, producerPauseMs: 300, readerPauseMs: 1000 },
    troubledMs: simulatedMs,
  }),
}

function measure(scenario: ClusterScenario, seeds: readonly number[]): void {
  let [virtualMs, events, produced] = [0, 0, 0]
  const before = process.cpuUsage()
  for (const seed of seeds) {
    const report = runCluster({ seed, scenario })
    if (report.anomalies.length > 0) throw new Error(`seed ${seed} is broken: ${report.anomalies[0]?.text}`)
    virtualMs += report.virtualMs
    events += report.events
    produced += report.counts.get('produced') ?? 0
  }
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1e6
  const rate = (virtualMs / 1000 / seconds).toFixed(0)
  const each = ((seconds * 1e6) / events).toFixed(1)
  const density = ((events / virtualMs) * 1000).toFixed(0)
  const load = ((produced / virtualMs) * 1000).toFixed(1)
  console.log(
    `${scenario.name.padEnd(8)} ${rate} simulated s per s of one core; ${density} events per simulated s (${load} batches), ${each} µs each`,
  )
}

measure(steady, [1])
measure(steady, [2, 3, 4])
measure(storm, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
