import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32c } from '../base/crc32c.ts'
import { TidelogError } from '../base/errors.ts'
import { MemoryDisk } from '../sim/disk.ts'
import { FileSystem } from '../sim/file-system.ts'
import {
  batchOfBytes,
  freshJournal,
  identity,
  type OpenedJournal,
  openJournal,
  type Replayed,
  readJournal,
  rest,
  smallJournal,
  TestEntry,
  until,
} from './journal.test-kit.ts'
import {
  decodeFileHeader,
  encodeFileHeader,
  encodeGroupHeader,
  entryHeaderBytes,
  entryKinds,
  groupHeaderBytes,
  sectorBytes,
  unusedFileSeq,
} from './journal-format.ts'
import { findJournalFiles } from './journal-replay.ts'

const firstFile = 'journal/000001.journal'
const longestBody = smallJournal.fileBytes - sectorBytes - groupHeaderBytes - entryHeaderBytes

const raft = (name: string, bytes: number) =>
  new TestEntry({ name, kind: entryKinds.raftEntry, body: Buffer.alloc(bytes, name) })

function batch(base: number, bytes: number, segmentId = 1): TestEntry {
  return new TestEntry({ name: `${base}`, base, end: base + 1, segmentId, body: batchOfBytes(bytes, base) })
}

/** Appends each list of entries as one group. */
async function commit(opened: OpenedJournal, ...groups: TestEntry[][]): Promise<void> {
  for (const entries of groups) {
    const before = opened.journal.stats.groups
    for (const entry of entries) opened.journal.append(entry)
    await until(() => entries.every(entry => entry.isDurable), 'the group')
    assert.equal(opened.journal.stats.groups, before + 1, 'one group')
  }
}

/** Stops a journal as a kill does, with nothing in flight. */
async function stopped(opened: OpenedJournal): Promise<FileSystem> {
  await rest()
  return opened.disk.kill({}).files
}

/** A disk with the journal files of another, as far as they are given. */
function diskWith(journal: ReadonlyMap<string, Buffer>): MemoryDisk {
  const files = new FileSystem()
  files.makeFolder('journal')
  for (const [path, bytes] of journal) files.poke(path, bytes)
  return new MemoryDisk({ files })
}

function imageOf(files: FileSystem): Map<string, Buffer> {
  return new Map(files.walk('journal').map(path => [path, files.peek(path)]))
}

function isUnused(bytes: Buffer): boolean {
  const header = decodeFileHeader(bytes.subarray(0, sectorBytes))
  return header !== null && 'fileSeq' in header && header.fileSeq === unusedFileSeq
}

function flip(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] as number) ^ 0x10
}

const basesOf = (entries: readonly Replayed[]) => entries.map(entry => entry.base)

