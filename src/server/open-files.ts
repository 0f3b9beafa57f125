/** How many files and sockets this process may have open. */
import { readFileSync } from 'node:fs'

/** Where the system does not say: what macOS allows at least after Node has raised it. */
const openFilesDefault = 4096

export function openFilesLimit(): number {
  try {
    // Node has raised the soft limit to the hard one when it started.
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    if (soft === 'unlimited') return 1 << 20
    return soft === undefined ? openFilesDefault : Number(soft)
  } catch {
    return openFilesDefault
  }
}
