/**
 * What a language's folder tells the harness about itself: `conformance/<folder>/language.ts` exports `language`.
 *
 *     tools, missing → prepare → agents, each started as often as scenarios need it → checks of its own
 */
import type { Broker } from './broker.ts'

export interface Language {
  /** As the table shows it, `Java`. The command line takes the folder's name. */
  readonly name: string
  /** Programs that must be on the path; without one of them the language is left out, and the reason says which. */
  readonly tools: readonly string[]
  /** A reason against running here that `tools` cannot tell, such as a version too old; null where there is none. */
  readonly missing?: () => string | null
  /** Run in order before the first agent; the first that fails or takes too long leaves the language failed. */
  readonly prepare: (folders: Folders) => readonly Step[]
  readonly agents: (folders: Folders) => readonly AgentProgram[]
  /** Scenarios that are no client's: programs run to their end, such as the command line tools of Apache Kafka. */
  readonly checks?: (folders: Folders) => readonly Check[]
}

export interface Folders {
  /** The language's own folder, absolute. */
  readonly source: string
  /** Where it keeps everything that it downloads or builds, absolute. It exists, git ignores it, and runs find it again. */
  readonly cache: string
}

/** A program of the preparation. Its output is shown only when it fails. */
export interface Step {
  readonly command: readonly [string, ...string[]]
  /** The language's own folder, unless it says otherwise. */
  readonly cwd?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly minutesMax: number
  /** Files that this step makes: it is passed over where all of them are newer than every file under `source`. */
  readonly makes?: readonly string[]
}

export interface AgentProgram {
  /** The library's name in the table, `kafka-clients`. */
  readonly client: string
  /** The pinned version, which `hello` must answer; null where the machine's distribution decides. */
  readonly version: string | null
  readonly command: readonly [string, ...string[]]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface Check {
  /** The row it belongs to, `kafka-tools`. */
  readonly client: string
  readonly version: string
  /** In a few words; its place in the table. */
  readonly name: string
  readonly limitMs: number
  /** Rejects with the first difference, or with `Unsupported` (harness/agent.ts) when it does not apply. */
  readonly run: (context: CheckContext) => Promise<void>
}

export interface CheckContext {
  readonly broker: Broker
  /** `127.0.0.1:9092` */
  readonly bootstrap: string
  /** Prefixed so that no other check or earlier run has it. */
  readonly unique: (name: string) => string
  /** Aborted when the check's time is over; end your programs then. */
  readonly signal: AbortSignal
}
