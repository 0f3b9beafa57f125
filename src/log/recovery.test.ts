import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Offset } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { saveCheckpointTable } from './checkpoint.ts'
import { turn, until } from './journal.test-kit.ts'
import {
  Chain,
  type StoreOptions,
  smallStore,
  storedAt,
  type TestBatch,
  TestPartition,
  testBatch,
} from './log.test-kit.ts'

/** What was acknowledged, and what the producers would do next. */
class Ledger {
  readonly acknowledged: { base: number; batch: TestBatch }[] = []
  readonly #sequences = new Map<number, number>()
  #count = 0

  /** The next batch of a producer (-1 for a plain one). */
  next(producerId: number, records = 2): TestBatch {
    const sequence = this.#sequences.get(producerId) ?? 0
    if (producerId >= 0) this.#sequences.set(producerId, sequence + records)
    const text = `batch ${this.#count++} `
    return testBatch({ producerId, sequence: producerId < 0 ? -1 : sequence, records, fill: 60, text })
  }

  async append(t: TestPartition, producerId = -1, records = 2): Promise<void> {
    const batch = this.next(producerId, records)
    const { base } = await t.acknowledged(batch)
    this.acknowledged.push({ base, batch })
  }

  /** What a start must find: everything acknowledged, byte for byte; retries known; no damage anybody invented. */
  async check(t: TestPartition, what: string): Promise<void> {
    assert.deepEqual(t.damage, [], what)
    assert.deepEqual(t.failures, [], what)
    assert.equal(t.log.isSuspect, false, what)
    const start = t.log.logStartOffset
    const { batches, lost } = await t.readAll()
    assert.deepEqual(lost, [], what)
    let end = batches[0]?.base ?? start
    assert.ok(end <= start, what)
    for (const batch of batches) {
      assert.equal(batch.base, end, `${what}: offsets follow each other`)
      end = batch.end
    }
    assert.equal(end, Math.max(t.log.highWatermark, end), what)
    const newest = new Map<number, { base: number; batch: TestBatch }>()
    for (const one of this.acknowledged) {
      const { base, batch } = one
      if (batch.header.producerId >= 0) newest.set(batch.header.producerId, one)
      if (base + batch.header.lastOffsetDelta + 1 <= start) continue
      const found = batches.find(other => other.base === base)
      assert.ok(found, `${what}: what was acknowledged at ${base} is lost`)
      assert.ok(found.bytes.equals(storedAt(base, batch)), `${what}: what was acknowledged at ${base} is changed`)
    }
    for (const { base, batch } of newest.values()) {
      const verdict = t.check(batch)
      assert.deepEqual(
        verdict.kind === 'duplicate' ? verdict.of.base : verdict,
        base,
        `${what}: a retry of the newest batch of producer ${batch.header.producerId} is known`,
      )
    }
  }

  /** Producers start over with what the log knows: what was not acknowledged may be there or not. */
  adopt(t: TestPartition): void {
    for (const { producerId, batches } of t.log.producers.all()) {
      this.#sequences.set(producerId, (batches.at(-1)?.lastSequence ?? -1) + 1)
    }
  }
}

/** A life with everything in it: runs, rolls, seals, trims, a clean stop. */
async function live(t: TestPartition, ledger: Ledger): Promise<void> {
  await ledger.append(t, 7)
  await ledger.append(t, -1, 3)
  await ledger.append(t, 8)
  await t.flush()
  await ledger.append(t, 7)
  await ledger.append(t)
  await t.roll()
  await ledger.append(t, 9)
  await t.flush()
  await ledger.append(t, 7)
  await t.roll()
  await ledger.append(t)
  await t.trim(t.log.segments[1]?.base as number)
  await ledger.append(t)
  await t.flush()
  await ledger.append(t)
  await t.trim((t.log.segments[1]?.base as number) + 1)
  await ledger.append(t, -1, 4)
  await t.close()
}

