/** A small disk of its own for a test: a tmpfs, which is really full when it is full. Needs the right to mount. */
import { execFileSync, spawnSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TempDir, tempDir } from './temp-dir.ts'
import { findTool, isRoot } from './tools.ts'

export interface SmallDisk extends TempDir {
  /** Leaves no room for others. */
  fill(): Promise<void>
  /** Undoes that. */
  free(): Promise<void>
}

export async function smallDisk(bytes: number): Promise<SmallDisk> {
  const folder = await tempDir()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tidelog-test', folder.path])
  const ballast = join(folder.path, 'ballast')
  return {
    path: folder.path,
    async fill() {
      // Ends with an error when nothing is left, which is what it is for.
      spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096'], { stdio: 'ignore' })
    },
    async free() {
      // Emptied first: what a process holds open goes with its name only when it is closed.
      await writeFile(ballast, '')
      await rm(ballast)
    },
    async [Symbol.asyncDispose]() {
      spawnSync('umount', ['--lazy', folder.path], { stdio: 'ignore' })
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** For `skip` of a test: why no small disk can be had here, or false. */
export const withoutSmallDisk = reasonAgainst()

function reasonAgainst(): string | false {
  if (process.platform !== 'linux') return 'needs tmpfs'
  if (!isRoot || findTool('mount') === null) return 'needs the right to mount'
  const probe = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tidelog-probe', '/mnt'], { stdio: 'ignore' })
  return probe.status === 0 ? false : 'may not mount here'
}
