import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../sim/clock.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { FileSystem } from '../sim/file-system.ts'
import {
  batchOfBytes,
  bodyText,
  freshJournal,
  Gate,
  type JournalOptions,
  type OpenedJournal,
  openJournal,
  readJournal,
  rest,
  smallJournal,
  TestEntry,
  until,
} from './journal.test-kit.ts'
import {
  decodeFileHeader,
  decodeGroupHeader,
  entryHeaderBytes,
  entryKinds,
  type FileHeader,
  type GroupHeader,
  groupHeaderBytes,
  sectorBytes,
  toSector,
  unusedFileSeq,
} from './journal-format.ts'

/** The longest body of the only entry of a group that fills what a file has behind its header. */
const longestBody = smallJournal.fileBytes - sectorBytes - groupHeaderBytes - entryHeaderBytes

function raft(name: string, bytes: number, diary: string[] = []): TestEntry {
  return new TestEntry({ name, diary, kind: entryKinds.raftEntry, body: Buffer.alloc(bytes, name) })
}

function batch(name: string, bytes: number, diary: string[] = []): TestEntry {
  return new TestEntry({ name, diary, body: batchOfBytes(bytes, 0, name.slice(0, 1)) })
}

/** Every valid group of a file's present life, found without the replay. */
function groupsIn(disk: MemoryDisk, path: string): GroupHeader[] {
  const bytes = disk.files.peek(path)
  const header = decodeFileHeader(bytes.subarray(0, sectorBytes)) as FileHeader | null
  if (header === null || header.fileSeq === unusedFileSeq) return []
  const groups: GroupHeader[] = []
  for (let at = sectorBytes; at + groupHeaderBytes <= bytes.length; ) {
    const group = decodeGroupHeader(bytes, at, header.salt)
    if (group === null) break
    assert.equal(group.position, at)
    groups.push(group)
    at += toSector(group.bytes)
    assert.ok(at <= bytes.length, 'a group ends within its file')
  }
  return groups
}

function append(opened: OpenedJournal, ...entries: TestEntry[]): void {
  for (const entry of entries) opened.journal.append(entry)
}

const durable = (...entries: TestEntry[]) =>
  until(() => entries.every(entry => entry.isDurable), entries.map(({ name }) => `${name} durable`).join())

describe('an acknowledgement', () => {
  it('does not come before the sync that covers the entry has returned', async () => {
    const gate = new Gate()
    const opened = await freshJournal({}, { schedule: gate.schedule })
    gate.hold('sync', '000001')
    const entry = batch('a', 200)
    append(opened, entry)
    await until(() => gate.held.length === 1, 'the sync')
    await rest()
    assert.deepEqual(entry.diary, ['a placed', 'a written'])
    gate.open()
    await durable(entry)
    assert.deepEqual(entry.diary, ['a placed', 'a written', 'a durable'])
    await opened.journal.close()
  })

  it('comes in the order of the appends, after all of its group were placed and written', async () => {
    const gate = new Gate()
    const opened = await freshJournal({}, { schedule: gate.schedule })
    const diary: string[] = []
    gate.hold('sync', '000001')
    append(opened, batch('a', 200, diary))
    await until(() => gate.held.length === 1, 'the sync')
    append(opened, batch('b', 200, diary), batch('c', 200, diary))
    gate.open()
    await until(() => diary.length === 9, 'all callbacks')
    assert.deepEqual(diary, [
      'a placed',
      'a written',
      'a durable',
      'b placed',
      'c placed',
      'b written',
      'c written',
      'b durable',
      'c durable',
    ])
  })

  it('is never given to what a crash took, whatever operation the crash follows', async () => {
    const script = [200, 900, 3000, 2500, 100, 9000, 4000, 700]
    for (let last = 1, isOver = false; !isOver; last++) {
      for (const end of ['kill', 'losePower'] as const) {
        const crash = Promise.withResolvers<void>()
        const schedule = (operation: Operation, _: number, task: () => void) => {
          if (operation.number > last) return
          setImmediate(() => {
            task()
            if (operation.number === last) setImmediate(crash.resolve)
          })
        }
        const disk = new MemoryDisk({ schedule })
        const acknowledged: TestEntry[] = []
        const running = (async () => {
          const opened = await openJournal(disk)
          for (const [index, bytes] of script.entries()) {
            const entry = batch(String.fromCharCode(97 + index), bytes)
            append(opened, entry)
            await durable(entry).then(() => acknowledged.push(entry))
          }
          isOver = true
        })()
        await Promise.race([crash.promise, running])
        const next = end === 'kill' ? disk.kill({}) : disk.losePower({}).disk
        const { entries, damage } = await readJournal(next)
        const what = `${end} after operation ${last}`
        assert.deepEqual(damage, [], what)
        assert.ok(entries.length >= acknowledged.length, `${what}: an acknowledged entry is lost`)
        acknowledged.forEach((entry, i) => void assert.deepEqual(entries[i]?.body, entry.body.chunks[0], what))
        running.catch(() => {})
      }
    }
  })
})

