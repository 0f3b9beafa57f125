/** The grammar of the text protocol: a command is a word, mostly a topic, and what is left. */

export type TextCommand =
  | { readonly do: 'register' | 'state'; readonly topic: string }
  | { readonly do: 'put'; readonly topic: string; readonly payload: string }
  /** Null: the group of everybody who names none. */
  | { readonly do: 'get' | 'skip'; readonly topic: string; readonly group: string | null }
  | {
      readonly do: 'fetch'
      readonly topic: string
      readonly segment: number
      readonly offset: number
      readonly partition: number
    }
  | { readonly do: 'metrics' | 'help' }
  /** What is no command, with what is to be said of it. */
  | { readonly do: 'refuse'; readonly reply: string }

/** One line, so that it is one in a terminal, too. */
export const helpText =
  'OK REGISTER topic | PUT topic text | GET topic [group] | SKIP topic [group] | FETCH topic segment offset [partition] | STATE topic | METRICS | HELP'

/** White space at the end is not part of a command, nor of the text that `PUT` brings. All else stays as it is. */
export function parseCommand(text: string): TextCommand {
  const [op, topic, rest] = splitInThree(withoutTrailingSpace(text))
  switch (op) {
    case 'PUT':
      if (topic === null) return refuse('ERR PUT requires a topic')
      return rest === null ? refuse('ERR PUT requires a payload') : { do: 'put', topic, payload: rest }
    case 'GET':
    case 'SKIP':
      if (topic === null) return refuse(`ERR ${op} requires a topic`)
      return { do: op === 'GET' ? 'get' : 'skip', topic, group: rest }
    case 'FETCH':
      return topic === null ? refuse('ERR FETCH requires a topic') : fetchOf(topic, rest ?? '')
    case 'REGISTER':
    case 'STATE':
      if (topic === null) return refuse(`ERR ${op} requires a topic`)
      return { do: op === 'STATE' ? 'state' : 'register', topic }
    case 'METRICS':
      return { do: 'metrics' }
    case 'HELP':
      return { do: 'help' }
    default:
      return refuse('ERR unknown command')
  }
}

function fetchOf(topic: string, rest: string): TextCommand {
  const numbers = rest.length > 100 ? null : /^(\d{1,15}) (\d{1,15})(?: (\d{1,9}))?$/.exec(rest)
  if (numbers === null) return refuse('ERR FETCH requires a segment and an offset')
  const [, segment, offset, partition = '0'] = numbers
  return { do: 'fetch', topic, segment: Number(segment), offset: Number(offset), partition: Number(partition) }
}

const refuse = (reply: string): TextCommand => ({ do: 'refuse', reply })

/** At the first two spaces; null for what is not there. */
function splitInThree(text: string): readonly [string, string | null, string | null] {
  const first = text.indexOf(' ')
  if (first < 0) return [text, null, null]
  const second = text.indexOf(' ', first + 1)
  if (second < 0) return [text.slice(0, first), text.slice(first + 1), null]
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)]
}

/** All that Unicode calls white space, which is not quite what `trimEnd` takes for it. */
const whiteSpace: ReadonlySet<number> = new Set([
  ...[0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000],
  ...Array.from({ length: 11 }, (_, i) => 0x2000 + i),
])

function withoutTrailingSpace(text: string): string {
  let end = text.length
  while (end > 0 && whiteSpace.has(text.charCodeAt(end - 1))) end--
  return text.slice(0, end)
}
