/** The data directory as the process finds or makes it. */
import * as fs from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { TidelogError } from '../base/errors.ts'

/** Makes the directory if it is missing, so that it is still there after a power loss. Throws `CONFIG` when it cannot be used. */
export async function makeDataDir(dataDir: string): Promise<void> {
  const path = resolve(dataDir)
  try {
    const firstMade = await fs.mkdir(path, { recursive: true })
    if (firstMade !== undefined) await syncParents(path, firstMade)
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
