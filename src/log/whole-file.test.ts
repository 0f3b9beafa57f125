import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32c } from '../base/crc32c.ts'
import { TidelogError } from '../base/errors.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { FileSystem } from '../sim/file-system.ts'
import { onDisk } from '../wire/on-disk.ts'
import { array, int32, int64, message, string } from '../wire/schema.ts'
import { loadWhole, saveWhole } from './whole-file.ts'

const table = message({
  name: 'ExampleTable',
  ...onDisk,
  versions: [0, 1],
  body: { name: string, numbers: array(int64) },
})
const otherTable = message({ name: 'Other', ...onDisk, versions: [0, 0], body: { number: int32 } })

const old = { name: 'old', numbers: [1, 2, 3] }
const young = { name: 'young', numbers: Array.from({ length: 200 }, (_, i) => i * 2 ** 40) }

async function saved(value = old): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await saveWhole(disk, 'example', table, value)
  return disk
}

const isError = (code: string) => (error: unknown) => error instanceof TidelogError && error.code === code

describe('a whole file', () => {
  it('reads back as it was saved, and its absence is no error', async () => {
    const disk = await saved(young)
    assert.deepEqual(await loadWhole(disk, 'example', table), young)
    assert.equal(await loadWhole(disk, 'nothing', table), null)
    assert.equal(disk.openPaths.length, 0)
  })

  it('is refused with any bit flipped', async () => {
    const disk = await saved()
    const { size } = disk.files.file('example')
    for (let bit = 0; bit < size * 8; bit++) {
      disk.files.flip('example', bit >> 3, 1 << (bit & 7))
      await assert.rejects(loadWhole(disk, 'example', table), isError('CORRUPT'), `bit ${bit & 7} of byte ${bit >> 3}`)
      disk.files.flip('example', bit >> 3, 1 << (bit & 7))
    }
    assert.deepEqual(await loadWhole(disk, 'example', table), old)
  })

  it('is refused when it is shorter or longer than it was', async () => {
    const disk = await saved()
    const bytes = disk.files.peek('example')
    for (let length = 0; length < bytes.length; length++) {
      disk.files.poke('example', bytes.subarray(0, length))
      await assert.rejects(loadWhole(disk, 'example', table), isError('CORRUPT'), `${length} bytes`)
    }
    disk.files.poke('example', Buffer.concat([bytes, Buffer.from([0])]))
    await assert.rejects(loadWhole(disk, 'example', table), isError('CORRUPT'))
  })

  it('is refused when it is of another kind, or of a version that nobody knows', async () => {
    const disk = await saved()
    await assert.rejects(loadWhole(disk, 'example', otherTable), isError('FORMAT'))
    const bytes = disk.files.peek('example')
    bytes.writeUInt16BE(2, 16)
    bytes.writeUInt32BE(crc32c(bytes.subarray(32), crc32c(bytes.subarray(0, 24))), 24)
    disk.files.poke('example', bytes)
    await assert.rejects(loadWhole(disk, 'example', table), (error: Error) => /version 2/.test(error.message))
  })
})

describe('replacing a whole file', () => {
  it('leaves the old content or the new, whole, wherever a crash comes', async () => {
    for (const end of ['kill', 'losePower'] as const) {
      for (let last = 1, isOver = false; !isOver; last++) {
        const files = (await saved()).files
        const crash = Promise.withResolvers<void>()
        const schedule = ({ number }: Operation, _: number, task: () => void) => {
          if (number > last) return
          setImmediate(() => {
            task()
            if (number === last) setImmediate(crash.resolve)
          })
        }
        const disk = new MemoryDisk({ files, schedule })
        const done = saveWhole(disk, 'example', table, young).then(() => {
          isOver = true
        })
        await Promise.race([crash.promise, done])
        const next = end === 'kill' ? disk.kill({}) : disk.losePower({}).disk
        const found = await loadWhole(next, 'example', table)
        assert.ok(found?.name === 'young' || (found?.name === 'old' && !isOver), `${end} after operation ${last}`)
        assert.deepEqual(found, found?.name === 'old' ? old : young)
        await saveWhole(next, 'example', table, old)
        assert.deepEqual(await loadWhole(next, 'example', table), old, 'leftovers are in nobody’s way')
        assert.deepEqual(next.files.walk(), ['example'])
      }
    }
  })

  it('that finds no room leaves the old content, and no leftovers to fill the disk further', async () => {
    for (let failing = 1; failing <= 6; failing++) {
      const files = (await saved()).files
      const fault = ({ number, kind }: Operation): Fault | null =>
        number === failing && kind !== 'sync' && kind !== 'syncDirectory' ? { error: 'ENOSPC' } : null
      const disk = new MemoryDisk({ files, fault })
      await saveWhole(disk, 'example', table, young).catch(() => {})
      const found = await loadWhole(new MemoryDisk({ files }), 'example', table)
      assert.ok(found?.name === 'old' || found?.name === 'young')
      assert.deepEqual(files.walk(), ['example'], `operation ${failing}`)
      assert.equal(disk.openPaths.length, 0)
    }
    const full = new FileSystem({ capacityBytes: 200 })
    await assert.rejects(saveWhole(new MemoryDisk({ files: full }), 'example', table, young), { code: 'ENOSPC' })
    assert.equal(full.usedBytes, 0)
  })

  it('that fails at a sync says that the disk cannot be trusted', async () => {
    for (const kind of ['sync', 'syncDirectory']) {
      const fault = (operation: Operation): Fault | null => (operation.kind === kind ? { error: 'EIO' } : null)
      await assert.rejects(saveWhole(new MemoryDisk({ fault }), 'example', table, old), isError('DISK_FAILED'))
    }
  })
})
