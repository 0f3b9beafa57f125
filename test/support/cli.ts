/** `bin/tidelog` with any words, as a person at a terminal or a script runs it: what goes in, what comes out, how it ends. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { program } from './tidelog.ts'
import { within } from './waiting.ts'

const runMsMax = 60_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ChildProcessWithoutNullStreams>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A command that is under way. */
export class Command {
  readonly child: ChildProcessWithoutNullStreams
  readonly #ended: Promise<number | null>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child
    running.add(child)
    child.stdout.setEncoding('utf8').on('data', text => {
      this.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      this.stderr += text
    })
    // Whoever ends early does not read what is left.
    child.stdin.on('error', () => undefined)
    this.#ended = once(child, 'close').then(([code]) => {
      running.delete(child)
      return code as number | null
    })
  }

  async ended(): Promise<Ended> {
    const code = await within(runMsMax, () => `the end of tidelog (stderr: ${this.stderr})`, this.#ended)
    return { code, stdout: this.stdout, stderr: this.stderr }
  }
}

/** The command line, with a broker that it talks to unless it is told another. */
export class Cli {
  readonly #env: NodeJS.ProcessEnv

  constructor(brokers: string, env: Readonly<Record<string, string>> = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TIDELOG_'))
    this.#env = { ...Object.fromEntries(inherited), TIDELOG_BROKERS: brokers, ...env }
  }

  start(words: readonly string[]): Command {
    return new Command(spawn(program, words, { env: this.#env }))
  }

  /** To its end, with `input` on its standard input. */
  run(words: readonly string[], input: string | Buffer = ''): Promise<Ended> {
    const command = this.start(words)
    command.child.stdin.end(input)
    return command.ended()
  }

  /** What it says on standard output, of a command that must succeed. */
  async text(words: readonly string[], input: string | Buffer = ''): Promise<string> {
    const { code, stdout, stderr } = await this.run(words, input)
    if (code !== 0) throw new Error(`tidelog ${words.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }

  async json(words: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.text(words))
  }
}
