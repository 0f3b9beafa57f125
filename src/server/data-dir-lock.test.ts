import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { lockDataDir } from './data-dir-lock.ts'

const lockModule = new URL('./data-dir-lock.ts', import.meta.url).href

/** Another process that takes the lock, says so (or why not), and keeps it until its input ends. */
function holdInAnotherProcess(dataDir: string, platform: string): ChildProcess {
  const script = `
    const { lockDataDir } = await import(${JSON.stringify(lockModule)})
    await lockDataDir(${JSON.stringify(dataDir)}, ${JSON.stringify(platform)}).then(
      () => console.log('locked'), error => console.log(error.code, error.message))
    process.stdin.resume()`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer]
  return chunk.toString().trim()
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

// The socket file is what macOS gets; it works on Linux just as well.
for (const platform of process.platform === 'linux' ? (['linux', 'darwin'] as const) : [process.platform]) {
  describe(`the lock of a data directory (${platform})`, () => {
    let root: string
    let dataDir: string

    before(async () => {
      root = await mkdtemp(join(tmpdir(), 'tidelog-lock-'))
      dataDir = join(root, 'data')
      await mkdir(dataDir)
    })
    after(() => rm(root, { recursive: true }))

    it('keeps a second process out and says who has it, until the first is killed', async () => {
      const holder = holdInAnotherProcess(dataDir, platform)
      try {
        assert.equal(await firstLine(holder), 'locked')
        await assert.rejects(lockDataDir(dataDir, platform), {
          code: 'DATA_DIR_IN_USE',
          exitCode: 78,
          message: `data directory ${dataDir}: process ${holder.pid} uses it; stop that one, or give this one another directory`,
        })
      } finally {
        await kill(holder)
      }
      await (await lockDataDir(dataDir, platform)).release()
    })

    it('keeps out another process while this one has it', async () => {
      const lock = await lockDataDir(dataDir, platform)
      const other = holdInAnotherProcess(dataDir, platform)
      try {
        assert.match(await firstLine(other), /^DATA_DIR_IN_USE/)
      } finally {
        await kill(other)
        await lock.release()
      }
    })

    it('is of the directory, whatever path leads there', async () => {
      await symlink(dataDir, join(root, 'link'))
      const lock = await lockDataDir(dataDir, platform)
      await assert.rejects(lockDataDir(join(root, 'link'), platform), { code: 'DATA_DIR_IN_USE' })
      await lock.release()
    })

    it('leaves nothing behind, and other directories alone', async () => {
      const other = join(root, 'other')
      await mkdir(other)
      const locks = await Promise.all([lockDataDir(dataDir, platform), lockDataDir(other, platform)])
      await Promise.all(locks.map(lock => lock.release()))
      assert.deepEqual(await readdir(dataDir), [])
    })

    it('goes to exactly one of many that find a stale one', async () => {
      const dead = holdInAnotherProcess(dataDir, platform)
      assert.equal(await firstLine(dead), 'locked')
      await kill(dead)
      const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(dataDir, platform)))
      const winners = attempts.filter(attempt => attempt.status === 'fulfilled')
      assert.equal(winners.length, 1)
      await winners[0]?.value.release()
    })
  })
}
