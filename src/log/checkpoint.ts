/**
 * How far the segment files have come (docs/formats/checkpoint.md). After each flush a checkpoint entry rides in the journal;
 * before journal files are freed, all that such entries said is saved as one table, `checkpoint.<n>`.
 */
import type { Offset, Position, SegmentId } from '../base/ids.ts'
import type { Disk } from '../io/disk.ts'
import { onDisk } from '../wire/on-disk.ts'
import { array, type Body, bool, int16, int32, int64, message, struct, uint32 } from '../wire/schema.ts'
import type { ProducerState } from './producers.ts'
import type { IndexPoint } from './segment-index.ts'
import { loadWhole, saveWhole } from './whole-file.ts'

export const producerTable = struct({
  producerId: int64,
  epoch: int16,
  seenAtMs: int64,
  batches: array(struct({ firstSequence: int32, lastSequence: int32, base: int64, end: int64 })),
})

export const holeTable = struct({ from: int64, to: int64 })

const progress = {
  segmentId: int64,
  /** Below this offset everything is in the segment file, synced. */
  flushedEnd: int64,
  /** The file's length at that offset. What lies behind it is not trusted. */
  flushedBytes: int64,
  /** CRC-32C over the first 21 bytes of each batch in order. */
  checksum: uint32,
  maxTimestamp: int64,
  /** Base offset of the first batch with that timestamp. */
  maxTimestampBase: int64,
  records: int64,
  /** Everything below was durable when this was written, in the file or in the journal: where the log must reach at least. */
  durableEnd: int64,
  /** The tail may have been lost to corruption; appends are refused. */
  suspect: bool,
  /** Offsets lost to corruption, in order. */
  holes: array(holeTable),
}

/**
 * A checkpoint entry's body: progress, and the producers whose batches were in the run that was flushed; or, before segments
 * are deleted, all producers as of the flushed end.
 */
export const checkpointEntry = message({
  name: 'CheckpointEntry',
  versions: [0, 0],
  ...onDisk,
  body: { ...progress, producers: array(producerTable), allProducers: bool },
})

/** One open or not yet sealed segment in the table, with all its producers and a thinned index. */
const tableRow = struct({
  ...progress,
  producers: array(producerTable),
  points: array(struct({ offset: int64, position: int64, maxTimestampBefore: int64 })),
})

export const checkpointTable = message({
  name: 'CheckpointTable',
  versions: [0, 0],
  ...onDisk,
  body: {
    /** The oldest journal file that is still needed. */
    fromFileSeq: int64,
    /** Groups up to this number were synced when the table was written. */
    durableThrough: int64,
    segments: array(tableRow),
  },
})

export type CheckpointEntry = Body<typeof checkpointEntry>
export type CheckpointRow = Body<typeof checkpointTable>['segments'][number]
export interface CheckpointTable {
  readonly fromFileSeq: number
  readonly durableThrough: number
  readonly segments: readonly CheckpointRow[]
}

/** What recovery knows of one segment's file. */
export interface Progress {
  readonly segmentId: SegmentId
  readonly flushedEnd: Offset
  readonly flushedBytes: Position
  readonly checksum: number
  readonly maxTimestamp: number
  readonly maxTimestampBase: Offset
  readonly records: number
  readonly suspect: boolean
  readonly holes: readonly Hole[]
}

export interface Hole {
  readonly from: Offset
  readonly to: Offset
}

export const indexPointsMax = 64

export function toProducers(rows: CheckpointRow['producers']): ProducerState[] {
  return rows.map(row => ({
    ...row,
    batches: row.batches.map(b => ({ ...b, base: b.base as Offset, end: b.end as Offset })),
  }))
}

export function toPoints(rows: CheckpointRow['points']): IndexPoint[] {
  return rows.map(row => ({ ...row, offset: row.offset as Offset, position: row.position as Position }))
}

const prefix = 'checkpoint.'

/** The newest table, with its number. An older one may lie beside it after a crash; it is removed with the next save. */
export async function loadCheckpointTable(disk: Disk): Promise<{ number: number; table: CheckpointTable | null }> {
  const number = Math.max(0, ...(await tableNumbers(disk)))
  return { number, table: number === 0 ? null : await loadWhole(disk, `${prefix}${number}`, checkpointTable) }
}

/** Saves a table; once it is durable, removes its predecessors and what crashes left of them. */
export async function saveCheckpointTable(disk: Disk, number: number, table: CheckpointTable): Promise<void> {
  await saveWhole(disk, `${prefix}${number}`, checkpointTable, table)
  for (const name of await disk.list('.')) {
    const old = /^checkpoint\.(\d+)(\.tmp)?$/.exec(name)
    if (old !== null && Number(old[1]) < number) await disk.remove(name)
  }
}

async function tableNumbers(disk: Disk): Promise<number[]> {
  const names = await disk.list('.')
  return names.filter(name => /^checkpoint\.\d+$/.test(name)).map(name => Number(name.slice(prefix.length)))
}