describe('the last group, when power fails before its sync returns', () => {
  /** The disk before and after its last group, which is `entries` long. */
  async function aroundLastGroup(before: TestEntry[][], last: TestEntry[]) {
    const opened = await freshJournal()
    await commit(opened, ...before)
    await rest()
    const base = imageOf(opened.disk.files)
    await commit(opened, last)
    const files = await stopped(opened)
    return { base, after: imageOf(files) }
  }

  /** Every way in which the sectors that the last group changed can be left behind. */
  function* leftovers(base: Map<string, Buffer>, after: Map<string, Buffer>) {
    const changed: { path: string; sector: number }[] = []
    for (const [path, bytes] of after) {
      // A spare that was made meanwhile is complete.
      if (isUnused(bytes)) base.set(path, bytes)
      const old = base.get(path) ?? Buffer.alloc(bytes.length)
      for (let at = 0; at < bytes.length; at += sectorBytes) {
        if (!bytes.subarray(at, at + sectorBytes).equals(old.subarray(at, at + sectorBytes))) {
          changed.push({ path, sector: at / sectorBytes })
        }
      }
    }
    assert.ok(changed.length >= 3 && changed.length <= 8, `${changed.length} sectors`)
    for (let kept = 0; kept < 1 << changed.length; kept++) {
      const image = new Map(
        [...after].map(([path, bytes]) => [path, Buffer.from(base.get(path) ?? Buffer.alloc(bytes.length))]),
      )
      changed.forEach(({ path, sector }, i) => {
        if ((kept & (1 << i)) === 0) return
        after
          .get(path)
          ?.copy(image.get(path) as Buffer, sector * sectorBytes, sector * sectorBytes, (sector + 1) * sectorBytes)
      })
      yield { image, isWhole: kept === (1 << changed.length) - 1, what: `sectors kept: ${kept.toString(2)}` }
    }
  }

  it('is cut, whichever sectors of it arrived, and everything before it is there', async () => {
    const { base, after } = await aroundLastGroup(
      [[batch(0, 300)], [batch(1, 700), batch(2, 200)]],
      [batch(3, 900), batch(4, 800)],
    )
    for (const { image, isWhole, what } of leftovers(base, after)) {
      const { entries, damage } = await readJournal(diskWith(image))
      assert.deepEqual(damage, [], what)
      assert.deepEqual(basesOf(entries), isWhole ? [0, 1, 2, 3, 4] : [0, 1, 2], what)
    }
  })

  it('is cut likewise when it is the first of a new file, whose header is written with it', async () => {
    const { base, after } = await aroundLastGroup([[raft('r', longestBody - 1500)]], [batch(3, 900), batch(4, 800)])
    for (const { image, isWhole, what } of leftovers(base, after)) {
      const { entries, damage, end } = await readJournal(diskWith(image))
      assert.deepEqual(damage, [], what)
      assert.deepEqual(basesOf(entries), isWhole ? [0, 3, 4] : [0], what)
      assert.equal(end.nextGroupSeq, isWhole ? 4 : 3, what)
    }
  })

  it('is not taken for corruption later, when groups have followed it in this file and in the next', async () => {
    const { base, after } = await aroundLastGroup([[batch(0, 300)]], [batch(3, 1400), batch(4, 800)])
    for (const { image, isWhole, what } of leftovers(base, after)) {
      const again = await openJournal(diskWith(image))
      const more = [batch(10, 200), raft('r', 3000), batch(11, 2500), raft('s', 4000), batch(12, 200)]
      for (const entry of more) await commit(again, [entry])
      assert.ok(again.files.live.length >= 2, what)
      const { entries, damage } = await readJournal(again.disk.kill({}))
      assert.deepEqual(damage, [], what)
      assert.deepEqual(basesOf(entries), isWhole ? [0, 3, 4, 10, 0, 11, 0, 12] : [0, 10, 0, 11, 0, 12], what)
    }
  })

  it('is not taken for corruption later, when it filled its file and the next group went to a new one', async () => {
    const { base, after } = await aroundLastGroup(
      [[raft('r', longestBody - 2560)]],
      [raft('s', 2048 - groupHeaderBytes - entryHeaderBytes)],
    )
    for (const { image, isWhole, what } of leftovers(base, after)) {
      const again = await openJournal(diskWith(image))
      for (const bytes of [3000, 3000, 3000]) await commit(again, [raft('t', bytes)])
      const { entries, damage } = await readJournal(again.disk.kill({}))
      assert.deepEqual(damage, [], what)
      assert.equal(entries.length, isWhole ? 5 : 4, what)
    }
  })

  it('is corruption, not a torn tail, when a checkpoint table knows that it was durable', async () => {
    const { base } = await aroundLastGroup([[batch(0, 300)]], [batch(3, 900), batch(4, 800)])
    // Groups: the mark of the start, the first batch, the last group.
    const { damage, end } = await readJournal(diskWith(base), { provenThrough: 3 })
    assert.deepEqual(
      damage.map(({ fromGroup, toGroup }) => [fromGroup, toGroup]),
      [[3, 4]],
    )
    assert.equal(end.nextGroupSeq, 4)
  })
})

