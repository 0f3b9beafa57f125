/**
 * The groups of one partition of `__consumer_offsets`: drives their cores (`group-events.ts`), performs what they want done,
 * and keeps their timers.
 *
 *     load → ask … ask → close
 *
 * A group is kept while it exists; a question about one that does not goes to a new one, which is forgotten again when it
 * still does not exist.
 */
import type { TopicId } from '../../base/ids.ts'
import { invariant, unreachable } from '../../base/invariant.ts'
import type { Clock, Timer } from '../../io/clock.ts'
import type { KafkaErrorName } from '../../wire/kafka-errors.ts'
import { nextDeadlineMs, stepGroup } from './group.ts'
import { applyRecord, eachOffset, recordsOf } from './group-durable.ts'
import type { GroupAnswer, GroupEffect, GroupEvent, Moment } from './group-events.ts'
import { nextExpiryMs } from './group-expiry.ts'
import type { GroupRecord } from './group-record.ts'
import { exists, type Group, type GroupSettings, keptBytes, newGroup } from './group-state.ts'
import type { LiveRecords, OffsetsLog } from './offsets-log.ts'

export interface PartParts {
  readonly clock: Clock
  readonly settings: GroupSettings
  /** Makes the log, given what it asks of the groups. */
  readonly log: (live: () => Iterable<LiveRecords>) => OffsetsLog
  /** Whether a topic is still there; `topicId` as it was when the offset was committed. */
  readonly isTopicGone: (topic: string, topicId: TopicId) => boolean
  readonly answer: (request: number, answer: GroupAnswer) => void
  readonly fail: (error: unknown) => void
}

/** An event without its time, which the part adds. */
export type Happening = GroupEvent extends infer E ? (E extends GroupEvent ? Omit<E, 'at'> : never) : never

interface Kept {
  readonly group: Group
  /** What its members hold in memory, as it is counted in the sum over all groups. */
  bytes: number
  timer: Timer | null
  timerMs: number
}

export class Part {
  readonly #parts: PartParts
  readonly #log: OffsetsLog
  readonly #kept = new Map<string, Kept>()
  /** Groups of which nothing is durable. */
  readonly #fleeting = new Set<string>()
  #memberBytes = 0
  #isLoaded = false
  #closed = false

  constructor(parts: PartParts) {
    this.#parts = parts
    this.#log = parts.log(() => this.#live())
  }

  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /** How many groups there are of which nothing is durable. */
  get fleeting(): number {
    return this.#fleeting.size
  }

  /** What members of all groups hold in memory. */
  get memberBytes(): number {
    return this.#memberBytes
  }