describe('group commit', () => {
  it('has one sync in flight; what arrives meanwhile is the next group', async () => {
    const gate = new Gate()
    const opened = await freshJournal({}, { schedule: gate.schedule })
    const before = opened.journal.stats.groups
    gate.hold('sync', '000001')
    const entries = ['a', 'b', 'c', 'd'].map(name => batch(name, 150))
    append(opened, entries[0] as TestEntry)
    await until(() => gate.held.length === 1, 'the first sync')
    append(opened, ...entries.slice(1))
    await rest()
    assert.equal(gate.held.length, 1, 'nobody syncs beside a sync')
    const { durableThrough } = opened.journal
    assert.equal(durableThrough, 1, 'the mark of the start')
    assert.equal(opened.journal.stats.groups, before + 1, 'and nothing of the next group is written')
    assert.deepEqual(entries[1]?.diary, [])
    gate.pass()
    await until(() => entries[0]?.isDurable === true && gate.held.length === 1, 'the second sync')
    assert.deepEqual(entries[3]?.diary, ['d placed', 'd written'])
    assert.equal(opened.journal.stats.groups, before + 2)
    assert.equal(opened.journal.durableThrough, 2)
    gate.open()
    await durable(...entries)
    assert.equal(opened.journal.durableThrough, 3)
    const groups = groupsIn(opened.disk, 'journal/000001.journal')
    assert.deepEqual(
      groups.map(group => [group.groupSeq, group.durableThrough, group.entries]),
      [
        [1, 0, 0],
        [2, 1, 1],
        [3, 2, 3],
      ],
    )
  })

  it('puts what is critical before batches, and keeps the order among each', async () => {
    const gate = new Gate()
    const opened = await freshJournal({}, { schedule: gate.schedule })
    const diary: string[] = []
    gate.hold('sync', '000001')
    append(opened, batch('first', 150, diary))
    await until(() => gate.held.length === 1, 'the sync')
    append(opened, batch('b1', 150, diary), raft('r1', 50, diary), batch('b2', 150, diary), raft('r2', 50, diary))
    gate.open()
    await until(() => diary.includes('b2 durable'), 'the last one')
    const settled = diary.filter(line => line.endsWith('durable')).map(line => line.split(' ')[0])
    assert.deepEqual(settled, ['first', 'r1', 'r2', 'b1', 'b2'])
    const { entries } = await readJournal(opened.disk)
    assert.deepEqual(
      entries.map(entry => entry.sequence),
      [1, 2, 3, 4, 5],
      'sequences follow the order of writing',
    )
  })

  it('takes no more into a group than its bound, but an entry beyond the bound gets a group of its own', async () => {
    const opened = await freshJournal({ settings: { groupBytesMax: 1000 } })
    const sizes = [400, 400, 400, 1800, 300, 300]
    const entries = sizes.map((bytes, i) => batch(String.fromCharCode(97 + i), bytes))
    append(opened, ...entries)
    await durable(...entries)
    const groups = groupsIn(opened.disk, 'journal/000001.journal').filter(group => group.entries > 0)
    for (const group of groups) assert.ok(group.bytes <= 1000 || group.entries === 1)
    assert.ok(groups.some(group => group.bytes > 1800))
    assert.equal(groups.length, 4)
  })

  it('fills a group, and the rest of a file, to the byte', async () => {
    const two = 2 * entryHeaderBytes + groupHeaderBytes
    for (const [settings, sizes, groups] of [
      [{ groupBytesMax: two + 700 }, [300, 400], 1],
      [{ groupBytesMax: two + 699 }, [300, 400], 2],
      [{ groupBytesMax: 1 << 20 }, [300, longestBody - sectorBytes - 300 - entryHeaderBytes], 1],
      [{ groupBytesMax: 1 << 20 }, [300, longestBody - sectorBytes - 300 - entryHeaderBytes + 1], 2],
    ] as const) {
      const opened = await freshJournal({ settings })
      const entries = sizes.map((bytes, i) => raft(`${i}`, bytes))
      append(opened, ...entries)
      await durable(...entries)
      assert.equal(opened.journal.stats.groups - 1, groups, `${sizes}`)
    }
  })

  it('loses and reorders nothing and never crosses a file, whatever the sizes', async () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 80, max: 600 }), fc.integer({ min: 80, max: 9000 })), {
      minLength: 1,
      maxLength: 25,
    })
    const options = fc.record({
      groupBytesMax: fc.constantFrom(600, 4096, 1 << 20),
      burst: fc.integer({ min: 1, max: 9 }),
    })
    await fc.assert(
      fc.asyncProperty(sizes, options, async (lengths, { groupBytesMax, burst }) => {
        const opened = await freshJournal({ settings: { groupBytesMax, bytesMax: 1 << 20 } })
        const entries = lengths.map((bytes, i) =>
          i % 3 === 0 ? raft(`r${i}`, bytes) : new TestEntry({ name: `b${i}`, body: batchOfBytes(bytes + 50, i) }),
        )
        for (let from = 0; from < entries.length; from += burst) {
          append(opened, ...entries.slice(from, from + burst))
          await rest(3)
        }
        await durable(...entries)
        assert.deepEqual(opened.failures, [])
        await opened.journal.close()
        await opened.files.close()
        for (const path of opened.disk.files.walk('journal')) groupsIn(opened.disk, path)
        const { entries: found, damage } = await readJournal(opened.disk)
        assert.deepEqual(damage, [])
        const queues = [entryKinds.raftEntry, entryKinds.batch]
        for (const kind of queues) {
          assert.deepEqual(
            found.filter(entry => entry.kind === kind).map(bodyText),
            entries.filter(entry => entry.kind === kind).map(entry => entry.body.chunks[0]?.toString('latin1')),
          )
        }
        assert.deepEqual(opened.disk.violations, [])
      }),
      { numRuns: 25 },
    )
  })
})

