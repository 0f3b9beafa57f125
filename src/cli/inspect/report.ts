/**
 * Prints what a reader finds, in the form that was asked for, as it is found: a file may hold more than fits in memory. What
 * is wrong goes to standard error as well as into the listing.
 */
import { type Json, note, type OutputFormat, paint, printable, write, yamlOf } from '../output.ts'
import { say } from '../say.ts'
import type { Finding, Format, FormatColumn, Values } from './finding.ts'
import type { Source } from './source.ts'

export interface Counts {
  readonly entries: number
  readonly problems: number
}

type Problem = { readonly position: number; readonly message: string }

const chunkChars = 32 << 10

/** Prints all of it, up to `entriesMax` lines of the listing; what is wrong is told however much there is. */
export async function report(
  source: Source,
  format: Format,
  findings: Iterable<Finding>,
  { output, entriesMax }: { readonly output: OutputFormat; readonly entriesMax: number },
): Promise<Counts> {
  const printer = printerOf(output, source, format)
  let entries = 0
  let problems = 0
  for (const finding of findings) {
    if (finding.is === 'problem') {
      problems++
      say(`${source.path}, position ${finding.position}: ${finding.message}`)
    } else if (finding.is === 'note' && output === 'table') note(finding.message)
    if (finding.is === 'entry' && ++entries > entriesMax) continue
    await printer.take(finding)
  }
  await printer.end()
  return { entries, problems }
}

interface Printer {
  take(finding: Finding): Promise<void>
  end(): Promise<void>
}

function printerOf(output: OutputFormat, source: Source, format: Format): Printer {
  switch (output) {
    case 'json':
      return new JsonPrinter(source, format)
    case 'yaml':
      return new YamlPrinter(source, format)
    case 'name':
      return new NamePrinter(source)
    default:
      return new TablePrinter(source, format)
  }
}

/** Gathers small pieces into writes of some size. */
class Chunks {
  #text = ''

  async add(text: string): Promise<void> {
    this.#text += text
    if (this.#text.length >= chunkChars) await this.flush()
  }

  async flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    await write(text)
  }
}

class TablePrinter implements Printer {
  readonly #out = new Chunks()
  readonly #columns: readonly FormatColumn[]
  readonly #title: string
  #hasTitle = false
  #hasHead = false

  constructor(source: Source, format: Format) {
    this.#columns = format.columns
    this.#title = `${paint('bold', printable(source.path))}  ${format.name}, ${source.bytes} bytes\n`
  }

  async take(finding: Finding): Promise<void> {
    await this.#begin()
    if (finding.is === 'header') {
      const facts = Object.entries(finding.values).map(([name, value]) => `${name} ${scalarText(value)}`)
      await this.#out.add(`${facts.join(', ')}\n`)
    } else if (finding.is === 'document') await this.#out.add(`\n${yamlOf(finding.value)}`)
    else if (finding.is === 'entry') await this.#entry(finding.values)
  }

  async end(): Promise<void> {
    await this.#begin()
    await this.#out.flush()
  }

  async #begin(): Promise<void> {
    if (this.#hasTitle) return
    this.#hasTitle = true
    await this.#out.add(this.#title)
  }

  async #entry(values: Values): Promise<void> {
    if (!this.#hasHead) {
      this.#hasHead = true
      const titles = this.#columns.map(column => aligned(column, column.field.toUpperCase()))
      await this.#out.add(`\n${paint('bold', titles.join('  ').trimEnd())}\n`)
    }
    const line = this.#columns.map(column => aligned(column, scalarText(values[column.field] ?? null)))
    const { sound, contents } = values
    const text = line.join('  ').trimEnd()
    await this.#out.add(`${sound === false ? paint('red', `${text}  DAMAGED`) : text}\n`)
    if (Array.isArray(contents)) await this.#out.add(contents.map(record => `    ${JSON.stringify(record)}\n`).join(''))
  }
}

function aligned({ width, right }: FormatColumn, text: string): string {
  return right === true ? text.padStart(width) : text.padEnd(width)
}

function scalarText(value: Json): string {
  if (value === null) return '-'
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value))
}

/**
 * `{file, format, bytes, header, document, entries, problems, notes}`: entries as they come, what is wrong at the end. The
 * header comes before any entry.
 */
abstract class DocumentPrinter implements Printer {
  protected readonly out = new Chunks()
  readonly #head: Values
  readonly #problems: Problem[] = []
  readonly #notes: string[] = []
  #header: Json = null
  #document: Json = null
  #isBegun = false

  constructor(source: Source, format: Format) {
    this.#head = { file: source.path, format: format.name, bytes: source.bytes }
  }

  async take(finding: Finding): Promise<void> {
    if (finding.is === 'header') this.#header = finding.values
    else if (finding.is === 'document') this.#document = finding.value
    else if (finding.is === 'note') this.#notes.push(finding.message)
    else if (finding.is === 'problem') this.#problems.push(problemOf(finding))
    else {
      await this.#begin()
      await this.entry(finding.values)
    }
  }

  async end(): Promise<void> {
    await this.#begin()
    await this.rest({ problems: this.#problems, notes: this.#notes })
    await this.out.flush()
  }

  protected abstract head(values: Values): Promise<void>
  protected abstract entry(values: Values): Promise<void>
  protected abstract rest(values: Values): Promise<void>

  async #begin(): Promise<void> {
    if (this.#isBegun) return
    this.#isBegun = true
    await this.head({ ...this.#head, header: this.#header, document: this.#document })
  }
}

class JsonPrinter extends DocumentPrinter {
  #separator = '\n'

  protected async head(values: Values): Promise<void> {
    await this.out.add(`{\n  ${fieldsOf(values)},\n  "entries": [`)
  }

  protected async entry(values: Values): Promise<void> {
    await this.out.add(`${this.#separator}    ${JSON.stringify(values)}`)
    this.#separator = ',\n'
  }

  protected async rest(values: Values): Promise<void> {
    await this.out.add(`${this.#separator === '\n' ? '' : '\n  '}],\n  ${fieldsOf(values)}\n}\n`)
  }
}

function fieldsOf(values: Values): string {
  return Object.entries(values)
    .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
    .join(',\n  ')
}

function problemOf({ position, message }: Problem): { position: number; message: string } {
  return { position, message }
}

class YamlPrinter extends DocumentPrinter {
  #hasEntries = false

  protected async head(values: Values): Promise<void> {
    await this.out.add(yamlOf(values))
  }

  protected async entry(values: Values): Promise<void> {
    if (!this.#hasEntries) await this.out.add('entries:\n')
    this.#hasEntries = true
    await this.out.add(yamlOf([values]).replaceAll(/^/gm, '  ').trimEnd().concat('\n'))
  }

  protected async rest(values: Values): Promise<void> {
    if (!this.#hasEntries) await this.out.add('entries: []\n')
    await this.out.add(yamlOf(values))
  }
}

/** `FILE:POSITION` of every entry. */
class NamePrinter implements Printer {
  readonly #out = new Chunks()
  readonly #path: string

  constructor(source: Source) {
    this.#path = source.path
  }

  async take(finding: Finding): Promise<void> {
    if (finding.is !== 'entry') return
    const { position = 0 } = finding.values
    await this.#out.add(`${this.#path}:${position}\n`)
  }

  async end(): Promise<void> {
    await this.#out.flush()
  }
}
