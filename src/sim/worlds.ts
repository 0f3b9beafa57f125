/**
 * The two simulated worlds, as the command line sees them. `node`: one node's production code down to its journal, on a faulty
 * disk. `cluster`: the cores of Raft and of the segment chain on many nodes, with a faulty network, clocks and disks.
 */
import type { ClusterScenario } from './cluster/run.ts'
import { runCluster } from './cluster/run.ts'
import { clusterScenarios } from './cluster/scenarios/index.ts'
import { openEngine } from './node.ts'
import { scenarios } from './scenarios/index.ts'
import { type SweepFault, sweepScenario } from './scenarios/sweep.ts'
import { type RunReport, runScenario, type Scenario } from './simulation.ts'

export type WorldName = 'node' | 'cluster'

export interface Job {
  readonly seed: number
  readonly scenario: string
  readonly run: (onTrace?: (line: string) => void) => RunReport | Promise<RunReport>
}

export interface WorldOfScenarios {
  readonly scenarios: readonly { readonly name: string; readonly title: string }[]
  /** What a seed runs when nobody names a scenario: half of all runs mix everything, the others look closer at one thing. */
  job(seed: number): Job
}

export const worlds: Readonly<Record<WorldName, WorldOfScenarios>> = {
  node: { scenarios, job: seed => nodeJob(seed, drawn(scenarios, seed)) },
  cluster: { scenarios: clusterScenarios, job: seed => clusterJob(seed, drawn(clusterScenarios, seed)) },
}

/** The run of a seed that somebody asks for by name. */
export function jobNamed(seed: number, name: string): Job {
  const [kind, fault, at] = name.split(':')
  if (kind === 'sweep') return nodeJob(seed, sweepScenario(fault as SweepFault, Number(at)))
  const ofNode = scenarios.find(scenario => scenario.name === name)
  if (ofNode !== undefined) return nodeJob(seed, ofNode)
  const ofCluster = clusterScenarios.find(scenario => scenario.name === name)
  if (ofCluster !== undefined) return clusterJob(seed, ofCluster)
  const names = [...scenarios, ...clusterScenarios].map(scenario => scenario.name)
  throw new Error(`no scenario is called ${name}; there are ${names.join(', ')}`)
}

export function nodeJob(seed: number, scenario: Scenario): Job {
  return {
    seed,
    scenario: scenario.name,
    run: onTrace =>
      runScenario({ seed, scenario, openWith: openEngine, ...(onTrace === undefined ? {} : { onTrace }) }),
  }
}

function clusterJob(seed: number, scenario: ClusterScenario): Job {
  return {
    seed,
    scenario: scenario.name,
    run: onTrace => runCluster({ seed, scenario, ...(onTrace === undefined ? {} : { onTrace }) }),
  }
}

/** The first scenario mixes everything. */
function drawn<S>(all: readonly S[], seed: number): S {
  const special = all[1 + (Math.floor(seed / 2) % Math.max(1, all.length - 1))]
  return (seed % 2 === 0 ? special : undefined) ?? (all[0] as S)
}
