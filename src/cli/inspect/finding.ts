/**
 * What a reader of a format finds, piece by piece: first what the file says of itself, then what is in it, with what is wrong
 * where it is wrong. Everything is plain data; how it is printed is `report.ts`.
 */
import type { Json } from '../output.ts'

export type Values = { readonly [name: string]: Json }

export type Finding =
  /** What the head of the file says. */
  | { readonly is: 'header'; readonly values: Values }
  /** A line of the listing. */
  | { readonly is: 'entry'; readonly values: Values }
  /** A body that is one record, whole. */
  | { readonly is: 'document'; readonly value: Json }
  /** Damage, and where it begins. */
  | { readonly is: 'problem'; readonly position: number; readonly message: string }
  /** Nothing wrong, and worth knowing. */
  | { readonly is: 'note'; readonly message: string }

export const header = (values: Values): Finding => ({ is: 'header', values })
export const entry = (values: Values): Finding => ({ is: 'entry', values })
export const problem = (position: number, message: string): Finding => ({ is: 'problem', position, message })
export const note = (message: string): Finding => ({ is: 'note', message })

export interface Format {
  /** As in docs/formats. */
  readonly name: string
  /** Of the listing: a field of each entry, and how wide it is. */
  readonly columns: readonly FormatColumn[]
}

export interface FormatColumn {
  readonly field: string
  readonly width: number
  readonly right?: boolean
}

/** Records of our tables as JSON says them: bytes in hex where they are short, their count where they are not. */
export function plain(value: unknown): Json {
  if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
    return value
  if (typeof value === 'bigint') return value.toString()
  if (Buffer.isBuffer(value)) return value.length <= 32 ? value.toString('hex') : `${value.length} bytes`
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return [...value].map(([key, each]) => [plain(key), plain(each)])
  if (typeof value === 'object' && value !== undefined) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]))
  }
  return null
}