describe('the mark', () => {
  const groups = ({ journal }: OpenedJournal) => journal.stats.groups

  it('proves the last group once the journal has been idle for a while, and only once', async () => {
    const opened = await freshJournal()
    const entry = batch('a', 200)
    append(opened, entry)
    await durable(entry)
    await rest()
    const before = groups(opened)
    await opened.clock.run(smallJournal.markDelayMs - 1)
    assert.equal(groups(opened), before)
    await opened.clock.run(1)
    await rest()
    assert.equal(groups(opened), before + 1)
    await opened.clock.run(1000 * smallJournal.markDelayMs)
    await rest()
    assert.equal(groups(opened), before + 1)
    const mark = groupsIn(opened.disk, 'journal/000001.journal').at(-1)
    assert.deepEqual([mark?.entries, mark?.bytes, mark?.durableThrough], [0, groupHeaderBytes, 2])
  })

  it('is not written while groups follow each other', async () => {
    const opened = await freshJournal()
    for (let i = 0; i < 5; i++) {
      const entry = batch('a', 200)
      append(opened, entry)
      await durable(entry)
      await opened.clock.run(smallJournal.markDelayMs - 5)
    }
    assert.ok(
      groupsIn(opened.disk, 'journal/000001.journal')
        .slice(1)
        .every(group => group.entries === 1),
    )
  })

  it('goes to the next file when the last group filled its own', async () => {
    const opened = await freshJournal()
    // The mark of the start takes the first sector.
    const entry = raft('r', longestBody - sectorBytes)
    append(opened, entry)
    await durable(entry)
    await rest()
    await opened.clock.run(smallJournal.markDelayMs)
    await until(() => opened.files.live.length === 2, 'the second file')
    await rest()
    const { entries, end } = await readJournal(opened.disk)
    assert.deepEqual([entries.length, end.torn], [1, false])
  })

  it('proves what a clean stop leaves behind', async () => {
    const opened = await freshJournal()
    const entry = batch('a', 200)
    append(opened, entry)
    await opened.journal.close()
    assert.ok(entry.isDurable)
    assert.equal(groupsIn(opened.disk, 'journal/000001.journal').at(-1)?.entries, 0)
    await opened.clock.run(1000)
    await rest()
    assert.equal(opened.clock.pendingTimers, 0)
  })
})

