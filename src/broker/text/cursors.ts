/** The cursors of all groups and topics that somebody reads by. Those that nobody has used for long are forgotten. */
import type { Clock } from '../../io/clock.ts'
import { within } from '../deadline.ts'
import type { Topic } from '../storage.ts'
import { Cursor } from './cursor.ts'
import type { CursorDoor } from './partition-cursor.ts'
import { ReadAhead } from './read-ahead.ts'

export interface CursorBounds {
  readonly cursorsMax: number
  readonly readAheadBytesMax: number
}

const boundsDefault: CursorBounds = { cursorsMax: 10_000, readAheadBytesMax: 16 * 1024 * 1024 }

/** How many are looked at for one that can be forgotten. */
const looksMax = 100
/** How long the last commits may take. */
const closeMsMax = 2_000

export class Cursors {
  readonly #door: CursorDoor
  readonly #clock: Clock
  readonly #bounds: CursorBounds
  readonly #readAhead: ReadAhead
  /** The one that was used longest ago first. */
  readonly #cursors = new Map<string, Cursor>()

  constructor(door: CursorDoor, clock: Clock, bounds: Partial<CursorBounds> = {}) {
    this.#door = door
    this.#clock = clock
    this.#bounds = { ...boundsDefault, ...bounds }
    this.#readAhead = new ReadAhead(this.#bounds.readAheadBytesMax)
  }

  get size(): number {
    return this.#cursors.size
  }

  of(groupId: string, { name, id }: Topic): Cursor {
    const key = `${id} ${groupId}`
    const cursor = this.#cursors.get(key) ?? this.#newCursor(groupId, name, id)
    this.#cursors.delete(key)
    this.#cursors.set(key, cursor)
    return cursor
  }

  /** Resolves when what was sent is committed, or that took too long. */
  async close(): Promise<void> {
    const closed = Promise.all([...this.#cursors.values()].map(cursor => cursor.close()))
    await within(this.#clock, closeMsMax, closed)
    this.#cursors.clear()
  }

  #newCursor(groupId: string, topic: string, topicId: Topic['id']): Cursor {
    if (this.#cursors.size >= this.#bounds.cursorsMax) this.#forgetOne()
    const parts = { door: this.#door, clock: this.#clock, readAhead: this.#readAhead, groupId, topic, topicId }
    return new Cursor(parts)
  }

  /**
   * Those in use are as many as there are connections at most. Where none of the first is idle, one goes whose commit was
   * refused: it is tried again without end, and so many must not wait for that. What it gave out is given out again.
   */
  #forgetOne(): void {
    let stuck: string | null = null
    let looks = 0
    for (const [key, cursor] of this.#cursors) {
      if (looks++ >= looksMax) break
      if (cursor.isIdle) {
        this.#forget(key)
        return
      }
      if (cursor.isStuck) stuck ??= key
    }
    if (stuck !== null) this.#forget(stuck)
  }

  #forget(key: string): void {
    void this.#cursors.get(key)?.close()
    this.#cursors.delete(key)
  }
}
