/**
 * An agent as the harness sees it: a process that is asked and answers (PROTOCOL.md). It may die, hang or write nonsense; then
 * the request under way fails with what it last said on standard error, and so does every later one.
 *
 *     start → hello → ask … ask → stop | kill
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AgentProgram } from './language.ts'
import { type Fields, type Ok, parseAnswer, type Verb } from './protocol.ts'

/** The client or the broker said no. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message === '' ? code : `${code}: ${message}`)
    this.code = code
  }
}

/** The client library has no way to do it. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported'
}

/** The agent itself failed. */
export class AgentFailure extends Error {
  override readonly name = 'AgentFailure'
}

const askMsMax = 30_000
const produceManyMsMax = 130_000
const beyondTimeoutMs = 10_000
const stopMsMax = 8_000
const stderrCharsMax = 2_000

interface Pending {
  readonly id: number
  readonly verb: Verb
  readonly resolve: (ok: unknown) => void
  readonly reject: (error: Error) => void
}

const running = new Set<Agent>()
process.on('exit', () => {
  for (const agent of running) agent.signal('SIGKILL')
})

export class Agent implements AsyncDisposable {
  readonly client: string
  /** As the library says it. */
  version = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly #exited: Promise<void>
  #pending: Pending | null = null
  #lastId = 0
  #stderr = ''
  /** Why nothing can be asked any more. */
  #failure: string | null = null

  private constructor(program: AgentProgram, folder: string) {
    this.client = program.client
    const [file, ...args] = program.command
    // A group of its own, so that what an agent starts dies with it.
    const child = spawn(file, args, {
      cwd: program.cwd ?? folder,
      env: { ...process.env, ...program.env },
      stdio: 'pipe',
      detached: true,
    })
    this.#child = child
    running.add(this)
    this.#exited = new Promise(resolve => {
      child.on('error', error => {
        this.#fail(`could not be started: ${error.message}`)
        resolve()
      })
      child.on('close', (code, signal) => {
        running.delete(this)
        this.#fail(`ended (${signal ?? `exit code ${code}`})`)
        resolve()
      })
    })
    child.stdin.on('error', () => undefined)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrCharsMax)
    })
    createInterface({ input: child.stdout }).on('line', line => this.#onLine(line))
  }

  /** Dead, or not to be asked any more. */
  get isOver(): boolean {
    return this.#failure !== null
  }

  /** Starts it and says hello. `folder` is the language's. */
  static async start(program: AgentProgram, folder: string, bootstrap: string): Promise<Agent> {
    const agent = new Agent(program, folder)
    try {
      agent.version = (await agent.ask('hello', { bootstrap })).version
      return agent
    } catch (error) {
      await agent.kill()
      throw error
    }
  }

  /** Asks one thing; the answer before must be in. Rejects with KafkaError, Unsupported or AgentFailure. */
  async ask<V extends Verb>(verb: V, fields: Fields<V>): Promise<Ok<V>> {
    if (this.#failure !== null) throw this.#failed(this.#failure)
    if (this.#pending !== null) throw new Error(`${this.client} was asked ${verb} during ${this.#pending.verb}`)
    const id = ++this.#lastId
    const limitMs = limitOf(verb, fields)
    const ended = new AbortController()
    try {
      return await new Promise<Ok<V>>((resolve, reject) => {
        this.#pending = { id, verb, resolve: ok => resolve(ok as Ok<V>), reject }
        this.#child.stdin.write(`${JSON.stringify({ id, do: verb, ...fields })}\n`)
        sleep(limitMs, undefined, { signal: ended.signal }).then(
          () => this.#fail(`had no answer to ${verb} within ${limitMs / 1000} s`),
          () => undefined,
        )
      })
    } finally {
      this.#pending = null
      ended.abort()
    }
  }

  /** In order: it leaves its groups and exits by itself. Says why where it does not. */
  async stop(): Promise<void> {
    this.#child.stdin.end()
    const isOver = await Promise.race([this.#exited.then(() => true), sleep(stopMsMax, false, { ref: false })])
    const unwilling = !isOver && this.#failure === null
    await this.kill()
    if (unwilling) throw this.#failed(`was still there ${stopMsMax / 1000} s after the end of its input`)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // The whole group is gone already.
    }
  }

  #onLine(line: string): void {
    const pending = this.#pending
    if (pending === null) {
      this.#fail(`wrote a line that nobody asked for: ${line.slice(0, 200)}`)
      return
    }
    const answer = parseAnswer(line, pending.id, pending.verb)
    if (typeof answer === 'string') this.#fail(answer)
    else if (answer.kind === 'ok') pending.resolve(answer.ok)
    else if (answer.kind === 'error') pending.reject(new KafkaError(answer.code, answer.message))
    else pending.reject(new Unsupported(answer.why))
  }

  #fail(what: string): void {
    if (this.#failure !== null) return
    this.#failure = what
    this.signal('SIGKILL')
    // Standard error may still be on its way when the process is gone.
    const pending = this.#pending
    if (pending !== null) setTimeout(() => pending.reject(this.#failed(what)), 50)
  }

  #failed(what: string): AgentFailure {
    const lastWords = this.#stderr.trim()
    const said = lastWords === '' ? '' : `; it said last:\n${lastWords}`
    return new AgentFailure(`the ${this.client} agent ${what}${said}`)
  }
}

function limitOf<V extends Verb>(verb: V, fields: Fields<V>): number {
  if (verb === 'produceMany') return produceManyMsMax
  return 'timeoutMs' in fields ? Number(fields.timeoutMs) + beyondTimeoutMs : askMsMax
}
