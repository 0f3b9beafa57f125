/**
 * Segment files (docs/formats/segment.md) and Kafka's own log files: record batches, one behind the other. In ours each batch
 * begins where the one before ended, unless a hole is known; in Kafka's, offsets may be missing, but never go back.
 */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { TidelogError } from '../../base/errors.ts'
import { ropeOf } from '../../base/rope.ts'
import { decompress } from '../../server/decompress.ts'
import { ProtocolError } from '../../wire/protocol-error.ts'
import {
  type BatchHeader,
  batchCrcMatches,
  batchHeaderBytes,
  batchPrefixBytes,
  codecOfBatch,
  controlBit,
  logAppendTimeBit,
  readBatchHeader,
  transactionalBit,
} from '../../wire/record-batch.ts'
import { type KafkaRecord, readRecords } from '../../wire/records.ts'
import { recordJson } from '../format.ts'
import type { Json } from '../output.ts'
import { entry, type Finding, type Format, header, note, problem } from './finding.ts'
import { readSeal } from './seal.ts'
import { Source } from './source.ts'

export const batchesFormat: Format = {
  name: 'segment',
  columns: [
    { field: 'position', width: 10, right: true },
    { field: 'base', width: 10, right: true },
    { field: 'last', width: 10, right: true },
    { field: 'records', width: 7, right: true },
    { field: 'bytes', width: 8, right: true },
    { field: 'epoch', width: 5, right: true },
    { field: 'codec', width: 6 },
    { field: 'time', width: 24 },
    { field: 'kind', width: 4 },
  ],
}

export interface BatchOptions {
  /** Every record is taken apart, not only counted by what the header says. */
  readonly records: boolean
  /** Tell the records. */
  readonly showRecords: boolean
}

/** What a batch may unfold to here. */
const unfoldedBytesMax = 1 << 30
const magicAt = 16
/** More than any broker takes at once. */
const batchBytesMax = 1 << 30

interface OwnName {
  readonly base: number
  readonly segmentId: number
}

/** `<base>.<segment id>.log`; null for Kafka's `<base>.log` and for other names. */
function ownName(name: string): OwnName | null {
  const match = /^(\d{20})\.(\d+)\.log$/.exec(name)
  return match === null ? null : { base: Number(match[1]), segmentId: Number(match[2]) }
}

export function* readBatches(source: Source, options: BatchOptions): Generator<Finding> {
  const own = ownName(source.name)
  const kafkaBase = /^(\d{20})\.log$/.exec(source.name)?.[1]
  const seal = own === null ? null : sealBeside(source)
  yield header({
    writtenBy: own === null ? 'Kafka, or unknown' : 'tidelog',
    base: own?.base ?? (kafkaBase === undefined ? null : Number(kafkaBase)),
    segmentId: own?.segmentId ?? null,
    sealed: own === null ? null : seal !== null,
  })
  const walk = new Walk(source, options, own, seal)
  yield* walk.run()
}

interface Seal {
  readonly end: number
  readonly bytes: number
  readonly holes: readonly { readonly from: number; readonly to: number }[]
}

/** What the seal file beside it says; null where there is none, or none that can be read. */
function sealBeside(source: Source): Seal | null {
  const path = join(dirname(source.path), source.name.replace(/\.log$/, '.seal'))
  if (!existsSync(path)) return null
  using seal = Source.open(path)
  return readSeal(seal).body
}

class Walk {
  readonly #source: Source
  readonly #options: BatchOptions
  readonly #own: OwnName | null
  readonly #seal: Seal | null
  #position = 0
  /** Behind the last batch; null before the first of a file whose name does not say. */
  #next: number | null

  constructor(source: Source, options: BatchOptions, own: OwnName | null, seal: Seal | null) {
    this.#source = source
    this.#options = options
    this.#own = own
    this.#seal = seal
    this.#next = own?.base ?? null
  }

  *run(): Generator<Finding> {
    while (this.#position < this.#source.bytes) {
      const head = this.#source.read(this.#position, batchHeaderBytes)
      const end = this.#endOf(head)
      if (end !== null) {
        yield end
        break
      }
      const batch = readBatchHeader(head)
      yield* this.#batch(batch)
      this.#position += batch.bytes
    }
    yield* this.#atEnd()
  }

