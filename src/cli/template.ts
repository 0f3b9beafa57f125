/**
 * Templates for what `produce --count` sends: `{{.Count}}` and the like, in values, keys and headers, in the spelling of the
 * `nats` program (the dot may be left out). What is no template is text.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { exitCodes } from '../base/errors.ts'
import { nearestName } from '../broker/nearest-name.ts'
import { CliError } from './failure.ts'

type Fill = (count: number) => string

const letters = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
const randomLengthMax = 1 << 20

/** Each with its words, and what it is for the help. */
export const fields: Readonly<Record<string, { readonly help: string; make(words: readonly string[]): Fill | null }>> =
  {
    Count: { help: 'the number of the record, from 1', make: words => (words.length === 0 ? String : null) },
    TimeStamp: { help: 'now, as 2026-11-21T10:00:00.000Z', make: plain(() => new Date().toISOString()) },
    Unix: { help: 'now, in seconds since 1970', make: plain(() => String(Math.floor(Date.now() / 1000))) },
    UnixMs: { help: 'now, in milliseconds since 1970', make: plain(() => String(Date.now())) },
    ID: { help: 'an id of its own (a UUID)', make: plain(() => randomUUID()) },
    Random: { help: '{{Random 10 20}}: 10 to 20 random letters and digits', make: randomText },
  }

/** Compiles a text; throws for a template that there is not. */
export function compileTemplate(text: string): Fill {
  const parts: Fill[] = []
  let from = 0
  for (const match of text.matchAll(/\{\{\s*(.*?)\s*\}\}/g)) {
    parts.push(literal(text.slice(from, match.index)), fillOf(match[1]!, match[0]))
    from = match.index + match[0].length
  }
  parts.push(literal(text.slice(from)))
  return count => parts.map(part => part(count)).join('')
}

const literal = (text: string): Fill => {
  return () => text
}

function plain(fill: () => string): (words: readonly string[]) => Fill | null {
  return words => (words.length === 0 ? fill : null)
}

function fillOf(inner: string, whole: string): Fill {
  const [first = '', ...words] = inner.replace(/^\./, '').split(/\s+/)
  const names = Object.keys(fields)
  const made = Object.hasOwn(fields, first) ? fields[first]!.make(words) : null
  if (made !== null) return made
  const near = first === '' || Object.hasOwn(fields, first) ? null : nearestName(first, names)
  const hint =
    near === null ? `there are ${names.map(name => `{{.${name}}}`).join(', ')}` : `did you mean {{.${near}}}?`
  throw new CliError(exitCodes.usage, `${whole} is no template; ${hint}`)
}

function randomText(words: readonly string[]): Fill | null {
  const [min, max = min] = words.map(word => (/^\d{1,7}$/.test(word) ? Number(word) : Number.NaN))
  if (words.length < 1 || words.length > 2 || !(min! >= 0 && max! >= min! && max! <= randomLengthMax)) return null
  return () => {
    const length = min! + Math.floor(Math.random() * (max! - min! + 1))
    const found = Uint8Array.from(randomBytes(length), byte => letters[byte % letters.length]!)
    return Buffer.from(found).toString('latin1')
  }
}
