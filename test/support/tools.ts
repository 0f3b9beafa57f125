/** Programs that a machine may or may not have. What cannot be tested without one is skipped, with that reason. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export function findTool(name: string): string | null {
  const { PATH = '' } = process.env
  for (const folder of PATH.split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return null
}

/** For `skip` of a test: the reason, or false where the tool is there. */
export function skipWithout(...names: readonly string[]): string | false {
  const missing = names.filter(name => findTool(name) === null)
  return missing.length === 0 ? false : `${missing.join(' and ')} not installed`
}

export const isRoot = process.getuid?.() === 0
