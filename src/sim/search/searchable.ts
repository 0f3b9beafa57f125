/** A model with its types closed in: what the command line and the planted bugs handle. */
import { type SearchLimits, type SearchResult, search } from './engine.ts'
import type { Model } from './model.ts'
import { sentenceOf } from './violation.ts'
import { type WalkLimits, type WalkResult, walk } from './walk.ts'

export interface Searchable {
  readonly name: string
  readonly title: string
  readonly limits: readonly string[]
  search(limits: SearchLimits): SearchResult
  walk(limits: WalkLimits): WalkResult
}

export function searchable<Node, Message, Event, Note, Env>(model: Model<Node, Message, Event, Note, Env>): Searchable {
  return searchableLater(model, () => model)
}

/** A model that is made when it is searched: what it costs to make, and what breaks on the way, belongs to the search. */
export function searchableLater<Node, Message, Event, Note, Env>(
  { name, title, limits }: Pick<Searchable, 'name' | 'title' | 'limits'>,
  make: () => Model<Node, Message, Event, Note, Env>,
): Searchable {
  return {
    name,
    title,
    limits,
    search: bounds => {
      try {
        return search(make(), bounds)
      } catch (error) {
        return brokenAtOnce(name, error)
      }
    },
    walk: bounds => walk(make(), bounds),
  }
}

/** What is broken so badly that it does not get as far as the initial state. */
function brokenAtOnce(model: string, error: unknown): SearchResult {
  const violation = { sentence: sentenceOf(error), trace: [], state: [] }
  const nothing = {
    states: 0,
    transitions: 0,
    depth: 0,
    elapsedMs: 0,
    nodeStates: 0,
    messages: 0,
    steps: 0,
    tableBytes: 0,
  }
  return { model, end: 'violation', violation, ...nothing, sights: new Map() }
}
