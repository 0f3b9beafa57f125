/**
 * One group with its clocks and its log, for tests: requests are numbered, every answer is taken once, and what was written can
 * be read back into a new life of the group. What happens is told in lines.
 */
import { invariant, unreachable } from '../../../base/invariant.ts'
import type { KafkaErrorName } from '../../../wire/kafka-errors.ts'
import { nextDeadlineMs, stepGroup } from '../group.ts'
import { applyRecord } from '../group-durable.ts'
import type { GroupEffect, GroupEvent, Moment } from '../group-events.ts'
import type { GroupRecord } from '../group-record.ts'
import { exists, type Group, type GroupSettings, groupDefaults, newGroup } from '../group-state.ts'
import { answerText, effectText, recordText } from './texts.ts'

/** An event without its time, and without the request's number. */
export type Happening = GroupEvent extends infer E ? (E extends unknown ? Omit<E, 'at' | 'request'> : never) : never

export class World {
  readonly lines: string[] = []
  /** What each request that waits was, by its number. */
  readonly waiting = new Map<number, string>()
  /** Writes that have not come back. */
  readonly unwritten = new Map<number, readonly GroupRecord[]>()
  /** What is durable, in the order in which it was written, and of whichever life. */
  readonly log: { readonly life: number; readonly write: number; readonly records: readonly GroupRecord[] }[] = []
  settings: GroupSettings = groupDefaults
  monotonicMs = 0
  nowMs = 1_000_000
  group: Group
  /** Sees every event before the group does, and may look at the effects. */
  observe: (event: GroupEvent) => ((effects: readonly string[]) => void) | null = () => null
  /** Counts the lives of the group: each begins with a new one, or one that has read the log. */
  life = 0
  #requests = 0
  #uuids = 0

  constructor() {
    this.group = newGroup('g', this.settings, this.nowMs)
  }

  get at(): Moment {
    return { monotonicMs: this.monotonicMs, nowMs: this.nowMs }
  }

  configure(settings: Partial<GroupSettings>): void {
    this.settings = { ...this.settings, ...settings }
    this.group.settings = this.settings
  }

  /** A request comes in. */
  ask(event: Happening): void {
    this.#requests += 1
    this.waiting.set(this.#requests, event.do)
    this.#step({ ...event, request: this.#requests, at: this.at } as GroupEvent)
  }

  /** Something happens that nobody waits for. */
  feed(event: Happening): void {
    this.#step({ ...event, at: this.at } as GroupEvent)
  }

  nextUuid(): string {
    this.#uuids += 1
    return String(this.#uuids)
  }

  /** A write comes back. */
  written(write: number, error: KafkaErrorName): void {
    const records = this.unwritten.get(write)
    if (records === undefined) throw new Error(`write ${write} is not under way`)
    this.unwritten.delete(write)
    if (error === 'NONE') this.#append(write, records)
    this.feed({ do: 'written', write, error })
  }

  /** Time passes, and the group is woken whenever it wants to be. */
  pass(ms: number): void {
    const endMs = this.monotonicMs + ms
    for (;;) {
      const next = nextDeadlineMs(this.group)
      if (next === null || next > endMs) break
      this.#setTime(Math.max(next, this.monotonicMs))
      const before = this.lines.length
      this.feed({ do: 'time' })
      if (this.lines.length > before) this.lines[before] = `${this.monotonicMs}: ${this.lines[before]}`
    }
    this.#setTime(endMs)
  }

  #setTime(monotonicMs: number): void {
    this.nowMs += monotonicMs - this.monotonicMs
    this.monotonicMs = monotonicMs
  }

  /** The broker is killed and starts anew: what was not written is lost, and so are all connections. */
  reload(): void {
    this.waiting.clear()
    this.unwritten.clear()
    this.group = this.replayed()
    this.life += 1
    this.feed({ do: 'loaded' })
  }

  /** A group that has read the log. */
  replayed(): Group {
    const group = newGroup('g', this.settings, this.nowMs)
    for (const { records } of this.log) for (const record of records) applyRecord(group, record)
    return group
  }

  /** Results may overtake each other, what is written does not. */
  #append(write: number, records: readonly GroupRecord[]): void {
    const life = this.life
    let at = this.log.length
    while (at > 0 && this.log[at - 1]!.life === life && this.log[at - 1]!.write > write) at -= 1
    this.log.splice(at, 0, { life, write, records })
  }

  #step(event: GroupEvent): void {
    const { state, generation } = this.group
    const compare = this.observe(event)
    const effects = stepGroup(this.group, event)
    compare?.(effects.map(effectText))
    for (const effect of effects) this.#perform(effect)
    if (this.group.state !== state || this.group.generation !== generation)
      this.lines.push(`now ${this.group.state} in generation ${this.group.generation}`)
    if (exists(this.group)) return
    this.group = newGroup('g', this.settings, this.nowMs)
    this.life += 1
  }

  #perform(effect: GroupEffect): void {
    switch (effect.do) {
      case 'answer': {
        const kind = this.waiting.get(effect.request)
        invariant(kind !== undefined, `request ${effect.request} is answered once, while it waits`)
        this.waiting.delete(effect.request)
        this.lines.push(`${kind} #${effect.request}: ${answerText(effect.answer)}`)
        return
      }
      case 'write':
        this.unwritten.set(effect.write, effect.records)
        this.lines.push(`write ${effect.write}: ${effect.records.map(recordText).join('; ')}`)
        return
      default:
        unreachable(effect)
    }
  }
}
