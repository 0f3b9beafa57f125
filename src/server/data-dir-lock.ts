/**
 * At most one process uses a data directory. The lock is a listening Unix socket, which the kernel frees with its process:
 * a file with a process id goes wrong exactly after a kill, when somebody else has that id.
 *
 * On Linux the socket's name is abstract, made of the directory's device and inode: the same directory by whatever path,
 * and nothing is left behind. Elsewhere it is a file in the directory, stale when nobody accepts a connection.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as net from 'node:net'
import { join, resolve } from 'node:path'
import { systemCode, TidelogError } from '../base/errors.ts'

/** How long the holder of a lock has to say who it is. */
const introductionMsMax = 500

export interface DataDirLock {
  /** Lets another process have the directory. */
  release(): Promise<void>
}

/**
 * Locks a directory that exists; throws `DATA_DIR_IN_USE` when another process, or this one, has it. The platform is a
 * parameter so that each kind of lock is tested everywhere.
 */
export async function lockDataDir(dataDir: string, platform = process.platform): Promise<DataDirLock> {
  const path = await lockPath(dataDir, platform)
  const server = await listen(path)
  if (server !== null) return heldBy(server)
  const holder = await askHolder(path)
  // Between two starts the first may have ended, or (where the socket is a file) have been killed long ago.
  if (holder === null) {
    if (!isKernelName(path)) await removeStale(path)
    const retried = await listen(path)
    if (retried !== null) return heldBy(retried)
  }
  const who = holder === null || holder === '' ? 'another process' : `process ${holder}`
  throw new TidelogError(
    'DATA_DIR_IN_USE',
    `data directory ${resolve(dataDir)}: ${who} uses it; stop that one, or give this one another directory`,
  )
}

/** Whether the kernel keeps the name itself, so that nothing of it outlives its process. */
const isKernelName = (path: string) => path.startsWith('\0') || path.startsWith('\\\\.\\')

async function lockPath(dataDir: string, platform: NodeJS.Platform): Promise<string> {
  if (platform !== 'linux' && platform !== 'win32') return join(resolve(dataDir), 'lock')
  const { dev, ino } = await fs.stat(dataDir, { bigint: true })
  return `${platform === 'linux' ? '\0' : '\\\\.\\pipe\\'}tidelog-data-${dev}-${ino}`
}

/** Null when somebody listens there already, or did. */
function listen(path: string): Promise<net.Server | null> {
  return new Promise((resolve, reject) => {
    const server = net.createServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.end(`${process.pid}`)
    })
    server.unref()
    server.once('error', error => (systemCode(error) === 'EADDRINUSE' ? resolve(null) : reject(error)))
    server.listen(path, () => resolve(server))
  })
}

/** The holder's process id; empty when it has the lock and says nothing, null when nobody answers. */
function askHolder(path: string): Promise<string | null> {
  return new Promise(resolve => {
    const socket = net.connect(path)
    let said = ''
    let connected = false
    socket.setTimeout(introductionMsMax, () => socket.destroy())
    socket.on('connect', () => {
      connected = true
    })
    socket.on('data', chunk => {
      said = (said + chunk).slice(0, 20)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(connected ? said : null))
  })
}

/**
 * Removes the socket file of a process that is gone. It is moved aside first: of two processes that find it stale, the
 * slower one would otherwise remove the lock that the faster one has taken meanwhile.
 */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  await fs.rename(path, aside).catch(ignoreMissing)
  if ((await askHolder(aside)) === null) await fs.unlink(aside).catch(ignoreMissing)
  else await fs.rename(aside, path)
}

function ignoreMissing(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') throw error
}

function heldBy(server: net.Server): DataDirLock {
  return { release: () => new Promise(resolve => server.close(() => resolve())) }
}
