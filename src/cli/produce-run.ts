/**
 * `tidelog produce`: lines, or one text many times, as records.
 *
 *     lines as they come → records → a batch (as many as are there, bounded) → sent, acknowledged → the next …
 *
 * One batch is under way at a time: lines of one partition keep their order, and what comes meanwhile goes into the next. At
 * a failure, or a Ctrl-C, it says how many were acknowledged; nothing is sent afterwards.
 */
import { exitCodes } from '../base/errors.ts'
import { type Cluster, type TopicFacts, withCluster } from './connection.ts'
import { CliError, failureOf, interruptedExitCode, kafkaErrorName } from './failure.ts'
import { interrupted } from './interrupt.ts'
import { type Line, linesOf } from './lines.ts'
import type { BrokerFlags } from './options.ts'
import { note } from './output.ts'
import { Partitioner } from './partitioner.ts'
import { Progress } from './progress.ts'
import { type OutgoingRecord, Sender, type SendSettings } from './sender.ts'
import { compileTemplate } from './template.ts'

interface ProduceFlags extends BrokerFlags, SendSettings {
  readonly keySeparator?: string
  readonly key?: string
  readonly header?: readonly (readonly [string, string])[]
  readonly value?: string
  readonly count?: number
  readonly tombstones?: boolean
  readonly partition?: number
  readonly create?: boolean
  readonly quiet?: boolean
}

type Handfuls = AsyncIterable<readonly Unplaced[]> | Iterable<readonly Unplaced[]>
type Unplaced = Omit<OutgoingRecord, 'partition'>

/** Below what brokers take at once by default, as a partition's records go in one batch. */
const batchBytesMax = 512 << 10
const batchRecordsMax = 10_000

export async function produce(name: string, files: readonly string[], flags: ProduceFlags): Promise<void> {
  refuseContradictions(files, flags)
  const signal = interrupted()
  const records = flags.value === undefined ? recordsOfLines(linesOf(files, signal), flags) : repeated(flags)
  await withCluster(flags.brokers, async cluster => {
    const topic = await topicFor(cluster, name, flags.create === true)
    // The client library does not know those, and would not say so.
    if (topic.isInternal) throw new CliError(exitCodes.denied, `only brokers write to ${name}; choose another topic`)
    const partitions = topic.partitions.length
    if (flags.partition !== undefined && flags.partition >= partitions) {
      const which = partitions === 1 ? 'it has only partition 0' : `it has 0 to ${partitions - 1}`
      throw new CliError(exitCodes.notFound, `topic ${name} has no partition ${flags.partition}; ${which}`)
    }
    await using sender = new Sender(cluster, name, flags)
    const isTyped = flags.value === undefined && files.length === 0 && process.stdin.isTTY === true
    if (isTyped && flags.quiet !== true) note('a line is a record; Ctrl-D ends')
    try {
      await sendAll(sender, records, { partitions, signal, flags, isTyped })
    } catch (error) {
      const { message, exitCode } = failureOf(error, `produce to ${name}`)
      throw new CliError(exitCode, `${message}; ${sender.summary()}, nothing after that`)
    }
    if (signal.aborted) throw new CliError(interruptedExitCode, `interrupted; ${sender.summary()}, nothing after that`)
    if (flags.quiet !== true) note(sender.summary())
  })
}

function refuseContradictions(files: readonly string[], flags: ProduceFlags): void {
  const refuse = (sentence: string) => {
    throw new CliError(exitCodes.usage, sentence)
  }
  if (flags.count !== undefined && flags.value === undefined)
    refuse('--count says how many times to send --value; give a --value')
  if (flags.value !== undefined && files.length > 0) refuse('--value is sent instead of lines; leave the files out')
  if (flags.value !== undefined && flags.keySeparator !== undefined)
    refuse('--key-separator is for lines; with --value use --key')
  if (flags.key !== undefined && flags.keySeparator !== undefined)
    refuse('--key and --key-separator both say the key; leave one out')
  if (flags.keySeparator === '') refuse('--key-separator needs a character at least')
}

