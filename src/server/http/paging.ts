/** Pages of lists: how many, and behind what. Everything else in a query is refused, so that a typing error is not obeyed. */
import { nearestName } from '../../broker/nearest-name.ts'
import { HttpProblem } from './problem.ts'

const limitDefault = 1_000
const limitMax = 10_000

export type Query = Readonly<Record<string, unknown>>

export interface PageAsk {
  readonly limit: number
  /** Null for the first page. */
  readonly after: string | null
}

export interface Page<T> {
  readonly items: readonly T[]
  /** What to give as `after` for the next page; null on the last. */
  readonly next: string | null
}

const parameters = ['limit', 'after']

export function pageAsked(query: Query): PageAsk {
  for (const name of Object.keys(query)) {
    if (parameters.includes(name)) continue
    const nearest = nearestName(name, parameters)
    const hint = nearest === null ? `there are ${parameters.join(' and ')}` : `did you mean ${nearest}?`
    throw new HttpProblem('BAD_REQUEST', `the parameter '${name.slice(0, 100)}' is not known`, hint)
  }
  const { limit = String(limitDefault), after = null } = query
  const count = typeof limit === 'string' && /^\d{1,5}$/.test(limit) ? Number(limit) : 0
  if (count < 1 || count > limitMax) {
    throw new HttpProblem('BAD_REQUEST', 'limit is no number of entries', `give one from 1 to ${limitMax}`)
  }
  if (after !== null && typeof after !== 'string') {
    throw new HttpProblem('BAD_REQUEST', 'after is given more than once', 'give what `next` was on the page before')
  }
  return { limit: count, after }
}

/** `items` in order of their names. */
export function pageByName<T>(items: readonly T[], nameOf: (item: T) => string, { limit, after }: PageAsk): Page<T> {
  const found = after === null ? 0 : items.findIndex(item => nameOf(item) > after)
  const from = found < 0 ? items.length : found
  const page = items.slice(from, from + limit)
  const last = page.at(-1)
  return { items: page, next: last !== undefined && from + limit < items.length ? nameOf(last) : null }
}

/** `items` in order of their numbers, which are their places. */
export function pageByNumber<T>(items: readonly T[], { limit, after }: PageAsk): Page<T> {
  const number = after === null ? -1 : /^\d{1,9}$/.test(after) ? Number(after) : null
  if (number === null) throw new HttpProblem('BAD_REQUEST', 'after is no number', 'give what `next` was')
  const end = number + 1 + limit
  return { items: items.slice(number + 1, end), next: end < items.length ? String(end - 1) : null }
}
