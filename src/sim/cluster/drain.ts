/**
 * The last reading: every partition at every node, from the log start to that node's high watermark, after faults have healed
 * and writes have come to an end. What a node will not give, though it was asked often enough, is left out and said so.
 */
import type { ReadAnswer } from './client-door.ts'
import type { Workload } from './workload.ts'

const recordsMax = 200
const timeoutMs = 1000
const againMs = 100
/** Questions about the same offset before it counts as not to be had at this node. */
const failuresAtFirstMax = 20
const failuresLaterMax = 3

/** Reads everything everywhere, one question at a time per node; then calls back. */
export function drain(workload: Workload, onDone: () => void): void {
  let open = workload.door.nodes.length
  for (const node of workload.door.nodes) {
    drainNode(workload, node, 0, () => {
      open -= 1
      if (open === 0) onDone()
    })
  }
}

function drainNode(workload: Workload, node: number, partition: number, onDone: () => void): void {
  if (partition === workload.door.partitions) onDone()
  else new Drain(workload, node, partition, () => drainNode(workload, node, partition + 1, onDone)).ask()
}

class Drain {
  readonly #workload: Workload
  readonly #node: number
  readonly #partition: number
  readonly #onDone: () => void
  /** What is asked for next. Before the log start is known: where an answer is likely that tells it. */
  #position: number
  #logStart: number | null = null
  /** -1 until the node has answered anything. */
  #highWatermark = -1
  #leaderEpoch = -1
  #failures = 0
  #question = 0
  readonly #unreadable: [number, number][] = []

  constructor(workload: Workload, node: number, partition: number, onDone: () => void) {
    this.#workload = workload
    this.#node = node
    this.#partition = partition
    this.#onDone = onDone
    this.#position = workload.seenOf(partition).logStart
  }

  ask(): void {
    const question = ++this.#question
    this.#workload.read(this.#node, this.#partition, this.#position, recordsMax, true, answer => {
      if (question === this.#question) this.#answered(answer)
    })
    this.#workload.door.after(timeoutMs, () => {
      if (question === this.#question) this.#failed(false)
    })
  }

  #answered(answer: ReadAnswer): void {
    if (!answer.ok || !this.#take(answer)) this.#failed(true)
    else {
      this.#failures = 0
      this.#goOn()
    }
  }

  /** False when it was no help. */
  #take(answer: Extract<ReadAnswer, { ok: true }>): boolean {
    this.#highWatermark = answer.highWatermark
    this.#leaderEpoch = answer.leaderEpoch
    if (this.#logStart === null) {
      this.#logStart = answer.logStart
      this.#position = answer.logStart
      return true
    }
    const last = answer.records.at(-1)
    if (last !== undefined) this.#position = last.offset + 1
    return last !== undefined
  }

  /** Everything that anybody was shown is to be had here, unless the node says at the end that it is not. */
  get #target(): number {
    return Math.max(this.#highWatermark, this.#workload.seenOf(this.#partition).highWatermark)
  }

  #goOn(): void {
    if (this.#position < this.#target) {
      this.ask()
      return
    }
    const { door, history } = this.#workload
    const { highWatermark } = this.#workload.seenOf(this.#partition)
    this.#question += 1
    history.note({
      type: 'drained',
      atMs: door.nowMs,
      node: this.#node,
      partition: this.#partition,
      logStart: this.#logStart ?? highWatermark,
      highWatermark: this.#highWatermark,
      leaderEpoch: this.#leaderEpoch,
      unreadable: this.#unreadable,
    })
    this.#onDone()
  }

  #failed(isRefused: boolean): void {
    this.#question += 1
    this.#failures += 1
    if (this.#failures < this.#failuresMax(isRefused)) {
      if (this.#logStart === null) this.#lookElsewhere()
      this.#workload.door.after(againMs, () => this.ask())
      return
    }
    this.#failures = 0
    this.#logStart ??= this.#workload.seenOf(this.#partition).logStart
    this.#skip()
    this.#goOn()
  }

  /** A node that has refused something after long asking has had its time: what it refuses now, it does not hold. */
  #failuresMax(isRefused: boolean): number {
    if (this.#unreadable.length === 0) return failuresAtFirstMax
    return isRefused ? 1 : failuresLaterMax
  }

  #lookElsewhere(): void {
    const { logStart, highWatermark } = this.#workload.seenOf(this.#partition)
    this.#position = this.#failures % 2 === 1 ? highWatermark : logStart
  }

  #skip(): void {
    const to = Math.min(this.#position + skipRecords, Math.max(this.#target, this.#position + 1))
    const last = this.#unreadable.at(-1)
    if (last?.[1] === this.#position) last[1] = to
    else this.#unreadable.push([this.#position, to])
    this.#position = to
  }
}

/** How far ahead the next question is where a node gives nothing. */
const skipRecords = 8