describe('a torn group', () => {
  it('is one whose number a checkpoint table does not know yet; else it is damage', async () => {
    const opened = await freshJournal()
    await commit(opened, [batch(0, 300)], [batch(1, 900)])
    const image = imageOf(await stopped(opened))
    const { entries } = await readJournal(diskWith(image))
    flip(image.get(firstFile) as Buffer, (entries[1] as Replayed).position + 500)
    for (const provenThrough of [0, 1, 2]) {
      const { damage, end } = await readJournal(diskWith(image), { provenThrough })
      assert.deepEqual([damage, end.torn, end.nextGroupSeq], [[], true, 3])
    }
    const { damage, end } = await readJournal(diskWith(image), { provenThrough: 3 })
    assert.deepEqual(
      damage.map(({ fromGroup, toGroup, lost }) => [fromGroup, toGroup, lost]),
      [[3, 4, [{ segmentId: 1, base: 1, end: 2 }]]],
    )
    assert.deepEqual([end.torn, end.nextGroupSeq], [false, 4])
  })

  it('that is the first of the oldest file gives its number to the next', async () => {
    const opened = await freshJournal()
    await commit(opened, [raft('a', longestBody - 600)], [batch(0, 2000)])
    const path = opened.files.live[1]?.name as string
    const image = imageOf(await stopped(opened))
    flip(image.get(path) as Buffer, sectorBytes + 1000)
    const { damage, end } = await readJournal(diskWith(image), { fromSeq: 2 })
    assert.deepEqual([damage, end.torn, end.nextGroupSeq, end.position], [[], true, 3, sectorBytes])
  })
})

