/**
 * What a simulated disk holds: the fold of all records written to it, as recovery would read them back. A node has two: one of
 * everything it wrote, which it reads from, and one of what is durable, which is what a crash leaves.
 */
import type { DiskId, NodeId, Offset, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ChainRecord, RestoredSegment, SegmentStore } from '../../chain/events.ts'
import type { Batch } from '../../chain/messages.ts'
import type { PartitionId } from '../../chain/segment.ts'
import type { ProducerState } from '../../log/producers.ts'
import type { Effect as RaftEffect, Snapshot } from '../../raft/events.ts'
import type { HardState, RaftEntry } from '../../raft/storage.ts'

type Save = Extract<RaftEffect, { do: 'persist' | 'saveSnapshot' }>

/** Which disk this is, and which boots of the node it knows of (RegisterNode's two numbers). */
export interface Identity {
  readonly nodeId: NodeId
  readonly diskId: DiskId
  readonly confirmed: number
  readonly attempted: number
}

export type DiskRecord =
  | { readonly kind: 'raft'; readonly save: Save }
  | { readonly kind: 'chain'; readonly write: number; readonly record: ChainRecord }
  | { readonly kind: 'identity'; readonly identity: Identity }

export class SegmentImage {
  readonly partition: PartitionId
  readonly id: SegmentId
  readonly base: Offset
  epoch: number
  fenceEpoch: number
  producersAtBase: readonly ProducerState[] | null
  sealedEnd: Offset | null = null
  readonly batches: Batch[] = []
  /** After each batch: the checksum over all so far. */
  readonly #sums: number[] = []

  constructor(open: Extract<ChainRecord, { kind: 'open' }>) {
    this.partition = open.partition
    this.id = open.segment
    this.base = open.base
    this.epoch = open.epoch
    this.fenceEpoch = 0
    this.producersAtBase = open.producers
  }

  get end(): Offset {
    return this.batches.at(-1)?.end ?? this.base
  }

  push(batch: Batch): void {
    this.#sums.push(fold(this.#sums.at(-1) ?? 0, batch.crc))
    this.batches.push(batch)
  }

  truncate(end: Offset): void {
    while (this.end > end) {
      this.batches.pop()
      this.#sums.pop()
    }
    invariant(this.batches.length === 0 || this.end === end || this.end < end, 'a batch is kept or cut as a whole')
  }

  /** The index of the batch that holds `offset` or is the first behind it. */
  indexOf(offset: Offset): number {
    let low = 0
    let high = this.batches.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.batches[middle] as Batch).end <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  summary(end: Offset): { bytes: number; maxTimestamp: number; checksum: number } | null {
    if (this.end < end) return null
    let bytes = 0
    let maxTimestamp = -1
    let checksum = 0
    for (let i = 0; i < this.batches.length; i++) {
      const batch = this.batches[i] as Batch
      if (batch.base >= end) break
      bytes += batch.bytes
      maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp)
      checksum = this.#sums[i] as number
    }
    return { bytes, maxTimestamp, checksum }
  }

  copy(): SegmentImage {
    const copy = new SegmentImage({
      kind: 'open',
      partition: this.partition,
      segment: this.id,
      base: this.base,
      epoch: this.epoch,
      producers: this.producersAtBase,
    })
    copy.fenceEpoch = this.fenceEpoch
    copy.sealedEnd = this.sealedEnd
    for (const batch of this.batches) copy.push(batch)
    return copy
  }
}

export class DiskImage implements SegmentStore {
  identity: Identity | null = null
  hardState: HardState | null = null
  snapshot: Snapshot | null = null
  entries: RaftEntry[] = []
  readonly segments = new Map<SegmentId, SegmentImage>()

  apply(record: DiskRecord): void {
    if (record.kind === 'identity') this.identity = record.identity
    else if (record.kind === 'raft') this.#applyRaft(record.save)
    else this.#applyChain(record.record)
  }

  read(segment: SegmentId, from: Offset, bytesMax: number): readonly Batch[] {
    const image = this.segments.get(segment)
    if (image === undefined) return []
    const found: Batch[] = []
    let bytes = 0
    for (let i = image.indexOf(from); i < image.batches.length; i++) {
      const batch = image.batches[i] as Batch
      bytes += batch.bytes
      if (found.length > 0 && bytes > bytesMax) break
      found.push(batch)
    }
    return found
  }

  summary(segment: SegmentId, end: Offset): ReturnType<SegmentStore['summary']> {
    return this.segments.get(segment)?.summary(end) ?? null
  }

  restored(standing: RestoredSegment['standing']): RestoredSegment[] {
    return [...this.segments.values()].map(image => ({
      partition: image.partition,
      segment: image.id,
      base: image.base,
      epoch: image.epoch,
      fenceEpoch: image.fenceEpoch,
      end: image.end,
      sealedEnd: image.sealedEnd,
      standing: image.sealedEnd === null ? standing : 'clean',
      producersAtBase: image.producersAtBase,
    }))
  }

  copy(): DiskImage {
    const copy = new DiskImage()
    copy.identity = this.identity
    copy.hardState = this.hardState
    copy.snapshot = this.snapshot
    copy.entries = this.entries.slice()
    for (const [id, segment] of this.segments) copy.segments.set(id, segment.copy())
    return copy
  }

  #applyRaft(save: Save): void {
    if (save.do === 'saveSnapshot') {
      this.snapshot = save.snapshot
      this.hardState = save.hardState
      this.entries = save.replacesLog ? [] : this.entries.filter(entry => entry.index > save.snapshot.index)
      return
    }
    if (save.hardState !== null) this.hardState = save.hardState
    const { truncateFrom } = save
    if (truncateFrom !== null) this.entries = this.entries.filter(entry => entry.index < truncateFrom)
    for (const entry of save.entries) this.entries.push(entry)
  }

  #applyChain(record: ChainRecord): void {
    if (record.kind === 'open') {
      const known = this.segments.get(record.segment)
      if (known === undefined) this.segments.set(record.segment, new SegmentImage(record))
      else {
        known.epoch = Math.max(known.epoch, record.epoch)
        known.producersAtBase ??= record.producers
      }
      return
    }
    const image = this.segments.get(record.segment)
    invariant(image !== undefined, 'a segment is opened before anything is written to it')
    switch (record.kind) {
      case 'batch':
        invariant(record.batch.base === image.end, 'a segment has no holes')
        image.push(record.batch)
        break
      case 'fence':
        image.fenceEpoch = record.epoch
        break
      case 'truncate':
        image.truncate(record.end)
        break
      case 'seal':
        image.sealedEnd = record.end
        break
      case 'drop':
        this.segments.delete(record.segment)
        break
    }
  }
}

function fold(sum: number, crc: number): number {
  return (Math.imul(sum ^ crc, 0x9e37_79b1) ^ (sum >>> 13)) >>> 0
}
