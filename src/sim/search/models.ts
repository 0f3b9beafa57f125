/** Every model that is searched. */
import { chainModelsInCi } from './chain-configurations.ts'
import { chainModels } from './chain-model.ts'
import { raftModels, raftModelsInCi } from './raft-configurations.ts'
import { raftWalks } from './raft-walks.ts'
import type { Searchable } from './searchable.ts'

export const models: readonly Searchable[] = [...raftModels, ...chainModels]

/** What is walked through at random only. */
export const walkedModels: readonly Searchable[] = raftWalks

/** Names of those that are searched to their end within seconds. */
export const modelsInCi: readonly string[] = [...raftModelsInCi, ...chainModelsInCi]
