/**
 * Runs kcat, the command line of librdkafka. A test of it is skipped where it is not installed (Debian: package `kcat`).
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { findTool, skipWithout } from './tools.ts'
import { within } from './waiting.ts'

/** For `skip` of a test. */
export const withoutKcat = skipWithout('kcat')

export interface KcatRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface KcatOptions {
  readonly input?: string | Buffer
  readonly waitMs?: number
}

const waitMsDefault = 30_000

/** Runs to the end. `address` is the broker's. */
export async function kcat(address: string, args: readonly string[], options: KcatOptions = {}): Promise<KcatRun> {
  const { input = '', waitMs = waitMsDefault } = options
  const child = spawnKcat(address, args)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const code = await within(
    waitMs,
    () => `the end of kcat ${args.join(' ')} (stderr: ${stderr})`,
    new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    }),
  ).finally(() => child.kill('SIGKILL'))
  return { code, stdout, stderr }
}

/** Runs alongside the test. */
export function spawnKcat(address: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(findTool('kcat') ?? 'kcat', ['-b', address, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('close', () => process.off('exit', end))
  return child
}
