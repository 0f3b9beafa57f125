/**
 * The place in one partition at which the next `GET` goes on, shared by everybody who reads as one group:
 *
 *     committed ≤ … handed out, not known to be sent … ≤ position ─ ahead ─► end
 *
 * A record is handed out once; it comes back when its reply could not be sent. What is committed never passes a record that
 * was not sent, and follows behind by itself: one commit at a time, of wherever sending has come by then. So a crash may give
 * the last few records out again, and skips none.
 *
 * Somebody else may commit for the group, too (a tool that resets it): that is noticed at the next look, and followed.
 */
import { advance, type Offset, type TopicId } from '../../base/ids.ts'
import { invariant } from '../../base/invariant.ts'
import type { Clock, Timer } from '../../io/clock.ts'
import type { KafkaRecord } from '../../wire/records.ts'
import type { Door, Refused } from '../door.ts'
import type { PartitionStore } from '../storage.ts'
import type { AheadHolder, ReadAhead } from './read-ahead.ts'

/** What cursors ask of the broker. */
export type CursorDoor = Pick<Door, 'topic' | 'read' | 'committed' | 'commit' | 'joined'>

export interface CursorParts {
  readonly door: CursorDoor
  readonly clock: Clock
  readonly readAhead: ReadAhead
  readonly groupId: string
  readonly topic: string
  readonly topicId: TopicId
}

/** A record in its turn, or what lies there and cannot be read. */
export interface Entry {
  readonly offset: Offset
  readonly next: Offset
  readonly value: Buffer | null
  /** Why it cannot be read; null where it can. */
  readonly damage: string | null
}

export type Head = Entry | 'nothing' | Refused

const readBytesMax = 64 * 1024
const readRecordsMax = 1000
/** What surrounds a value in memory, about. */
const recordOverheadBytes = 200
const retryMs = 1_000
/** How often the log may change under one look at it. */
const looksMax = 100

export class PartitionCursor implements AheadHolder {
  readonly #parts: CursorParts
  readonly #partition: number
  /** Told when the group's places are not ours to move any more. */
  readonly #onRefused: () => void
  #isPlaced = false
  /** Counts how often it was placed anew: what was handed out before does not count any more. */
  #life = 0
  #position = 0 as Offset
  #ahead: readonly KafkaRecord[] = []
  #aheadAt = 0
  /** Where reading goes on behind `#ahead`. */
  #aheadEnd = 0 as Offset
  readonly #outstanding = new Set<Entry>()
  /** Came back, in order. */
  readonly #returned: Entry[] = []

  /** Where the log of groups has it, as far as that matters. */
  #committed = 0 as Offset
  /** All that a look into that log may find there and that is of our own doing. */
  #ours = new Set<Offset | null>()
  #isLooking = false
  #committing: Offset | null = null
  #commits: Promise<void> = Promise.resolve()
  #retry: Timer | null = null
  #isClosed = false

  constructor(parts: CursorParts, partition: number, onRefused: () => void) {
    this.#parts = parts
    this.#partition = partition
    this.#onRefused = onRefused
  }

  /** Nothing is lost by forgetting it. */
  get isIdle(): boolean {
    return this.#outstanding.size === 0 && this.#committing === null && this.#target() === this.#committed
  }

  /** The last commit was refused, and nothing that is on its way to a client is lost by forgetting it. */
  get isStuck(): boolean {
    return this.#outstanding.size === 0 && this.#committing === null && this.#retry !== null
  }

  // What others committed. `beginLook`, then ask the log of groups, then `endLook` with what it has.

  beginLook(): void {
    this.#isLooking = true
  }

  endLook(found: Offset | null, { logStartOffset }: PartitionStore): void {
    if (!this.#isPlaced || !this.#ours.has(found)) this.#place(found, logStartOffset)
    this.abandonLook()
  }

  abandonLook(): void {
    this.#isLooking = false
  }

  /** Where it goes on is looked up again. */
  #lose(): void {
    this.#isPlaced = false
    this.#forget()
    this.#committed = this.#position
  }

