/**
 * The real program as its own process: `bin/tidelog start`, as a user starts it. Tests talk to it over sockets and signals
 * only. Whatever a test forgets, no process outlives the test run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { root } from './source.ts'
import { within } from './waiting.ts'

export const program = join(root, 'bin', 'tidelog')

const readyMsMax = 20_000
const stopMsMax = 20_000
const readyLine =
  /^tidelog ready kafka=\S+:(?<kafka>\d+)(?: text=\S+:(?<text>\d+))?(?: http=\S+:(?<http>\d+))? data=.*$/m

export interface TidelogOptions {
  readonly dataDir: string
  /** 0, unless the test must come back to the same port. */
  readonly port?: number
  readonly flags?: readonly string[]
  /** Closed unless a test asks: 0 for a free port, null for the default one. */
  readonly textPort?: number | 'off' | null
  readonly httpPort?: number | 'off' | null
  /** Broker configs, as `--set name=value`. */
  readonly set?: Readonly<Record<string, string | number>>
  readonly env?: Readonly<Record<string, string>>
  /** A program with its arguments that becomes tidelog, such as `strace -D`: the process that is signalled. */
  readonly under?: readonly string[]
}

/** Of the doors that the ready line names. */
interface Ports {
  readonly kafka?: string
  readonly text?: string
  readonly http?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Tidelog implements AsyncDisposable {
  readonly exited: Promise<Exit>
  readonly dataDir: string
  readonly #child: ChildProcess
  readonly #ready: Promise<RegExpExecArray>
  #ports: Ports = {}
  #stdout = ''
  #stderr = ''
  #watchers = new Set<() => void>()

  private constructor(options: TidelogOptions) {
    const [file, ...args] = [...(options.under ?? []), program, 'start', ...flagsOf(options)] as [string, ...string[]]
    const child = spawn(file, args, { env: environment(options.env), stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    this.#child = child
    this.dataDir = options.dataDir
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        running.delete(child)
        resolve({ code, signal })
      })
    })
    this.#ready = this.#firstMatch(() => readyLine.exec(this.#stdout))
    // Who does not wait for it may kill the process before.
    this.#ready.catch(() => undefined)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#tellWatchers()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#tellWatchers()
    })
  }

  /** Starts without waiting for anything. */
  static spawn(options: TidelogOptions): Tidelog {
    return new Tidelog(options)
  }

  /** Starts, and resolves when the ready line is out. */
  static async start(options: TidelogOptions): Promise<Tidelog> {
    const tidelog = new Tidelog(options)
    await tidelog.ready()
    return tidelog
  }

  async ready(): Promise<void> {
    const line = await within(readyMsMax, () => `the ready line (stderr: ${this.#stderr})`, this.#ready)
    this.#ports = line.groups as Ports
  }

  get port(): number {
    return Number(this.#ports.kafka ?? 0)
  }

  /** 0 where that door is closed. */
  get textPort(): number {
    return Number(this.#ports.text ?? 0)
  }

  /** 0 where that door is closed. */
  get httpPort(): number {
    return Number(this.#ports.http ?? 0)
  }

  /** For clients: one family, so that every attempt reaches the same socket. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** The log's lines of a level. */
  logged(level: 'info' | 'warn' | 'error' | 'fatal'): string[] {
    return this.#stderr.split('\n').filter(line => line.includes(`"level":"${level}"`))
  }

  /** Resolves when standard error has a match. */
  async logs(pattern: RegExp, waitMs = 10_000): Promise<RegExpExecArray> {
    const found = this.#firstMatch(() => pattern.exec(this.#stderr))
    return within(waitMs, () => `a log line like ${pattern} (stderr: ${this.#stderr})`, found)
  }

  /** Resident memory as the kernel counts it. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** SIGTERM, and the end of it. */
  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    return this.ended()
  }

  /** SIGKILL, and the end of it. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return this.ended()
  }

  async ended(waitMs = stopMsMax): Promise<Exit> {
    return within(waitMs, () => `the end of tidelog (stderr: ${this.#stderr})`, this.exited)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #firstMatch(find: () => RegExpExecArray | null): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find()
        if (found === null) return
        this.#watchers.delete(look)
        resolve(found)
      }
      this.#watchers.add(look)
      look()
      this.exited.then(
        exit => reject(new Error(`tidelog ended (${JSON.stringify(exit)}), stderr: ${this.#stderr}`)),
        reject,
      )
    })
  }

  #tellWatchers(): void {
    for (const look of this.#watchers) look()
  }
}

/** Runs `tidelog` with any words to its end; for what refuses to start. */
export async function runTidelog(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const child = spawn(program, words, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const ended = new Promise<Exit>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const exit = await within(stopMsMax, `the end of tidelog ${words.join(' ')}`, ended)
  running.delete(child)
  return { ...exit, stdout, stderr }
}

function flagsOf({ dataDir, port = 0, flags = [], set = {}, ...doors }: TidelogOptions): string[] {
  const settings = Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const { textPort = 'off', httpPort = 'off' } = doors
  const text = textPort === null ? [] : ['--text-port', String(textPort)]
  const http = httpPort === null ? [] : ['--http-port', String(httpPort)]
  return ['--data-dir', dataDir, '--port', String(port), ...text, ...http, ...settings, ...flags]
}

/** The test run's own environment, without settings that somebody has made for a tidelog of theirs. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TIDELOG_'))
  return { ...Object.fromEntries(inherited), ...extra }
}

const portsFrom = 20_000
const portsTo = 32_000

/**
 * A port that nobody listens on, below those that the kernel gives to outgoing connections: clients that try to reconnect
 * while the broker is away must not be given its port, or even meet themselves there.
 */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = portsFrom + Math.floor(Math.random() * (portsTo - portsFrom))
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.on('error', () => resolve(false))
      server.listen({ port, host: '127.0.0.1' }, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise(resolve => server.close(resolve))
    return port
  }
}