/** The topic; made by mention where that was asked for, as the broker is set for it. */
async function topicFor(cluster: Cluster, name: string, mayCreate: boolean): Promise<TopicFacts> {
  const [topic] = await cluster.topics([name])
  if (topic !== undefined) return topic
  if (mayCreate) {
    try {
      await cluster.admin.createTopics({ topics: [name] })
      return await cluster.createdTopic(name)
    } catch (error) {
      if (kafkaErrorName(error) !== 'TOPIC_ALREADY_EXISTS') throw failureOf(error, `create topic ${name}`)
    }
  }
  try {
    return await cluster.topic(name)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    throw new CliError(error.exitCode, `${error.message}; --create makes it`)
  }
}

interface Sending {
  readonly partitions: number
  readonly signal: AbortSignal
  readonly flags: ProduceFlags
  /** The lines come from somebody at a terminal. */
  readonly isTyped: boolean
}

async function sendAll(
  sender: Sender,
  handfuls: Handfuls,
  { partitions, signal, flags, isTyped }: Sending,
): Promise<void> {
  using progress = new Progress(flags.quiet !== true && !isTyped)
  const partitioner = new Partitioner(partitions)
  for await (const handful of handfuls) {
    for (const batch of cut(handful)) {
      if (signal.aborted) return
      await sender.send(batch.map(record => ({ ...record, partition: flags.partition ?? partitioner.of(record.key) })))
      partitioner.nextBatch()
      progress.tell(() => `${sender.acknowledged} records acknowledged`)
    }
  }
}

/** In pieces that a broker takes at once. */
function* cut(records: readonly Unplaced[]): Generator<readonly Unplaced[]> {
  let from = 0
  let bytes = 0
  for (const [i, record] of records.entries()) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0)
    if (i > from && (bytes + size > batchBytesMax || i - from >= batchRecordsMax)) {
      yield records.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < records.length) yield records.slice(from)
}

async function* recordsOfLines(lines: AsyncIterable<readonly Line[]>, flags: ProduceFlags): AsyncGenerator<Unplaced[]> {
  const separator = flags.keySeparator === undefined ? null : Buffer.from(flags.keySeparator)
  const key = flags.key === undefined ? null : Buffer.from(flags.key)
  const { header: headers = [], tombstones = false } = flags
  for await (const handful of lines) {
    yield handful.map(line => {
      const parts = separator === null ? { key, value: line.bytes } : split(line, separator)
      return tombstones ? { ...withNulls(parts), headers } : { ...parts, headers }
    })
  }
}

function split({ bytes, source, number }: Line, separator: Buffer): { key: Buffer; value: Buffer } {
  const at = bytes.indexOf(separator)
  if (at < 0) {
    throw new CliError(exitCodes.runtime, `line ${number} of ${source} has no '${separator}' between key and value`)
  }
  return { key: bytes.subarray(0, at), value: bytes.subarray(at + separator.length) }
}

function withNulls({ key, value }: { key: Buffer | null; value: Buffer | null }) {
  return { key: key?.length === 0 ? null : key, value: value?.length === 0 ? null : value }
}

const repeatedAtOnce = 1_000

/** The text of `--value`, as often as `--count` says. Without `--count` templates are filled as well. */
function* repeated({
  value = '',
  key,
  header = [],
  count = 1,
  tombstones = false,
}: ProduceFlags): Generator<Unplaced[]> {
  const fillValue = compileTemplate(value)
  const fillKey = key === undefined ? null : compileTemplate(key)
  const fillHeaders = header.map(([name, text]) => [name, compileTemplate(text)] as const)
  const recordOf = (number: number): Unplaced => {
    const parts = {
      key: fillKey === null ? null : Buffer.from(fillKey(number)),
      value: Buffer.from(fillValue(number)),
    }
    const headers = fillHeaders.map(([name, fill]) => [name, fill(number)] as const)
    return { ...(tombstones ? withNulls(parts) : parts), headers }
  }
  for (let from = 1; from <= count; from += repeatedAtOnce) {
    yield Array.from({ length: Math.min(repeatedAtOnce, count - from + 1) }, (_, i) => recordOf(from + i))
  }
}
