/**
 * What a scenario plays on: the client's agents, the broker, topics with names of their own, and steps, of which a client may
 * leave out those that its library has no way for.
 */
import { Agent, Unsupported } from './agent.ts'
import { type Broker, bootstrapOf } from './broker.ts'
import type { AgentProgram } from './language.ts'
import type { Codec } from './protocol.ts'

/** One client library in one version: a row of the table. */
export interface Client {
  readonly program: AgentProgram
  /** Of its language. */
  readonly folder: string
  readonly language: string
  /** As the library says it. */
  readonly version: string
}

export interface Scenario {
  /** Short; heads its column. */
  readonly name: string
  /** What it shows, in a sentence for the table's legend. */
  readonly about: string
  readonly limitMs: number
  readonly run: (stage: Stage) => Promise<void>
}

/** Records of one codec that somebody has left for all to read. */
export interface Written {
  /** Null: the broker compressed them, because the topic's `compression.type` says so. */
  readonly client: Client | null
  readonly codec: Codec
  readonly topic: string
}

/** What all stages of a run share. */
export interface Run {
  readonly broker: Broker
  readonly clients: readonly Client[]
  /** Makes topics where a client cannot, and does what needs a second opinion. */
  readonly helper: Client
  readonly written: readonly Written[]
  /** Why a client did not write a codec: `Unsupported` or a difference. */
  readonly unwritten: readonly { readonly client: Client; readonly codec: Codec; readonly error: Error }[]
}

let names = 0
/** Runs follow each other against one broker: names must not. */
const runId = `${Date.now().toString(36)}${process.pid.toString(36)}`

export function unique(name: string): string {
  return `${name}-${runId}-${++names}`
}

/** A step that a client has no way to do. */
export interface Lack {
  readonly step: string
  readonly why: string
}

/** Scenarios of one client, one after the other, and where they have got to. */
export class Stage implements AsyncDisposable {
  readonly run: Run
  readonly client: Client
  /** What the client could not do in this scenario, step by step. */
  without: Lack[] = []
  /** Of the steps. */
  done = 0
  /** For the message of one that takes too long. */
  at = 'its first step'
  #main: Agent | null = null
  #helper: Agent | null = null
  #others: Agent[] = []

  constructor(run: Run, client: Client) {
    this.run = run
    this.client = client
  }

  get broker(): Broker {
    return this.run.broker
  }

  /** The client's first agent. Scenarios hand it on to the next, until one fails. */
  async agent(): Promise<Agent> {
    this.#main ??= await this.#start(this.client)
    return this.#main
  }

  /** One more process of the client, or of another client, for this scenario. */
  async another(client: Client = this.client): Promise<Agent> {
    const agent = await this.#start(client)
    this.#others.push(agent)
    return agent
  }

  async helper(): Promise<Agent> {
    this.#helper ??= await this.#start(this.run.helper)
    return this.#helper
  }

  /** Makes a topic with a name that nobody has had. */
  async topic(name: string, partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = unique(name)
    await (await this.helper()).ask('createTopic', { topic, partitions, configs })
    return topic
  }

  /** Whether it was done: false where the client has no way to, which is noted. */
  async step(name: string, body: () => Promise<void>): Promise<boolean> {
    this.at = name
    try {
      await body()
      this.done++
      return true
    } catch (error) {
      if (!(error instanceof Unsupported)) throw inStep(name, error)
      this.without.push({ step: name, why: error.message })
      return false
    }
  }

  /** Ends a scenario that went well: what it started ends in order, which is part of what agents must do. */
  async next(): Promise<void> {
    for (const agent of this.#others.splice(0)) if (!agent.isOver) await agent.stop()
    this.#begin()
  }

  /** Ends a scenario that failed, or the client's last: nothing of it is handed on. */
  async clear(): Promise<void> {
    const all = [this.#main, this.#helper, ...this.#others].filter(agent => agent !== null)
    this.#main = null
    this.#helper = null
    this.#others = []
    await Promise.all(all.map(agent => agent.kill()))
    this.#begin()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.clear()
  }

  #begin(): void {
    this.without = []
    this.done = 0
    this.at = 'its first step'
  }

  #start(client: Client): Promise<Agent> {
    return Agent.start(client.program, client.folder, bootstrapOf(this.run.broker))
  }
}

function inStep(name: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error)
  return new Error(`${name}: ${message}`, { cause: error })
}
