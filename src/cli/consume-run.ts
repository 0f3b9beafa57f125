/**
 * `tidelog consume`: prints records of a topic. Without a group it reads the partitions by itself (`partition-reader.ts`),
 * with one it is a member of it (`group-reader.ts`). Both hand over what they read piece by piece and go on when it is
 * printed, so that the reader of the output sets the pace.
 */
import { exitCodes } from '../base/errors.ts'
import { withCluster } from './connection.ts'
import { attempt, CliError, interruptedExitCode } from './failure.ts'
import { type ConsumedRecord, compileFormat, recordJson } from './format.ts'
import { interrupted } from './interrupt.ts'
import type { BrokerFlags } from './options.ts'
import { type OutputFormat, printable, timeText, write, yamlOf } from './output.ts'
import { chosen } from './topic-change.ts'
import type { Place } from './values.ts'

interface ConsumeFlags extends BrokerFlags {
  readonly offset?: Place
  readonly partition?: readonly number[]
  readonly count?: number
  readonly follow?: boolean
  readonly group?: string
  readonly format?: string
  readonly output?: OutputFormat
}

/** Prints a piece, or the first `count` of it where that was all that is wanted. */
export type Printer = (
  records: readonly ConsumedRecord[],
) => Promise<{ readonly count: number; readonly goesOn: boolean }>

export async function consume(name: string, flags: ConsumeFlags): Promise<void> {
  refuseContradictions(flags)
  const print = printerOf(flags)
  const signal = interrupted()
  const { group, follow = false } = flags
  await withCluster(flags.brokers, async cluster => {
    const topic = await cluster.topic(name)
    await attempt(`consume ${name}`, async () => {
      if (group === undefined) {
        const { readPartitions } = await import('./partition-reader.ts')
        const from = flags.offset ?? { at: 'beginning' }
        return await readPartitions(cluster, chosen(topic, flags.partition), { from, follow, signal, print })
      }
      const { readAsMember } = await import('./group-reader.ts')
      const fallback = flags.offset?.at === 'end' ? 'latest' : 'earliest'
      return await readAsMember(cluster, topic, { group, fallback, follow, signal, print })
    })
  })
  // Following ends by a signal and by nothing else: that is no accident.
  if (signal.aborted && !follow) throw new CliError(interruptedExitCode, 'interrupted before the end')
}

function refuseContradictions({ group, offset, partition, format, output }: ConsumeFlags): void {
  const refuse = (sentence: string) => {
    throw new CliError(exitCodes.usage, sentence)
  }
  if (format !== undefined && output !== undefined) refuse('--format and --output both say how to print; leave one out')
  if (group === undefined) return
  if (partition !== undefined) refuse('a group shares out the partitions by itself; leave --partition out')
  if (offset !== undefined && offset.at !== 'beginning' && offset.at !== 'end') {
    refuse(
      'a group begins where it left off; --offset is beginning or end for a new one. To move it: tidelog group seek',
    )
  }
}

function printerOf({ format, output, count }: ConsumeFlags): Printer {
  const render = renderOf(format, output)
  let left = count ?? Number.POSITIVE_INFINITY
  let isFirst = true
  return async records => {
    const wanted = records.length <= left ? records : records.slice(0, left)
    if (wanted.length > 0) {
      const head = isFirst && output === 'table' ? [Buffer.from(tableHead)] : []
      isFirst = false
      await write(Buffer.concat([...head, ...wanted.map(render)]))
    }
    left -= wanted.length
    return { count: wanted.length, goesOn: left > 0 }
  }
}

function renderOf(format: string | undefined, output: OutputFormat | undefined): (record: ConsumedRecord) => Buffer {
  switch (output) {
    case 'json':
      return record => Buffer.from(`${JSON.stringify(recordJson(record))}\n`)
    case 'yaml':
      return record => Buffer.from(`---\n${yamlOf(recordJson(record))}`)
    case 'name':
      return ({ topic, partition, offset }) => Buffer.from(`${topic}/${partition}/${offset}\n`)
    case 'table':
      return record => Buffer.from(tableLine(record))
    default:
      return compileFormat(format ?? '%s\\n')
  }
}

const tableHead = `PARTITION      OFFSET  ${'TIME'.padEnd(24)}  KEY  VALUE\n`

/** Nobody knows how wide what follows will be: only numbers and times are in columns. */
function tableLine({ partition, offset, timestampMs, key, value }: ConsumedRecord): string {
  const time = timeText(timestampMs) ?? '-'
  const words = [key, value].map(bytes => printable(bytes === null ? null : bytes.toString()))
  return `${String(partition).padStart(9)}  ${String(offset).padStart(10)}  ${time.padEnd(24)}  ${words.join('  ')}\n`
}