describe('files of the journal', () => {
  it('take an entry that fits to the byte, and not one byte more', async () => {
    const opened = await freshJournal()
    const exact = raft('e', longestBody - sectorBytes)
    append(opened, exact)
    await durable(exact)
    assert.equal(opened.files.live.length, 1)
    const full = raft('f', longestBody)
    append(opened, full)
    await durable(full)
    assert.equal(opened.files.live.length, 2)
    assert.equal(full.file?.bytes, smallJournal.fileBytes)
    const tooLong = raft('g', longestBody + 1)
    append(opened, tooLong)
    await durable(tooLong)
    assert.equal(tooLong.file?.bytes, smallJournal.fileBytes + sectorBytes, 'a file of its own')
    await opened.journal.close()
    const { entries, damage } = await readJournal(opened.disk)
    assert.deepEqual(
      [entries.map(entry => entry.body.length), damage],
      [[exact, full, tooLong].map(e => e.body.length), []],
    )
  })

  it('are left for the next one when a long critical entry comes in front of a batch at the last moment', async () => {
    const opened = await freshJournal()
    const first = raft('a', 2000)
    append(opened, first)
    await durable(first)
    // In one turn: the batch alone would fit, the entry that goes before it does not.
    const short = batch('b', 200)
    const long = raft('c', longestBody - 1000)
    append(opened, short, long)
    await durable(short, long)
    assert.equal(opened.files.live.length, 2)
    assert.equal(opened.disk.files.peek('journal/000001.journal').length, smallJournal.fileBytes)
    await opened.journal.close()
    const { entries, damage } = await readJournal(opened.disk)
    assert.deepEqual([entries.length, damage], [3, []])
  })

  it('of its own size is not used again, the others are, and their old groups stay dead', async () => {
    const opened = await freshJournal()
    const names = new Set<string>()
    const oversize = raft('o', longestBody + 5000)
    append(opened, oversize)
    await durable(oversize)
    const oversizeFile = oversize.file?.name as string
    for (let i = 0; i < 40; i++) {
      const entry = raft(`${i}`, 2500)
      append(opened, entry)
      await durable(entry)
      names.add(entry.file?.name as string)
      for (const file of opened.files.live) file.pins = 0
      await opened.files.free(opened.files.freeable())
    }
    assert.ok(names.size <= 6, `${names.size} files were made where a few go round`)
    assert.ok(!opened.disk.files.exists(oversizeFile))
    assert.ok(!names.has(oversizeFile))
    const live = opened.files.live.map(file => file.seq)
    const { entries, damage } = await readJournal(opened.disk, { fromSeq: live[0] as number })
    assert.deepEqual(damage, [])
    assert.ok(entries.length <= 3 && entries.at(-1)?.body.equals(Buffer.alloc(2500, '39')))
  })

  it('are freed from the old end only, never the newest, never one that is needed', async () => {
    const opened = await freshJournal()
    const entries = Array.from({ length: 4 }, (_, i) => raft(`${i}`, longestBody - 600))
    for (const entry of entries) {
      append(opened, entry)
      await durable(entry)
    }
    assert.equal(opened.files.live.length, 4)
    const unpin = (i: number) => {
      const file = entries[i]?.file
      if (file) file.pins--
    }
    unpin(1)
    assert.equal(opened.files.freeable(), 0)
    unpin(0)
    assert.equal(opened.files.freeable(), 2)
    unpin(2)
    unpin(3)
    assert.equal(opened.files.freeable(), 3)
  })

  it('are all let go even when one of them cannot be removed', async () => {
    const broken = { is: false }
    const fault = ({ kind }: Operation): Fault | null =>
      broken.is && (kind === 'remove' || kind === 'close') ? { error: 'EIO' } : null
    const opened = await freshJournal({ settings: { bytesMax: 8 * smallJournal.fileBytes } }, { fault })
    const entries = [longestBody + 2000, 7000, longestBody + 2000, 7000, 7000, 7000].map((bytes, i) =>
      raft(`${i}`, bytes),
    )
    append(opened, ...entries)
    await durable(...entries)
    const before = opened.files.bytes
    for (const file of opened.files.live) file.pins = 0
    broken.is = true
    await opened.files.free(opened.files.freeable())
    broken.is = false
    assert.equal(opened.files.live.length, 1)
    assert.ok(opened.files.bytes < before, 'their room is free again')
    const more = Array.from({ length: 5 }, (_, i) => batch(`${i}`, 7000))
    append(opened, ...more)
    await durable(...more)
    assert.deepEqual(opened.failures, [])
  })

  it('of the first start are small; what is too long for them waits for an ordinary one', async () => {
    const opened = await freshJournal({ settings: { firstFileBytes: 2048 } })
    const entries = [raft('a', 5000), batch('b', 1000), raft('c', longestBody)]
    append(opened, ...entries)
    await durable(...entries)
    const small = opened.files.live.filter(file => file.bytes === 2048)
    assert.ok(opened.files.live.length - small.length >= 2)
    await opened.journal.close()
    await opened.files.close()
    const { entries: found, damage } = await readJournal(opened.disk)
    assert.deepEqual([found.length, damage], [3, []])
  })

  it('stay within their bound: batches wait there, what is critical takes the last spare, and room wakes the batches', async () => {
    const opened = await freshJournal({ settings: { bytesMax: 4 * smallJournal.fileBytes } })
    const batches = Array.from({ length: 4 }, (_, i) => batch(`${i}`, longestBody - 600))
    append(opened, ...batches)
    await durable(...batches.slice(0, 3))
    await until(() => opened.journal.stalled, 'the stall')
    assert.equal(batches[3]?.isDurable, false)
    assert.ok(opened.files.bytes <= 4 * smallJournal.fileBytes)
    const critical = raft('r', 2000)
    append(opened, critical)
    await durable(critical)
    assert.equal(opened.files.live.length, 4, 'the critical entry took the spare')
    assert.equal(batches[3]?.isDurable, false, 'the batch did not')
    for (const file of opened.files.live) file.pins = 0
    await opened.files.free(opened.files.freeable())
    await durable(batches[3] as TestEntry)
    assert.equal(opened.journal.stalled, false)
  })

  it('go beyond their bound by one, so that there is a spare again for what is critical', async () => {
    const opened = await freshJournal({ settings: { bytesMax: 4 * smallJournal.fileBytes } })
    const batches = Array.from({ length: 4 }, (_, i) => batch(`${i}`, longestBody - 600))
    append(opened, ...batches)
    await until(() => opened.journal.stalled, 'the stall')
    for (let i = 0; i < 3; i++) {
      const critical = raft(`r${i}`, longestBody - 600)
      append(opened, critical)
      await durable(critical)
    }
    assert.equal(batches[3]?.isDurable, false)
  })
})