/** Lets operations of a disk through until one is done, and no more after it. */
function stopAfter(last: number) {
  const stopped = Promise.withResolvers<void>()
  let isOff = false
  const schedule = ({ number }: Operation, _: number, task: () => void) => {
    if (number > last && !isOff) return
    setImmediate(() => {
      task()
      if (number === last) setImmediate(stopped.resolve)
    })
  }
  const letGo = () => {
    isOff = true
  }
  return { schedule, stopped: stopped.promise, letGo }
}

describe('a partition restarts with all that was acknowledged', () => {
  for (const end of ['kill', 'losePower'] as const) {
    it(`after a ${end === 'kill' ? 'kill' : 'power loss'} at every single operation of a life, and after a second one right behind the start`, async () => {
      for (let last = 1, isOver = false; !isOver; last++) {
        const { schedule, stopped } = stopAfter(last)
        const disk = new MemoryDisk({ schedule })
        const chain = new Chain()
        const ledger = new Ledger()
        const life = TestPartition.open(disk, chain).then(t => live(t, ledger))
        await Promise.race([stopped, life.then(() => (isOver = true))])
        const what = `${end} after operation ${last}`
        const again = await TestPartition.open(end === 'kill' ? disk.kill({}) : disk.losePower({}).disk, chain)
        await ledger.check(again, what)
        assert.deepEqual(disk.violations, [])

        // What a start serves is durable: power fails before anything else happens.
        const twice = await TestPartition.open(again.disk.losePower({}).disk, chain)
        await ledger.check(twice, `${what}, then a power loss`)
        ledger.adopt(twice)
        if (chain.deletingCount > 0) {
          await twice.log.removeSegments(
            twice.log.segments.findLastIndex(one => one.end !== null && one.end <= twice.log.logStartOffset) + 1,
          )
          chain.drop()
        }
        for (const producerId of [7, -1, 9]) await ledger.append(twice, producerId)
        await twice.roll()
        await ledger.append(twice, 7)
        await twice.flush()
        const third = await TestPartition.open(twice.disk.losePower({}).disk, chain)
        await ledger.check(third, `${what}, then a life`)
        assert.deepEqual(twice.disk.violations, [])
      }
    })
  }

  it('after starts that were cut off themselves, one after the other', async () => {
    const chain = new Chain()
    const ledger = new Ledger()
    const first = await TestPartition.open(new MemoryDisk(), chain)
    await ledger.append(first, 7)
    await first.flush()
    await ledger.append(first, 8)
    await first.roll()
    await ledger.append(first, 7)
    let disk = first.disk.kill({})
    for (let last = 1; last < 60; last++) {
      const { schedule, stopped, letGo } = stopAfter(last)
      const next = new MemoryDisk({ files: disk.files, schedule })
      const opened = await Promise.race([stopped.then(() => null), TestPartition.open(next, chain)])
      letGo()
      if (opened !== null) await ledger.check(opened, `start cut off after ${last}`)
      disk = last % 2 === 0 ? next.kill({}) : next.losePower({}).disk
    }
    await ledger.check(await TestPartition.open(disk, chain), 'in the end')
  })

  it('after its files were trimmed out of the journal again and again', async () => {
    const chain = new Chain()
    const ledger = new Ledger()
    let t = await TestPartition.open(new MemoryDisk(), chain)
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 40; i++) await ledger.append(t, [7, 8, -1][i % 3], 6)
      if (round % 3 === 2) await t.roll()
      await t.flush()
      await t.letFlusherRun()
      assert.ok(t.store.files.live.length <= 4, 'the journal is trimmed')
      if (round % 2 === 1) {
        t = await TestPartition.open(t.disk.losePower({}).disk, chain)
        await ledger.check(t, `round ${round}`)
        ledger.adopt(t)
      }
    }
    assert.ok(t.disk.files.walk().some(path => /^checkpoint\.\d+$/.test(path)))
  })

  it('whatever the memory is short of while it loads: it flushes as it goes', async () => {
    const chain = new Chain()
    const ledger = new Ledger()
    const t = await TestPartition.open(new MemoryDisk(), chain)
    for (let i = 0; i < 40; i++) {
      await ledger.append(t, 7, 30)
      if (i === 20) await t.roll()
    }
    await t.settled()
    const again = await TestPartition.open(t.disk.kill({}), chain, { settings: { cacheBytes: 64 * 1024 } })
    await ledger.check(again, 'a small cache')
    assert.ok(again.store.cache.bytes <= 64 * 1024)
  })
})

