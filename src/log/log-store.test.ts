import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TidelogError } from '../base/errors.ts'
import type { TopicId } from '../base/ids.ts'
import { Prng } from '../base/prng.ts'
import { ropeOf } from '../base/rope.ts'
import { ManualClock } from '../sim/clock.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { loadCheckpointTable } from './checkpoint.ts'
import { identity, rest, seededRandom, until } from './journal.test-kit.ts'
import { Chain, readAll, smallStore, storedAt, type TestBatch, testBatch } from './log.test-kit.ts'
import { type LogEvent, LogStore, type LogStoreSettings } from './log-store.ts'
import { PartitionLog } from './partition-log.ts'

const settings: LogStoreSettings = {
  ...smallStore,
  journal: { ...smallStore.journal, fileBytes: 8192, firstFileBytes: 8192, bytesMax: 12 * 8192 },
  flush: { runBytes: 2000, runBytesMax: 4000, thinBytes: 100, idleMs: 1000 },
}

interface Opened {
  readonly disk: MemoryDisk
  readonly clock: ManualClock
  readonly store: LogStore
  readonly reports: LogEvent[]
  readonly failures: Error[]
}

async function openStore(disk: MemoryDisk, changed: Partial<LogStoreSettings> = {}): Promise<Opened> {
  const clock = new ManualClock()
  const reports: LogEvent[] = []
  const failures: Error[] = []
  const io = { disk, clock, random: seededRandom(disk.operations + 3) }
  const store = await LogStore.open(
    io,
    identity,
    { ...settings, ...changed },
    {
      report: event => void reports.push(event),
      fail: error => void failures.push(error),
      saveMetadata: async () => {},
    },
  )
  return { disk, clock, store, reports, failures }
}

/** Partitions with chains whose segment ids differ. */
class Topic {
  readonly chains: Chain[]

  constructor(count: number) {
    this.chains = Array.from({ length: count }, (_, i) => {
      const chain = new Chain()
      chain.records = chain.records.map(record => ({ ...record, id: (i * 1000 + 1) as typeof record.id }))
      return chain
    })
  }

  open({ store }: Opened, index: number): Promise<PartitionLog> {
    const chain = this.chains[index] as Chain
    const topicId = 'aaaabbbbccccddddeeeeffff00001111' as TopicId
    const options = {
      store,
      topicId,
      index,
      indexIntervalBytes: () => 300,
      isRelaxed: () => false,
      onAdvance: () => {},
    }
    return PartitionLog.recover(options, chain.records, chain.logStartOffset)
  }
}

async function append(log: PartitionLog, batch: TestBatch): Promise<void> {
  await new Promise<void>(resolve => void log.append(batch.header, ropeOf(Buffer.from(batch.bytes)), resolve))
}

async function check(log: PartitionLog, written: readonly TestBatch[], what: string): Promise<void> {
  const { batches, lost } = await readAll(log)
  assert.deepEqual(lost, [], what)
  assert.ok(batches.length >= written.length, `${what}: ${batches.length} of ${written.length}`)
  written.forEach((batch, i) => void assert.ok(batches[i]?.bytes.equals(storedAt(i, batch)), `${what}: offset ${i}`))
}

const damageOf = ({ reports }: Opened) => reports.filter(({ event }) => event === 'damage')