describe('rot in a group that was durable', () => {
  /** Three groups with two entries each, then a mark. */
  async function threeGroups(): Promise<{ image: Map<string, Buffer>; entries: Replayed[]; groups: number[] }> {
    const opened = await freshJournal()
    await commit(
      opened,
      [batch(0, 100, 1), batch(0, 110, 2)],
      [batch(1, 120, 1), batch(1, 130, 2)],
      [batch(2, 140, 1), batch(2, 150, 2)],
    )
    await opened.journal.close()
    const files = await stopped(opened)
    const { entries, damage } = await readJournal(opened.disk.kill({}))
    assert.deepEqual([entries.length, damage], [6, []])
    const groups = [0, 2, 4].map(i => (entries[i] as Replayed).position - entryHeaderBytes - groupHeaderBytes)
    return { image: imageOf(files), entries, groups }
  }

  const key = (entry: Replayed) => `${entry.segmentId}:${entry.base}:${entry.sequence}:${entry.body.toString('hex')}`

  it('is reported whichever bit it hits; what is still whole is delivered, and so is everything behind it', async () => {
    const { image, entries, groups } = await threeGroups()
    const original = new Set(entries.map(key))
    const middle = groups[1] as number
    const bytes = image.get(firstFile) as Buffer
    const headersAndBodies = 2 * entryHeaderBytes + 120 + 130 + groupHeaderBytes
    for (let at = middle; at < middle + headersAndBodies; at++) {
      const mask = 1 << (at % 8)
      bytes[at] = (bytes[at] as number) ^ mask
      const found = await readJournal(diskWith(image))
      bytes[at] = (bytes[at] as number) ^ mask
      const what = `byte ${at - middle} of the group`
      assert.equal(found.damage.length, 1, what)
      const [{ fromGroup, toGroup, lost, isComplete }] = found.damage as [(typeof found.damage)[number]]
      assert.deepEqual([fromGroup, toGroup], [3, 4], what)
      for (const entry of found.entries) assert.ok(original.has(key(entry)), `${what}: something else is delivered`)
      assert.deepEqual(
        basesOf(found.entries).filter(base => base !== 1),
        [0, 0, 2, 2],
        what,
      )
      // The second batch of segment 1 and of segment 2, each behind its header.
      const first = middle + groupHeaderBytes
      const second = first + entryHeaderBytes + 120
      // An entry's checksum is the one part of its header that the header's own does not cover.
      const isInBody = (header: number, length: number) =>
        (at >= header + 4 && at < header + 8) ||
        (at >= header + entryHeaderBytes && at < header + entryHeaderBytes + length)
      const isKnown = isInBody(first, 120) || isInBody(second, 130)
      const hit = isInBody(first, 120) ? 1 : 2
      assert.equal(isComplete, isKnown, `${what}: the extent is known where a body is hit`)
      assert.deepEqual(lost, isKnown ? [{ segmentId: hit, base: 1, end: 2 }] : [], what)
      // Up to a damaged entry header, and around a damaged body, what is whole is delivered.
      const delivered = found.entries.filter(entry => entry.base === 1).map(entry => entry.segmentId)
      if (isKnown) assert.deepEqual(delivered, [3 - hit], what)
      else if (at < first) assert.deepEqual(delivered, [], what)
      else assert.deepEqual(delivered, at < second ? [] : [1], what)
    }
    assert.equal((await readJournal(diskWith(image))).damage.length, 0)
  })

  it('is reported in the first group of the oldest file, too', async () => {
    // The oldest file that is left after older ones were freed begins with a group that matters.
    const opened = await freshJournal()
    await commit(opened, [raft('a', longestBody - 600)], [batch(0, 2000)], [batch(1, 2000)], [batch(2, 200)])
    await opened.journal.close()
    assert.equal(opened.files.live.length, 2)
    const path = opened.files.live[1]?.name as string
    const image = imageOf(await stopped(opened))
    const bytes = image.get(path) as Buffer
    assert.equal((await readJournal(diskWith(image), { fromSeq: 2 })).damage.length, 0)
    for (const at of [0, 9, 20, 40]) {
      bytes[sectorBytes + at] = (bytes[sectorBytes + at] as number) ^ 4
      const { entries, damage } = await readJournal(diskWith(image), { fromSeq: 2 })
      bytes[sectorBytes + at] = (bytes[sectorBytes + at] as number) ^ 4
      assert.deepEqual(basesOf(entries), [1, 2])
      assert.equal(damage.length, 1, `byte ${at} of the group header`)
    }
  })

  it('that takes every group of the oldest file is reported when a later file goes on', async () => {
    const opened = await freshJournal()
    await commit(opened, [batch(0, 3000)], [raft('a', longestBody - 600)], [batch(2, 200)])
    const image = imageOf(await stopped(opened))
    image.get(firstFile)?.fill(0, sectorBytes)
    const { entries, damage } = await readJournal(diskWith(image))
    assert.deepEqual(entries.length, 2)
    assert.equal(damage.length, 1)
  })

  it('in the last group of a file is known by the file behind it', async () => {
    const opened = await freshJournal()
    await commit(opened, [batch(0, 300)], [batch(1, 2000)], [raft('a', longestBody - 600)])
    const image = imageOf(await stopped(opened))
    const { entries } = await readJournal(diskWith(image))
    const last = entries[1] as Replayed
    for (const at of [last.position + 500, last.position - entryHeaderBytes - 30]) {
      const copy = new Map(image).set(firstFile, Buffer.from(image.get(firstFile) as Buffer))
      const bytes = copy.get(firstFile) as Buffer
      bytes[at] = (bytes[at] as number) ^ 1
      const found = await readJournal(diskWith(copy))
      assert.deepEqual(
        found.damage.map(({ fromGroup, toGroup }) => [fromGroup, toGroup]),
        [[3, 4]],
      )
      assert.deepEqual(found.entries.length, 2)
    }
  })

  it('in several places is several damages, each with its groups', async () => {
    const opened = await freshJournal()
    for (let i = 0; i < 6; i++) await commit(opened, [batch(i, 300)])
    await opened.journal.close()
    const image = imageOf(await stopped(opened))
    const { entries } = await readJournal(diskWith(image))
    const bytes = image.get(firstFile) as Buffer
    for (const i of [1, 2, 4]) flip(bytes, (entries[i] as Replayed).position - entryHeaderBytes - 50)
    const found = await readJournal(diskWith(image))
    assert.deepEqual(
      found.damage.map(({ fromGroup, toGroup }) => [fromGroup, toGroup]),
      [
        [3, 5],
        [6, 7],
      ],
    )
    assert.deepEqual(basesOf(found.entries), [0, 3, 5])
  })
})