describe('what a start meets on the disk', () => {
  /** A sealed and flushed segment, then an open one that is flushed in part. */
  async function someLife(options: StoreOptions = {}): Promise<{ t: TestPartition; ledger: Ledger }> {
    const t = await TestPartition.fresh(options)
    const ledger = new Ledger()
    for (let i = 0; i < 6; i++) await ledger.append(t, 7)
    await t.roll()
    await t.flush()
    for (let i = 0; i < 4; i++) await ledger.append(t, 8)
    await t.flush()
    for (let i = 0; i < 2; i++) await ledger.append(t, 7)
    await t.settled()
    return { t, ledger }
  }

  /** Makes the journal forget what the segment files have, as a long life does. */
  async function trimmed(t: TestPartition): Promise<void> {
    for (const file of t.store.files.live) file.pins = 0
    for (let i = 0; i < 6; i++) {
      const { durableThrough } = t.store.journal
      for (let j = 0; j < 8; j++) {
        const body = Buffer.alloc(2000)
        t.store.journal.append({
          kind: 4,
          segmentId: 0,
          base: 0,
          end: 0,
          body: { chunks: [body], length: body.length },
          placed() {},
          written() {},
          durable() {},
        })
      }
      await until(() => t.store.journal.durableThrough > durableThrough)
      await t.settled()
    }
    await t.letFlusherRun()
    assert.ok((t.store.files.live[0]?.seq ?? 0) > 2, 'the first files are gone')
  }

  const logOf = (t: TestPartition, index: number) => t.log.segments[index]?.logPath as string
  const sealOf = (t: TestPartition, index: number) => t.log.segments[index]?.sealPath as string

  it('bytes behind the checkpoint in an open segment file are cut: the journal has the truth', async () => {
    const { t, ledger } = await someLife()
    const path = logOf(t, 1)
    const disk = t.disk.kill({})
    disk.files.poke(path, Buffer.concat([disk.files.peek(path), Buffer.alloc(700, 'junk')]))
    const again = await TestPartition.open(disk, t.chain)
    await ledger.check(again, 'junk behind')
    await again.flush()
    await ledger.check(await again.restart(), 'and later')
  })

  it('a seal file that a killed process renamed and did not make durable is not lost later, nor what it stands for', async () => {
    // The kill comes between the rename of the seal and the sync of its folder; the journal is trimmed; the power fails.
    let reached = 0
    for (let seed = 1; seed <= 8; seed++) {
      for (let last = 30, isOver = false; !isOver; last++) {
        const { schedule, stopped } = stopAfter(last)
        const disk = new MemoryDisk({ schedule, prng: new Prng(seed) })
        const chain = new Chain()
        const ledger = new Ledger()
        const life = (async () => {
          const t = await TestPartition.open(disk, chain)
          for (let i = 0; i < 5; i++) await ledger.append(t, 7)
          await t.roll()
          await t.flush()
          isOver = true
        })()
        await Promise.race([stopped, life])
        if (isOver || !disk.files.walk('topics').some(path => path.endsWith('.seal'))) continue
        reached++
        const again = await TestPartition.open(disk.kill({}), chain)
        await trimmed(again)
        const third = await TestPartition.open(again.disk.losePower({}).disk, chain)
        await ledger.check(third, `seed ${seed}, kill after operation ${last}`)
      }
    }
    assert.ok(reached >= 8)
  })

  it('a missing seal file is made again out of the segment file', async () => {
    for (const isTrimmed of [false, true]) {
      const { t, ledger } = await someLife()
      if (isTrimmed) {
        await t.flush()
        await trimmed(t)
      }
      const path = sealOf(t, 0)
      const disk = t.disk.kill({})
      await disk.remove(path)
      const again = await TestPartition.open(disk, t.chain)
      const { batches, lost } = await again.readAll()
      assert.deepEqual([batches.length, lost], [ledger.acknowledged.length, []], `trimmed: ${isTrimmed}`)
      for (const { base, batch } of ledger.acknowledged) {
        assert.ok(batches.find(one => one.base === base)?.bytes.equals(storedAt(base, batch)))
      }
    }
  })

  it('a damaged seal file does not take the segment with it', async () => {
    const { t, ledger } = await someLife()
    const path = sealOf(t, 0)
    const disk = t.disk.kill({})
    disk.files.flip(path, disk.files.file(path).size - 40, 1)
    const again = await TestPartition.open(disk, t.chain)
    assert.ok(again.damage.length > 0, 'reported')
    const { batches, lost } = await again.readAll()
    assert.deepEqual([batches.length, lost], [ledger.acknowledged.length, []])
  })

  it('a seal file of another segment is not believed', async () => {
    const t = await TestPartition.fresh()
    const ledger = new Ledger()
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j <= i; j++) await ledger.append(t, 7)
      await t.roll()
    }
    await t.flush()
    const disk = t.disk.kill({})
    disk.files.poke(sealOf(t, 0), disk.files.peek(sealOf(t, 2)))
    const again = await TestPartition.open(disk, t.chain)
    const { batches, lost } = await again.readAll()
    for (const { base, batch } of ledger.acknowledged) {
      const found = batches.find(one => one.base === base)
      assert.ok(found?.bytes.equals(storedAt(base, batch)) || lost.includes(base), `offset ${base}`)
    }
  })

  it('a segment file that is too short keeps its sound beginning; the rest is reported and answered as lost', async () => {
    for (const index of [0, 1]) {
      const { t, ledger } = await someLife()
      if (index === 1) {
        await t.flush()
        await trimmed(t)
      }
      const path = logOf(t, index)
      const disk = t.disk.kill({})
      const bytes = disk.files.peek(path)
      disk.files.poke(path, bytes.subarray(0, Math.floor(bytes.length / 2)))
      let again = await TestPartition.open(disk, t.chain)
      for (const round of [1, 2, 3]) {
        const { batches, lost } = await again.readAll()
        assert.ok(lost.length > 0, `round ${round}: lost offsets are told of`)
        for (const { base, batch } of ledger.acknowledged) {
          const found = batches.find(one => one.base === base)
          assert.ok(found?.bytes.equals(storedAt(base, batch)) || lost.includes(base), `round ${round}, offset ${base}`)
        }
        assert.ok(again.log.highWatermark >= t.log.highWatermark)
        // Files of sealed segments are not looked at before they are read.
        if (round === 1 && index === 1) assert.ok(again.damage.length > 0, 'reported')
        if (!again.log.isSuspect) await ledger.append(again)
        if (!again.log.isSuspect) await again.flush()
        again = await again.restart()
      }
    }
  })

  it('a journal that is gone, where that was accepted: what the segment files have is kept, checkpoint or not', async () => {
    const { t, ledger } = await someLife()
    await t.flush()
    await trimmed(t)
    await ledger.append(t, 8)
    await t.flush()
    const { flushedEnd } = t.log.active.progress
    const disk = t.disk.kill({})
    for (const path of disk.files.walk('journal')) await disk.remove(path)
    const accepted = await TestPartition.open(disk, t.chain, { settings: { acceptDataLoss: true } })
    assert.equal(accepted.log.highWatermark, flushedEnd)
    const { batches, lost } = await accepted.readAll()
    assert.deepEqual(lost, [])
    for (const { base, batch } of ledger.acknowledged) {
      assert.ok(batches.find(one => one.base === base)?.bytes.equals(storedAt(base, batch)), `offset ${base}`)
    }
  })

  it('a cut segment file that is written on, with a crash at any moment: an offset is served as it was, or told to be lost', async () => {
    for (let last = 1, isOver = false; !isOver; last++) {
      const { t, ledger } = await someLife()
      await t.flush()
      await trimmed(t)
      const path = logOf(t, 1)
      const cut = t.disk.kill({})
      const bytes = cut.files.peek(path)
      cut.files.poke(path, bytes.subarray(0, Math.floor(bytes.length / 2)))
      const { schedule, stopped } = stopAfter(last)
      const disk = new MemoryDisk({ files: cut.files, schedule })
      const life = (async () => {
        const next = await TestPartition.open(disk, t.chain)
        // As long as what was cut off: the file reaches its old length again.
        for (let i = 0; i < 3; i++) {
          await ledger.append(next, 8)
          await next.flush()
        }
        isOver = true
      })()
      await Promise.race([stopped, life])
      const again = await TestPartition.open(disk.kill({}), t.chain)
      const { batches, lost } = await again.readAll()
      for (const { base, batch } of ledger.acknowledged) {
        const found = batches.find(one => one.base === base)
        assert.ok(
          found?.bytes.equals(storedAt(base, batch)) || lost.includes(base),
          `operation ${last}, offset ${base}`,
        )
      }
    }
  })

  it('a segment file that is gone is reported and answered as lost, and the others are served', async () => {
    for (const index of [0, 1]) {
      const { t, ledger } = await someLife()
      await t.flush()
      await trimmed(t)
      const disk = t.disk.kill({})
      const { base: from, end: to } = t.log.segments[index] as { base: Offset; end: Offset | null }
      await disk.remove(logOf(t, index))
      const again = await TestPartition.open(disk, t.chain)
      const { batches, lost } = await again.readAll()
      for (const { base } of ledger.acknowledged) {
        const isGone = base >= from && (to === null || base < to)
        assert.equal(
          batches.some(one => one.base === base),
          !isGone,
          `offset ${base}`,
        )
        assert.equal(lost.includes(base), isGone, `offset ${base}`)
      }
      assert.ok(again.damage.length > 0, 'reported')
      assert.equal(again.log.highWatermark, t.log.highWatermark)
    }
  })
})

