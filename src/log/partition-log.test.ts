import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Offset } from '../base/ids.ts'
import { flattenRope } from '../base/rope.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { readBatchHeader } from '../wire/record-batch.ts'
import { Gate, rest, turn, until } from './journal.test-kit.ts'
import { Chain, smallStore, storedAt, TestPartition, testBatch } from './log.test-kit.ts'

describe('an append', () => {
  it('gets the next offsets, is stamped with them and the epoch, and is read back byte for byte', async () => {
    const t = await TestPartition.fresh()
    const drafts = [1, 3, 2].map(records => testBatch({ records }))
    const bases: number[] = []
    for (const draft of drafts) bases.push((await t.acknowledged(draft)).base)
    assert.deepEqual(bases, [0, 1, 4])
    assert.deepEqual([t.log.nextOffset, t.log.highWatermark], [6, 6])
    for (const isFlushed of [false, true]) {
      if (isFlushed) await t.flush()
      const { batches } = await t.readAll()
      drafts.forEach((draft, i) => void assert.ok(batches[i]?.bytes.equals(storedAt(bases[i] as number, draft))))
    }
  })

  it('is not readable before its sync, unless the topic is relaxed', async () => {
    for (const isRelaxed of [false, true]) {
      const gate = new Gate()
      const t = await TestPartition.fresh({ isRelaxed }, { schedule: gate.schedule })
      await rest()
      gate.hold('sync', '000001')
      let isAcknowledged = false
      t.append(testBatch(), () => {
        isAcknowledged = true
      })
      await until(() => gate.held.length === 1)
      await rest()
      assert.deepEqual([isAcknowledged, t.log.highWatermark], [isRelaxed, isRelaxed ? 1 : 0])
      const read = await t.log.read({ from: 0 as Offset, bytesMax: 1000, minOne: true })
      assert.equal(read.records.length > 0, isRelaxed)
      assert.equal(t.log.isSettled, false)
      gate.open()
      await t.log.whenSettled()
      assert.deepEqual([isAcknowledged, t.log.highWatermark], [true, 1])
    }
  })
})

describe('a read', () => {
  it('returns whole batches up to its bound, at least one when asked to, from memory and from the file alike', async () => {
    const t = await TestPartition.fresh()
    const drafts = [0, 1, 2, 3].map(() => testBatch({ records: 2, fill: 200 }))
    for (const draft of drafts) await t.acknowledged(draft)
    const bytes = (drafts[0] as (typeof drafts)[number]).bytes.length
    for (const isFlushed of [false, true]) {
      if (isFlushed) {
        await t.flush()
        const again = await t.restart()
        for (const log of [again.log]) assert.equal(log.active.cachedFrom, 8)
        Object.assign(t, { log: again.log })
      }
      const read = async (from: number, bytesMax: number, minOne: boolean) => {
        const { error, records } = await t.log.read({ from: from as Offset, bytesMax, minOne })
        assert.equal(error, 'NONE')
        const all = flattenRope(records)
        assert.equal(all.length % bytes, 0, 'whole batches')
        return [all.length / bytes, all.length === 0 ? -1 : readBatchHeader(all).baseOffset]
      }
      assert.deepEqual(await read(0, bytes - 1, false), [0, -1])
      assert.deepEqual(await read(0, bytes - 1, true), [1, 0])
      assert.deepEqual(await read(0, bytes, false), [1, 0])
      assert.deepEqual(await read(1, bytes * 2, false), [2, 0], 'from inside a batch: with all of it')
      assert.deepEqual(await read(2, bytes * 3 - 1, false), [2, 2])
      assert.deepEqual(await read(5, 1 << 20, true), [2, 4])
      assert.deepEqual(await read(8, 1 << 20, true), [0, -1], 'nothing at the end')
    }
  })

  it('goes on across a seal, and across the border between file and memory', async () => {
    const t = await TestPartition.fresh()
    for (let i = 0; i < 5; i++) await t.acknowledged(testBatch({ records: 3 }))
    await t.roll()
    for (let i = 0; i < 5; i++) await t.acknowledged(testBatch({ records: 3 }))
    await t.log.flushNext(400)
    const { batches, lost } = await t.readAll()
    assert.deepEqual([batches.map(batch => batch.base), lost], [Array.from({ length: 10 }, (_, i) => i * 3), []])
  })

  it('of a segment that is deleted meanwhile ends well: its files go when the reader has gone', async () => {
    const gate = new Gate()
    const t = await TestPartition.fresh({}, { schedule: gate.schedule })
    for (let i = 0; i < 3; i++) await t.acknowledged(testBatch())
    await t.roll()
    await t.flush()
    await t.acknowledged(testBatch())
    const again = await t.restart()
    const path = again.log.segments[0]?.logPath as string
    const reader = new Gate()
    const slow = await TestPartition.open(again.disk.kill({ schedule: reader.schedule }), t.chain)
    reader.hold('read', path)
    const reading = slow.log.read({ from: 0 as Offset, bytesMax: 1000, minOne: true })
    await until(() => reader.held.length > 0)
    const trimming = slow.trim(3)
    await rest()
    assert.ok(slow.disk.files.exists(path), 'not under the reader')
    reader.open()
    assert.equal((await reading).error, 'NONE')
    await trimming
    assert.ok(!slow.disk.files.exists(path))
    assert.deepEqual(slow.disk.violations, [])
  })
})

