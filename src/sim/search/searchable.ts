/** A model with its types closed in: what the command line and the planted bugs handle. */
import { type SearchLimits, type SearchResult, search } from './engine.ts'
import type { Model } from './model.ts'
import { type WalkLimits, type WalkResult, walk } from './walk.ts'

export interface Searchable {
  readonly name: string
  readonly title: string
  readonly limits: readonly string[]
  search(limits: SearchLimits): SearchResult
  walk(limits: WalkLimits): WalkResult
}

export function searchable<Node, Message, Event, Note, Env>(model: Model<Node, Message, Event, Note, Env>): Searchable {
  return {
    name: model.name,
    title: model.title,
    limits: model.limits,
    search: limits => search(model, limits),
    walk: limits => walk(model, limits),
  }
}