describe('a disk that fails while a partition is recovered', () => {
  it('with a failed sync ends the start: the descriptor is not synced again as if nothing had been', async () => {
    const chain = new Chain()
    const ledger = new Ledger()
    const t = await TestPartition.open(new MemoryDisk(), chain)
    for (let i = 0; i < 40; i++) await ledger.append(t, 7, 30)
    await t.settled()
    const fault = ({ kind, path }: Operation): Fault | null =>
      kind === 'sync' && path.endsWith('.log') ? { error: 'EIO' } : null
    const disk = t.disk.kill({ fault })
    const settings = { cacheBytes: 96 * 1024 }
    const opened = TestPartition.open(disk, chain, { settings })
    await assert.rejects(opened, { code: 'DISK_FAILED' })
    await turn()
    assert.deepEqual(disk.violations, [])
  })

  it('with no room goes on: what it could not flush stays in memory and in the journal', async () => {
    const chain = new Chain()
    const ledger = new Ledger()
    const t = await TestPartition.open(new MemoryDisk(), chain)
    for (let i = 0; i < 30; i++) await ledger.append(t, 7, 30)
    await t.settled()
    const full = { is: true }
    const fault = ({ kind, path }: Operation): Fault | null =>
      full.is && path.startsWith('topics') && (kind === 'write' || kind === 'open') ? { error: 'ENOSPC' } : null
    const again = await TestPartition.open(t.disk.kill({ fault }), chain, { settings: { cacheBytes: 160 * 1024 } })
    await ledger.check(again, 'full')
    full.is = false
    await again.flush()
    await ledger.check(await again.restart(), 'room again')
  })
})