describe('a search by time', () => {
  const basesSince = async (t: TestPartition, index: number, timestampMs: number, between = async () => {}) => {
    const bases: number[] = []
    const segment = t.log.segments[index] as TestPartition['log']['active']
    for await (const { header, bytes } of t.log.batchesSince(segment, timestampMs)) {
      await between()
      const stored = readBatchHeader(flattenRope(bytes))
      assert.deepEqual([stored.baseOffset, stored.crc], [header.baseOffset, header.crc], 'the bytes are the batch’s')
      bases.push(header.baseOffset)
    }
    return bases
  }

  it('finds what is late enough, in memory, in the file and across both', async () => {
    const t = await TestPartition.fresh()
    for (let i = 0; i < 30; i++) await t.acknowledged(testBatch({ timestampMs: (i * 7) % 30 }))
    const expected = Array.from({ length: 30 }, (_, i) => i).filter(i => (i * 7) % 30 >= 20)
    assert.deepEqual(await basesSince(t, 0, 20), expected)
    await t.log.flushNext(2000)
    assert.deepEqual(await basesSince(t, 0, 20), expected)
    await t.flush()
    const again = await t.restart()
    assert.deepEqual(await basesSince(again, 0, 20), expected)
    await again.roll()
    await again.flush()
    assert.deepEqual(await basesSince(again, 0, 20), expected)
    assert.deepEqual(await basesSince(await again.restart(), 0, 20), expected)
  })

  it('misses nothing and mixes up nothing while what it looks through is flushed and leaves the memory', async () => {
    for (const flushAt of [0, 1, 5, 20]) {
      const t = await TestPartition.fresh({
        settings: { cacheBytes: 256 * 1024, journal: { ...smallStore.journal, bytesMax: 8 << 20 } },
      })
      for (let i = 0; i < 60; i++) await t.acknowledged(testBatch({ timestampMs: i, fill: 900, text: `${i}` }))
      await t.log.flushNext(20_000)
      let seen = 0
      const bases = await basesSince(t, 0, 0, async () => {
        if (seen++ !== flushAt) return
        await t.flush()
        // New batches push the old ones out and take over their memory.
        for (let i = 0; i < 60; i++) {
          await t.acknowledged(testBatch({ timestampMs: 1, fill: 9000, text: 'z' }))
          await t.flush()
        }
        assert.ok(t.log.active.cachedFrom > 60, 'they have left')
      })
      assert.deepEqual(
        bases.slice(0, 60),
        Array.from({ length: 60 }, (_, i) => i),
        `flushed after ${flushAt}`,
      )
    }
  })
})

