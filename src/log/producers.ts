/**
 * What one partition knows of its idempotent producers: per producer id the epoch and the last five batches, so that a retry
 * is answered with the offset of the original and a gap is refused. The state follows the log: it is changed when a batch gets
 * its offset, saved with checkpoints and seals, and replayed with the journal.
 *
 * Rules: KIP-98; the window of five is the most that a Java producer has in flight.
 */
import type { Offset } from '../base/ids.ts'
import type { BatchHeader } from '../wire/record-batch.ts'

export interface ProducerBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly base: Offset
  readonly end: Offset
}

export interface ProducerState {
  readonly producerId: number
  readonly epoch: number
  /** When its latest batch was seen by this broker's clock; what an idle producer is forgotten by. */
  readonly seenAtMs: number
  /** The last five at most, the oldest first. */
  readonly batches: readonly ProducerBatch[]
}

export type Verdict =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate'; readonly of: ProducerBatch }
  | {
      readonly kind: 'refuse'
      readonly error: 'OUT_OF_ORDER_SEQUENCE_NUMBER' | 'INVALID_PRODUCER_EPOCH' | 'DUPLICATE_SEQUENCE_NUMBER'
      readonly message: string
    }

const windowBatches = 5
const sequenceCount = 0x8000_0000
/**
 * Producers remembered per partition. Beyond it the one that has been silent longest is forgotten, as if it had expired:
 * Kafka has no such bound, and a client that makes up ids could fill its memory.
 */
export const producersMax = 100_000

const append: Verdict = { kind: 'append' }

/** What of a batch's header tells its place in a producer's sequence. */
export type Sequenced = Pick<BatchHeader, 'producerId' | 'producerEpoch' | 'baseSequence' | 'lastOffsetDelta'>

/** The state of all producers by id, in order of their latest batch. Plain data, changed by the functions below. */
export type ProducerTable = Map<number, ProducerState>

/** Judges a batch by its sequence; changes nothing. */
export function checkBatch(table: ProducerTable, header: Sequenced): Verdict {
  if (header.producerId < 0) return append
  const state = table.get(header.producerId)
  // Nothing known: forgotten after silence or retention, or new. Kafka takes any sequence here, and so do we.
  if (state === undefined) return append
  if (header.producerEpoch < state.epoch) {
    return refuse(
      'INVALID_PRODUCER_EPOCH',
      `producer ${header.producerId} sent epoch ${header.producerEpoch}; its epoch is ${state.epoch}`,
    )
  }
  if (header.producerEpoch > state.epoch) {
    if (header.baseSequence === 0) return append
    return refuse(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `a new epoch of producer ${header.producerId} starts at sequence 0, not ${header.baseSequence}`,
    )
  }
  return checkSequence(header, state)
}

/** Notes a batch that was given offsets. One that was noted before changes nothing: recovery meets some twice. */
export function noteBatch(table: ProducerTable, header: Sequenced, base: Offset, end: Offset, seenAtMs: number): void {
  if (header.producerId < 0) return
  const state = table.get(header.producerId)
  if (state !== undefined && base < endOfState(state)) return
  const batch: ProducerBatch = {
    firstSequence: header.baseSequence,
    lastSequence: sequenceAfter(header.baseSequence, header.lastOffsetDelta),
    base,
    end,
  }
  const kept = state?.epoch === header.producerEpoch ? state.batches.slice(-(windowBatches - 1)) : []
  putProducer(table, {
    producerId: header.producerId,
    epoch: header.producerEpoch,
    seenAtMs,
    batches: [...kept, batch],
  })
}

export function putProducer(table: ProducerTable, state: ProducerState): void {
  table.delete(state.producerId)
  table.set(state.producerId, state)
  if (table.size > producersMax) table.delete(table.keys().next().value as number)
}

/** Takes over what a checkpoint says of the batches since the state before it. */
export function mergeProducer(table: ProducerTable, later: ProducerState): void {
  const state = table.get(later.producerId)
  const known = state === undefined ? 0 : endOfState(state)
  const news = later.batches.filter(batch => batch.base >= known)
  if (news.length === 0 && state !== undefined) return
  const earlier = state?.epoch === later.epoch ? state.batches : []
  putProducer(table, { ...later, batches: [...earlier, ...news].slice(-windowBatches) })
}

/** Forgets producers whose latest batch was seen before `beforeMs`. (Its own timestamp may be years old.) */
export function expireProducers(table: ProducerTable, beforeMs: number): void {
  for (const state of table.values()) if (state.seenAtMs < beforeMs) table.delete(state.producerId)
}

/** A table with its owner's lifetime. */
export class Producers {
  readonly #table: ProducerTable = new Map()

  constructor(states: Iterable<ProducerState> = []) {
    for (const state of states) this.put(state)
  }

  get size(): number {
    return this.#table.size
  }

  all(): IterableIterator<ProducerState> {
    return this.#table.values()
  }

  get(producerId: number): ProducerState | undefined {
    return this.#table.get(producerId)
  }

  check(header: Sequenced): Verdict {
    return checkBatch(this.#table, header)
  }

  note(header: Sequenced, base: Offset, end: Offset, seenAtMs: number): void {
    noteBatch(this.#table, header, base, end, seenAtMs)
  }

  put(state: ProducerState): void {
    putProducer(this.#table, state)
  }

  merge(later: ProducerState): void {
    mergeProducer(this.#table, later)
  }

  expire(beforeMs: number): void {
    expireProducers(this.#table, beforeMs)
  }
}

function checkSequence(header: Sequenced, state: ProducerState): Verdict {
  const last = state.batches.at(-1)
  if (last === undefined) return append
  const lastSequence = sequenceAfter(header.baseSequence, header.lastOffsetDelta)
  const original = state.batches.find(
    batch => batch.firstSequence === header.baseSequence && batch.lastSequence === lastSequence,
  )
  if (original !== undefined) return { kind: 'duplicate', of: original }
  const expected = sequenceAfter(last.lastSequence, 1)
  if (header.baseSequence === expected) return append
  const ahead = (header.baseSequence - expected + sequenceCount) % sequenceCount
  const what = `producer ${header.producerId} sent sequence ${header.baseSequence}; expected was ${expected}`
  return ahead < sequenceCount / 2
    ? refuse('OUT_OF_ORDER_SEQUENCE_NUMBER', what)
    : refuse('DUPLICATE_SEQUENCE_NUMBER', what)
}

function endOfState(state: ProducerState): number {
  return state.batches.at(-1)?.end ?? 0
}

/** Sequences run from 0 to 2^31-1 and start over. */
function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % sequenceCount
}

function refuse(error: Extract<Verdict, { kind: 'refuse' }>['error'], message: string): Verdict {
  return { kind: 'refuse', error, message }
}