  #place(found: Offset | null, start: Offset): void {
    this.#isPlaced = true
    this.#forget()
    this.#position = found ?? start
    this.#committed = this.#position
    this.#ours = new Set([found, this.#committing])
  }

  /** What was handed out does not count any more. */
  #forget(): void {
    this.#life++
    this.#outstanding.clear()
    this.#returned.length = 0
    this.dropAhead()
  }

  // Out of the log.

  /** What comes next. Nothing is taken by looking. */
  async head(store: PartitionStore): Promise<Head> {
    for (let look = 0; look < looksMax; look++) {
      const known = this.#knownHead(store)
      if (known !== null) return known
      const from = this.#position
      const { topic, readAhead } = this.#parts
      const ask = { topic, partition: this.#partition, from, bytesMax: readBytesMax, recordsMax: readRecordsMax }
      if (!this.#isThere()) return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'the topic was deleted meanwhile' }
      const read = await this.#parts.door.read(ask)
      invariant(this.#position === from, 'one at a time looks ahead')
      // It was moved while it was read: the next look begins where it is now.
      if (read.error === 'OFFSET_OUT_OF_RANGE') continue
      if (read.error === 'CORRUPT_MESSAGE' && read.next !== null) {
        return { offset: from, next: read.next, value: null, damage: read.message }
      }
      if (read.error !== 'NONE') return read
      if (read.records.length === 0) {
        if (read.next === from) return 'nothing'
        this.#move(read.next)
        continue
      }
      this.#ahead = read.records
      this.#aheadAt = 0
      this.#aheadEnd = read.next
      readAhead.hold(this, bytesOf(read.records))
    }
    return { error: 'REQUEST_TIMED_OUT', message: 'the log changes faster than it can be read' }
  }

  /** Null: it has to be read. */
  #knownHead({ logStartOffset, highWatermark }: PartitionStore): Entry | 'nothing' | null {
    while (this.#returned[0] !== undefined && this.#returned[0].offset < logStartOffset) this.#returned.shift()
    if (this.#returned[0] !== undefined) return this.#returned[0]
    // Deleted before it was read; or lost in a disaster, and there will be others at these offsets.
    if (this.#position < logStartOffset) this.#move(logStartOffset)
    if (this.#position > highWatermark) this.#move(highWatermark)
    const record = this.#ahead[this.#aheadAt]
    if (record !== undefined) return this.#entryOf(record)
    return this.#position === highWatermark ? 'nothing' : null
  }

  #entryOf({ offset, value }: KafkaRecord): Entry {
    const isLast = this.#aheadAt === this.#ahead.length - 1
    return { offset, next: isLast ? this.#aheadEnd : advance(offset, 1), value, damage: null }
  }

  dropAhead(): void {
    this.#ahead = []
    this.#aheadAt = 0
    this.#parts.readAhead.release(this)
  }

  #move(to: Offset): void {
    this.#position = to
    this.dropAhead()
    this.#commitSoon()
  }

  // To a client.

  /** Takes the entry that was looked at. To be called back once with what became of the reply. */
  handOut(entry: Entry): (isSent: boolean) => void {
    if (this.#returned[0] === entry) this.#returned.shift()
    else this.#pass(entry)
    this.#outstanding.add(entry)
    const life = this.#life
    return isSent => {
      if (life !== this.#life || !this.#outstanding.delete(entry)) return
      if (!isSent) {
        const at = this.#returned.findIndex(({ offset }) => offset > entry.offset)
        this.#returned.splice(at < 0 ? this.#returned.length : at, 0, entry)
      }
      this.#commitSoon()
    }
  }

  #pass({ next }: Entry): void {
    this.#position = next
    while ((this.#ahead[this.#aheadAt]?.offset ?? next) < next) this.#aheadAt++
    if (this.#aheadAt === this.#ahead.length) this.dropAhead()
  }

  // Into the log of groups.

  /** Behind everything that was sent. */
  #target(): Offset {
    let target = Math.min(this.#position, this.#returned[0]?.offset ?? this.#position)
    for (const { offset } of this.#outstanding) target = Math.min(target, offset)
    return target as Offset
  }

  #commitSoon(): void {
    if (this.#committing !== null || this.#retry !== null || this.#isClosed) return
    if (this.#isPlaced && this.#target() !== this.#committed) this.#commits = this.#commitOn()
  }

  /** What is sent while a commit is under way goes into the next. */
  async #commitOn(): Promise<void> {
    while (this.#isPlaced && this.#target() !== this.#committed) {
      const target = this.#target()
      this.#committing = target
      this.#ours.add(target)
      const outcome = await this.#commit(target)
      this.#committing = null
      if (outcome === 'done') {
        this.#committed = target
        if (!this.#isLooking) this.#ours = new Set([target])
      } else if (outcome === 'again') {
        this.#retryLater()
        return
      } else {
        this.#lose()
        this.#onRefused()
        return
      }
    }
  }

  async #commit(target: Offset): Promise<'done' | 'again' | 'not ours'> {
    const { door, groupId, topic } = this.#parts
    if (!this.#isThere()) return 'not ours'
    try {
      const { error } = await door.commit(groupId, topic, this.#partition, target)
      if (error === 'NONE') return 'done'
      const isLost = error === 'UNKNOWN_MEMBER_ID' || error === 'UNKNOWN_TOPIC_OR_PARTITION'
      return isLost ? 'not ours' : 'again'
    } catch {
      // The process is about to stop, and whoever stops it has been told why.
      return 'again'
    }
  }

  /**
   * Whether the topic of that name is still the one that this is about: another has records and offsets of its own. Nothing
   * comes between this look and a call of the door that is made with it.
   */
  #isThere(): boolean {
    const found = this.#parts.door.topic(this.#parts.topic)
    return found.error === 'NONE' && found.topic.id === this.#parts.topicId
  }

  #retryLater(): void {
    if (this.#isClosed) return
    this.#retry = this.#parts.clock.setTimer(retryMs, () => {
      this.#retry = null
      this.#commitSoon()
    })
  }

  /** Resolves when all that was sent is committed, or cannot be. */
  async close(): Promise<void> {
    this.#retry?.cancel()
    this.#retry = null
    this.#commitSoon()
    this.#isClosed = true
    this.dropAhead()
    await this.#commits
  }
}

function bytesOf(records: readonly KafkaRecord[]): number {
  let bytes = 0
  for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0) + recordOverheadBytes
  return bytes
}
