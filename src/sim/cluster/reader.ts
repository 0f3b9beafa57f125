/**
 * Clients that read. A follower goes through a partition from its start at one kind of node, changes nodes now and then, and
 * at times goes back to see again what it saw; a sampler looks here and there at random nodes. At the end everything is read
 * at every node.
 *
 * They check nothing themselves: what was asked and answered is in the history.
 */
import type { Prng } from '../../base/prng.ts'
import type { ReadAnswer } from './client-door.ts'
import { KnownWriter } from './known-writer.ts'
import { Alarm, roundingMs, type Workload } from './workload.ts'

export interface ReaderStyle {
  readonly kind: 'follower' | 'sampler'
  readonly at: 'writer' | 'others' | 'any'
  readonly recordsMax: number
  /** Mean time until it looks again for news. */
  readonly pauseMs: number
  readonly changesNode: number
  readonly goesBack: number
}

export function drawReaderStyle(prng: Prng, pauseMs: number): ReaderStyle {
  return {
    kind: 'follower',
    at: prng.pick(['writer', 'others', 'any']),
    recordsMax: prng.pick([5, 30, 100]),
    pauseMs: pauseMs * prng.pick([0.5, 1, 2]),
    changesNode: prng.pick([0, 0.05, 0.5]),
    goesBack: prng.pick([0.005, 0.03]),
  }
}

export function drawSamplerStyle(prng: Prng, pauseMs: number): ReaderStyle {
  return { kind: 'sampler', at: 'any', recordsMax: prng.pick([1, 4]), pauseMs, changesNode: 1, goesBack: 0 }
}

const timeoutMs = 800
/** Readers that go back mostly go back a little: the whole log is read again at the end. */
const backRecordsMax = 150

export class Reader {
  readonly #workload: Workload
  readonly #prng: Prng
  readonly #style: ReaderStyle
  readonly #alarm: Alarm
  readonly #writer: KnownWriter
  #partition: number
  #node: number | null = null
  #position = 0
  /** Which question is waited for; answers to others come too late. */
  #question = 0
  #isWaiting = false
  #dueMs = 0

  constructor(workload: Workload, prng: Prng, partition: number, style: ReaderStyle) {
    this.#workload = workload
    this.#prng = prng
    this.#style = style
    this.#partition = partition
    const goOn = () => this.#goOn()
    this.#writer = new KnownWriter(workload, prng, partition, goOn)
    this.#alarm = new Alarm(workload.door, goOn)
    this.#sleep(style.pauseMs)
  }

  #goOn(): void {
    const { nowMs } = this.#workload.door
    if (nowMs + roundingMs < this.#dueMs) {
      this.#alarm.set(this.#dueMs)
      return
    }
    if (this.#isWaiting) this.#ended()
    if (this.#workload.isStopping) {
      this.#writer.stop()
      return
    }
    this.#node ??= this.#chooseNode()
    if (this.#node === null) this.#alarm.set(this.#writer.ask())
    else this.#ask(this.#node)
  }

  #chooseNode(): number | null {
    const { nodes } = this.#workload.door
    if (this.#style.at === 'any') return this.#prng.pick(nodes)
    const writer = this.#writer.node
    if (writer === null || this.#style.at === 'writer') return writer
    const others = nodes.filter(node => node !== writer)
    return others.length === 0 ? writer : this.#prng.pick(others)
  }

  #ask(node: number): void {
    const { kind, recordsMax } = this.#style
    if (kind === 'sampler') this.#chooseSample()
    const question = ++this.#question
    this.#isWaiting = true
    this.#workload.waiting += 1
    this.#dueMs = this.#workload.door.nowMs + timeoutMs
    this.#workload.read(node, this.#partition, this.#position, recordsMax, false, answer => {
      if (question === this.#question && this.#isWaiting) this.#answered(answer)
    })
    this.#alarm.set(this.#dueMs)
  }

  #chooseSample(): void {
    this.#partition = this.#prng.between(0, this.#workload.door.partitions)
    const { logStart, highWatermark } = this.#workload.seenOf(this.#partition)
    // Often right at the end, where the question is what the node holds to be committed.
    const isAtEnd = logStart >= highWatermark || this.#prng.chance(0.5)
    this.#position = isAtEnd ? highWatermark : this.#prng.between(logStart, highWatermark)
  }

  #answered(answer: ReadAnswer): void {
    this.#isWaiting = false
    this.#workload.waiting -= 1
    if (answer.ok) this.#follow(answer)
    else this.#wander()
    if (this.#prng.chance(this.#style.changesNode)) this.#node = null
  }

  #follow(answer: Extract<ReadAnswer, { ok: true }>): void {
    const last = answer.records.at(-1)
    if (last !== undefined) this.#position = last.offset + 1
    const hasMore = last !== undefined && this.#position < answer.highWatermark && this.#style.kind === 'follower'
    if (this.#prng.chance(this.#style.goesBack)) this.#goBack()
    this.#sleep(hasMore ? this.#style.pauseMs * 0.1 : this.#style.pauseMs)
  }

  #goBack(): void {
    const { logStart } = this.#workload.seenOf(this.#partition)
    const lowest = this.#prng.chance(0.05) ? logStart : Math.max(logStart, this.#position - backRecordsMax)
    if (lowest < this.#position) this.#position = this.#prng.between(lowest, this.#position)
  }

  /** The node would not answer this: what is asked for may be gone, or another node may know better. */
  #wander(): void {
    const { logStart } = this.#workload.seenOf(this.#partition)
    if (this.#position < logStart) this.#position = logStart
    this.#leaveNode()
    this.#sleep(this.#style.pauseMs)
  }

  #ended(): void {
    this.#isWaiting = false
    this.#workload.waiting -= 1
    this.#workload.count('timeouts')
    this.#leaveNode()
  }

  #leaveNode(): void {
    this.#node = null
    this.#writer.forget()
  }

  #sleep(meanMs: number): void {
    this.#dueMs = this.#workload.door.nowMs + meanMs * 2 * this.#prng.float()
    this.#alarm.set(this.#dueMs)
  }
}
