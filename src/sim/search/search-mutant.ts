/** A planted bug of a core: what is changed in its text, and which model must find it. */
import type { Edit } from '../mutant-list.ts'

export interface SearchMutant {
  readonly name: string
  readonly model: string
  readonly edits: readonly Edit[]
  /** Why the search must not find it: a rule that is kept for another reason than safety. */
  readonly harmless?: string
}
