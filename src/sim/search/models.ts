/** Every model that is searched. */
import { chainModelsInCi } from './chain-configurations.ts'
import { chainModels } from './chain-model.ts'
import { raftModels, raftModelsInCi } from './raft-configurations.ts'
import type { Searchable } from './searchable.ts'

export const models: readonly Searchable[] = [...raftModels, ...chainModels]

/** Names of those that are searched to their end within seconds. */
export const modelsInCi: readonly string[] = [...raftModelsInCi, ...chainModelsInCi]
