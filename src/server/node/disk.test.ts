import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Disk } from '../../io/disk.ts'
import { nodeDisk } from './disk.ts'

describe('the machine’s disk', () => {
  let root: string
  let disk: Disk

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'tidelog-disk-'))
    disk = nodeDisk(root)
  })
  after(() => rm(root, { recursive: true }))

  it('writes chunks in order at a position and reads them back', async () => {
    const file = await disk.open('a', 'create')
    await file.write([Buffer.from('low '), Buffer.alloc(0), Buffer.from('tide')], 3)
    await file.sync()
    assert.equal(await file.size(), 11)
    const target = Buffer.alloc(8)
    assert.equal(await file.read(target, 3), 8)
    assert.equal(target.toString(), 'low tide')
    await file.close()
  })

  it('writes more chunks than one system call takes', async () => {
    const chunks = Array.from({ length: 5000 }, (_, i) => Buffer.from([i & 0xff, i >> 8]))
    const file = await disk.open('many', 'create')
    await file.write(chunks, 0)
    await file.close()
    assert.ok((await readFile(join(root, 'many'))).equals(Buffer.concat(chunks)))
  })

  it('writes nothing when there is nothing to write', async () => {
    const file = await disk.open('nothing', 'create')
    await file.write([], 100)
    await file.write([Buffer.alloc(0)], 100)
    assert.equal(await file.size(), 0)
    await file.close()
  })

  it('reads short only at the end of the file', async () => {
    await writeFile(join(root, 'short'), 'abc')
    const file = await disk.open('short', 'read')
    assert.equal(await file.read(Buffer.alloc(10), 1), 2)
    assert.equal(await file.read(Buffer.alloc(10), 3), 0)
    assert.equal(await file.read(Buffer.alloc(0), 0), 0)
    await file.close()
  })

  it('opens in three modes: what must exist, and what is made but never emptied', async () => {
    await assert.rejects(disk.open('missing', 'read'), { code: 'ENOENT' })
    await assert.rejects(disk.open('missing', 'write'), { code: 'ENOENT' })
    await writeFile(join(root, 'kept'), 'kept')
    const file = await disk.open('kept', 'create')
    assert.equal(await file.size(), 4)
    await file.truncate(2)
    assert.equal(await file.size(), 2)
    await file.close()
    const readOnly = await disk.open('kept', 'read')
    await assert.rejects(readOnly.write([Buffer.from('x')], 0), { code: 'EBADF' })
    await readOnly.close()
  })

  it('makes, lists, renames and removes', async () => {
    await disk.makeDirectory('topics/one')
    await disk.makeDirectory('topics/one')
    for (const name of ['b', 'a']) await (await disk.open(`topics/one/${name}`, 'create')).close()
    await disk.syncDirectory('topics/one')
    await disk.syncDirectory('')
    assert.deepEqual(await disk.list('topics/one'), ['a', 'b'])
    assert.deepEqual(await disk.list('topics/two'), [])
    await disk.rename('topics/one/a', 'topics/one/c')
    await disk.removeDirectory('topics/one')
    assert.deepEqual(await disk.list('topics/one'), ['b', 'c'])
    await disk.remove('topics/one/b')
    await disk.remove('topics/one/b')
    await disk.remove('topics/one/c')
    await disk.removeDirectory('topics/one')
    await disk.removeDirectory('topics/one')
    assert.deepEqual(await disk.list('topics'), [])
  })

  it('says where it is and how much space there is', async () => {
    const { path, totalBytes, freeBytes } = await disk.space()
    assert.equal(path, root)
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes)
    await assert.rejects(nodeDisk(`${root}/nowhere`).space(), { code: 'ENOENT' })
  })

  it('never leaves its root, and never uses a closed descriptor', async () => {
    await assert.rejects(async () => disk.open('../outside', 'create'), { name: 'InvariantViolation' })
    await assert.rejects(async () => disk.list('/etc'), { name: 'InvariantViolation' })
    const file = await disk.open('closed', 'create')
    await file.close()
    await assert.rejects(async () => file.sync(), { name: 'InvariantViolation' })
  })
})