describe('what only looks like a group', () => {
  it('in messages is never taken for one: the salt is drawn for each life of a file and told to nobody', async () => {
    const opened = await freshJournal()
    // Groups: 1 the start, 2 before, 3 the carrier, 4 after. The forgeries claim every place in the carrier's body.
    const { body, segmentId } = batch(1, 4000)
    const carrier = Buffer.from(body.chunks[0] as Buffer)
    const bodyAt = sectorBytes + sectorBytes + 2 * sectorBytes + groupHeaderBytes + entryHeaderBytes
    for (
      let position = 5 * sectorBytes;
      position + groupHeaderBytes < bodyAt + carrier.length;
      position += sectorBytes
    ) {
      const header = { fileSeq: 1, groupSeq: 5, durableThrough: 4, position, bytes: groupHeaderBytes, entries: 0 }
      encodeGroupHeader(carrier, position - bodyAt, header, 0)
    }
    carrier.writeUInt32BE(crc32c(carrier.subarray(21)), 17)
    const entry = new TestEntry({ name: 'carrier', segmentId, base: 1, body: carrier })
    await commit(opened, [batch(0, 700)], [entry])
    const tail = imageOf(opened.disk.files)
    await commit(opened, [batch(2, 200)])
    const image = imageOf(await stopped(opened))
    const whole = await readJournal(diskWith(image))
    assert.equal((whole.entries[1] as Replayed).position, bodyAt, 'the forgeries are where they claim to be')
    assert.deepEqual([basesOf(whole.entries), whole.damage], [[0, 1, 2], []])

    const torn = new Map(tail).set(firstFile, Buffer.from(tail.get(firstFile) as Buffer))
    torn.get(firstFile)?.fill(0, bodyAt + 50, bodyAt + 60)
    const cut = await readJournal(diskWith(torn))
    assert.deepEqual([basesOf(cut.entries), cut.damage, cut.end.torn], [[0], [], true])

    for (const at of [bodyAt - entryHeaderBytes - 10, bodyAt + 50]) {
      const rotten = new Map(image).set(firstFile, Buffer.from(image.get(firstFile) as Buffer))
      flip(rotten.get(firstFile) as Buffer, at)
      const found = await readJournal(diskWith(rotten))
      assert.deepEqual(
        [basesOf(found.entries), found.damage.map(({ fromGroup, toGroup }) => [fromGroup, toGroup])],
        [[0, 2], [[3, 4]]],
      )
    }
  })

  it('in an earlier life of a recycled file stays dead, even right behind the newest group and at its very place', async () => {
    const opened = await freshJournal()
    let base = 0
    // Groups of the same sizes, so that each life puts its groups where the one before had them.
    for (let round = 0; round < 60; round++) {
      await commit(opened, [batch(base++, 900)])
      for (const file of opened.files.live) file.pins = 0
      await opened.files.free(opened.files.freeable())
      const fromSeq = opened.files.live[0]?.seq as number
      const { entries, damage, end } = await readJournal(diskWith(imageOf(opened.disk.files)), { fromSeq })
      assert.deepEqual(damage, [])
      assert.equal(entries.at(-1)?.base, base - 1)
      assert.deepEqual(
        basesOf(entries),
        entries.map((_, i) => base - entries.length + i),
      )
      assert.equal(end.torn, false)
    }
    assert.ok((opened.files.live[0]?.seq ?? 0) > 8)
  })

  it('is a copy of a true group at another place of the same file: harmless', async () => {
    const opened = await freshJournal()
    await commit(opened, [batch(0, 300)], [batch(1, 300)])
    const image = imageOf(await stopped(opened))
    const bytes = image.get(firstFile) as Buffer
    bytes.copy(bytes, 6 * sectorBytes, 2 * sectorBytes, 3 * sectorBytes)
    const { entries, damage } = await readJournal(diskWith(image))
    assert.deepEqual([basesOf(entries), damage], [[0, 1], []])
  })
})