describe('a full disk', () => {
  const capacity = 3 * smallJournal.fileBytes + 4096

  async function fullDisk(options: JournalOptions = {}): Promise<OpenedJournal & { last: TestEntry }> {
    const files = new FileSystem({ capacityBytes: capacity })
    const opened = await freshJournal(options, { files })
    const entries = Array.from({ length: 3 }, (_, i) => batch(`${i}`, longestBody - 600))
    append(opened, ...entries)
    await until(() => opened.journal.stalled && opened.files.diskFull, 'the full disk')
    return { ...opened, last: entries[2] as TestEntry }
  }

  it('is no failure: batches wait, critical entries go through, and writing goes on by itself when there is room', async () => {
    const { disk, clock, journal, failures, last } = await fullDisk()
    const critical = raft('r', 500)
    journal.append(critical)
    await durable(critical)
    assert.equal(last.isDurable, false)
    await clock.run(5000)
    assert.equal(last.isDurable, false)
    disk.files.capacityBytes *= 4
    await clock.run(500)
    await rest()
    await durable(last)
    assert.deepEqual([failures, journal.stalled], [[], false])
    assert.deepEqual(
      disk.files.walk('journal').filter(path => disk.files.peek(path).length === 0),
      [],
      'attempts leave no empty files',
    )
  })

  it('does not keep a stop waiting; what could not be written was never acknowledged', async () => {
    const { disk, clock, journal, files, last } = await fullDisk()
    const closing = journal.close()
    await clock.run(1000)
    await closing
    await files.close()
    assert.equal(last.isDurable, false)
    const { entries, damage } = await readJournal(disk)
    assert.deepEqual([entries.length, damage], [2, []])
  })

  it('may show at a write, where the file system copies: the same group is written again when there is room', async () => {
    const full = { isFull: false }
    const fault = ({ kind, path }: Operation): Fault | null =>
      full.isFull && kind === 'write' && path.startsWith('journal') ? { error: 'ENOSPC' } : null
    const opened = await freshJournal({}, { fault })
    await rest()
    full.isFull = true
    const entry = batch('a', 1500)
    append(opened, entry)
    await until(() => opened.journal.stalled, 'the stall')
    await opened.clock.run(2000)
    assert.equal(entry.isDurable, false)
    full.isFull = false
    await opened.clock.run(200)
    await durable(entry)
    assert.deepEqual(opened.failures, [])
    assert.equal((await readJournal(opened.disk)).entries.length, 1)
  })

  it('at a write does not keep a stop waiting either', async () => {
    const full = { isFull: false }
    const fault = ({ kind, path }: Operation): Fault | null =>
      full.isFull && kind === 'write' && path.startsWith('journal') ? { error: 'ENOSPC' } : null
    const opened = await freshJournal({}, { fault })
    await rest()
    full.isFull = true
    const entry = batch('a', 1500)
    append(opened, entry)
    await until(() => opened.journal.stalled, 'the stall')
    const closed = { is: false }
    void opened.journal.close().then(() => (closed.is = true))
    await opened.clock.run(2000)
    await rest()
    assert.ok(closed.is, 'the stop is over')
    assert.equal(entry.isDurable, false)
    assert.deepEqual(opened.failures, [])
  })

  it('or a lack of descriptors while a spare is made passes as well', async () => {
    for (const error of ['ENOSPC', 'EDQUOT', 'EMFILE'] as const) {
      const short = { isShort: false }
      const fault = ({ kind, path }: Operation): Fault | null =>
        short.isShort && kind === 'open' && path.startsWith('journal') ? { error } : null
      const opened = await freshJournal({}, { fault })
      await rest()
      short.isShort = true
      const entries = Array.from({ length: 4 }, (_, i) => batch(`${i}`, longestBody - 600))
      append(opened, ...entries)
      await opened.clock.run(1000)
      assert.deepEqual(opened.failures, [], error)
      short.isShort = false
      await opened.clock.run(1000)
      await durable(...entries)
    }
  })
})

