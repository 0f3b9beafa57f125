/**
 * Where an embedded broker keeps everything: in memory or in a directory. What it holds can be kept aside, put back, and taken
 * away. But for `snapshot` in memory, the engine must be closed meanwhile.
 */
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeId, TopicId } from '../base/ids.ts'
import { newIdentity, saveIdentity } from '../cluster/identity.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { nodeDisk } from '../server/node/disk.ts'
import { type DiskImage, MemoryDisk } from './memory-disk.ts'

export interface Place {
  readonly disk: Disk
  /** The data directory; null for none. */
  readonly dir: string | null
  /** Whether `snapshot` may be called while the engine is open. */
  readonly isLive: boolean
  /** Keeps aside what is there; the key is for `restore`. */
  snapshot(): Promise<Kept>
  restore(kept: Kept): Promise<Disk>
  /** Takes everything away. The node that begins anew is of the same cluster, so that clients take it for what they knew. */
  clear(clusterId: TopicId): Promise<Disk>
  /** Forgets what was kept aside. */
  close(): Promise<void>
}

/** What was kept aside. */
export type Kept =
  | { readonly kind: 'image'; readonly image: DiskImage }
  | { readonly kind: 'folder'; readonly path: string }

const nodeIdDefault = 1 as NodeId

export function memoryPlace(bytesMax: number, random: Random): Place {
  let disk = new MemoryDisk(bytesMax)
  return {
    get disk() {
      return disk
    },
    dir: null,
    isLive: true,
    snapshot: async () => ({ kind: 'image', image: disk.snapshot() }),
    async restore(kept) {
      disk = new MemoryDisk(bytesMax, kept.kind === 'image' ? kept.image : undefined)
      return disk
    },
    async clear(clusterId) {
      disk = new MemoryDisk(bytesMax)
      await saveIdentity(disk, { ...newIdentity(random, nodeIdDefault), clusterId })
      return disk
    },
    close: async () => {},
  }
}

export function directoryPlace(dir: string, random: Random): Place {
  const disk = nodeDisk(dir)
  const kept: string[] = []
  return {
    disk,
    dir,
    isLive: false,
    async snapshot() {
      const path = await fs.mkdtemp(join(tmpdir(), 'tidelog-snapshot-'))
      kept.push(path)
      await copyOwn(dir, path)
      return { kind: 'folder', path }
    },
    async restore(from) {
      await removeOwn(dir)
      if (from.kind === 'folder') await copyOwn(from.path, dir)
      return disk
    },
    async clear(clusterId) {
      await removeOwn(dir)
      await saveIdentity(disk, { ...newIdentity(random, nodeIdDefault), clusterId })
      return disk
    },
    async close() {
      for (const path of kept.splice(0)) await fs.rm(path, { recursive: true, force: true })
    },
  }
}

/** What tidelog keeps in a data directory, and nothing that somebody else put there. */
const ownNames = /^(?:identity|metadata|checkpoint\.\d+|journal|topics|.+\.tmp)$/

async function namesIn(dir: string): Promise<string[]> {
  return (await fs.readdir(dir)).filter(name => ownNames.test(name))
}

async function removeOwn(dir: string): Promise<void> {
  for (const name of await namesIn(dir)) await fs.rm(join(dir, name), { recursive: true, force: true })
}

/** Synced file by file: what is acknowledged afterwards builds on it. */
async function copyOwn(from: string, to: string): Promise<void> {
  for (const name of await namesIn(from)) await copy(join(from, name), join(to, name))
  await sync(to)
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await fs.stat(from)).isDirectory()) {
    await fs.copyFile(from, to, fs.constants.COPYFILE_FICLONE)
    return sync(to)
  }
  await fs.mkdir(to, { recursive: true })
  for (const name of await fs.readdir(from)) await copy(join(from, name), join(to, name))
  await sync(to)
}

/** Windows cannot sync a folder. */
async function sync(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const file = await fs.open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