describe('the store of a disk', () => {
  it('writes no checkpoint table, and frees no journal file, before every partition has taken its part', async () => {
    const topic = new Topic(3)
    const roomy = { journal: { ...settings.journal, bytesMax: 1 << 20 } }
    const first = await openStore(new MemoryDisk(), roomy)
    const logs = await Promise.all([0, 1, 2].map(i => topic.open(first, i)))
    first.store.endRecovery()
    // As an entry of Raft's does: the first process frees nothing.
    const [oldest] = first.store.files.live
    if (oldest !== undefined) oldest.pins++
    const written: TestBatch[][] = [[], [], []]
    for (let i = 0; i < 60; i++) {
      const batch = testBatch({ fill: 400, text: `${i}` })
      written[i % 3]?.push(batch)
      await append(logs[i % 3] as PartitionLog, batch)
    }
    // Partition 2 has all of its records in its file, known by a checkpoint alone.
    first.store.flusher.hurry()
    await until(() => logs.every(log => !log.needsFlush), 'the flush')
    await rest()
    for (let i = 0; i < 12; i++) {
      const batch = testBatch({ fill: 900, text: `late ${i}` })
      written[0]?.push(batch)
      await append(logs[0] as PartitionLog, batch)
    }

    const second = await openStore(first.disk.kill({}), { journal: { ...settings.journal, bytesMax: 16 * 8192 } })
    const { number } = await loadCheckpointTable(second.disk)
    const early = await topic.open(second, 0)
    second.store.flusher.hurry()
    await rest(200)
    assert.equal((await loadCheckpointTable(second.disk)).number, number, 'no table without partitions 1 and 2')
    assert.ok(!early.needsFlush, 'though the flusher did its work')
    assert.ok(second.store.files.freeable() >= 2, 'and there was something to free')

    // The process ends here: the others were not recovered yet.
    const third = await openStore(second.disk.losePower({}).disk, roomy)
    const recovered = await Promise.all([0, 1, 2].map(i => topic.open(third, i)))
    third.store.endRecovery()
    for (const i of [0, 1, 2]) await check(recovered[i] as PartitionLog, written[i] ?? [], `partition ${i}`)
    assert.deepEqual(damageOf(third), [])
  })

  it('keeps its journal short under steady load, whoever writes, and loses nothing of it', async () => {
    const topic = new Topic(4)
    let opened = await openStore(new MemoryDisk())
    const written: TestBatch[][] = [[], [], [], []]
    for (let life = 0; life < 3; life++) {
      const logs = await Promise.all([0, 1, 2, 3].map(i => topic.open(opened, i)))
      opened.store.endRecovery()
      for (const i of [0, 1, 2, 3])
        await check(logs[i] as PartitionLog, written[i] ?? [], `life ${life}, partition ${i}`)
      for (let i = 0; i < 150; i++) {
        // One partition writes now and then only: it must not hold the journal of the others.
        const target = i % 50 === 0 ? 3 : i % 3
        const batch = testBatch({ fill: 300, text: `${life}.${i}` })
        written[target]?.push(batch)
        await append(logs[target] as PartitionLog, batch)
      }
      await opened.clock.run(5000)
      await rest(50)
      assert.ok(opened.store.files.live.length <= 5, `${opened.store.files.live.length} files are live`)
      assert.ok(opened.store.files.bytes <= settings.journal.bytesMax)
      assert.deepEqual([opened.failures, damageOf(opened)], [[], []])
      opened = await openStore(life === 1 ? opened.disk.kill({}) : opened.disk.losePower({}).disk)
    }
  })

  it('that finds its journal gone says so; it goes on only when told that the loss is accepted', async () => {
    const topic = new Topic(1)
    const opened = await openStore(new MemoryDisk())
    const log = await topic.open(opened, 0)
    opened.store.endRecovery()
    for (let i = 0; i < 60; i++) await append(log, testBatch({ fill: 500 }))
    await rest(50)
    assert.ok((await loadCheckpointTable(opened.disk)).number > 0)
    const disk = opened.disk.kill({})
    for (const path of disk.files.walk('journal')) await disk.remove(path)
    await assert.rejects(openStore(disk), (error: Error) => /journal is gone/.test(error.message))
    const accepted = await openStore(disk.kill({}), { acceptDataLoss: true })
    const again = await topic.open(accepted, 0)
    accepted.store.endRecovery()
    assert.ok(again.highWatermark <= 60)
  })

  it('leaves nothing open and nothing running when it is closed', async () => {
    const topic = new Topic(2)
    const opened = await openStore(new MemoryDisk())
    const logs = await Promise.all([0, 1].map(i => topic.open(opened, i)))
    opened.store.endRecovery()
    for (let i = 0; i < 30; i++) await append(logs[i % 2] as PartitionLog, testBatch({ fill: 300 }))
    await opened.store.close()
    assert.deepEqual(opened.disk.openPaths, [])
    assert.equal(opened.clock.pendingTimers, 0)
    assert.deepEqual(opened.disk.violations, [])
    const before = opened.disk.operations
    await opened.clock.run(60_000)
    await rest()
    assert.equal(opened.disk.operations, before)
  })

  it('brings the group of a failed sync to the disk again before it serves it', async () => {
    const broken = { is: false }
    const fault = ({ kind, path }: Operation): Fault | null =>
      broken.is && kind === 'sync' && path.startsWith('journal') ? { error: 'EIO' } : null
    for (let round = 0; round < 6; round++) {
      const topic = new Topic(1)
      const first = await openStore(new MemoryDisk({ fault, prng: new Prng(round + 1) }))
      const log = await topic.open(first, 0)
      first.store.endRecovery()
      await append(log, testBatch({ text: 'safe' }))
      broken.is = true
      const doubtful = testBatch({ text: 'doubtful', fill: 1500 })
      let isAcknowledged = false
      log.append(doubtful.header, ropeOf(Buffer.from(doubtful.bytes)), () => {
        isAcknowledged = true
      })
      await until(() => first.failures.length > 0, 'the failure')
      broken.is = false
      assert.equal(isAcknowledged, false)
      // The page cache still has it, and takes it for clean.
      const second = await openStore(first.disk.kill({}))
      const again = await topic.open(second, 0)
      second.store.endRecovery()
      const third = await openStore(second.disk.losePower({}).disk)
      const later = await topic.open(third, 0)
      assert.deepEqual([later.highWatermark, damageOf(third), later.isSuspect], [again.highWatermark, [], false])
    }
  })

  it('tells once when the sync of a segment file fails, and flushes nothing more', async () => {
    const fault = ({ kind, path }: Operation): Fault | null =>
      kind === 'sync' && path.startsWith('topics') ? { error: 'EIO' } : null
    const topic = new Topic(2)
    const opened = await openStore(new MemoryDisk({ fault }))
    const logs = await Promise.all([0, 1].map(i => topic.open(opened, i)))
    opened.store.endRecovery()
    for (let i = 0; i < 20; i++) await append(logs[i % 2] as PartitionLog, testBatch({ fill: 400 }))
    await until(() => opened.failures.length > 0, 'the failure')
    await opened.clock.run(5000)
    assert.deepEqual(
      opened.failures.map(error => (error as TidelogError).code),
      ['DISK_FAILED'],
    )
    assert.deepEqual(opened.disk.violations, [], 'no second sync of that file')
  })

  it('has the flusher hurry when there is no room, however thin the runs are', async () => {
    const topic = new Topic(8)
    const patient = { runBytes: 1 << 20, runBytesMax: 1 << 20, thinBytes: 1 << 20, idleMs: 1 << 30 }
    const opened = await openStore(new MemoryDisk(), { cacheBytes: 64 * 1024, flush: patient })
    const logs = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(i => topic.open(opened, i)))
    opened.store.endRecovery()
    for (let i = 0; i < 24; i++) await append(logs[i % 8] as PartitionLog, testBatch({ fill: 1400 }))
    assert.ok(logs.some(log => log.needsFlush))
    assert.equal(opened.store.hasRoom(60_000), false)
    let isTold = false
    const stop = opened.store.onRoom(() => {
      isTold = true
    })
    await until(() => isTold && opened.store.hasRoom(60_000), 'room')
    stop()
    assert.ok(!logs.some(log => log.needsFlush))
  })

  it('gets out of a full journal by flushing what keeps its oldest file', async () => {
    const topic = new Topic(2)
    const patient = { runBytes: 1 << 20, runBytesMax: 1 << 20, thinBytes: 1 << 20, idleMs: 1 << 30 }
    const journal = { ...settings.journal, bytesMax: 6 * 8192 }
    const opened = await openStore(new MemoryDisk(), { flush: patient, journal })
    const logs = await Promise.all([0, 1].map(i => topic.open(opened, i)))
    opened.store.endRecovery()
    const written: TestBatch[] = []
    await append(logs[1] as PartitionLog, testBatch())
    for (let i = 0; i < 80; i++) {
      const batch = testBatch({ fill: 1500, text: `${i}` })
      written.push(batch)
      const appended = append(logs[0] as PartitionLog, batch)
      await rest(5)
      await opened.clock.run(600)
      await appended
    }
    await check(logs[0] as PartitionLog, written, 'all of it')
    assert.ok(opened.store.files.bytes <= 7 * 8192)
  })

  it('on a full disk refuses room, serves what it has, and goes on by itself when there is room', async () => {
    const full = { is: false }
    const fault = ({ kind, path }: Operation): Fault | null =>
      full.is && (kind === 'write' || kind === 'open') && path.startsWith('topics') ? { error: 'ENOSPC' } : null
    const topic = new Topic(1)
    const opened = await openStore(new MemoryDisk({ fault }), { cacheBytes: 64 * 1024 })
    const log = await topic.open(opened, 0)
    opened.store.endRecovery()
    const written: TestBatch[] = []
    full.is = true
    while (opened.store.hasRoom(1000)) {
      const batch = testBatch({ fill: 700, text: `${written.length}` })
      written.push(batch)
      await append(log, batch)
      await rest(5)
    }
    await opened.clock.run(3000)
    assert.ok(opened.store.isDiskFull)
    assert.ok(opened.reports.some(({ event }) => event === 'blocked'))
    await check(log, written, 'full')
    full.is = false
    await opened.clock.run(3000)
    await rest(50)
    assert.ok(opened.store.hasRoom(1000))
    assert.ok(opened.reports.some(({ event }) => event === 'unblocked'))
    await check(log, written, 'room again')
    assert.deepEqual(opened.failures, [])
  })
})
