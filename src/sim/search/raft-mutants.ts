/** Planted bugs of the Raft core, one per rule that keeps it safe; most are somebody's real one. */
import type { SearchMutant } from './search-mutant.ts'

export const raftMutants: readonly SearchMutant[] = []
