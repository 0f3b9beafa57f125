/**
 * Holds what was read against what was sent and acknowledged. It knows nothing of how the records were read, and shares no
 * code with the log: `ReadLog` collects batches by their offsets and bytes, `findAnomalies` judges.
 */
import type { StoredBatch } from '../support/stored-batches.ts'
import { type History, type Place, placeName, type Sent, senderOf } from './history.ts'

export interface ReadRecord {
  readonly offset: number
  /** Null for a value that is not of our making. */
  readonly sent: Sent | null
}

/** All that was ever read of one partition. Reading a place again must give the same bytes. */
export class ReadLog {
  readonly place: Place
  readonly anomalies: string[] = []
  readonly #crcs = new Map<number, string>()
  #records: ReadRecord[] = []
  #earliest = 0
  #end: number | null = null

  constructor(place: Place) {
    this.place = place
  }

  /** Where the last reading ended; null before the first. */
  get end(): number | null {
    return this.#end
  }

  /** What the last whole reading gave. */
  get records(): readonly ReadRecord[] {
    return this.#records
  }

  /** Where the last whole reading began. */
  get earliest(): number {
    return this.#earliest
  }

  /** Takes a part of the log, from wherever. */
  add(batches: readonly StoredBatch[]): void {
    let end: number | null = null
    for (const batch of batches) {
      if (end !== null && batch.baseOffset !== end) this.#report(`hole: nothing from ${end} to ${batch.baseOffset}`)
      end = batch.endOffset
      this.#compare(batch)
    }
    if (end !== null) this.#end = Math.max(this.#end ?? 0, end)
  }

  /** Takes the whole log, from its earliest offset on. */
  addWhole(earliest: number, batches: readonly StoredBatch[]): void {
    const first = batches[0]
    if (first !== undefined && (first.baseOffset > earliest || first.endOffset <= earliest)) {
      this.#report(`hole: begins at ${earliest}, and the first batch at ${first.baseOffset}`)
    }
    const end = batches.at(-1)?.endOffset ?? earliest
    if (this.#end !== null && end < this.#end)
      this.#report(`lost: ends at ${end}, and was read up to ${this.#end} before`)
    this.add(batches)
    this.#earliest = earliest
    this.#records = batches.flatMap(({ records }) =>
      records.map(({ offset, value }) => ({
        offset,
        sent: value === null ? null : senderOf(value.toString('latin1')),
      })),
    )
  }

  #compare({ baseOffset, endOffset, crc }: StoredBatch): void {
    const seen = `${endOffset} ${crc}`
    const before = this.#crcs.get(baseOffset)
    if (before !== undefined && before !== seen) this.#report(`changed: the batch at ${baseOffset} was another before`)
    this.#crcs.set(baseOffset, seen)
  }

  #report(what: string): void {
    this.anomalies.push(`${placeName(this.place)}: ${what}`)
  }
}

/** Everything that is wrong, a sentence each. */
export function findAnomalies(history: History, logs: readonly ReadLog[]): string[] {
  const byPlace = new Map(logs.map(log => [placeName(log.place), log]))
  return [
    ...logs.flatMap(log => log.anomalies),
    ...logs.flatMap(log => strangers(history, log)),
    ...logs.flatMap(log => disorders(history, log)),
    ...losses(history, byPlace),
    ...untruths(history, byPlace),
  ]
}

/** Records that nobody has sent, or not there. */
function strangers(history: History, { place, records }: ReadLog): string[] {
  return records.flatMap(({ offset, sent }) => {
    const at = `${placeName(place)}: invented: the record at ${offset}`
    if (sent === null) return [`${at} is not as anybody sent it`]
    if (placeName(sent) !== placeName(place)) return [`${at} was sent to ${placeName(sent)}`]
    return sent.number < history.sentCount(sent.producer, place) ? [] : [`${at} was never sent (${textOf(sent)})`]
  })
}

/** An idempotent producer's records come once, and one after the other. */
function disorders(history: History, { place, records }: ReadLog): string[] {
  const last = new Map<string, { number: number; offset: number }>()
  return records.flatMap(({ offset, sent }) => {
    if (sent === null || !history.idempotent.has(sent.producer)) return []
    const before = last.get(sent.producer)
    last.set(sent.producer, { number: sent.number, offset })
    if (before === undefined || sent.number === before.number + 1) return []
    const kind = sent.number <= before.number ? 'duplicate' : 'lost'
    return [
      `${placeName(place)}: ${kind}: ${textOf(sent)} at ${offset} follows number ${before.number} at ${before.offset}`,
    ]
  })
}

/** What was acknowledged and is not where it should be. */
function losses(history: History, logs: ReadonlyMap<string, ReadLog>): string[] {
  const offsets = new Map<string, number[]>()
  const atOffset = new Map<string, string>()
  for (const log of logs.values()) {
    for (const { offset, sent } of log.records) {
      if (sent === null) continue
      const text = textOf(sent)
      atOffset.set(`${placeName(log.place)} ${offset}`, text)
      const known = offsets.get(text)
      if (known === undefined) offsets.set(text, [offset])
      else known.push(offset)
    }
  }
  return history.acknowledged.flatMap(ack => {
    const log = logs.get(placeName(ack))
    const text = textOf(ack)
    const found = offsets.get(text) ?? []
    if (ack.offset === null) {
      // What retention took cannot be told from what was lost, unless nothing was taken.
      return found.length > 0 || (log?.earliest ?? 0) > 0 ? [] : [`lost: ${text} was acknowledged and is nowhere`]
    }
    if (ack.offset < (log?.earliest ?? 0) || atOffset.get(`${placeName(ack)} ${ack.offset}`) === text) return []
    const where = found.length === 0 ? 'is nowhere' : `is at ${found.join(', ')}`
    return [`${found.length === 0 ? 'lost' : 'moved'}: ${text} was acknowledged at ${ack.offset} and ${where}`]
  })
}

/** Where a client was told that a record of its own is, one must be, and not the same for two acknowledgements. */
function untruths(history: History, logs: ReadonlyMap<string, ReadLog>): string[] {
  const producerAt = new Map<string, string>()
  for (const log of logs.values()) {
    for (const { offset, sent } of log.records) {
      if (sent !== null) producerAt.set(`${placeName(log.place)} ${offset}`, sent.producer)
    }
  }
  const seen = new Set<string>()
  return history.told.flatMap(told => {
    const at = `${placeName(told)} ${told.offset}`
    const isSecond = seen.has(at)
    seen.add(at)
    if (isSecond) return [`${placeName(told)}: ${told.producer} was told twice of the offset ${told.offset}`]
    if (told.offset < (logs.get(placeName(told))?.earliest ?? 0) || producerAt.get(at) === told.producer) return []
    return [
      `${placeName(told)}: lost: ${told.producer} was told of a record at ${told.offset}, and none of its is there`,
    ]
  })
}

const textOf = (sent: Sent) => `${sent.producer}'s number ${sent.number} for ${placeName(sent)}`
