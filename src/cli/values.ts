/** What people write for numbers, durations, sizes, times and positions, and what they are told when it is none of these. */
import { InvalidArgumentError } from 'commander'

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `500ms`, `30s`, `5m`, `1h`, `2d`, `1w`, `1h30m`: in milliseconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)]
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text) {
    throw new InvalidArgumentError('It is a number and a unit: 500ms, 30s, 5m, 1h, 2d.')
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitsMs[unit!]!, 0)
}

const sizes: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
}

/** `100`, `10KiB`, `1MiB`: in bytes. */
export function parseBytes(text: string): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text) ?? []
  const factor = sizes[unit.toUpperCase()]
  const bytes = Math.round(Number(count) * (factor ?? Number.NaN))
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('It is a number of bytes: 100, 10KiB, 1MiB.')
  return bytes
}

/** The same from 0 to `max`, which is said as `maxText`. */
export function bytesUpTo(max: number, maxText: string): (text: string) => number {
  return text => {
    const bytes = parseBytes(text)
    if (bytes > max) throw new InvalidArgumentError(`It is ${maxText} at most.`)
    return bytes
  }
}

/** A whole number from `min` on. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) {
      const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`
      throw new InvalidArgumentError(`It is a whole number ${bounds}.`)
    }
    return value
  }
}

/** Numbers of partitions: `0,2,5-7`. */
export function parsePartitions(text: string): readonly number[] {
  const found = new Set<number>()
  for (const part of text.split(',')) {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part.trim()) ?? []
    if (from === undefined || Number(to) < Number(from) || Number(to) - Number(from) > 100_000) {
      throw new InvalidArgumentError('It is numbers of partitions: 0 or 0,2 or 0-3.')
    }
    for (let each = Number(from); each <= Number(to); each++) found.add(each)
  }
  return [...found].sort((a, b) => a - b)
}

/** `NAME=VALUE`; the value may be empty and may hold further equals signs. */
export function parsePair(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is NAME=VALUE.')
  return [text.slice(0, at), text.slice(at + 1)]
}

/** For options that may be given more than once. */
export function collect<T>(
  parse: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before) => [...(before ?? []), parse(text)]
}

/**
 * A moment, in milliseconds since 1970: `2026-11-21T10:00:00Z`, `2026-11-21 10:00` and `2026-11-21` in this machine's time
 * zone, milliseconds as they are, `-15m` for a quarter of an hour ago, `now`.
 */
export function parseTime(text: string, nowMs = Date.now()): number {
  if (text === 'now') return nowMs
  if (/^\d{1,16}$/.test(text)) return Number(text)
  if (text.startsWith('-')) return nowMs - parseDuration(text.slice(1))
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text)
  const isTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(text)
  const timestampMs = isDay || isTime ? Date.parse(isDay ? `${text}T00:00` : text.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(timestampMs)) {
    throw new InvalidArgumentError('A time is 2026-11-21T10:00:00Z, milliseconds since 1970, or -15m for a while ago.')
  }
  return timestampMs
}

/** A place in a partition's log, still without the log. */
export type Place =
  | { readonly at: 'beginning' }
  | { readonly at: 'end' }
  | { readonly at: 'offset'; readonly offset: number }
  /** So many before the end. */
  | { readonly at: 'last'; readonly count: number }
  | { readonly at: 'time'; readonly timestampMs: number }

/** `beginning`, `end`, an offset, `-N` for the last N, `@TIME`. */
export function parsePlace(text: string): Place {
  if (text === 'beginning' || text === 'earliest') return { at: 'beginning' }
  if (text === 'end' || text === 'latest') return { at: 'end' }
  if (/^\d{1,16}$/.test(text)) return { at: 'offset', offset: Number(text) }
  if (/^-\d{1,16}$/.test(text)) return { at: 'last', count: Number(text.slice(1)) }
  if (text.startsWith('@')) return { at: 'time', timestampMs: parseTime(text.slice(1)) }
  throw new InvalidArgumentError('It is beginning, end, an offset, -N for the last N, or @TIME.')
}