describe('a start refuses, with a sentence, when', () => {
  async function someFiles(): Promise<Map<string, Buffer>> {
    const opened = await freshJournal()
    await commit(
      opened,
      [batch(0, 300)],
      [raft('a', longestBody - 600)],
      [raft('b', longestBody - 600)],
      [batch(1, 200)],
    )
    await opened.journal.close()
    assert.equal(opened.files.live.length, 4)
    return imageOf(await stopped(opened))
  }

  const refuses = (image: Map<string, Buffer>, code: string, sentence: RegExp) =>
    assert.rejects(
      findJournalFiles(diskWith(image), identity, 1),
      (error: unknown) => error instanceof TidelogError && error.code === code && sentence.test(error.message),
    )

  it('a file in the middle is missing', async () => {
    const image = await someFiles()
    const [, second] = [...image.keys()]
    image.delete(second as string)
    await refuses(image, 'CORRUPT', /journal file number 2 is missing/)
  })

  it('the oldest file is missing', async () => {
    const image = await someFiles()
    image.delete(firstFile)
    await refuses(image, 'CORRUPT', /journal file number 1 is missing/)
  })

  it('a file comes from another disk or another cluster', async () => {
    const image = await someFiles()
    for (const other of [{ clusterId: Buffer.alloc(16, 9) }, { diskId: Buffer.alloc(16, 9) }]) {
      const header = encodeFileHeader({ ...identity, ...other, fileSeq: 7, fileBytes: 8192, salt: 1 })
      const file = Buffer.alloc(8192)
      header.copy(file)
      await refuses(new Map(image).set('journal/000099.journal', file), 'FORMAT', /belongs to another disk/)
    }
  })

  it('a file has a version that nobody knows', async () => {
    const image = await someFiles()
    const bytes = image.get(firstFile) as Buffer
    bytes.writeUInt16BE(2, 8)
    bytes.writeUInt32BE(crc32c(bytes.subarray(0, 64)), 64)
    await refuses(image, 'FORMAT', /version 2, which this program does not know/)
  })

  it('the header of any file that is needed is damaged, wherever the damage is', async () => {
    const image = await someFiles()
    const live = new Set<string>()
    for (const file of (await findJournalFiles(diskWith(image), identity, 1)).live) live.add(file.name)
    for (const path of live) {
      for (let at = 0; at < 68; at++) {
        const copy = new Map([...image].map(([name, bytes]) => [name, Buffer.from(bytes)]))
        flip(copy.get(path) as Buffer, at)
        await refuses(copy, 'CORRUPT', /header of the journal file .* damaged|is missing/)
      }
    }
  })

  it('a file that is needed is shorter than it was', async () => {
    const image = await someFiles()
    for (const path of [...image.keys()].filter(name => !isUnused(image.get(name) as Buffer))) {
      for (const bytes of [8191, 4096, 512]) {
        const copy = new Map(image).set(path, (image.get(path) as Buffer).subarray(0, bytes))
        await refuses(copy, 'CORRUPT', /shorter than|is missing/)
      }
    }
  })
})

describe('a start does not mind', () => {
  it('files that were never finished or never used', async () => {
    const opened = await freshJournal()
    await commit(opened, [batch(0, 300)])
    const image = imageOf(await stopped(opened))
    for (const [name, bytes] of [
      ['journal/000050.journal', Buffer.alloc(0)],
      ['journal/000051.journal', Buffer.alloc(5000)],
      ['journal/000052.journal', Buffer.alloc(8192)],
    ] as const) {
      image.set(name, bytes)
    }
    const again = await openJournal(diskWith(image), { settings: { bytesMax: 1 << 20 } })
    assert.deepEqual([basesOf(again.entries), again.damage], [[0], []])
    for (let i = 1; i < 30; i++) await commit(again, [batch(i, 2500)])
    await again.journal.close()
    await again.files.close()
    const { entries } = await readJournal(again.disk.kill({}))
    assert.equal(entries.length, 30)
  })

  it('a header of a recycled file that a kill left half written', async () => {
    const opened = await freshJournal()
    for (let i = 0; i < 12; i++) {
      await commit(opened, [batch(i, 2500)])
      for (const file of opened.files.live) file.pins = 0
      await opened.files.free(opened.files.freeable())
    }
    const fromSeq = opened.files.live[0]?.seq as number
    const image = imageOf(await stopped(opened))
    const { spares } = await findJournalFiles(diskWith(image), identity, fromSeq)
    const used = spares.find(({ name }) => (image.get(name) as Buffer).readUInt32BE(sectorBytes) !== 0)
    assert.ok(used, 'one of the spares had a life before')
    const header = encodeFileHeader({ ...identity, fileSeq: fromSeq + 1, fileBytes: 8192, salt: 77 })
    for (let written = 1; written < 68; written++) {
      const copy = new Map([...image].map(([name, bytes]) => [name, Buffer.from(bytes)]))
      header.copy(copy.get(used.name) as Buffer, 0, 0, written)
      const { entries, damage } = await readJournal(diskWith(copy), { fromSeq })
      assert.deepEqual(damage, [])
      assert.equal(entries.at(-1)?.base, 11)
    }
  })
})
