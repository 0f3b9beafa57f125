import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../base/prng.ts'
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
  assert.deepEqual(await disk.space(), { path: 'memory', totalBytes: 100, freeBytes: 90 })
})

test('what a dead process had under way never resolves, and may be there in part', async () => {
  const lengths = new Set<number>()
  for (let seed = 0; seed < 60; seed++) {
    const disk = new MemoryDisk({ prng: new Prng(seed) })
    const file = await disk.open('f', 'create')
    let resolved = false
    const settle = () => {
      resolved = true
    }
    file.write([hello, hello], 0).then(settle, settle)
    const after = disk.kill()
    file.write([hello], 100).then(settle, settle)
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    assert.equal(resolved, false)
    lengths.add(after.files.peek('f').length)
  }
  assert.ok(lengths.has(0) && lengths.has(10) && lengths.size > 5, [...lengths].join())
})

test('a lying disk, failing operations and a limit of descriptors', async () => {
  const disk = new MemoryDisk({
    descriptorsMax: 1,
    fault: operation =>
      operation.kind === 'sync' ? { lie: true } : operation.kind === 'truncate' ? { error: 'EIO' } : null,
  })
  const file = await disk.open('f', 'create')
  await disk.syncDirectory('')
  await file.write([hello], 0)
  await file.sync()
  await assert.rejects(file.truncate(1), { code: 'EIO' })
  await assert.rejects(disk.open('g', 'create'), { code: 'EMFILE' })
  await file.close()
  assert.deepEqual(disk.openPaths, [])
})

test('misuse is noticed', async () => {
  const disk = new MemoryDisk({ fault: operation => (operation.kind === 'sync' ? { error: 'EIO' } : null) })
  const file = await disk.open('f', 'create')
  const bytes = Buffer.from('abc')
  const writing = file.write([bytes], 0)
  bytes[0] = 0x7a
  const meeting = file.write([hello], 2)
  await Promise.all([writing, meeting])
  await assert.rejects(file.sync(), { code: 'EIO' })
  await assert.rejects(file.sync(), { code: 'EIO' })
  await file.close()
  await assert.rejects(file.size(), { code: 'EBADF' })
  const reader = await disk.open('f', 'read')
  await assert.rejects(reader.write([hello], 0), { code: 'EBADF' })
  const reading = reader.read(Buffer.alloc(1), 0)
  const closing = reader.close()
  await Promise.all([reading, closing])
  assert.deepEqual(disk.violations, [
    'f: a write at 2 meets another under way',
    'f: bytes changed while they were being written',
    'f: a sync after one that failed',
    'f: size after close',
    'f: write to a file opened for reading',
    'f: closed with operations under way',
  ])
})
