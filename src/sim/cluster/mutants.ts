/** Planted bugs of the cores, and whether the cluster simulation finds them. How they are planted: ../mutants.ts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { invariant } from '../../base/invariant.ts'
import type { Edit } from '../mutant-list.ts'
import { copyMutated } from '../mutants.ts'
import { searchMutants } from '../search/mutants.ts'
import type { ClusterMutant } from './mutant-list.ts'

export interface Found {
  readonly seed: number
  readonly kind: string
  readonly text: string
}

export function editsOf({ name, edits }: ClusterMutant): readonly Edit[] {
  const found = edits ?? searchMutants.find(other => other.name === name)?.edits
  invariant(found !== undefined, `the search has a planted bug with the name: ${name}`)
  return found
}

/** Runs the seed that found it last, then others; null when none of them finds it. */
export async function findClusterMutant(mutant: ClusterMutant, onSeed: (seed: number) => void): Promise<Found | null> {
  const folder = mkdtempSync(join(tmpdir(), 'tidelog-mutant-'))
  try {
    const copy = copyMutated(folder, editsOf(mutant))
    const runs = await import(pathToFileURL(join(copy, 'src/sim/cluster/run.ts')).href)
    const index = await import(pathToFileURL(join(copy, 'src/sim/cluster/scenarios/index.ts')).href)
    const { runCluster }: typeof import('./run.ts') = runs
    const { clusterScenarios }: typeof import('./scenarios/index.ts') = index
    const scenario = clusterScenarios.find(other => other.name === mutant.scenario)
    invariant(scenario !== undefined, 'a mutant names a scenario that exists')
    for (let i = 0; i < mutant.seedsMax; i++) {
      const seed = mutant.seed + i
      onSeed(seed)
      const found = firstAnomaly(() => runCluster({ seed, scenario }).anomalies)
      if (found !== null) return { seed, ...found }
    }
    return null
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A core that notices by itself that something cannot be throws. */
function firstAnomaly(run: () => readonly Omit<Found, 'seed'>[]): Omit<Found, 'seed'> | null {
  try {
    return run()[0] ?? null
  } catch (error) {
    return { kind: 'broken invariant', text: error instanceof Error ? error.message : String(error) }
  }
}