describe('damage of the journal', () => {
  /** Flips a byte of the journal, given where a batch lies in it. */
  function flip(disk: MemoryDisk, { file, position }: { file: string; position: number }): void {
    disk.files.flip(file, position, 1)
  }

  /** Where a batch lies in the journal: found by its text. */
  function placeOf(disk: MemoryDisk, text: string): { file: string; position: number } {
    for (const file of disk.files.walk('journal')) {
      const position = disk.files.peek(file).indexOf(text)
      if (position >= 0) return { file, position }
    }
    throw new Error(`the journal does not have ${text}`)
  }

  async function fourBatches(): Promise<{ t: TestPartition; ledger: Ledger }> {
    const t = await TestPartition.fresh()
    const ledger = new Ledger()
    for (let i = 0; i < 4; i++) await ledger.append(t, 7)
    await t.settled()
    await t.store.journal.close()
    return { t, ledger }
  }

  it('in the middle of a partition is a hole: told of when it is read, served around, kept over restarts and flushes', async () => {
    for (const hit of [[1], [1, 2], [0], [0, 1, 2]]) {
      const { t, ledger } = await fourBatches()
      const disk = t.disk.kill({})
      for (const i of hit) flip(disk, placeOf(disk, `batch ${i} `))
      let again = await TestPartition.open(disk, t.chain)
      assert.ok(again.damage.length > 0)
      assert.equal(again.log.isSuspect, false, 'what came behind shows that nothing else is missing')
      const expectedLost = hit.flatMap(i => [i * 2, i * 2 + 1])
      for (const round of [1, 2, 3, 4]) {
        const { batches, lost } = await again.readAll()
        const what = `lost ${hit}, round ${round}`
        assert.deepEqual(lost, expectedLost, what)
        for (const [i, { base, batch }] of ledger.acknowledged.entries()) {
          if (!hit.includes(i))
            assert.ok(batches.find(one => one.base === base)?.bytes.equals(storedAt(base, batch)), what)
        }
        await ledger.append(again, 8)
        // Read from the file, not from memory.
        if (round > 1) await again.flush()
        if (round === 3) await again.roll()
        if (round === 3) await again.flush()
        again = await again.restart({ settings: { cacheBytes: 4096 } })
      }
    }
  })

  it('that took a batch and the checkpoint behind it loses nothing that the segment file has', async () => {
    const t = await TestPartition.fresh()
    const ledger = new Ledger()
    await ledger.append(t, 7)
    await t.flush()
    for (let i = 0; i < 3; i++) await ledger.append(t, 7)
    await t.flush()
    await ledger.append(t, 8)
    await t.settled()
    await t.store.journal.close()
    const disk = t.disk.kill({})
    // The batches of the second run, and what says that they are in the file.
    for (const i of [1, 2, 3]) flip(disk, placeOf(disk, `batch ${i} `))
    const { file, position } = placeOf(disk, 'batch 3 ')
    const bytes = disk.files.peek(file)
    const checkpoint = bytes.indexOf('TGRP', position)
    flip(disk, { file, position: checkpoint + 64 + 48 + 5 })
    let again = await TestPartition.open(disk, t.chain)
    for (const round of [1, 2, 3]) {
      const { batches, lost } = await again.readAll()
      assert.deepEqual(lost, [], `round ${round}`)
      for (const { base, batch } of ledger.acknowledged) {
        assert.ok(
          batches.find(one => one.base === base)?.bytes.equals(storedAt(base, batch)),
          `round ${round}: ${base}`,
        )
      }
      const { base, batch } = ledger.acknowledged[3] as Ledger['acknowledged'][number]
      const verdict = again.check(batch)
      assert.equal(verdict.kind === 'duplicate' ? verdict.of.base : verdict, base)
      await ledger.append(again, 8)
      await again.flush()
      again = await again.restart()
    }
  })

  it('that took the last batches of a sealed segment is a hole up to its end', async () => {
    const { t, ledger } = await fourBatches()
    const again = await TestPartition.open(t.disk.kill({}), t.chain)
    await again.roll()
    await ledger.append(again, 8)
    await again.settled()
    await again.store.journal.close()
    const disk = again.disk.kill({})
    breakGroupOf(disk, 'batch 3 ')
    const third = await TestPartition.open(disk, t.chain)
    assert.equal(third.log.isSuspect, false, 'the open segment was heard of after it')
    const { batches, lost } = await third.readAll()
    assert.deepEqual(
      [batches.map(({ base }) => base), lost],
      [
        [0, 2, 4, 8],
        [6, 7],
      ],
    )
    await third.flush()
    assert.deepEqual((await (await third.restart()).readAll()).lost, [6, 7])
  })

  it('that a checkpoint table remembers is not forgotten because of an older entry that knew of none', async () => {
    const { t } = await fourBatches()
    const again = await TestPartition.open(t.disk.kill({}), t.chain)
    await again.flush()
    await again.store.journal.close()
    const { durableThrough } = again.store.journal
    const [row] = again.log.checkpointRows()
    assert.ok(row)
    await saveCheckpointTable(again.disk, 1, { fromFileSeq: 1, durableThrough, segments: [{ ...row, suspect: true }] })
    assert.equal((await TestPartition.open(again.disk.kill({}), t.chain)).log.isSuspect, true)
  })

  it('in the newest batch is a hole, too, where its extent is known: the high watermark does not go back', async () => {
    const { t } = await fourBatches()
    const disk = t.disk.kill({})
    flip(disk, placeOf(disk, 'batch 3 '))
    const again = await TestPartition.open(disk, t.chain)
    assert.equal(again.log.highWatermark, 8)
    assert.deepEqual((await again.readAll()).lost, [6, 7])
  })

  /** Damages the header of the group that a batch is in: what was in the group cannot be told. */
  function breakGroupOf(disk: MemoryDisk, text: string): void {
    const { file, position } = placeOf(disk, text)
    const bytes = disk.files.peek(file)
    const at = bytes.lastIndexOf('TGRP', position)
    flip(disk, { file, position: at + 20 })
  }

  it('of unknown extent makes the partition suspect: it takes no appends, over restarts and checkpoints, until the loss is accepted', async () => {
    for (const pressure of [1 << 20, 4096 * 6]) {
      const { t, ledger } = await fourBatches()
      const disk = t.disk.kill({})
      breakGroupOf(disk, 'batch 3 ')
      const settings = { cacheBytes: pressure }
      let again = await TestPartition.open(disk, t.chain, { settings })
      for (const round of [1, 2, 3, 4, 5]) {
        const what = `cache ${pressure}, round ${round}`
        assert.equal(again.log.isSuspect, true, what)
        assert.equal(again.log.highWatermark, 6, what)
        assert.throws(() => again.append(testBatch()), /only a sound log/)
        if (round === 2) await again.flush()
        if (round === 3) await trimmed(again)
        again = await again.restart({ settings })
      }
      const accepted = await again.restart({ settings: { ...settings, acceptDataLoss: true } })
      assert.equal(accepted.log.isSuspect, false)
      const kept = { acknowledged: ledger.acknowledged.slice(0, 3) }
      const later = await accepted.restart({ settings })
      assert.equal(later.log.isSuspect, false, 'accepted once is accepted')
      await ledger.append(later)
      const { batches } = await later.readAll()
      for (const { base, batch } of kept.acknowledged) {
        assert.ok(batches.find(one => one.base === base)?.bytes.equals(storedAt(base, batch)))
      }
    }
  })

  it('that was accepted stays accepted while it is still in the journal, and new damage is new', async () => {
    const { t, ledger } = await fourBatches()
    const disk = t.disk.kill({})
    breakGroupOf(disk, 'batch 3 ')
    const accepted = await TestPartition.open(disk, t.chain, { settings: { acceptDataLoss: true } })
    assert.equal(accepted.log.isSuspect, false)
    const later = await accepted.restart()
    assert.equal(later.log.isSuspect, false, 'no append came in between')
    await ledger.append(later)
    await later.settled()
    await later.store.journal.close()
    const damaged = later.disk.kill({})
    breakGroupOf(damaged, 'batch 4 ')
    assert.equal((await TestPartition.open(damaged, t.chain)).log.isSuspect, true)
  })

  it('in the open segment does not make the producers forgotten that the segment before it has', async () => {
    const { t, ledger } = await fourBatches()
    const again = await TestPartition.open(t.disk.kill({}), t.chain)
    // Sealed and not flushed; then the open one gets a hole of its own.
    await again.roll()
    for (let i = 0; i < 3; i++) await ledger.append(again, 8)
    await again.settled()
    await again.store.journal.close()
    const damaged = again.disk.kill({})
    flip(damaged, placeOf(damaged, 'batch 5 '))
    const third = await TestPartition.open(damaged, t.chain)
    assert.ok(third.log.active.holes.length > 0)
    assert.equal(third.log.segments[0]?.isFlushed, false)
    // The table is written while the sealed segment waits for its flush: it has a row for each.
    const rows = third.log.checkpointRows()
    assert.deepEqual(
      rows.map(row => row.segmentId),
      [1, 2],
    )
    const { durableThrough } = third.store.journal
    await saveCheckpointTable(third.disk, 1, { fromFileSeq: 1, durableThrough, segments: rows })
    await third.log.flushNext(1 << 20)
    await third.settled()
    assert.equal(third.log.segments[0]?.isFlushed, true)
    const fourth = await third.restart()
    for (const i of [3, 6]) {
      const { base, batch } = ledger.acknowledged[i] as Ledger['acknowledged'][number]
      const verdict = fourth.check(batch)
      assert.deepEqual(verdict.kind === 'duplicate' ? verdict.of.base : verdict, base)
    }
  })

  async function trimmed(t: TestPartition): Promise<void> {
    await t.flush()
    await t.letFlusherRun()
  }
})

