/**
 * `topic segments`: each partition's chain, a cell per segment. Its brackets say the state: `[sealed]`, `[open>` which is
 * still being written, `[sealing|`, `(deleting)`; its width grows with its bytes.
 *
 *     partition 0   3 segments, 1.2 MiB
 *     [1@1 0..1000 512 KiB][1@2 1000..1999 498 KiB][1@3 1999.. 231 KiB>
 */
import { exitCodes } from '../base/errors.ts'
import { CliError } from './failure.ts'
import { askApi, httpAddress, isObject, refuseAnotherBroker } from './http-api.ts'
import type { BrokerFlags, HttpFlags, OutputFlags } from './options.ts'
import { bytesText, counted, type Json, paint, printable, show, timeText } from './output.ts'

export interface Segment {
  readonly id: number
  readonly base: number
  /** Null while it is not sealed. */
  readonly end: number | null
  readonly bytes: number
  readonly state: string
  readonly writer: number
  readonly epoch: number
  readonly maxTimestamp: number | null
}

export interface Chain {
  readonly partition: number
  /** Older segments that the broker did not tell. */
  readonly leftOut: number
  readonly segments: readonly Segment[]
}

export async function showSegments(name: string, flags: BrokerFlags & HttpFlags & OutputFlags): Promise<void> {
  const address = await httpAddress(flags)
  await refuseAnotherBroker(address, flags)
  const chains: Chain[] = []
  let after: string | null = null
  do {
    const query: string = after === null ? '' : `?after=${encodeURIComponent(after)}`
    const page = await askApi(address, `/api/v1/topics/${encodeURIComponent(name)}/segments${query}`)
    if (!isPage(page)) {
      throw new CliError(exitCodes.runtime, `the broker’s answer about the segments of ${name} is of another version`)
    }
    chains.push(...page.partitions)
    after = page.next === null ? null : String(page.next)
  } while (after !== null)
  await show(flags.output, {
    data: { name, partitions: chains } as unknown as Json,
    names: () => chains.flatMap(({ partition, segments }) => segments.map(({ id }) => `${name}/${partition}/${id}`)),
    table: () => drawing(name, chains, process.stdout.columns ?? 120),
  })
}

function isPage(
  page: unknown,
): page is { readonly partitions: readonly Chain[]; readonly next: string | number | null } {
  const { partitions, next } = isObject(page) ? page : {}
  return Array.isArray(partitions) && partitions.every(isChain) && next !== undefined
}

function isChain(chain: unknown): chain is Chain {
  const { partition, segments } = isObject(chain) ? chain : {}
  return typeof partition === 'number' && Array.isArray(segments)
}

export function drawing(name: string, chains: readonly Chain[], columns: number): string {
  const head = `${paint('bold', printable(name))}  ${counted(chains.length, 'partition')}; a cell is writer@epoch base..end bytes\n`
  return head + chains.map(chain => `\n${chainDrawing(chain, columns)}`).join('')
}

function chainDrawing({ partition, leftOut, segments }: Chain, columns: number): string {
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
  const newest = segments.reduce((max, { maxTimestamp }) => Math.max(max, maxTimestamp ?? -1), -1)
  const time = timeText(newest)
  const facts = [
    counted(segments.length + leftOut, 'segment'),
    bytesText(bytes),
    ...(time === null ? [] : [`newest record ${time}`]),
  ]
  const older = leftOut > 0 ? [{ text: `… ${leftOut} older`, how: 'dim' as const }] : []
  const largest = segments.reduce((max, segment) => Math.max(max, segment.bytes), 1)
  const cells = [
    ...older,
    ...segments.map(segment => cellOf(segment, largest, Math.min(widthMax, Math.floor(columns / cellsInLine)))),
  ]
  return `partition ${partition}   ${facts.join(', ')}\n${wrapped(cells, columns)}`
}

interface Cell {
  readonly text: string
  readonly how: 'green' | 'cyan' | 'yellow' | 'dim'
}

const widthMax = 48
/** Several stand in a line. */
const cellsInLine = 3

function cellOf(segment: Segment, largestBytes: number, widest: number): Cell {
  const { writer, epoch, base, end, bytes, state } = segment
  const inside = `${writer}@${epoch} ${base}..${end ?? ''} ${bytesText(bytes)}`
  const padded = inside.padEnd(Math.round((widest * bytes) / largestBytes))
  switch (state) {
    case 'open':
      return { text: `[${padded}>`, how: 'green' }
    case 'sealing':
      return { text: `[${padded}|`, how: 'yellow' }
    case 'deleting':
      return { text: `(${padded})`, how: 'dim' }
    default:
      return { text: `[${padded}]`, how: 'cyan' }
  }
}

function wrapped(cells: readonly Cell[], columns: number): string {
  const lines: string[] = []
  let line = ''
  let width = 0
  for (const { text, how } of cells) {
    if (width > 0 && width + text.length > columns) {
      lines.push(line)
      line = ''
      width = 0
    }
    line += paint(how, text)
    width += text.length
  }
  if (line !== '') lines.push(line)
  return lines.map(each => `${each}\n`).join('')
}
