/**
 * The command line tools of Apache Kafka, as a check uses them: by the names of their scripts, one after the other, in one JVM.
 *
 *     start → run … run → disposed
 *
 * What does not end by itself, or ends its JVM by itself, has a process of its own.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { Difference } from '../harness/expect.ts'

/** As pom.xml pins it; the first check asks the tools themselves. */
export const VERSION = '4.3.1'

const MAIN_CLASSES = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-groups': 'org.apache.kafka.tools.GroupsCommand',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-metadata-quorum': 'org.apache.kafka.tools.MetadataQuorumCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'kafka-verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-dump-log': 'org.apache.kafka.tools.DumpLogSegments',
} as const

export type Tool = keyof typeof MAIN_CLASSES

/** How a tool ended. */
export interface Ran {
  readonly exit: number
  readonly out: string
  readonly err: string
}

const STDERR_CHARACTERS_MAX = 2_000
const FLAGS = ['-Xmx192m', '-Dfile.encoding=UTF-8', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'] as const

const running = new Set<ChildProcessWithoutNullStreams>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Tools implements AsyncDisposable {
  readonly bootstrap: string
  readonly #argumentsFile: string
  readonly #children: ChildProcessWithoutNullStreams[] = []
  readonly #runner: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  readonly #lines: Interface
  #lastWords = ''

  /** `argumentsFile` holds the flags and the class path; with `signal` everything ends. */
  constructor(argumentsFile: string, bootstrap: string, signal: AbortSignal) {
    this.#argumentsFile = argumentsFile
    this.bootstrap = bootstrap
    this.#runner = this.#spawn('ToolRunner', [])
    this.#runner.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-STDERR_CHARACTERS_MAX)
    })
    this.#lines = createInterface({ input: this.#runner.stdout })
    this.#answers = this.#lines[Symbol.asyncIterator]()
    signal.addEventListener('abort', () => this.#killAll())
  }

  /** Runs a tool to its end, whatever that is. */
  async run(tool: Tool, args: readonly string[], input = ''): Promise<Ran> {
    const request = { main: MAIN_CLASSES[tool], args: this.#argumentsOf(tool, args), input }
    this.#runner.stdin.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Difference(`${tool} ended the process that runs the tools: ${this.#lastWords}`)
    return JSON.parse(value) as Ran
  }

  /** What a tool prints that must succeed. */
  async ok(tool: Tool, args: readonly string[], input = ''): Promise<string> {
    return succeeded(tool, args, await this.run(tool, args, input))
  }

  /** What a tool prints in all, where it must say no and name `reason`; some exit with 0 even then. */
  async refused(tool: Tool, args: readonly string[], reason: RegExp): Promise<void> {
    const { exit, out, err } = await this.run(tool, args)
    if (!reason.test(out + err)) {
      throw new Difference(
        `${shown(tool, args)} should be refused with ${reason}, but ended with ${exit}: ${said(out + err)}`,
      )
    }
  }

  /** Runs a tool that must succeed in a process of its own: what it does at the end of its JVM is part of it. */
  async alone(tool: Tool, args: readonly string[]): Promise<string> {
    const child = this.#spawn(MAIN_CLASSES[tool], this.#argumentsOf(tool, args))
    child.stdin.end()
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err = (err + text).slice(-STDERR_CHARACTERS_MAX)
    })
    const [exit] = (await once(child, 'close')) as [number | null]
    return succeeded(tool, args, { exit: exit ?? 1, out, err })
  }

  /** Starts a tool that goes on; the answer ends it in order, as Ctrl-C does. */
  background(tool: Tool, args: readonly string[]): () => Promise<void> {
    const child = this.#spawn(MAIN_CLASSES[tool], this.#argumentsOf(tool, args))
    child.stdout.resume()
    child.stderr.resume()
    return async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      await ended
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#children
      .filter(child => child.exitCode === null && child.signalCode === null)
      .map(child => once(child, 'close'))
    this.#killAll()
    await Promise.all(ended)
    this.#lines.close()
  }

  #argumentsOf(tool: Tool, args: readonly string[]): string[] {
    return tool === 'kafka-dump-log' ? [...args] : ['--bootstrap-server', this.bootstrap, ...args]
  }

  #spawn(main: string, args: readonly string[]): ChildProcessWithoutNullStreams {
    const child = spawn('java', [`@${this.#argumentsFile}`, ...FLAGS, main, ...args], { stdio: 'pipe' })
    this.#children.push(child)
    running.add(child)
    child.on('close', () => running.delete(child))
    // What cannot be started, or is gone, closes its output: that is noticed there.
    child.on('error', () => undefined)
    child.stdin.on('error', () => undefined)
    return child
  }

  #killAll(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

function succeeded(tool: Tool, args: readonly string[], { exit, out, err }: Ran): string {
  if (exit !== 0) throw new Difference(`${shown(tool, args)} ended with ${exit}: ${said(out + err)}`)
  return out
}

const shown = (tool: Tool, args: readonly string[]) => [tool, ...args].join(' ')

/** Stack traces say little to whoever reads the table. */
const said = (text: string) =>
  text
    .split('\n')
    .filter(line => line.trim() !== '' && !/^\s+(at |\.\.\. )/.test(line))
    .join(' / ')
    .slice(0, 600)

/** The lines of a table that begin with one of these words, as words. */
export const rowsOf = (table: string, ...beginnings: readonly string[]): string[][] =>
  table
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([first]) => first !== undefined && beginnings.includes(first))