  /** What stops the walk here; null for a batch that can be read. */
  #endOf(head: Buffer): Finding | null {
    const left = this.#source.bytes - this.#position
    if (head.length < batchPrefixBytes) return this.#cutShort(left)
    const bytes = head.readInt32BE(8) + batchPrefixBytes
    const magic = head.length > magicAt ? head.readInt8(magicAt) : 2
    const at = this.#position
    // A length of nothing: Kafka sets room aside, and a process that ended may leave it.
    if (bytes === batchPrefixBytes && this.#source.read(at, zerosLookedAt).every(byte => byte === 0)) {
      return note(`zeros from position ${at} on: room that was set aside`)
    }
    if (magic === 0 || magic === 1) {
      return problem(at, `a message of format ${magic}, which Kafka wrote before 0.11; it is not read here`)
    }
    if (magic !== 2 || bytes < batchHeaderBytes || bytes > batchBytesMax) {
      return problem(
        at,
        `no record batch begins here (magic ${magic}, ${bytes} bytes); what follows cannot be told apart`,
      )
    }
    return bytes > left ? this.#cutShort(left) : null
  }

  #cutShort(left: number): Finding {
    const what = `the last batch is cut short (${left} bytes of it are here)`
    if (this.#seal !== null) return problem(this.#position, `${what}, in a segment that is sealed`)
    return note(
      `${what} at position ${this.#position}: it is being written, the process ended then, or its length is damaged`,
    )
  }

  *#batch(batch: BatchHeader): Generator<Finding> {
    const at = this.#position
    const bytes = this.#source.read(at, batch.bytes)
    yield* this.#order(batch)
    const isSound = batchCrcMatches(ropeOf(bytes), batch)
    const parts = isSound ? this.#partsOf(batch, bytes) : null
    yield entry({ ...batchValues(batch, at), sound: isSound, ...(parts?.shown ?? {}) })
    if (!isSound) yield problem(at, `the batch of offsets ${spanOf(batch)} does not match its checksum`)
    if (parts?.wrong != null) yield problem(at, `the batch of offsets ${spanOf(batch)}: ${parts.wrong}`)
    this.#next = batch.baseOffset + batch.lastOffsetDelta + 1
  }

  *#order(batch: BatchHeader): Generator<Finding> {
    const { baseOffset, lastOffsetDelta } = batch
    const next = this.#next
    if (!(lastOffsetDelta >= 0) || !(baseOffset >= 0)) {
      yield problem(this.#position, `a batch cannot have the offsets ${spanOf(batch)}`)
    } else if (next !== null && baseOffset < next) {
      yield problem(this.#position, `offset ${baseOffset} comes after offset ${next - 1}`)
    } else if (next !== null && baseOffset > next && this.#own !== null) {
      yield this.#gap(next, baseOffset)
    }
  }

  /** In ours nothing is missing but what is known to be lost. */
  #gap(from: number, to: number): Finding {
    const what = `offsets ${from} to ${to - 1} are not here`
    const isHole = this.#seal?.holes.some(hole => hole.from <= from && hole.to >= to)
    if (isHole === true) return note(`${what}: lost, and known to be`)
    if (this.#seal !== null) return problem(this.#position, `${what}, and the seal file knows of no hole there`)
    return note(`${what}: where the log says nothing of a hole, they are lost`)
  }

  *#atEnd(): Generator<Finding> {
    if (this.#seal === null) return
    const { end, bytes } = this.#seal
    if (this.#source.bytes !== bytes) {
      yield problem(this.#position, `the seal file says ${bytes} bytes, and there are ${this.#source.bytes}`)
    } else if (this.#next !== end && !this.#seal.holes.some(hole => hole.to === end)) {
      yield problem(this.#position, `the seal file says that it ends at offset ${end}, and it ends at ${this.#next}`)
    }
  }

  #partsOf(
    batch: BatchHeader,
    bytes: Buffer,
  ): { readonly shown: { readonly contents?: Json }; readonly wrong: string | null } {
    const { records: isChecked, showRecords } = this.#options
    if (!isChecked && !showRecords) return { shown: {}, wrong: null }
    try {
      const records = recordsIn(batch, bytes)
      const shown = showRecords ? { contents: records.map(record => recordValues(record)) } : {}
      return { shown, wrong: wrongAmong(batch, records) }
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof TidelogError) return { shown: {}, wrong: error.message }
      throw error
    }
  }
}

const zerosLookedAt = 4096

export function recordsIn(batch: BatchHeader, bytes: Buffer): KafkaRecord[] {
  const codec = codecOfBatch(batch)
  if (codec === null) throw new ProtocolError('its codec is none that there is')
  const packed = bytes.subarray(batchHeaderBytes, batch.bytes)
  return readRecords(batch, ropeOf(codec === 'none' ? packed : decompress(codec, packed, unfoldedBytesMax)))
}

function wrongAmong(batch: BatchHeader, records: readonly KafkaRecord[]): string | null {
  let before = -1
  for (const { offset } of records) {
    if (offset <= before) return `offset ${offset} comes after offset ${before}`
    before = offset
  }
  return records.length === batch.recordCount ? null : `it has ${records.length} records and says ${batch.recordCount}`
}

function recordValues(record: KafkaRecord): Json {
  const { topic: _topic, partition: _partition, ...values } = recordJson({ topic: '', partition: 0, ...record })
  return values as Json
}

export function batchValues(batch: BatchHeader, position: number) {
  const { baseOffset, lastOffsetDelta, recordCount, bytes, leaderEpoch, maxTimestamp, producerId } = batch
  return {
    position,
    base: baseOffset,
    last: baseOffset + lastOffsetDelta,
    records: recordCount,
    bytes,
    epoch: leaderEpoch,
    codec: codecOfBatch(batch) ?? 'unknown',
    time: maxTimestamp >= 0 && maxTimestamp < 8.64e15 ? new Date(maxTimestamp).toISOString() : null,
    kind: kindOf(batch),
    ...(producerId >= 0 ? { producerId, producerEpoch: batch.producerEpoch, firstSequence: batch.baseSequence } : {}),
  }
}

function kindOf({ attributes }: BatchHeader): string {
  if (attributes & controlBit) return 'control'
  if (attributes & transactionalBit) return 'transaction'
  return attributes & logAppendTimeBit ? 'append time' : 'data'
}

function spanOf({ baseOffset, lastOffsetDelta }: BatchHeader): string {
  return `${baseOffset} to ${baseOffset + lastOffsetDelta}`
}
