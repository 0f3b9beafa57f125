/**
 * One small run, again and again, with one thing going wrong at another operation each time: at every call that the node
 * makes of its disk the process dies, the machine goes off, or the call fails.
 */
import type { Scenario, Simulation } from '../simulation.ts'

export const sweepFaults = ['kill', 'power', 'EIO', 'ENOSPC'] as const
export type SweepFault = (typeof sweepFaults)[number]

/** The seed of every sweep: the run is the same up to the fault. */
export const sweepSeed = 11

const lengthMs = 250

/** `at` counts the disk's operations from 1; 0 for a run in which nothing goes wrong. */
export function sweepScenario(fault: SweepFault, at: number): Scenario {
  return {
    name: `sweep:${fault}:${at}`,
    title: `${fault} at operation ${at} of a small run.`,
    overrides: () => ({
      tuning: {
        journalFileBytes: 8192,
        journalFirstFileBytes: 4096,
        journalBytes: 49_152,
        groupBytesMax: 8192,
        cacheBytes: 131_072,
        flushRunBytes: 512,
        flushRunBytesMax: 4096,
        flushThinBytes: 0,
        flushIdleMs: 5,
        openFilesMax: 16,
        retentionCheckMs: 100,
        offsetsPartitions: 1,
        offsetsSegmentBytes: 1500,
        offsetsRewriteBytesMin: 1000,
        offsetsRewriteBatchBytes: 200,
      },
      profile: {
        plans: [topic('first', 3000), topic('second', 1 << 20)],
        sendsMax: 150,
        recordsMax: 5,
        fillBytesMax: 100,
        hugeEvery: 0,
      },
      crowd: {
        plainProducers: [{ pauseMs: 2, pipelined: 3 }],
        idempotentProducers: [{ pauseMs: 2, pipelined: 3 }],
        tailReaders: 1,
        catchUpReaders: 0,
        admin: { trims: true, deletesTopics: false, changesTopics: true, clockJumpsMs: 0 },
        groups: {
          members: [1],
          simple: 1,
          partitions: 2,
          commitsMax: 60,
          metadataBytesMax: 0,
          sessionMs: 60,
          rebalanceMs: 100,
          pauseMs: 5,
          isStatic: false,
          replacesTopic: false,
        },
      },
    }),
    run: simulation => runSweep(simulation, fault, at),
  }
}

function topic(name: string, segmentBytes: number) {
  const configs = new Map([
    ['segment.bytes', String(segmentBytes)],
    ['retention.ms', '-1'],
    ['file.delete.delay.ms', '50'],
  ])
  const rules = { relaxed: false, stampsAppendTime: false, retentionMs: -1, retentionBytes: -1 }
  return { name, partitions: 1, configs, rules }
}

async function runSweep(simulation: Simulation, fault: SweepFault, at: number): Promise<void> {
  const { world, workload } = simulation
  let operations = 0
  world.faults.push(() => {
    operations += 1
    if (operations !== at) return null
    if (fault === 'EIO' || fault === 'ENOSPC') return { error: fault }
    world.scheduler.after(0, () => (fault === 'kill' ? world.kill() : world.losePower()))
    return null
  })
  await simulation.startForSure()
  workload.setDoors(true)
  await simulation.populate()
  await world.run(lengthMs, () => world.process === null)
  if (world.process !== null) await simulation.stop()
  world.count('operations', operations)
  simulation.heal()
  workload.setDoors(true)
  await simulation.finish()
}
