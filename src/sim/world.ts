/**
 * One machine and the processes that live on it one after the other. The world opens a node on the simulated disk and clock,
 * ends it when the scenario, a fault or the node itself says so, and keeps the history that the checker reads.
 *
 * A dead process's operations never resolve and its timers never run; whoever waits for it is told that it died.
 */
import { invariant } from '../base/invariant.ts'
import type { Prng } from '../base/prng.ts'
import type { GroupCoordinator } from '../broker/groups/coordinator.ts'
import type { Storage } from '../broker/storage.ts'
import type { TextDoor } from '../broker/text/text-door.ts'
import type { Clock } from '../io/clock.ts'
import type { Disk } from '../io/disk.ts'
import type { Random } from '../io/random.ts'
import { type Fault, MemoryDisk, type MemoryDiskOptions, type Operation } from './disk.ts'
import { FileSystem } from './file-system.ts'
import type { HistoryEvent } from './history.ts'
import { Scheduler } from './scheduler.ts'

/** A node under test. */
export interface Node {
  readonly storage: Storage
  readonly groups: GroupCoordinator
  /** The text protocol's door, made when it is first asked for. */
  readonly text: TextDoor
  /** A clean stop. */
  close(): Promise<void>
}

export interface NodeParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** The node cannot go on; its process ends. */
  onFailure(error: Error): void
  /** An operator has accepted that damage cost records. */
  readonly acceptsDataLoss: boolean
  /** What a person should hear of. */
  onReport(event: { readonly event: string }): void
}

export type OpenNode = (parts: NodeParts) => Promise<Node>

export interface Process {
  readonly number: number
  readonly node: Node
  readonly disk: MemoryDisk
  readonly alive: boolean
}

/** What happened to a request to a process. */
export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'dead' }

export type FaultSource = (operation: Operation) => Fault | null

/** How often each thing was reached, for the report of a search. */
export type Counts = Map<string, number>

const openLimitMs = 60_000
const closeLimitMs = 60_000
/** A node that saw a failed sync is gone within this. */
const failStopLimitMs = 1000
/** What a node must live through. */
const passingErrors: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE'])

export class World {
  readonly scheduler: Scheduler
  readonly prng: Prng
  readonly files: FileSystem
  readonly history: HistoryEvent[] = []
  readonly counts: Counts = new Map()
  /** The first that wants an operation to fail decides. */
  readonly faults: FaultSource[] = []
  /** What the disk does for as long as it exists, such as lying; nothing heals it. */
  readonly disposition: FaultSource[] = []
  /** Latencies are multiplied by this. */
  slowness = 1
  descriptorsMax = Number.MAX_SAFE_INTEGER
  splitWrites = 0
  /** Bits were flipped, or files lost. */
  damaged = false
  /** A node said that something is damaged. */
  damageReported = false
  /** Nodes are started with the operator's word that damage may cost records. */
  acceptsDataLoss = false
  /** Why the node said it could not go on, for scenarios that expect it. */
  lastFailure: Error | null = null
  readonly #openNode: OpenNode
  readonly #latency: Prng
  #process: LiveProcess | null = null
  #processes = 0
  #onUp: (() => void)[] = []
  #seenViolations = 0

  constructor(seed: number, openNode: OpenNode) {
    this.scheduler = new Scheduler(seed)
    this.prng = this.scheduler.prng.fork()
    this.#latency = this.scheduler.prng.fork()
    this.files = new FileSystem()
    this.#openNode = openNode
  }

  get process(): Process | null {
    return this.#process?.node == null ? null : (this.#process as Process)
  }

  // --- history ---

  record(happening: HistoryEvent extends infer E ? (E extends unknown ? Omit<E, 'atMs'> : never) : never): void {
    this.history.push({ ...happening, atMs: this.scheduler.nowMs } as HistoryEvent)
  }

