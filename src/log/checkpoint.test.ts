import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MemoryDisk } from '../sim/disk.ts'
import { FileSystem } from '../sim/file-system.ts'
import { decodeRecord, encodeRecord } from '../wire/on-disk.ts'
import {
  type CheckpointTable,
  checkpointEntry,
  loadCheckpointTable,
  saveCheckpointTable,
  toPoints,
  toProducers,
} from './checkpoint.ts'

const plain = { noNullPrototype: true }
const count = fc.maxSafeNat()
const int32 = fc.nat({ max: 0x7fff_ffff })
const progress = {
  segmentId: count,
  flushedEnd: count,
  flushedBytes: count,
  checksum: fc.nat({ max: 0xffff_ffff }),
  maxTimestamp: fc.oneof(fc.constant(-1), count),
  maxTimestampBase: fc.oneof(fc.constant(-1), count),
  records: count,
  durableEnd: count,
  suspect: fc.boolean(),
  holes: fc.array(fc.record({ from: count, to: count }, plain), { maxLength: 3 }),
}
const batch = fc.record({ firstSequence: int32, lastSequence: int32, base: count, end: count }, plain)
const producer = fc.record(
  {
    producerId: count,
    epoch: fc.nat({ max: 0x7fff }),
    seenAtMs: fc.oneof(fc.constant(-1), count),
    batches: fc.array(batch, { maxLength: 5 }),
  },
  plain,
)
const producers = fc.array(producer, { maxLength: 4 })
const points = fc.array(
  fc.record({ offset: count, position: count, maxTimestampBefore: fc.oneof(fc.constant(-1), count) }, plain),
  { maxLength: 5 },
)
const table = fc.record(
  {
    fromFileSeq: count,
    durableThrough: count,
    segments: fc.array(fc.record({ ...progress, producers, points }, plain), { maxLength: 4 }),
  },
  plain,
)

const empty: CheckpointTable = { fromFileSeq: 1, durableThrough: 0, segments: [] }

describe('a checkpoint', () => {
  it('entry reads back as it was written', () => {
    fc.assert(
      fc.property(fc.record({ ...progress, producers, allProducers: fc.boolean() }, plain), entry => {
        assert.deepEqual(decodeRecord(checkpointEntry, encodeRecord(checkpointEntry, entry)), entry)
      }),
    )
  })

  it('table reads back as it was saved, producers and points included', async () => {
    await fc.assert(
      fc.asyncProperty(table, fc.integer({ min: 1, max: 1e9 }), async (saved, number) => {
        const disk = new MemoryDisk()
        await saveCheckpointTable(disk, number, saved)
        assert.deepEqual(await loadCheckpointTable(disk), { number, table: saved })
        for (const row of saved.segments) {
          assert.deepEqual(toProducers(row.producers), row.producers)
          assert.deepEqual(toPoints(row.points), row.points)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('table is the newest one, by number and not by name; the older ones beside it go with the next', async () => {
    const disk = new MemoryDisk()
    assert.deepEqual(await loadCheckpointTable(disk), { number: 0, table: null })
    for (const number of [9, 10, 11]) {
      await saveCheckpointTable(disk, number, { ...empty, fromFileSeq: number })
      assert.deepEqual(disk.files.walk(), [`checkpoint.${number}`])
    }
    const bytes = disk.files.peek('checkpoint.11')
    await saveCheckpointTable(disk, 100, { ...empty, fromFileSeq: 100 })
    disk.files.poke('checkpoint.11', bytes)
    const { number, table: newest } = await loadCheckpointTable(disk)
    assert.deepEqual([number, newest?.fromFileSeq], [100, 100])
    await saveCheckpointTable(disk, 101, empty)
    assert.deepEqual(disk.files.walk(), ['checkpoint.101'])
  })

  it('table that a crash left unfinished is passed over, and cleared away', async () => {
    const disk = new MemoryDisk()
    await saveCheckpointTable(disk, 3, { ...empty, fromFileSeq: 3 })
    disk.files.poke('checkpoint.4.tmp', Buffer.from('half'))
    disk.files.poke('checkpoint.5.tmp', Buffer.alloc(0))
    assert.equal((await loadCheckpointTable(disk)).number, 3)
    await saveCheckpointTable(disk, 6, empty)
    assert.deepEqual(disk.files.walk(), ['checkpoint.6'])
  })

  it('table that finds no room leaves the one before, and nothing else however often it is tried', async () => {
    const files = new FileSystem()
    const disk = new MemoryDisk({ files })
    await saveCheckpointTable(disk, 1, empty)
    files.capacityBytes = files.usedBytes + 20
    for (let number = 2; number < 6; number++) {
      await assert.rejects(saveCheckpointTable(disk, number, empty), { code: 'ENOSPC' })
    }
    assert.deepEqual(files.walk(), ['checkpoint.1'])
    assert.equal((await loadCheckpointTable(disk)).number, 1)
  })
})
