import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prng } from '../base/prng.ts'
import { FileSystem, sectorBytes } from './file-system.ts'

const change = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      at: fc.nat(3000),
      length: fc.integer({ min: 1, max: 1500 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('truncate' as const), at: fc.nat(4000), length: fc.constant(0) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sync' as const), at: fc.constant(0), length: fc.constant(0) }) },
)

function sectorOf(image: Buffer, sector: number, size: number): string {
  const bytes = Buffer.alloc(sectorBytes)
  image.subarray(sector * sectorBytes, (sector + 1) * sectorBytes).copy(bytes)
  return bytes.toString('latin1', 0, Math.max(Math.min(size - sector * sectorBytes, sectorBytes), 0))
}

test('after a power loss every sector and the size are what they were at some moment since the last sync', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.nat(), (changes, seed) => {
      const files = new FileSystem()
      const file = files.create('f')
      files.syncFolder(files.folderMark(''))
      let images: Buffer[] = [Buffer.alloc(0)]
      let letter = 0
      for (const step of changes) {
        if (step.do === 'write') files.write(file, Buffer.alloc(step.length, ++letter), step.at)
        if (step.do === 'truncate') files.truncate(file, step.at)
        if (step.do === 'sync') {
          files.syncFile(files.fileMark(file))
          images = []
        }
        images.push(files.peek('f'))
      }
      files.losePower(new Prng(seed))
      const after = files.peek('f')
      assert.ok(
        images.some(image => image.length === after.length),
        `no state had ${after.length} bytes`,
      )
      for (let sector = 0; sector * sectorBytes < after.length; sector++) {
        const found = sectorOf(after, sector, after.length)
        const zeros = '\0'.repeat(found.length)
        assert.ok(
          found === zeros || images.some(image => sectorOf(image, sector, after.length) === found),
          `sector ${sector} was never like that`,
        )
      }
      assert.equal(files.usedBytes, after.length)
    }),
    { numRuns: 300 },
  )
})

test('a power loss right after a sync changes nothing', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.nat(), (changes, seed) => {
      const files = new FileSystem()
      const file = files.create('f')
      for (const step of changes) {
        if (step.do === 'write') files.write(file, Buffer.alloc(step.length, 7), step.at)
        else files.truncate(file, step.at)
      }
      files.syncFile(files.fileMark(file))
      files.syncFolder(files.folderMark(''))
      const before = files.peek('f')
      files.losePower(new Prng(seed))
      assert.deepEqual(files.peek('f'), before)
    }),
  )
})

test('a sync covers what was there when it began, not what came during it', () => {
  const outcomes = overSeeds(prng => {
    const files = new FileSystem()
    const file = files.create('f')
    files.syncFolder(files.folderMark(''))
    files.write(file, Buffer.from('a'), 0)
    const mark = files.fileMark(file)
    files.write(file, Buffer.from('b'), 600)
    files.syncFile(mark)
    files.losePower(prng)
    const bytes = files.peek('f')
    assert.equal(String.fromCharCode(bytes[0] ?? 0), 'a')
    return bytes.length === 601 && bytes[600] === 0x62 ? 'kept' : 'lost'
  })
  assert.deepEqual(outcomes, ['kept', 'lost'])
})

test('after a failed sync a second one succeeds and saves nothing, unless the sector was written again', () => {
  const lostOnly = (rewrite: boolean) =>
    overSeeds(prng => {
      const files = new FileSystem()
      const file = files.create('f')
      files.syncFolder(files.folderMark(''))
      files.write(file, Buffer.alloc(1024, 1), 0)
      files.syncFile(files.fileMark(file))
      files.write(file, Buffer.alloc(1024, 2), 0)
      files.abandon(files.fileMark(file))
      if (rewrite) files.write(file, Buffer.alloc(1, 2), 1023)
      files.syncFile(files.fileMark(file))
      assert.equal(files.peek('f')[1000], 2, 'the page cache still has it')
      files.losePower(prng)
      return files.peek('f')[1000] === 2 ? 'kept' : 'lost'
    })
  assert.deepEqual(lostOnly(false), ['kept', 'lost'])
  assert.deepEqual(lostOnly(true), ['kept'])
})

test('names come back one by one, unless their folder was synced', () => {
  const outcomes = overSeeds(prng => {
    const files = new FileSystem()
    files.makeFolder('d')
    files.syncFolder(files.folderMark(''))
    files.create('d/old')
    files.syncFolder(files.folderMark('d'))
    files.create('d/new')
    files.remove('d/old')
    files.losePower(prng)
    return files.list('d').join('+')
  })
  assert.deepEqual(outcomes, ['', 'new', 'new+old', 'old'])
  const renamed = overSeeds(prng => {
    const files = new FileSystem()
    files.create('a')
    files.syncFolder(files.folderMark(''))
    files.rename('a', 'b')
    files.losePower(prng)
    return files.list('').join('+')
  })
  assert.deepEqual(renamed, ['a', 'b'], 'a rename within a folder is one step')
  const folder = overSeeds(prng => {
    const files = new FileSystem()
    files.makeFolder('d')
    files.create('d/f')
    files.syncFolder(files.folderMark('d'))
    files.losePower(prng)
    return files.walk().join('+')
  })
  assert.deepEqual(folder, ['', 'd/f'], 'a folder that its parent does not name takes all it holds with it')
})

test('a removed file takes up room until its last descriptor is closed', () => {
  const files = new FileSystem({ capacityBytes: 100 })
  const file = files.create('f')
  files.acquire(file)
  files.write(file, Buffer.alloc(80), 0)
  files.remove('f')
  assert.equal(files.freeBytes, 20)
  assert.equal(files.room(file, 80, 30), 20)
  files.release(file)
  assert.equal(files.freeBytes, 100)
})

/** The different outcomes over many seeds, sorted. */
function overSeeds(run: (prng: Prng) => string): string[] {
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 200; seed++) outcomes.add(run(new Prng(seed)))
  return [...outcomes].sort()
}
