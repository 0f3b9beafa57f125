/**
 * What a run came to, as Markdown: a row for each client, a column for each scenario, and below it, numbered, what a
 * cell has to say.
 */
import type { Lack } from './stage.ts'

export type Outcome =
  | { readonly kind: 'pass'; readonly without: readonly Lack[] }
  | { readonly kind: 'differs'; readonly what: string }
  /** It differs as `expected.ts` says, with its reason. */
  | { readonly kind: 'known'; readonly what: string; readonly why: string }
  | { readonly kind: 'n/a'; readonly why: string }

export interface Row {
  readonly language: string
  readonly client: string
  readonly version: string
  /** By the scenario's name. */
  readonly outcomes: ReadonlyMap<string, Outcome>
}

/** What is no client's alone: groups of several clients, command line tools. */
export interface Extra {
  readonly program: string
  readonly name: string
  readonly outcome: Outcome
}

export interface Results {
  readonly broker: string
  readonly columns: readonly { readonly name: string; readonly about: string }[]
  readonly rows: readonly Row[]
  readonly extras: readonly Extra[]
  /** Languages that did not run, each with its reason. */
  readonly leftOut: readonly LeftOut[]
}

export interface LeftOut {
  readonly language: string
  readonly why: string
  /** It should have run: as bad as a difference. */
  readonly isFailure?: true
}

export function markdownOf(results: Results): string {
  const notes = new Notes()
  const parts = [
    clientTable(results, notes),
    extraTable(results.extras, notes),
    '✓ passes, – cannot be done with this client; in small numbers, what it has no way to do:',
    notes.list(),
    leftOutLine(results.leftOut),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

/** Every difference that nobody expected, in full. */
export function differencesOf({ rows, extras, leftOut }: Results): string[] {
  const inRows = rows.flatMap(({ client, version, outcomes }) =>
    [...outcomes].map(([name, outcome]) => ({ program: `${client} ${version}`, name, outcome })),
  )
  const all = [...inRows, ...extras].flatMap(({ program, name, outcome }) =>
    outcome.kind === 'differs' ? [{ where: `${program}, ${name}`, what: outcome.what }] : [],
  )
  // What keeps a client from running at all is the same in every scenario.
  const byText = Map.groupBy(all, ({ what }) => what)
  const differing = [...byText].map(
    ([what, each]) => `${each[0]!.where}${each.length > 1 ? ` and ${each.length - 1} more` : ''}: ${what}`,
  )
  const failed = leftOut.filter(({ isFailure }) => isFailure === true).map(({ language, why }) => `${language}: ${why}`)
  return [...differing, ...failed]
}

function clientTable({ broker, columns, rows }: Results, notes: Notes): string {
  if (rows.length === 0) return ''
  const head = ['client', ...columns.map(({ name }) => name)]
  const body = rows.map(({ client, version, outcomes }) => [
    `${client} ${version}`,
    ...columns.map(({ name }) => notes.cell(outcomes.get(name), client)),
  ])
  const legend = columns.map(({ name, about }) => `- **${name}**: ${about}`)
  const about = ['<details><summary>What the columns stand for</summary>', '', ...legend, '', '</details>']
  return [`Against ${broker}:`, '', ...tableLines(head, body), '', ...about].join('\n')
}

function extraTable(extras: readonly Extra[], notes: Notes): string {
  if (extras.length === 0) return ''
  const body = extras.map(({ program, name, outcome }) => [program, name, notes.cell(outcome, program)])
  return tableLines(['programs', 'what', ''], body).join('\n')
}

function leftOutLine(leftOut: readonly LeftOut[]): string {
  if (leftOut.length === 0) return ''
  return `Not run: ${leftOut.map(({ language, why }) => `${language} (${firstLine(why)})`).join(', ')}.`
}

function tableLines(head: readonly string[], body: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...body.map(line)]
}

/** The same remark of the same client has one number. */
class Notes {
  readonly #texts: string[] = []

  cell(outcome: Outcome | undefined, client: string): string {
    if (outcome === undefined) return ''
    switch (outcome.kind) {
      case 'pass':
        return `✓${this.#refer(withoutText(outcome.without).map(text => `${client}, ${text}`))}`
      case 'differs':
        return `**differs**${this.#refer([`${client}: ${outcome.what}`])}`
      case 'known':
        return `differs${this.#refer([`${client}: ${outcome.what} ${outcome.why}`])}`
      case 'n/a':
        return `–${this.#refer([`${client}: ${outcome.why}`])}`
    }
  }

  list(): string {
    return this.#texts.map((text, i) => `${i + 1}. ${text}`).join('\n')
  }

  #refer(texts: readonly string[]): string {
    const numbers = texts.map(text => {
      const shown = firstLine(text)
      const known = this.#texts.indexOf(shown)
      return known >= 0 ? known + 1 : this.#texts.push(shown)
    })
    return numbers.length === 0 ? '' : ` <sup>${[...new Set(numbers)].join(' ')}</sup>`
  }
}

/** What was left out, by its reason. */
export function withoutText(lacks: readonly Lack[]): string[] {
  const byReason = Map.groupBy(lacks, ({ why }) => why)
  return [...byReason].map(([why, each]) => `without ${each.map(({ step }) => step).join(', ')}: ${why}`)
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''

const begin = '<!-- conformance: generated by `npm run conformance -- --readme` -->'
const end = '<!-- conformance: end -->'

/** The text with what stands between the markers replaced. */
export function withTable(text: string, table: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`there are no lines "${begin}" and "${end}"`)
  return `${text.slice(0, from + begin.length)}\n\n${table}\n${text.slice(to)}`
}
