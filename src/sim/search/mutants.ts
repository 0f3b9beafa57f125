/**
 * Planted bugs of the two cores: copies of the sources with one place changed, searched like the original. Each must be
 * found; the simulator has its own list of those that need time, load or disks (src/sim/mutant-list.ts).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { invariant } from '../../base/invariant.ts'
import { copyMutated } from '../mutants.ts'
import { chainMutants, chainMutantsInCi } from './chain-mutants.ts'
import type { SearchLimits, SearchResult } from './engine.ts'
import { raftMutants, raftMutantsInCi } from './raft-mutants.ts'
import type { SearchMutant } from './search-mutant.ts'

export const searchMutants: readonly SearchMutant[] = [...raftMutants, ...chainMutants]

/** Names of some of each kind that are found within a second or two. */
export const mutantsInCi: readonly string[] = [...raftMutantsInCi, ...chainMutantsInCi]

export async function findSearchMutant(mutant: SearchMutant, limits: SearchLimits): Promise<SearchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tidelog-mutant-'))
  try {
    const path = join(copyMutated(folder, mutant.edits), 'src/sim/search/models.ts')
    const { models }: typeof import('./models.ts') = await import(pathToFileURL(path).href)
    const model = models.find(({ name }) => name === mutant.model)
    invariant(model !== undefined, 'a planted bug names a model that exists')
    return model.search(limits)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
