import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TidelogError } from '../base/errors.ts'
import type { Offset, Position } from '../base/ids.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { Descriptors } from './descriptors.ts'
import { SealFile, writeSealFile } from './seal-file.ts'
import type { IndexPoint } from './segment-index.ts'

const path = 'topics/t-0/00000000000000000100.7.seal'

const summary = {
  segmentId: 7,
  base: 100,
  end: 5000,
  bytes: 1_000_000,
  records: 4890,
  maxTimestamp: 1_700_000_000_000,
  maxTimestampBase: 4000,
  leaderEpoch: 3,
  checksum: 0xdead_beef,
  producers: [
    { producerId: 9, epoch: 1, seenAtMs: 5, batches: [{ firstSequence: 0, lastSequence: 9, base: 100, end: 110 }] },
  ],
  holes: [{ from: 200, to: 210 }],
}

/** Points ten offsets and a hundred bytes apart; the highest timestamp rises now and then. */
function points(count: number): IndexPoint[] {
  return Array.from({ length: count }, (_, i) => ({
    offset: (100 + i * 10) as Offset,
    position: (i * 100) as Position,
    maxTimestampBefore: i === 0 ? -1 : Math.floor(i / 3) * 5,
  }))
}

function emptyDisk(options = {}): MemoryDisk {
  const disk = new MemoryDisk(options)
  disk.files.makeFolder('topics/t-0')
  for (const folder of ['', 'topics']) disk.files.syncFolder(disk.files.folderMark(folder))
  return disk
}

async function written(list: readonly IndexPoint[], disk = emptyDisk()): Promise<MemoryDisk> {
  await writeSealFile(disk, path, summary, list)
  return disk
}

const open = (disk: MemoryDisk) => SealFile.open(path, new Descriptors(disk, 10))

describe('a seal file', () => {
  it('reads back what the segment sums up to', async () => {
    const { body } = await open(await written(points(400)))
    const { pages, aborted, ...rest } = body
    assert.deepEqual(rest, summary)
    assert.deepEqual([pages.length, aborted], [3, []])
  })

  it('answers look-ups as a search through all points would, for every number of pages', async () => {
    for (const count of [1, 2, 169, 170, 171, 340, 341, 1000]) {
      const list = points(count)
      const seal = await open(await written(list))
      for (let i = -2; i < count + 2; i += Math.max(1, Math.floor(count / 60))) {
        for (const offset of [100 + i * 10, 100 + i * 10 + 9] as Offset[]) {
          assert.deepEqual(await seal.atOffset(offset), list.findLast(point => point.offset <= offset) ?? list[0])
        }
        const time = Math.floor(i / 3) * 5
        for (const timestampMs of [time, time + 1]) {
          const expected = list.findLast(point => point.maxTimestampBefore < timestampMs) ?? list[0]
          assert.deepEqual(await seal.beforeTime(timestampMs), expected, `${count} points, time ${timestampMs}`)
        }
      }
    }
  })

  it('answers likewise for uneven points', async () => {
    const steps = fc.array(fc.record({ offsets: fc.integer({ min: 1, max: 50 }), time: fc.nat(4) }), {
      minLength: 150,
      maxLength: 400,
    })
    await fc.assert(
      fc.asyncProperty(steps, fc.array(fc.nat(10_000), { minLength: 10, maxLength: 10 }), async (list, asked) => {
        let offset = 100
        let time = -1
        const all = list.map(({ offsets, time: rise }, i) => {
          const point = { offset: offset as Offset, position: (i * 61) as Position, maxTimestampBefore: time }
          offset += offsets
          time += rise > 2 ? rise : 0
          return point
        })
        const seal = await open(await written(all))
        for (const number of asked) {
          assert.deepEqual(
            await seal.atOffset(number as Offset),
            all.findLast(point => point.offset <= number) ?? all[0],
          )
          const by = number % (time + 2)
          assert.deepEqual(await seal.beforeTime(by), all.findLast(point => point.maxTimestampBefore < by) ?? all[0])
        }
      }),
      { numRuns: 10 },
    )
  })

  it('leads to the start of the segment where it has no points', async () => {
    const seal = await open(await written([]))
    assert.deepEqual(await seal.atOffset(4000 as Offset), { offset: 100, position: 0, maxTimestampBefore: -1 })
    assert.equal((await seal.beforeTime(5)).position, 0)
  })

  it('is refused with any byte flipped: at once, or when the page is read', async () => {
    const list = points(175)
    const disk = await written(list)
    const { size } = disk.files.file(path)
    const readAll = async () => {
      const seal = await open(disk)
      for (const page of seal.body.pages) await seal.atOffset(page.offset as Offset)
    }
    await readAll()
    // Every byte outside of the pages, some of those inside.
    for (let at = 0; at < size; at += at >= 16 && at < 16 + 2 * 4096 - 7 ? 7 : 1) {
      disk.files.flip(path, at, 1 << (at % 8))
      await assert.rejects(
        readAll(),
        (error: unknown) => error instanceof TidelogError && ['CORRUPT', 'FORMAT'].includes(error.code),
        `byte ${at}`,
      )
      disk.files.flip(path, at, 1 << (at % 8))
    }
  })

  it('is refused when it is shorter or longer than it was', async () => {
    const disk = await written(points(3))
    const bytes = disk.files.peek(path)
    for (const length of [0, 1, 15, 16, 31, 32, 48, 4000, 4112, bytes.length - 33, bytes.length - 1]) {
      disk.files.poke(path, bytes.subarray(0, length))
      await assert.rejects(open(disk), { code: 'CORRUPT' }, `${length} bytes`)
    }
    disk.files.poke(path, Buffer.concat([bytes, Buffer.alloc(1)]))
    await assert.rejects(open(disk), { code: 'CORRUPT' })
  })

  it('is there whole or not at all, wherever a crash comes', async () => {
    for (const end of ['kill', 'losePower'] as const) {
      for (let last = 1, isOver = false; !isOver; last++) {
        const crash = Promise.withResolvers<void>()
        const schedule = ({ number }: Operation, _: number, task: () => void) => {
          if (number > last) return
          setImmediate(() => {
            task()
            if (number === last) setImmediate(crash.resolve)
          })
        }
        const disk = emptyDisk({ schedule })
        const done = written(points(200), disk).then(() => {
          isOver = true
        })
        await Promise.race([crash.promise, done])
        const next = end === 'kill' ? disk.kill({}) : disk.losePower({}).disk
        if (next.files.exists(path)) assert.equal((await open(next)).body.end, 5000)
        else assert.equal(isOver, false)
      }
    }
  })

  it('that finds no room leaves nothing behind', async () => {
    const fault = ({ kind }: Operation): Fault | null => (kind === 'write' ? { error: 'ENOSPC' } : null)
    const disk = emptyDisk({ fault })
    await assert.rejects(written(points(3), disk), { code: 'ENOSPC' })
    assert.deepEqual(disk.files.walk(), [])
  })
})