  broken(kind: string, text: string): void {
    this.record({ type: 'broken', kind, text })
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  jumpClock(byMs: number): void {
    this.count('clock jumps')
    this.scheduler.jumpWall(byMs)
    this.record({ type: 'clock jumps', byMs })
  }

  /** Bit rot in one byte of a file. */
  flip(path: string, position: number, mask: number): void {
    this.files.flip(path, position, mask)
    this.damaged = true
    this.count('flipped bytes')
    this.scheduler.note('rot', path, position, mask)
    this.record({ type: 'rot' })
  }

  /** A file is gone, or cut to a share of its length. */
  loseFile(path: string, share: number | null): void {
    const bytes = this.files.peek(path)
    this.files.poke(path, bytes.subarray(0, Math.floor(bytes.length * (share ?? 0))))
    if (share === null) this.files.remove(path)
    this.damaged = true
    this.count(share === null ? 'missing files' : 'cut files')
    this.scheduler.note(share === null ? 'file is lost' : 'file is cut', path, bytes.length, 0)
    this.record({ type: 'rot' })
  }

  // --- processes ---

  /** Starts a process and waits until its node is open. False when it ended before that, for which a fault may be the reason. */
  async start(): Promise<boolean> {
    invariant(this.#process === null, 'one process at a time owns the data directory')
    const live = this.#launch()
    const opening = this.#openNode({
      disk: live.disk,
      clock: this.scheduler.clock(() => live.alive),
      random: { bytes: length => this.#latency.bytes(length) },
      acceptsDataLoss: this.acceptsDataLoss,
      onFailure: error => this.#nodeFailed(live, error),
      onReport: event => {
        this.count(`report: ${event.event}`)
        if (event.event === 'damage') this.#damageReported()
        this.scheduler.note('report', JSON.stringify(event), 0, 0)
      },
    })
    let failure: Error | null = null
    opening.then(
      node => {
        if (live.alive) live.node = node
      },
      error => {
        failure = error as Error
      },
    )
    const settled = () => live.node !== null || failure !== null || !live.alive
    const inTime = await this.scheduler.run(openLimitMs, settled)
    if (!inTime) this.broken('stuck', 'the node does not open')
    if (live.node !== null && live.alive) {
      this.record({ type: 'up', acceptsDataLoss: this.acceptsDataLoss })
      this.count('starts')
      for (const wake of this.#onUp.splice(0)) wake()
      return true
    }
    if (failure !== null) {
      this.lastFailure = failure
      this.count('refused starts')
      this.scheduler.note('start fails', (failure as Error).message, 0, 0)
    }
    if (live.alive) this.kill()
    return false
  }

  #launch(): LiveProcess {
    this.#processes += 1
    const live: LiveProcess = {
      number: this.#processes,
      node: null,
      alive: true,
      hasReason: false,
      disk: new MemoryDisk(this.#diskOptions()),
      onEnd: [],
    }
    this.#process = live
    this.#seenViolations = 0
    this.scheduler.note('process starts', '', live.number, 0)
    return live
  }

  /** The process is gone at once; what it had written stays. */
  kill(): void {
    this.#end('kill', live => void live.disk.kill())
  }

  /** The machine is off at once; what was not synced may be gone. */
  losePower(): void {
    this.#end('power', live => {
      const { loss } = live.disk.losePower()
      this.count('torn files', loss.filesTorn)
      this.count('lost sectors', loss.sectorsLost)
      this.count('lost names', loss.namesLost)
    })
  }

  /** The machine is off while no process runs. */
  losePowerWhileDown(): void {
    invariant(this.#process === null, 'no process runs')
    this.count('power losses while down')
    this.scheduler.note('power loss', '', 0, 0)
    this.files.losePower(this.prng)
    this.record({ type: 'down', how: 'power' })
  }

  /** A clean stop, which may be cut short by a fault. */
  async close(): Promise<void> {
    const live = this.#process
    if (live?.node == null) return
    let failure: Error | null = null
    let closed = false
    live.node.close().then(
      () => {
        closed = true
      },
      error => {
        failure = error as Error
      },
    )
    const inTime = await this.scheduler.run(closeLimitMs, () => closed || failure !== null || !live.alive)
    if (!inTime) this.broken('stuck', 'the node does not close')
    if (!live.alive) return
    const left = live.disk.openPaths
    if (failure === null && left.length > 0) this.broken('leak', `open after a clean stop: ${left.join(', ')}`)
    this.#end('close', () => void live.disk.kill())
  }

  #end(how: 'close' | 'kill' | 'power', stop: (live: LiveProcess) => void): void {
    const live = this.#process
    if (live === null) return
    live.alive = false
    this.#process = null
    stop(live)
    this.#takeViolations(live)
    this.count(how === 'kill' ? 'kills' : how === 'power' ? 'power losses' : 'clean stops')
    this.scheduler.note(`process ends: ${how}`, '', live.number, 0)
    this.record({ type: 'down', how })
    for (const wake of live.onEnd.splice(0)) wake()
  }

  /** What the disk noticed of misuse. */
  #takeViolations(live: LiveProcess): void {
    for (const violation of live.disk.violations.slice(this.#seenViolations))
      this.broken('misuse of the disk', violation)
    this.#seenViolations = live.disk.violations.length
  }

  #damageReported(): void {
    this.damageReported = true
    this.record({ type: 'damage reported' })
    if (!this.damaged) this.broken('false corruption', 'the node reports damage where there is none')
  }