describe('a disk that fails', () => {
  for (const [kind, error] of [
    ['sync', 'EIO'],
    ['write', 'EIO'],
    ['sync', 'ENOSPC'],
  ] as const) {
    it(`with ${error} at a ${kind} ends it all: told once, and nothing is acknowledged ever after`, async () => {
      const broken = { is: false }
      const fault = (operation: Operation): Fault | null =>
        broken.is && operation.kind === kind && operation.path === 'journal/000001.journal' ? { error } : null
      const opened = await freshJournal({}, { fault })
      const before = batch('a', 200)
      append(opened, before)
      await durable(before)
      broken.is = true
      const hit = batch('b', 200)
      const queued = batch('c', 200)
      append(opened, hit)
      append(opened, queued)
      await until(() => opened.failures.length > 0, 'the failure')
      broken.is = false
      const after = [batch('d', 200), raft('e', 200)]
      append(opened, ...after)
      await opened.clock.run(10_000)
      await rest()
      assert.deepEqual(
        opened.failures.map(failure => failure.code),
        ['DISK_FAILED'],
      )
      for (const entry of [hit, queued, ...after]) assert.equal(entry.isDurable, false)
      await opened.journal.close()
      await rest()
      assert.equal(opened.failures.length, 1)
      assert.deepEqual(opened.disk.violations, [], 'the descriptor is not synced again')
    })
  }

  it('while a sync is in flight still acknowledges nothing of the group behind it', async () => {
    const gate = new Gate()
    const broken = { is: false }
    const fault = ({ kind }: Operation): Fault | null => (broken.is && kind === 'sync' ? { error: 'EIO' } : null)
    const opened = await freshJournal({}, { schedule: gate.schedule, fault })
    await rest()
    broken.is = true
    gate.hold('sync', '000001')
    const entries = [batch('a', 200), batch('b', 200)]
    append(opened, entries[0] as TestEntry)
    await until(() => gate.held.length === 1, 'the sync')
    append(opened, entries[1] as TestEntry)
    gate.open()
    await until(() => opened.failures.length === 1, 'the failure')
    await rest()
    assert.deepEqual(
      entries.map(({ isDurable }) => isDurable),
      [false, false],
    )
    assert.deepEqual(entries[1]?.diary, [], 'nothing was written behind it')
  })
})

