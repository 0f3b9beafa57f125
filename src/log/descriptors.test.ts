import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TidelogError } from '../base/errors.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { Descriptors } from './descriptors.ts'
import { Gate, rest, turn, until } from './journal.test-kit.ts'
import { ReadWindow } from './read-window.ts'

const readByte = (descriptors: Descriptors, path: string) =>
  descriptors.use(path, 'read', async file => {
    const target = Buffer.alloc(1)
    await file.read(target, 0)
    return target[0]
  })

async function diskWith(count: number, options = {}): Promise<MemoryDisk> {
  const disk = new MemoryDisk(options)
  for (let i = 0; i < count; i++) disk.files.poke(`f${i}`, Buffer.from([i]))
  return disk
}

describe('descriptors', () => {
  it('are shared by those who use a file at once, and kept for the next', async () => {
    const disk = await diskWith(3)
    const descriptors = new Descriptors(disk, 10)
    await Promise.all([0, 0, 1, 0].map(i => readByte(descriptors, `f${i}`)))
    await readByte(descriptors, 'f0')
    assert.deepEqual([...disk.openPaths].sort(), ['f0', 'f1'])
    await descriptors.close()
    assert.deepEqual(disk.openPaths, [])
  })

  it('beyond the limit are closed in the order of their last use', async () => {
    const disk = await diskWith(5)
    const descriptors = new Descriptors(disk, 3)
    for (const i of [0, 1, 2, 0, 3, 4]) await readByte(descriptors, `f${i}`)
    await rest(3)
    assert.deepEqual([...disk.openPaths].sort(), ['f0', 'f3', 'f4'])
  })

  it('in use stay open beyond the limit, and go when their users do', async () => {
    const disk = await diskWith(4)
    const descriptors = new Descriptors(disk, 1)
    const done = Promise.withResolvers<void>()
    const users = [0, 1, 2, 3].map(i => descriptors.use(`f${i}`, 'read', () => done.promise))
    await rest(3)
    assert.equal(disk.openPaths.length, 4)
    done.resolve()
    await Promise.all(users)
    await rest(3)
    assert.equal(disk.openPaths.length, 1)
  })

  it('of a file that was written and not synced are never closed: a file opened anew would not hear of the error', async () => {
    const failing = { is: true }
    const fault = ({ kind, path }: Operation): Fault | null =>
      failing.is && kind === 'write' && path === 'f0' ? { error: 'ENOSPC' } : null
    const disk = await diskWith(4, { fault })
    const descriptors = new Descriptors(disk, 1)
    await assert.rejects(descriptors.writeSynced('f0', [Buffer.from('abc')], 0), { code: 'ENOSPC' })
    for (const i of [1, 2, 3]) await readByte(descriptors, `f${i}`)
    await rest(3)
    assert.ok(disk.openPaths.includes('f0'), 'dirty')
    failing.is = false
    await descriptors.writeSynced('f0', [Buffer.from('abc')], 0)
    for (const i of [1, 2, 3]) await readByte(descriptors, `f${i}`)
    await rest(3)
    assert.ok(!disk.openPaths.includes('f0'), 'clean again')
  })

  it('say that the disk failed when a sync does', async () => {
    const fault = ({ kind }: Operation): Fault | null => (kind === 'sync' ? { error: 'EIO' } : null)
    const descriptors = new Descriptors(await diskWith(1, { fault }), 10)
    await assert.rejects(
      descriptors.writeSynced('f0', [Buffer.from('abc')], 0),
      (error: unknown) => error instanceof TidelogError && error.code === 'DISK_FAILED',
    )
  })

  it('that could not be had are asked for again, and those that came meanwhile are not lost', async () => {
    let refused = 2
    const fault = ({ kind }: Operation): Fault | null => (kind === 'open' && refused-- > 0 ? { error: 'EMFILE' } : null)
    const disk = await diskWith(1, { fault })
    const descriptors = new Descriptors(disk, 10)
    // The one who asks again does so before the other who was refused has noticed.
    const again = readByte(descriptors, 'f0').catch(() => readByte(descriptors, 'f0'))
    const others = Array.from({ length: 3 }, () => readByte(descriptors, 'f0').catch(error => error.code))
    await assert.rejects(again, { code: 'EMFILE' })
    assert.deepEqual(await Promise.all(others), ['EMFILE', 'EMFILE', 'EMFILE'])
    assert.equal(await readByte(descriptors, 'f0'), 0)
    await descriptors.close()
    assert.deepEqual(disk.openPaths, [], 'none leaks')
  })

  it('asked for again at once, and by one who comes between the refusal and that, do not leak', async () => {
    for (let delay = 0; delay < 8; delay++) {
      let refused = 1
      const late: Promise<unknown>[] = []
      const fault = ({ kind }: Operation): Fault | null =>
        kind === 'open' && refused-- > 0 ? { error: 'EMFILE' } : null
      const joinLater = async () => {
        for (let i = 0; i < delay; i++) await null
        await readByte(descriptors, 'f0').catch(() => {})
      }
      const disk = await diskWith(1, { fault, onFault: () => late.push(joinLater()) })
      const descriptors = new Descriptors(disk, 10)
      await readByte(descriptors, 'f0').catch(() => readByte(descriptors, 'f0'))
      await Promise.all(late)
      assert.equal(await readByte(descriptors, 'f0'), 0)
      assert.equal(disk.openPaths.length, 1, `opened once (${delay})`)
      await descriptors.close()
      assert.deepEqual(disk.openPaths, [])
    }
  })

  it('close waits for those who still read', async () => {
    const gate = new Gate()
    const disk = await diskWith(1, { schedule: gate.schedule })
    const descriptors = new Descriptors(disk, 10)
    gate.hold('read')
    const reading = readByte(descriptors, 'f0')
    await until(() => gate.held.length === 1)
    let isClosed = false
    const closing = descriptors.close().then(() => {
      isClosed = true
    })
    await rest(3)
    assert.equal(isClosed, false)
    gate.open()
    assert.equal(await reading, 0)
    await closing
    assert.deepEqual([disk.openPaths, disk.violations], [[], []])
    await assert.rejects(readByte(descriptors, 'f0'), /closed/)
  })

  it('stay few and are never used after their close, whatever is asked for', async () => {
    const ask = fc.record({ file: fc.nat(7), write: fc.boolean(), wait: fc.nat(2) })
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), async (asks, limit) => {
        const disk = await diskWith(8)
        const descriptors = new Descriptors(disk, limit)
        const running: Promise<unknown>[] = []
        const writing = new Set<number>()
        for (const { file, write, wait } of asks) {
          if (write && !writing.has(file)) {
            writing.add(file)
            const written = descriptors.writeSynced(`f${file}`, [Buffer.from([file])], 0)
            running.push(written.finally(() => writing.delete(file)))
          } else running.push(readByte(descriptors, `f${file}`).then(byte => assert.equal(byte, file)))
          for (let i = 0; i < wait; i++) await turn()
        }
        await Promise.all(running)
        await rest(3)
        assert.ok(disk.openPaths.length <= limit)
        assert.equal(new Set(disk.openPaths).size, disk.openPaths.length)
        await descriptors.close()
        assert.deepEqual([disk.openPaths, disk.violations], [[], []])
      }),
      { numRuns: 40 },
    )
  })
})

describe('a read window', () => {
  it('gives what the file holds, wherever it is asked, and nothing at or behind its end', async () => {
    const ask = fc.tuple(fc.nat(320), fc.nat(80))
    await fc.assert(
      fc.asyncProperty(
        fc.array(ask, { maxLength: 20 }),
        fc.nat(300),
        fc.integer({ min: 1, max: 100 }),
        async (asks, end, windowBytes) => {
          const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i % 256))
          const file = {
            read: async (target: Buffer, position: number) => {
              assert.ok(position + target.length <= end, 'not behind the end')
              return bytes.copy(target, 0, position)
            },
          }
          const window = new ReadWindow(file, end, windowBytes)
          const views: [Buffer, number][] = []
          for (const [position, length] of asks) {
            const view = await window.load(position, length)
            const isThere = position + length <= end
            if (length > 0) assert.equal(view !== null, isThere)
            if (view !== null) views.push([view, position])
            assert.ok(window.loadedFrom(position) >= (view?.length ?? 0))
          }
          for (const [view, position] of views) assert.ok(view.equals(bytes.subarray(position, position + view.length)))
        },
      ),
    )
  })
})
