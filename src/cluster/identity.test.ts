import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeId, TopicId } from '../base/ids.ts'
import { type Fault, MemoryDisk, type Operation } from '../sim/disk.ts'
import { loadIdentity, type NodeIdentity, newIdentity, randomId, saveIdentity } from './identity.ts'

const random = { bytes: (length: number) => Buffer.alloc(length, 0xab) }
const zeros = { bytes: (length: number) => Buffer.alloc(length) }

async function withIdentity(saves = 1): Promise<{ disk: MemoryDisk; identity: NodeIdentity }> {
  const disk = new MemoryDisk()
  let identity = newIdentity(random, 1 as NodeId)
  for (let i = 0; i < saves; i++) identity = await saveIdentity(disk, { ...identity, confirmed: i, attempted: i + 1 })
  return { disk, identity }
}

describe('the identity of a node', () => {
  it('is read back as it was saved last; before the first start there is none', async () => {
    assert.equal(await loadIdentity(new MemoryDisk()), null)
    for (const saves of [1, 2, 3, 4]) {
      const { disk, identity } = await withIdentity(saves)
      assert.deepEqual(await loadIdentity(disk), identity)
      assert.equal(identity.attempted, saves)
      assert.deepEqual(disk.openPaths, [])
    }
  })

  it('is never the id that stands for none', () => {
    assert.notEqual(randomId(zeros), '0'.repeat(32) as TopicId)
    assert.match(randomId(random), /^[0-9a-f]{32}$/)
  })

  it('survives a crash at any operation of a save: the one before or the new one, never neither', async () => {
    for (const saves of [1, 2, 3]) {
      for (const end of ['kill', 'losePower'] as const) {
        for (let last = 1, isOver = false; !isOver; last++) {
          const before = await withIdentity(saves)
          const crash = Promise.withResolvers<void>()
          const schedule = ({ number }: Operation, _: number, task: () => void) => {
            if (number > last) return
            setImmediate(() => {
              task()
              if (number === last) setImmediate(crash.resolve)
            })
          }
          const disk = new MemoryDisk({ files: before.disk.files, schedule })
          const saving = saveIdentity(disk, { ...before.identity, attempted: 99 }).then(() => {
            isOver = true
          })
          await Promise.race([crash.promise, saving])
          const next = end === 'kill' ? disk.kill({}) : disk.losePower({}).disk
          const found = await loadIdentity(next)
          const what = `${saves} saves, ${end} after operation ${last}`
          assert.ok(found !== null, what)
          if (found.attempted !== 99) assert.deepEqual(found, before.identity, what)
          if (isOver) assert.equal(found.attempted, 99, what)
        }
      }
    }
  })

  it('needs no room to be saved again: a node starts on a full disk', async () => {
    const { disk, identity } = await withIdentity(2)
    disk.files.capacityBytes = disk.files.usedBytes
    const saved = await saveIdentity(disk, { ...identity, attempted: 50 })
    assert.deepEqual(await loadIdentity(disk), saved)
  })

  it('with any bit flipped is the other copy, and with both damaged an error, never another identity', async () => {
    const { disk, identity } = await withIdentity(3)
    const older = (await withIdentity(2)).identity
    const { size } = disk.files.file('identity')
    for (let at = 0; at < size; at++) {
      disk.files.flip('identity', at, 1 << (at % 8))
      const found = await loadIdentity(disk)
      disk.files.flip('identity', at, 1 << (at % 8))
      assert.ok(
        [identity, older].some(one => JSON.stringify(one) === JSON.stringify(found)),
        `byte ${at}`,
      )
    }
    for (const slot of [0, 512]) disk.files.flip('identity', slot + 40, 1)
    await assert.rejects(loadIdentity(disk), { code: 'CORRUPT' })
  })

  it('that cannot be synced is a failure of the disk', async () => {
    const { disk, identity } = await withIdentity(2)
    const fault = ({ kind }: Operation): Fault | null => (kind === 'sync' ? { error: 'EIO' } : null)
    await assert.rejects(saveIdentity(disk.kill({ fault }), identity), { code: 'DISK_FAILED' })
  })
})