describe('segments whose deletion was interrupted', () => {
  it('at any step are gone in the end; nothing is reported, the producers stay known, the journal is let go', async () => {
    for (const flushedBefore of [0, 1, 2]) {
      for (const end of ['kill', 'losePower'] as const) {
        for (let last = 1, isOver = false; !isOver; last++) {
          const chain = new Chain()
          const ledger = new Ledger()
          const first = await TestPartition.open(new MemoryDisk(), chain)
          for (let segment = 0; segment < 3; segment++) {
            await ledger.append(first, 7 + segment)
            if (segment < flushedBefore) await first.flush()
            await ledger.append(first, 7)
            await first.roll()
          }
          await ledger.append(first, 9)
          await first.settled()
          const { schedule, stopped } = stopAfter(last)
          const disk = new MemoryDisk({ files: first.disk.kill({}).files, schedule })
          const start = chain.records[2]?.base as Offset
          const deletion = TestPartition.open(disk, chain).then(t => t.trim(start).then(() => 'over'))
          const what = `${flushedBefore} flushed, ${end} after operation ${last}`
          isOver = (await Promise.race([stopped, deletion])) === 'over'
          const again = await TestPartition.open(end === 'kill' ? disk.kill({}) : disk.losePower({}).disk, chain)
          await ledger.check(again, what)
          if (chain.logStartOffset === 0) continue
          // What is left of the deletion comes later; until then the others are written and flushed as ever.
          ledger.adopt(again)
          await ledger.append(again, 9)
          await again.flush()
          assert.equal(again.log.needsFlush, false, what)
          if (chain.deletingCount > 0) {
            await again.log.removeSegments(chain.deletingCount)
            chain.drop()
          }
          await again.flush()
          assert.equal(again.log.oldestJournalFile(), null, what)
          const pins = again.store.files.live.map(file => file.pins)
          assert.deepEqual(
            pins,
            pins.map(() => 0),
            `${what}: nothing holds the journal`,
          )
          const names = again.disk.files.walk('topics').filter(path => !path.includes(`.${chain.records[0]?.id}.`))
          assert.deepEqual(
            names.filter(path => /\.(1|2)\.(log|seal)/.test(path)),
            [],
            what,
          )
          await ledger.check(await again.restart(), `${what}, and later`)
        }
      }
    }
  })
})

it('sizes of these tests are small enough to reach every border', () => {
  assert.ok(smallStore.journal.fileBytes <= 16_384)
})
