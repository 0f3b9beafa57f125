import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './disk.ts'
import { FileSystem } from './file-system.ts'

const hello = Buffer.from('hello')

test('a plain disk in memory keeps what is written', async () => {
  const disk = new MemoryDisk()
  await disk.makeDirectory('a/b')
  const file = await disk.open('a/b/c', 'create')
  await file.write([hello, hello], 3)
  const target = Buffer.alloc(20)
  assert.equal(await file.read(target, 0), 13)
  assert.equal(target.toString('latin1', 0, 13), '\0\0\0hellohello')
  assert.equal(await file.size(), 13)
  await file.truncate(5)
  assert.equal(await file.size(), 5)
  await file.close()
  assert.deepEqual(await disk.list('a'), ['b'])
  assert.deepEqual(await disk.list('nowhere'), [])
  await disk.rename('a/b/c', 'a/d')
  assert.deepEqual(await disk.list('a'), ['b', 'd'])
  assert.equal(disk.files.usedBytes, 5)
  await disk.remove('a/d')
  await disk.remove('a/d')
  await disk.removeDirectory('a')
  assert.deepEqual(await disk.list(''), ['a'])
  await disk.removeDirectory('a/b')
  await disk.removeDirectory('a')
  assert.deepEqual(await disk.list(''), [])
  assert.equal(disk.files.usedBytes, 0)
  await assert.rejects(disk.open('x', 'read'), { code: 'ENOENT' })
  assert.deepEqual(disk.violations, [])
})

test('synced bytes under a synced name outlive the power, a killed process loses nothing that was written', async () => {
  const disk = new MemoryDisk()
  const file = await disk.open('f', 'create')
  await file.write([hello], 0)
  await file.sync()
  await disk.syncDirectory('')
  const { disk: after } = disk.losePower()
  assert.equal(after.files.peek('f').toString(), 'hello')
  const again = await after.open('f', 'write')
  await again.write([hello], 5)
  assert.equal(after.kill().files.peek('f').toString(), 'hellohello')
})

test('a full disk takes what fits, refuses the rest, and takes more when there is room', async () => {
  const disk = new MemoryDisk({ files: new FileSystem({ capacityBytes: 8 }) })
  const file = await disk.open('f', 'create')
  await assert.rejects(file.write([hello, hello], 0), { code: 'ENOSPC' })
  assert.equal(await file.size(), 8)
  await file.write([hello], 0)
  disk.files.capacityBytes = 100
  await file.write([hello, hello], 0)
  assert.equal(await disk.freeBytes(), 90)
})
