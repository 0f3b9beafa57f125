/** The real program in a process of its own, as a user starts it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './source.ts'

export const program = join(root, 'bin/tidelog')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly folder?: string
  readonly command?: string
}

/** A process with what it writes; nothing of this process's own TIDELOG_ settings reaches it. */
export class TidelogProcess {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''

  constructor(words: readonly string[], { environment = {}, folder, command = program }: RunOptions = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(TIDELOG_|npm_lifecycle_|NODE_)/.test(name))
    this.child = spawn(command, words, {
      cwd: folder,
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.on('data', chunk => {
      this.stdout += chunk
    })
    this.child.stderr?.on('data', chunk => {
      this.stderr += chunk
    })
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }))
  }

  /** The port of the ready line; throws with what the process said when it ends before. */
  async ready(): Promise<number> {
    const ended = this.ended.then(() => null)
    while (!this.stdout.includes('\n')) {
      const more = await Promise.race([once(this.child.stdout!, 'data'), ended])
      if (more === null && !this.stdout.includes('\n')) throw new Error(`tidelog ended: ${this.stderr}`)
    }
    const port = /kafka=\S+:(\d+)/.exec(this.stdout)?.[1]
    if (port === undefined) throw new Error(`no ready line: ${this.stdout}`)
    return Number(port)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Ends it whatever it does. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

/** Runs it to its end. */
export function run(words: readonly string[], options?: RunOptions): Promise<Ended> {
  return new TidelogProcess(words, options).ended
}

/** A folder for one test, removed at its end. */
export async function temporaryFolder(name: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), `tidelog-${name}-`))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
