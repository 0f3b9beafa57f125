import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Disk } from '../io/disk.ts'
import { nodeDisk } from '../server/node/disk.ts'
import { MemoryDisk } from './memory-disk.ts'

const mib = 1 << 20

type Step =
  | { readonly do: 'write'; readonly path: string; readonly at: number; readonly bytes: number; readonly fill: number }
  | { readonly do: 'truncate'; readonly path: string; readonly size: number }
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  | { readonly do: 'remove'; readonly path: string }

const path = fc.constantFrom('a', 'folder/a', 'folder/b')
const place = fc.oneof(fc.nat(300), fc.nat(200_000))
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('write' as const), path, at: place, bytes: place, fill: fc.nat(2) }),
  fc.record({ do: fc.constant('truncate' as const), path, size: place }),
  fc.record({ do: fc.constant('rename' as const), path, to: path }),
  fc.record({ do: fc.constant('remove' as const), path }),
)

async function perform(disk: Disk, step: Step): Promise<string> {
  try {
    if (step.do === 'rename') await disk.rename(step.path, step.to)
    else if (step.do === 'remove') await disk.remove(step.path)
    else {
      const file = await disk.open(step.path, 'create')
      if (step.do === 'write') await file.write([Buffer.alloc(step.bytes, step.fill), Buffer.from('!')], step.at)
      else await file.truncate(step.size)
      await file.close()
    }
    return 'done'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed'
  }
}

async function contents(disk: Disk): Promise<unknown> {
  const names = await disk.list('folder')
  const files: [string, number, string][] = []
  for (const path of [...names.map(name => `folder/${name}`), ...((await disk.list('.')).includes('a') ? ['a'] : [])]) {
    const file = await disk.open(path, 'read')
    const bytes = Buffer.alloc(await file.size())
    await file.read(bytes, 0)
    await file.close()
    files.push([path, bytes.length, bytes.toString('base64')])
  }
  return files
}

test('does what the machine’s disk does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async steps => {
      const root = await mkdtemp(join(tmpdir(), 'tidelog-memory-'))
      try {
        const [real, memory] = [nodeDisk(root), new MemoryDisk(mib)]
        for (const disk of [real, memory]) await disk.makeDirectory('folder')
        for (const each of steps) assert.equal(await perform(memory, each), await perform(real, each), each.do)
        assert.deepEqual(await contents(memory), await contents(real))
      } finally {
        await rm(root, { recursive: true })
      }
    }),
    { numRuns: 25 },
  )
})

test('what was kept aside does not change, and neither does what was made of it', async () => {
  const disk = new MemoryDisk(mib)
  const write = async (to: Disk, text: string, at = 0) => {
    const file = await to.open('a', 'create')
    await file.write([Buffer.from(text)], at)
  }
  const read = async (from: Disk) => {
    const bytes = Buffer.alloc(6)
    return bytes.toString('utf8', 0, await (await from.open('a', 'read')).read(bytes, 0))
  }
  await write(disk, 'first')
  const image = disk.snapshot()
  await write(disk, 'other')
  const restored = new MemoryDisk(mib, image)
  assert.deepEqual([await read(disk), await read(restored)], ['other', 'first'])
  await write(restored, 'third')
  assert.deepEqual([await read(disk), await read(new MemoryDisk(mib, image))], ['other', 'first'])
})

test('zeros take no room; a full disk says so, and has room again', async () => {
  const disk = new MemoryDisk(mib)
  const zeros = await disk.open('zeros', 'create')
  await zeros.write([Buffer.alloc(8 * mib)], 0)
  assert.equal(await zeros.size(), 8 * mib)
  assert.equal((await disk.space()).freeBytes, mib)
  const ones = await disk.open('ones', 'create')
  await assert.rejects(ones.write([Buffer.alloc(2 * mib, 1)], 0), { code: 'ENOSPC' })
  await disk.remove('ones')
  await ones.write([Buffer.alloc(2 * mib, 1)], 0)
  await ones.truncate(0)
  assert.equal((await disk.space()).freeBytes, mib)
})

test('a file that is not there, or in no folder', async () => {
  const disk = new MemoryDisk(mib)
  await assert.rejects(disk.open('a', 'read'), { code: 'ENOENT' })
  await assert.rejects(disk.open('no/a', 'create'), { code: 'ENOENT' })
  await assert.rejects(disk.rename('a', 'b'), { code: 'ENOENT' })
  await disk.remove('a')
  assert.deepEqual(await disk.list('no'), [])
})