  /** Rebuilds the groups from the log. */
  async load(): Promise<void> {
    await this.#log.replay(record => this.#apply(record))
    if (this.#closed) return
    this.#isLoaded = true
    for (const { group } of [...this.#kept.values()]) {
      this.#dropStale(group)
      this.#step(group, { do: 'loaded' })
    }
  }

  /**
   * Offsets of topics whose deletion was cut off before their offsets were gone. Nobody sees them, and the next start would
   * drop them again; so nobody waits for them to be gone from the log.
   */
  #dropStale(group: Group): void {
    const stale: GroupRecord[] = []
    for (const { topic, partition, value } of eachOffset(group.offsets)) {
      const isGone = this.#parts.isTopicGone(topic, value.topicId)
      if (isGone) stale.push({ of: 'offset', groupId: group.groupId, topic, partition, value: null })
    }
    if (stale.length === 0) return
    for (const record of stale) applyRecord(group, record)
    this.#log.write(stale, () => {})
  }

  has(groupId: string): boolean {
    return this.#kept.has(groupId)
  }

  /** The group as it is, for questions that change nothing. */
  look(groupId: string): Group {
    return this.#kept.get(groupId)?.group ?? this.#newGroup(groupId)
  }

  *groups(): Generator<Group> {
    for (const { group } of this.#kept.values()) yield group
  }

  /** Tells a group of something. Its answers come by `answer`, now or later. */
  tell(groupId: string, happening: Happening): void {
    invariant(this.#isLoaded, 'a part is asked when it is loaded')
    this.#step(this.look(groupId), happening)
  }

  topicDeleted(topic: string, topicId: TopicId): void {
    for (const { group } of [...this.#kept.values()]) this.#step(group, { do: 'topicDeleted', topic, topicId })
  }

  /** Offsets that were kept long enough go, and empty groups with them. */
  expire(): void {
    const nowMs = this.#parts.clock.nowMs()
    for (const { group } of [...this.#kept.values()]) {
      const dueMs = nextExpiryMs(group)
      if (dueMs !== null && dueMs <= nowMs) this.#step(group, { do: 'expire' })
    }
  }

  /** Answers all that waits with `error`; what is being written is waited for, as far as the log answers. */
  async close(error: KafkaErrorName): Promise<void> {
    this.#closed = true
    for (const { group, timer } of [...this.#kept.values()]) {
      timer?.cancel()
      this.#perform(group, stepGroup(group, { at: this.#now(), do: 'close', error }))
    }
    await this.#log.close()
  }

  #apply(record: GroupRecord): void {
    const kept = this.#keep(this.look(record.groupId))
    applyRecord(kept.group, record)
    this.#keepOrForget(kept.group)
  }

  #step(group: Group, happening: Happening): void {
    this.#perform(group, stepGroup(group, { at: this.#now(), ...happening } as GroupEvent))
    this.#keepOrForget(group)
    const kept = this.#kept.get(group.groupId)
    if (kept !== undefined) this.#arm(kept)
  }

  #perform(group: Group, effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      switch (effect.do) {
        case 'answer':
          this.#parts.answer(effect.request, effect.answer)
          break
        case 'write': {
          const { write, records } = effect
          this.#log.write(records, error => this.#step(group, { do: 'written', write, error }))
          break
        }
        default:
          unreachable(effect)
      }
    }
  }

  #keepOrForget(group: Group): void {
    if (exists(group) && !this.#closed) {
      this.#count(this.#keep(group), keptBytes(group))
      const isFleeting = group.stored === null && group.offsets.size === 0
      if (isFleeting) this.#fleeting.add(group.groupId)
      else this.#fleeting.delete(group.groupId)
      return
    }
    const kept = this.#kept.get(group.groupId)
    if (kept?.group !== group) return
    this.#count(kept, 0)
    kept.timer?.cancel()
    this.#kept.delete(group.groupId)
    this.#fleeting.delete(group.groupId)
  }

  #count(kept: Kept, bytes: number): void {
    this.#memberBytes += bytes - kept.bytes
    kept.bytes = bytes
  }

  #keep(group: Group): Kept {
    const kept = this.#kept.get(group.groupId) ?? { group, bytes: 0, timer: null, timerMs: 0 }
    invariant(kept.group === group, 'there is one group of a name')
    this.#kept.set(group.groupId, kept)
    return kept
  }

  /** A timer that is early does no harm; so what only puts the deadline off, as heartbeats do, costs nothing. */
  #arm(kept: Kept): void {
    if (this.#closed || !this.#isLoaded) return
    const nextMs = nextDeadlineMs(kept.group)
    if (kept.timer !== null && nextMs !== null && kept.timerMs <= nextMs) return
    kept.timer?.cancel()
    kept.timer = null
    if (nextMs === null) return
    kept.timerMs = nextMs
    const delayMs = Math.max(nextMs - this.#parts.clock.monotonicMs(), 0)
    kept.timer = this.#parts.clock.setTimer(delayMs, () => this.#due(kept))
  }

  #due(kept: Kept): void {
    kept.timer = null
    try {
      const nextMs = nextDeadlineMs(kept.group)
      if (nextMs !== null && nextMs <= this.#parts.clock.monotonicMs()) this.#step(kept.group, { do: 'time' })
      else this.#arm(kept)
    } catch (error) {
      this.#parts.fail(error)
    }
  }

  /** Those that there are now; what comes later is written behind. */
  *#live(): Generator<LiveRecords> {
    for (const groupId of [...this.#kept.keys()]) {
      yield () => {
        const kept = this.#kept.get(groupId)
        return kept === undefined ? [] : recordsOf(kept.group)
      }
    }
  }

  #newGroup(groupId: string): Group {
    return newGroup(groupId, this.#parts.settings, this.#parts.clock.nowMs())
  }

  #now(): Moment {
    return { monotonicMs: this.#parts.clock.monotonicMs(), nowMs: this.#parts.clock.nowMs() }
  }
}