  /** The node gave up: its process ends before anything else happens. */
  #nodeFailed(live: LiveProcess, error: Error): void {
    if (!live.alive) return
    this.lastFailure = error
    this.count('fail-stops')
    this.scheduler.note('fail-stop', error.message, 0, 0)
    if (isFault(error)) this.broken('fault of the program', inFull(error))
    else if (!live.hasReason && !this.damaged) this.broken('stopped without a reason', inFull(error))
    this.scheduler.after(0, () => {
      if (live.alive) this.kill()
    })
  }

  /** Requests that the running process has not answered. */
  get outstanding(): number {
    return this.#process?.onEnd.length ?? 0
  }

  // --- waiting ---

  /** Lets time pass. */
  run(limitMs: number, done?: () => boolean): Promise<boolean> {
    return this.scheduler.run(limitMs, done)
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.scheduler.after(ms, resolve))
  }

  /** Resolves with the process that runs, as soon as one does. */
  async running(): Promise<Process> {
    for (;;) {
      const live = this.process
      if (live !== null) return live
      await new Promise<void>(resolve => this.#onUp.push(resolve))
    }
  }

  /** The answer to a request, or the news that the process died first. */
  ask<T>(process: Process, request: () => Promise<T> | T): Promise<Answer<T>> {
    const live = process as LiveProcess
    if (!live.alive) return Promise.resolve({ kind: 'dead' })
    return new Promise(resolve => {
      const die = () => resolve({ kind: 'dead' })
      live.onEnd.push(die)
      const settle = (answer: Answer<T>) => {
        const at = live.onEnd.indexOf(die)
        if (at >= 0) live.onEnd.splice(at, 1)
        resolve(live.alive ? answer : { kind: 'dead' })
      }
      // A request that throws at once is an answer like any other.
      new Promise<T>(give => give(request())).then(
        value => settle({ kind: 'answered', value }),
        error => settle({ kind: 'failed', error: error as Error }),
      )
    })
  }

  // --- the disk ---

  #diskOptions(): MemoryDiskOptions {
    const number = this.#processes
    return {
      files: this.files,
      prng: this.#latency.fork(),
      descriptorsMax: this.descriptorsMax,
      splitWrites: this.splitWrites,
      schedule: (operation, stallMs, task) => {
        this.scheduler.after(stallMs + this.#latencyMs(operation) * this.slowness, () => {
          if (this.#process?.number !== number) return
          this.scheduler.note(operation.kind, operation.path, operation.position, operation.bytes)
          const landmark = landmarkOf(operation)
          if (landmark !== null) this.count(landmark)
          task()
        })
      },
      fault: operation => this.#faultOf(operation),
      onFault: (operation, fault) => this.#faultHappened(operation, fault),
    }
  }

  #faultHappened(operation: Operation, fault: Fault): void {
    this.count(`fault: ${fault.error ?? (fault.lie === true ? 'lie' : 'stall')} on ${operation.kind}`)
    const live = this.#process
    if (live === null || fault.error === undefined) return
    const isSync = operation.kind === 'sync' || operation.kind === 'syncDirectory'
    if (isSync || !passingErrors.has(fault.error)) live.hasReason = true
    if (operation.kind !== 'sync') return
    // What other files hold is acknowledged by nobody; their node must only end soon.
    if (operation.path.startsWith('journal/')) this.record({ type: 'sync failed' })
    this.scheduler.after(failStopLimitMs, () => {
      if (live.alive) this.broken('goes on after a failed sync', `of ${operation.path}`)
    })
  }

  #faultOf(operation: Operation): Fault | null {
    for (const source of [...this.disposition, ...this.faults]) {
      const fault = source(operation)
      if (fault !== null) return fault
    }
    return null
  }

  #latencyMs({ kind }: Operation): number {
    const draw = this.#latency.float()
    if (kind === 'sync' || kind === 'syncDirectory') return this.#latency.chance(0.02) ? 30 * draw : 0.1 + 2 * draw
    return this.#latency.chance(0.01) ? 10 * draw : 0.01 + 0.3 * draw
  }
}

interface LiveProcess {
  readonly number: number
  readonly disk: MemoryDisk
  readonly onEnd: (() => void)[]
  node: Node | null
  alive: boolean
  /** A fault happened for which a node may stop. */
  hasReason: boolean
}

/** What an operation says about how far a run got, for the report of a search. */
function landmarkOf({ kind, path }: Operation): string | null {
  if (kind === 'sync') return path.startsWith('journal/') ? 'journal syncs' : path.endsWith('.log') ? 'flushes' : null
  if (kind !== 'rename') return null
  if (path.endsWith('.seal.tmp')) return 'seals'
  if (path.startsWith('checkpoint.')) return 'journal trims'
  return path === 'metadata.tmp' ? 'metadata snapshots' : null
}

/** Whether an error is one that no disk and no user can cause. */
function isFault(error: Error): boolean {
  return ['InvariantViolation', 'TypeError', 'RangeError', 'ReferenceError'].includes(error.name)
}

/** An error with what caused it. */
export function inFull(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\n  because of ${inFull(error.cause)}`
  return `${error.message} ${
    error.stack
      ?.split('\n')
      .slice(1, 8)
      .join(' <')
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/file:\S*\/src\//g, '') ?? ''
  }${cause}`
}