describe('a topic that is deleted', () => {
  it('while appends are in flight answers them, lets go of memory and journal, and leaves no file', async () => {
    const gate = new Gate()
    const t = await TestPartition.fresh({}, { schedule: gate.schedule })
    for (let i = 0; i < 3; i++) await t.acknowledged(testBatch())
    await t.roll()
    await t.flush()
    await t.acknowledged(testBatch())
    gate.hold('sync', 'journal/')
    let answered = 0
    for (let i = 0; i < 3; i++) t.append(testBatch(), () => answered++)
    const settled = t.log.whenSettled()
    await until(() => gate.held.length === 1)
    const removing = t.log.remove()
    await rest()
    gate.open()
    await removing
    await rest()
    assert.equal(answered, 3, 'nobody waits for ever')
    t.log.stopWaiting()
    await settled
    assert.equal(t.store.cache.unflushedBytes, 0)
    assert.deepEqual(
      t.store.files.live.map(file => file.pins),
      t.store.files.live.map(() => 0),
    )
    assert.deepEqual(t.disk.files.walk('topics'), [])
    assert.deepEqual([t.failures, t.disk.violations], [[], []])
  })

  it('while a run of it is being flushed does not come back to the flusher, nor to the disk', async () => {
    for (const kind of ['open', 'write', 'sync', 'syncDirectory'] as const) {
      const gate = new Gate()
      const t = await TestPartition.fresh({}, { schedule: gate.schedule })
      await t.acknowledged(testBatch())
      gate.hold(kind, 'topics')
      const flushing = t.log.flushNext(1 << 20)
      await until(() => gate.held.length === 1, kind)
      const removing = t.log.remove()
      await rest()
      gate.open()
      await Promise.all([flushing, removing])
      assert.equal(t.log.needsFlush, false)
      await t.letFlusherRun()
      assert.deepEqual(t.disk.files.walk('topics'), [], kind)
      assert.deepEqual([t.failures, t.disk.violations], [[], []])
    }
  })

  it('keeps files that are not its own, and the folder with them', async () => {
    const t = await TestPartition.fresh()
    await t.acknowledged(testBatch())
    await t.flush()
    t.disk.files.poke(`${t.log.folder}/notes.txt`, Buffer.from('mine'))
    await t.log.remove()
    assert.deepEqual(t.disk.files.walk('topics'), [`${t.log.folder}/notes.txt`])
  })
})

describe('segments below the log start', () => {
  it('go, flushed or not, and what producers wrote in them stays known', async () => {
    for (const isFlushed of [false, true]) {
      const t = await TestPartition.fresh()
      const batch = testBatch({ producerId: 5, sequence: 0, records: 2 })
      await t.acknowledged(batch)
      await t.roll()
      if (isFlushed) await t.flush()
      await t.acknowledged(testBatch())
      await t.trim(2)
      assert.deepEqual(t.log.segments.length, 1)
      assert.deepEqual(
        t.disk.files.walk('topics').filter(path => path.includes('.1.')),
        [],
      )
      const again = await t.restart()
      assert.equal(again.check(batch).kind, 'duplicate')
      assert.equal(again.log.logStartOffset, 2)
      assert.deepEqual(
        (await again.readAll()).batches.map(({ base }) => base),
        [2],
      )
    }
  })

  it('that are just being flushed or sealed when they go leave nothing behind', async () => {
    for (let hold = 0; hold < 12; hold++) {
      let operations = 0
      const held: (() => void)[] = []
      let isHolding = false
      const schedule = (_: unknown, __: number, task: () => void) => {
        if (isHolding && operations++ === hold) held.push(() => setImmediate(task))
        else setImmediate(task)
      }
      const t = await TestPartition.open(new MemoryDisk({ schedule }), new Chain())
      await t.acknowledged(testBatch({ producerId: 5, sequence: 0 }))
      await t.roll()
      await t.acknowledged(testBatch())
      await t.settled()
      isHolding = true
      const flushing = t.log.flushNext(1 << 20)
      for (let i = 0; i < 60 && held.length === 0; i++) await turn()
      const trimming = t.trim(1)
      await rest()
      isHolding = false
      for (const task of held) task()
      await Promise.all([flushing, trimming])
      assert.deepEqual(
        t.disk.files.walk('topics').filter(path => path.includes('.1.')),
        [],
        `held at ${hold}`,
      )
      assert.deepEqual([t.failures, t.disk.violations], [[], []])
      const again = await t.restart()
      assert.equal(again.check(testBatch({ producerId: 5, sequence: 0 })).kind, 'duplicate')
      assert.deepEqual(again.damage, [])
    }
  })
})
