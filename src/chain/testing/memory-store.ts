/** A disk of plain records for tests of the chain's core: what is written is visible at once, and kept by a crash once synced. */
import type { Offset, SegmentId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { ChainRecord, RestoredSegment, SegmentStore } from '../events.ts'
import type { Batch } from '../messages.ts'

type Held = { -readonly [Key in keyof RestoredSegment]: RestoredSegment[Key] } & { batches: Batch[] }
type Image = Map<SegmentId, Held>

export class MemoryStore implements SegmentStore {
  readonly #visible: Image = new Map()
  readonly #durable: Image = new Map()
  readonly pending: { readonly write: number; readonly record: ChainRecord }[] = []

  write(write: number, record: ChainRecord): void {
    apply(this.#visible, record)
    this.pending.push({ write, record })
  }

  /** Syncs the first `count` pending writes; gives back the number of the last. */
  sync(count: number): number {
    const synced = this.pending.splice(0, count)
    for (const { record } of synced) apply(this.#durable, record)
    return synced.at(-1)?.write ?? 0
  }

  /** What a crash leaves. */
  crashed(standing: RestoredSegment['standing'] = 'clean'): MemoryStore {
    const next = new MemoryStore()
    for (const [id, held] of this.#durable) {
      const left = { ...held, batches: [...held.batches], standing: held.sealedEnd === null ? standing : 'clean' }
      next.#visible.set(id, left as Held)
      next.#durable.set(id, { ...left, batches: [...held.batches] } as Held)
    }
    return next
  }

  restored(): readonly RestoredSegment[] {
    return [...this.#durable.values()].map(({ batches: _, ...restored }) => restored)
  }

  /** Changes a byte of what is held at `offset`, as a disk may. */
  rot(segment: SegmentId, offset: Offset): void {
    const held = this.#visible.get(segment)
    const at = held?.batches.findIndex(batch => batch.end > offset) ?? -1
    const batch = held?.batches[at]
    if (held !== undefined && batch !== undefined) held.batches[at] = { ...batch, crc: batch.crc + 1 }
  }

  batches(segment: SegmentId): readonly Batch[] {
    return this.#visible.get(segment)?.batches ?? []
  }

  read(segment: SegmentId, from: Offset, bytesMax: number): readonly Batch[] {
    const found: Batch[] = []
    let bytes = 0
    for (const batch of this.batches(segment)) {
      if (batch.end <= from) continue
      bytes += batch.bytes
      if (found.length > 0 && bytes > bytesMax) break
      found.push(batch)
    }
    return found
  }

  summary(segment: SegmentId, end: Offset) {
    const held = this.#visible.get(segment)
    if (held === undefined || held.end < end) return null
    const batches = held.batches.filter(batch => batch.end <= end)
    if ((batches.at(-1)?.end ?? held.base) !== end) return null
    return {
      bytes: batches.reduce((sum, batch) => sum + batch.bytes, 0),
      maxTimestamp: batches.reduce((max, batch) => Math.max(max, batch.maxTimestamp), -1),
      checksum: batches.reduce((sum, batch) => (sum * 31 + batch.crc) % 1_000_003, 0),
    }
  }
}

function apply(image: Image, record: ChainRecord): void {
  const held = image.get(record.segment)
  if (record.kind === 'open') {
    if (held === undefined) image.set(record.segment, opened(record))
    else held.producersAtBase ??= record.producers
    return
  }
  invariant(held !== undefined, 'a segment is opened before anything else is written of it')
  switch (record.kind) {
    case 'batch':
      invariant(record.batch.base === held.end && held.sealedEnd === null, 'a copy on disk is contiguous until sealed')
      held.batches.push(record.batch)
      held.end = record.batch.end
      break
    case 'fence':
      invariant(record.epoch >= held.fenceEpoch, 'a fence on disk never goes back')
      held.fenceEpoch = record.epoch
      break
    case 'truncate':
      invariant(held.sealedEnd === null, 'a sealed copy is never cut')
      held.batches = held.batches.filter(batch => batch.end <= record.end)
      held.end = record.end
      break
    case 'seal':
      invariant(held.end === record.end, 'a copy is sealed at its end')
      held.sealedEnd = record.end
      held.standing = 'clean'
      break
    case 'drop':
      image.delete(record.segment)
      break
  }
}

function opened({ partition, segment, base, epoch, producers }: Extract<ChainRecord, { kind: 'open' }>): Held {
  return {
    partition,
    segment,
    base,
    epoch,
    fenceEpoch: epoch,
    end: base,
    sealedEnd: null,
    standing: 'clean',
    producersAtBase: producers,
    batches: [],
  }
}
