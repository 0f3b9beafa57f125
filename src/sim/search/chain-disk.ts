/**
 * A node's disk as the search of the chain has it: the segments that are durable, and the writes behind them that are not yet.
 * Plain values that are replaced and never changed, so that thousands of states share them.
 */
import type { Offset, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ChainRecord, RestoredSegment, SegmentStore } from '../../chain/events.ts'
import type { Batch } from '../../chain/messages.ts'
import type { PartitionId } from '../../chain/segment.ts'
import type { ProducerState } from '../../log/producers.ts'

export interface HeldSegment {
  readonly partition: PartitionId
  readonly segment: SegmentId
  readonly base: Offset
  readonly epoch: number
  readonly fenceEpoch: number
  readonly batches: readonly Batch[]
  readonly sealedEnd: Offset | null
  readonly producersAtBase: readonly ProducerState[] | null
  /** A crash may have taken what was acknowledged (flush: relaxed). */
  readonly isDirty: boolean
}

export interface PendingWrite {
  readonly write: number
  readonly record: ChainRecord
}

export interface ChainDisk {
  /** What the core was told is durable, ordered by segment. */
  readonly durable: readonly HeldSegment[]
  /** What survives a crash, where that is less (flush: relaxed): what was written before the latest fence. Null: all of it. */
  readonly safe: readonly HeldSegment[] | null
  /** In the order of the journal: durable one after another, and lost from some point on in a crash. */
  readonly pending: readonly PendingWrite[]
}

export const emptyDisk = (isRelaxed: boolean): ChainDisk => ({ durable: [], safe: isRelaxed ? [] : null, pending: [] })

export const endOf = (held: Pick<HeldSegment, 'base' | 'batches'>): Offset => held.batches.at(-1)?.end ?? held.base

export const heldOf = (segments: readonly HeldSegment[], id: SegmentId): HeldSegment | undefined =>
  segments.find(({ segment }) => segment === id)

export const withWrite = (disk: ChainDisk, pending: PendingWrite): ChainDisk => ({
  ...disk,
  pending: [...disk.pending, pending],
})

/** The disk once everything is written. Fences are synced in any mode, and with them what comes before. */
export function synced(disk: ChainDisk): ChainDisk {
  const durable = visibleOf(disk)
  const isFence = disk.pending.some(({ record }) => record.kind === 'fence')
  return { durable, safe: disk.safe !== null && isFence ? durable : disk.safe, pending: [] }
}

/** What the node itself reads: everything written, durable or not. */
export const visibleOf = (disk: ChainDisk): readonly HeldSegment[] => fold(disk.durable, disk.pending)

/** What a crash leaves: at least what is safe. Who acknowledges before the sync cannot vouch for it any more. */
export function crashed(disk: ChainDisk, isLuckless: boolean): ChainDisk {
  if (disk.safe === null) return { durable: disk.durable, safe: null, pending: [] }
  const left = (isLuckless ? disk.safe : disk.durable).map(held =>
    held.sealedEnd === null ? { ...held, isDirty: true } : held,
  )
  return { durable: left, safe: left, pending: [] }
}

function fold(segments: readonly HeldSegment[], writes: readonly PendingWrite[]): readonly HeldSegment[] {
  return writes.reduce((before, { record }) => applied(before, record), segments)
}

function applied(segments: readonly HeldSegment[], record: ChainRecord): readonly HeldSegment[] {
  const held = heldOf(segments, record.segment)
  if (record.kind === 'open')
    return held === undefined ? withOpened(segments, record) : reopened(segments, held, record)
  invariant(held !== undefined, 'a segment is opened before anything else is written of it')
  if (record.kind === 'drop') return segments.filter(each => each !== held)
  const next = changed(held, record)
  return segments.map(each => (each === held ? next : each))
}

function withOpened(segments: readonly HeldSegment[], record: Extract<ChainRecord, { kind: 'open' }>) {
  const { partition, segment, base, epoch, producers } = record
  const opened: HeldSegment = {
    partition,
    segment,
    base,
    epoch,
    fenceEpoch: 0,
    batches: [],
    sealedEnd: null,
    producersAtBase: producers,
    isDirty: false,
  }
  return [...segments, opened].sort((a, b) => a.segment - b.segment)
}

function reopened(
  segments: readonly HeldSegment[],
  held: HeldSegment,
  { epoch, producers }: Extract<ChainRecord, { kind: 'open' }>,
) {
  const next = {
    ...held,
    epoch: Math.max(held.epoch, epoch),
    producersAtBase: held.producersAtBase ?? producers,
  }
  return segments.map(each => (each === held ? next : each))
}

/** Throws when the record would change what may not change any more. */
function changed(held: HeldSegment, record: Exclude<ChainRecord, { kind: 'open' | 'drop' }>): HeldSegment {
  switch (record.kind) {
    case 'batch':
      invariant(record.batch.base === endOf(held), 'a segment on disk has no holes')
      invariant(held.sealedEnd === null, 'I7 Immutable: nothing is appended to a sealed segment')
      return { ...held, batches: [...held.batches, record.batch] }
    case 'fence':
      invariant(record.epoch >= held.fenceEpoch, 'I11 FenceMonotonic: the fence epoch on a disk never decreases')
      return { ...held, fenceEpoch: record.epoch }
    case 'truncate':
      invariant(held.sealedEnd === null || record.end >= held.sealedEnd, 'I7 Immutable: a sealed segment is not cut')
      return { ...held, batches: held.batches.filter(batch => batch.end <= record.end) }
    case 'seal':
      invariant(
        held.sealedEnd === null || held.sealedEnd === record.end,
        'I7 Immutable: the end of a sealed segment never changes',
      )
      return { ...held, sealedEnd: record.end, isDirty: false }
  }
}

export function storeOf(segments: readonly HeldSegment[]): SegmentStore {
  return {
    read(segment, from, bytesMax) {
      const found: Batch[] = []
      let bytes = 0
      for (const batch of heldOf(segments, segment)?.batches ?? []) {
        if (batch.end <= from) continue
        bytes += batch.bytes
        if (found.length > 0 && bytes > bytesMax) break
        found.push(batch)
      }
      return found
    },
    summary(segment, end) {
      const held = heldOf(segments, segment)
      if (held === undefined || endOf(held) < end) return null
      const batches = held.batches.filter(batch => batch.base < end)
      return {
        bytes: batches.reduce((sum, batch) => sum + batch.bytes, 0),
        maxTimestamp: batches.reduce((newest, batch) => Math.max(newest, batch.maxTimestamp), -1),
        // Of at most a handful of batches with small checksums: their digits, so that it is readable in a trace.
        checksum: batches.reduce((sum, batch) => sum * 10 + batch.crc, 0),
      }
    },
  }
}

export function restoredOf(disk: ChainDisk): readonly RestoredSegment[] {
  return disk.durable.map(held => ({
    partition: held.partition,
    segment: held.segment,
    base: held.base,
    epoch: held.epoch,
    fenceEpoch: held.fenceEpoch,
    end: endOf(held),
    sealedEnd: held.sealedEnd,
    standing: held.isDirty ? 'dirty' : 'clean',
    producersAtBase: held.producersAtBase,
  }))
}
