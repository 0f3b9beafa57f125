/**
 * What commands print: data on standard output, in the form that was asked for, everything else on standard error. Colour
 * only on a terminal, and not where NO_COLOR is set.
 */
import { writeSync } from 'node:fs'
import { exitCodes } from '../base/errors.ts'
import { CliError, OutputClosed } from './failure.ts'
import { oneLine } from './say.ts'

export const outputFormats = ['table', 'json', 'yaml', 'name'] as const
export type OutputFormat = (typeof outputFormats)[number]

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined }

/** The same thing in each form. */
export interface Shown {
  /** For `json` and `yaml`: the documented shape. */
  readonly data: Json
  readonly table: () => string
  /** For `name`: a line each. */
  readonly names: () => readonly string[]
}

export async function show(format: OutputFormat, { data, table, names }: Shown): Promise<void> {
  switch (format) {
    case 'json':
      return write(`${JSON.stringify(data, null, 2)}\n`)
    case 'yaml':
      return write(yamlOf(data))
    case 'name':
      return write(
        names()
          .map(line => `${line}\n`)
          .join(''),
      )
    default:
      return write(table())
  }
}

let closed: Error | null = null
let isWatched = false

/** Resolves when the reader has taken it; rejects with `OutputClosed` when there is none any more. */
export function write(data: string | Uint8Array): Promise<void> {
  const { stdout } = process
  if (!isWatched) {
    isWatched = true
    stdout.on('error', error => {
      closed = error
    })
  }
  if (closed !== null) return Promise.reject(outputFailure(closed))
  if (data.length === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    stdout.write(data, error => (error == null ? resolve() : reject(outputFailure(error))))
  })
}

function outputFailure(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return new OutputClosed('nobody reads the output')
  return new CliError(
    exitCodes.runtime,
    `standard output cannot be written (${code ?? error.message}); is its disk full?`,
  )
}

/** A remark on standard error, without the program's name: it is no error. */
export function note(text: string): void {
  try {
    writeSync(2, `${oneLine(text)}\n`)
  } catch {
    // Nobody listens.
  }
}

export interface Column<Row> {
  readonly title: string
  readonly of: (row: Row) => string | number | null
  /** Numbers stand right. */
  readonly right?: boolean
}

/** Columns as wide as their widest cell; null is a dash. */
export function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map(row => columns.map(column => printable(column.of(row))))
  const widths = columns.map(({ title }, i) => cells.reduce((max, row) => Math.max(max, row[i]!.length), title.length))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  const head = line(columns.map(({ title }) => title.toUpperCase()))
  return [paint('bold', head), ...cells.map(line)].map(text => `${text}\n`).join('')
}

/** What a name or a message holds must not steer the terminal. */
export function printable(cell: string | number | null): string {
  if (cell === null) return '-'
  return String(cell).replaceAll(/\p{Cc}/gu, '·')
}

const paints = { bold: 1, dim: 2, green: 32, yellow: 33, red: 31, cyan: 36 } as const
export type Paint = keyof typeof paints

export function paint(how: Paint, text: string): string {
  return hasColour() ? `\u001b[${paints[how]}m${text}\u001b[0m` : text
}

function hasColour(): boolean {
  const { NO_COLOR } = process.env
  return process.stdout.isTTY === true && (NO_COLOR === undefined || NO_COLOR === '')
}

/** Block style, a list item or a name per line; text in quotes unless it can be nothing else. */
export function yamlOf(data: Json): string {
  const lines = yamlLines(data)
  return lines.map(line => `${line}\n`).join('')
}

function yamlLines(data: Json): string[] {
  if (data === null || typeof data !== 'object') return [yamlScalar(data)]
  if (Array.isArray(data)) return data.length === 0 ? ['[]'] : data.flatMap(item => nested('-', yamlLines(item)))
  const fields = Object.entries(data).filter((field): field is [string, Json] => field[1] !== undefined)
  if (fields.length === 0) return ['{}']
  return fields.flatMap(([name, value]) => {
    const lines = yamlLines(value)
    const isBlock = value !== null && typeof value === 'object' && !['[]', '{}'].includes(lines[0]!)
    const key = `${yamlScalar(name)}:`
    return isBlock ? [key, ...lines.map(line => `  ${line}`)] : [`${key} ${lines[0]}`]
  })
}

function nested(mark: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => (i === 0 ? `${mark} ${line}` : `  ${line}`))
}

function yamlScalar(value: Json): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  const isPlain = /^[A-Za-z_][\w./-]*$/.test(value) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(value)
  return isPlain ? value : JSON.stringify(value)
}

/** 1536 as `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

/** Times as ISO 8601 in UTC; -1 stands for none. */
export function timeText(timestampMs: number | null): string | null {
  if (timestampMs === null || timestampMs < 0 || !Number.isFinite(timestampMs) || timestampMs > 8.64e15) return null
  return new Date(timestampMs).toISOString()
}

/** `1 record`, `2 records`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
