import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildBatch } from '../wire/build-batch.ts'
import { readBatchHeader } from '../wire/record-batch.ts'
import { storedAt, type TestBatch, TestPartition, testBatch } from './log.test-kit.ts'

/** A partition whose segment is in its file only: open, or sealed. */
async function onDisk(drafts: readonly TestBatch[], isSealed: boolean): Promise<TestPartition> {
  const t = await TestPartition.fresh()
  for (const [i, draft] of drafts.entries()) {
    await t.acknowledged(draft)
    // What the next process knows of an open segment's borders comes from the checkpoints of its runs.
    if (i % 2 === 1) await t.flush()
  }
  if (isSealed) await t.roll()
  await t.flush()
  return t.restart()
}

const segmentOf = (t: TestPartition) => t.log.segments[0] as TestPartition['log']['active']

describe('rot in a segment file', () => {
  for (const isSealed of [false, true]) {
    it(`of ${isSealed ? 'a sealed' : 'an open'} segment is never served, whichever byte it hits, and hides no more than its neighbourhood`, async () => {
      const drafts = Array.from({ length: 9 }, (_, i) => testBatch({ records: 2, fill: 20, text: `${i}` }))
      const t = await onDisk(drafts, isSealed)
      const path = segmentOf(t).logPath
      const bytes = drafts.map(draft => draft.bytes.length)
      const { size } = t.disk.files.file(path)
      assert.equal(
        size,
        bytes.reduce((sum, length) => sum + length, 0),
      )
      for (let at = 0; at < size; at++) {
        t.disk.files.flip(path, at, 1 << (at % 8))
        const { batches, lost } = await t.readAll()
        t.disk.files.flip(path, at, 1 << (at % 8))
        const hit = Math.floor(at / (bytes[0] as number))
        const what = `byte ${at % (bytes[0] as number)} of batch ${hit}`
        for (const batch of batches) {
          assert.ok(
            batch.bytes.equals(storedAt(batch.base, drafts[batch.base / 2] as TestBatch)),
            `${what}: something else is served`,
          )
        }
        assert.ok(lost.includes(hit * 2), `${what}: the damage is told of`)
        const served = new Set(batches.map(batch => batch.base / 2))
        // Where the header is damaged the next border is known from the index, two batches further at most.
        for (let i = 0; i < drafts.length; i++) {
          if (i < hit || i > hit + 2) assert.ok(served.has(i), `${what}: batch ${i} is served`)
        }
      }
      const { lost } = await t.readAll()
      assert.deepEqual(lost, [])
    })
  }

  it('is not served by a search by time either', async () => {
    const drafts = Array.from({ length: 6 }, (_, i) =>
      testBatch({ records: 1, fill: 20, text: `${i}`, timestampMs: i }),
    )
    const t = await onDisk(drafts, true)
    const segment = segmentOf(t)
    const { size } = t.disk.files.file(segment.logPath)
    for (let at = 0; at < size; at += 3) {
      t.disk.files.flip(segment.logPath, at, 2)
      for await (const { header, bytes } of t.log.batchesSince(segment, 2)) {
        const [chunk] = bytes.chunks
        assert.ok(chunk?.equals(storedAt(header.baseOffset, drafts[header.baseOffset] as TestBatch)), `byte ${at}`)
      }
      t.disk.files.flip(segment.logPath, at, 2)
    }
  })
})

describe('a batch inside a message', () => {
  it('is never served as one, even where the header of the batch around it is damaged', async () => {
    // A backup of a Kafka segment, sent through a topic: whole batches with plausible offsets, epochs and checksums.
    const forged = Array.from({ length: 4 }, (_, i) =>
      buildBatch([{ value: 'forged' }], { baseOffset: 2 + i, leaderEpoch: 0 }),
    )
    const carrier = buildBatch([{ value: Buffer.concat(forged) }])
    const drafts = [
      testBatch(),
      { header: readBatchHeader(carrier), bytes: carrier },
      ...[1, 2, 3, 4, 5].map(() => testBatch()),
    ]
    for (const isSealed of [false, true]) {
      const t = await onDisk(drafts, isSealed)
      const { logPath } = segmentOf(t)
      const start = (drafts[0] as TestBatch).bytes.length
      for (let at = start; at < start + 61; at++) {
        t.disk.files.flip(logPath, at, 0x10)
        const { batches } = await t.readAll()
        t.disk.files.flip(logPath, at, 0x10)
        for (const batch of batches)
          assert.ok(batch.bytes.equals(storedAt(batch.base, drafts[batch.base] as TestBatch)), `byte ${at}`)
      }
    }
  })
})