describe('a start', () => {
  it('makes sure of what it found before it goes on, even when no mark fits behind it', async () => {
    // For each length of the last entry, up to one that fills the file to the byte.
    for (const spare of [0, 1, sectorBytes - 1, sectorBytes, 3 * sectorBytes]) {
      const gate = new Gate()
      const opened = await freshJournal({}, { schedule: gate.schedule })
      gate.hold('sync', '000001')
      const entry = raft('r', longestBody - sectorBytes - spare)
      append(opened, entry)
      await until(() => gate.held.length === 1, 'the sync')
      const again = await openJournal(opened.disk.kill({}))
      assert.equal(again.entries.length, 1, 'a killed process leaves its writes in the page cache')
      const { disk } = again.disk.losePower({})
      assert.equal((await readJournal(disk)).entries.length, 1, `${spare} bytes from the end: found once, lost later`)
    }
  })

  it('goes on where the process before it stopped, in sequences, groups and files', async () => {
    const disk = new MemoryDisk()
    let next = disk
    const bodies: string[] = []
    for (let start = 0; start < 6; start++) {
      const opened = await openJournal(next, { seed: start + 1 })
      assert.deepEqual([opened.entries.map(bodyText), opened.damage], [bodies, []])
      for (let i = 0; i < 3; i++) {
        const entry = raft(`${start}.${i}`, 1500)
        append(opened, entry)
        await durable(entry)
        bodies.push(entry.body.chunks[0]?.toString('latin1') as string)
      }
      if (start % 2 === 0) await opened.journal.close().then(() => opened.files.close())
      next = opened.disk.kill({})
    }
    const { entries } = await readJournal(next)
    assert.deepEqual(
      entries.map(entry => entry.sequence),
      entries.map((_, i) => i + 1),
    )
  })

  it('without a live file goes on with the file number that the checkpoint table expects', async () => {
    // The table was saved when the newest file had been taken but not written: all older ones were freed.
    const disk = new MemoryDisk()
    const first = await openJournal(disk, { fromSeq: 9, provenThrough: 40 })
    const entry = batch('a', 300)
    append(first, entry)
    await durable(entry)
    assert.ok((entry.file?.seq ?? 0) >= 9)
    const again = await openJournal(first.disk.kill({}), { fromSeq: 9, provenThrough: 40 })
    assert.equal(again.entries.length, 1, 'what was acknowledged is found by the next start')
  })

  it('has a spare even on a disk that is full', async () => {
    const files = new FileSystem()
    const opened = await freshJournal({}, { files })
    const entry = batch('a', 300)
    append(opened, entry)
    await durable(entry)
    await rest()
    files.capacityBytes = files.usedBytes
    const again = await openJournal(opened.disk.kill({}), { clock: new ManualClock() })
    const critical = raft('r', longestBody - 600)
    append(again, critical)
    await durable(critical)
  })
})
