/** Every model that is searched, smallest first within each core. */

import { chainModels } from './chain-model.ts'
import { raftModels } from './raft-configurations.ts'
import type { Searchable } from './searchable.ts'

export const models: readonly Searchable[] = [...raftModels, ...chainModels]
