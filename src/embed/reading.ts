/** Reading a topic as an async iterator: every record from somewhere on, up to the end or as they come. */
import { setImmediate as turn } from 'node:timers/promises'
import { TidelogError } from '../base/errors.ts'
import type { Offset } from '../base/ids.ts'
import type { Door, ReadDone } from '../broker/door.ts'
import { orThrow, shown, wrongUse } from './failure.ts'
import { checkNames } from './options.ts'
import { type ConsumedRecord, consumed, timeOf } from './records.ts'

/** Where reading begins and ends; everything may be left out. */
export interface ReadOptions {
  /** The partitions to read: all when left out. */
  readonly partition?: number | readonly number[]
  /**
   * `'earliest'` (the default), `'latest'` (only what comes from now on), an offset (the same in each partition), or a date:
   * the first record at or after it.
   */
  readonly from?: 'earliest' | 'latest' | number | Date
  /**
   * `'end'` (the default): up to what is there when the iteration begins. `'never'`: on and on, waiting for what comes, until the
   * loop is left, the signal aborts or the broker closes.
   */
  readonly until?: 'end' | 'never'
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal
}

/** What reading asks of the broker behind it. */
export interface ReadSource {
  /** Fails once it is not the broker any more that the reading began with. */
  door(): Door
  /** Does some work that a reset waits for. */
  pass<T>(work: (passing: AbortSignal) => Promise<T>): Promise<T>
}

interface Cursor {
  readonly partition: number
  next: Offset
  /** Reading ends there; null for never. */
  readonly end: Offset | null
}

/** How long one wait for more takes; then the source is asked again whether it is still there. */
const waitMs = 1000
const bytesMax = 1 << 20
const optionNames: ReadonlySet<string> = new Set([
  'partition',
  'from',
  'until',
  'signal',
] satisfies (keyof ReadOptions)[])

/** Records of a partition in order; of several partitions as they are found. */
export async function* readTopic(
  source: ReadSource,
  topic: string,
  options: ReadOptions,
): AsyncGenerator<ConsumedRecord, void> {
  checkRead(options)
  const { signal } = options
  const isOver = () => signal?.aborted === true
  let cursors = await source.pass(() => cursorsOf(source.door(), topic, options))
  while (!isOver()) {
    cursors = cursors.filter(({ next, end }) => end === null || next < end)
    if (cursors.length === 0) return
    let isIdle = true
    for (const cursor of cursors) {
      const records = await readSome(source, topic, cursor)
      if (records.length > 0) isIdle = false
      for (const record of records) {
        if (isOver()) return
        if (cursor.end !== null && record.offset >= cursor.end) break
        yield record
      }
    }
    if (isIdle && cursors.some(({ end }) => end === null)) await untilMore(source, topic, cursors, signal)
  }
}

async function cursorsOf(door: Door, topic: string, options: ReadOptions): Promise<Cursor[]> {
  const found = orThrow(door.topic(topic)).topic
  const { partition, from = 'earliest', until = 'end' } = options
  const partitions = partition === undefined ? found.partitions.map(({ index }) => index) : [partition].flat()
  return Promise.all(
    partitions.map(async index => {
      const end = orThrow(await door.offsetAt(topic, index, 'latest')).offset as Offset
      const next = typeof from === 'number' ? (from as Offset) : await offsetOf(door, topic, index, from, end)
      return { partition: index, next, end: until === 'never' ? null : end }
    }),
  )
}

async function offsetOf(door: Door, topic: string, partition: number, from: 'earliest' | 'latest' | Date, end: Offset) {
  const at = from instanceof Date ? timeOf(from) : from
  return orThrow(await door.offsetAt(topic, partition, at)).offset ?? end
}

async function readSome(source: ReadSource, topic: string, cursor: Cursor): Promise<ConsumedRecord[]> {
  const read = await source.pass(() =>
    source.door().read({ topic, partition: cursor.partition, from: cursor.next, bytesMax }),
  )
  const done = found(read)
  // What is in memory is read without waiting: others get a turn, too.
  await turn()
  cursor.next = done.next
  return consumed(topic, cursor.partition, done)
}

/** Waits until one of the partitions has more, for a while at most. */
async function untilMore(
  source: ReadSource,
  topic: string,
  cursors: readonly Cursor[],
  signal?: AbortSignal,
): Promise<void> {
  await source.pass(async passing => {
    const enough = new AbortController()
    const any = AbortSignal.any([passing, enough.signal, ...(signal === undefined ? [] : [signal])])
    const reads = cursors.map(async ({ partition, next }) => {
      const read = source.door().read({ topic, partition, from: next, bytesMax: 1, recordsMax: 1, waitMs, signal: any })
      await read.finally(() => enough.abort())
    })
    await Promise.all(reads)
  })
}

function found(read: ReadDone) {
  return orThrow(read) as Extract<ReadDone, { error: 'NONE' }>
}

function checkRead(options: ReadOptions): void {
  checkNames(options, optionNames, 'read')
  const { partition, from = 'earliest', until = 'end', signal } = options
  for (const index of partition === undefined ? [] : [partition].flat()) {
    if (!Number.isSafeInteger(index)) throw wrongUse(`A partition is a whole number, not ${shown(index)}.`)
  }
  const isPlace = from === 'earliest' || from === 'latest' || from instanceof Date || isOffset(from)
  if (!isPlace) throw wrongUse(`from must be 'earliest', 'latest', an offset or a Date, not ${shown(from)}.`)
  if (until !== 'end' && until !== 'never') throw wrongUse(`until must be 'end' or 'never', not ${shown(until)}.`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrongUse('signal must be an AbortSignal.')
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** What somebody is told who reads from a broker that was closed or reset meanwhile. */
export function readingEnded(what: 'closed' | 'reset'): TidelogError {
  return new TidelogError('CLOSED', `The broker was ${what} while this was read.`)
}
