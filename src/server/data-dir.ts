/** The data directory as the process finds or makes it. */
import * as fs from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { TidelogError } from '../base/errors.ts'

/** Makes the directory if it is missing, so that it is still there after a power loss. Throws `CONFIG` when it cannot be used. */
export async function makeDataDir(dataDir: string): Promise<void> {
  const path = resolve(dataDir)
  try {
    const firstMade = await makeFolder(path)
    if (firstMade !== null) await syncParents(path, firstMade)
    await fs.access(path, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
  } catch (error) {
    const why = (error as Error).message
    throw new TidelogError(
      'CONFIG',
      `data directory ${path}: cannot be used (${why}); check the path and its permissions`,
      error,
    )
  }
}

/**
 * Makes a folder with those above it; gives back the outermost that was made, null where it was there. Not by Node's recursive
 * mkdir, which never returns where a folder can neither be found nor made, as under /proc.
 */
async function makeFolder(path: string): Promise<string | null> {
  const error = await tryMkdir(path)
  if (error === null) return path
  if (error.code !== 'ENOENT' || dirname(path) === path) {
    if ((await fs.stat(path)).isDirectory()) return null
    throw error
  }
  const outermost = await makeFolder(dirname(path))
  const again = await tryMkdir(path)
  // Somebody else may have made it meanwhile.
  if (again !== null && again.code !== 'EEXIST') throw again
  return outermost ?? path
}

async function tryMkdir(path: string): Promise<NodeJS.ErrnoException | null> {
  return fs.mkdir(path).then(
    () => null,
    error => error as NodeJS.ErrnoException,
  )
}

/** Syncs the folders that got a new name in them, from the innermost out. */
async function syncParents(path: string, firstMade: string): Promise<void> {
  if (process.platform === 'win32') return
  for (let made = path; ; made = dirname(made)) {
    const parent = await fs.open(dirname(made), 'r')
    try {
      await parent.sync()
    } finally {
      await parent.close()
    }
    if (made === firstMade || made === dirname(made)) return
  }
}
