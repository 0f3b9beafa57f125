/**
 * The place of one group in one topic: that of each partition, and which of them has the next turn. Whoever asks waits for
 * those who asked before, so that no record is given to two of them.
 */
import { isUtf8 } from 'node:buffer'
import type { Refused } from '../door.ts'
import { isInternalGroup } from '../groups/internal-groups.ts'
import type { Topic } from '../storage.ts'
import { type CursorParts, type Entry, PartitionCursor } from './partition-cursor.ts'

export type Taken =
  | { readonly is: 'text'; readonly text: string; readonly settled: (isSent: boolean) => void }
  | { readonly is: 'passed'; readonly settled: (isSent: boolean) => void }
  | { readonly is: 'nothing' }
  /** For `GET`: it stays where it is until it is skipped. */
  | { readonly is: 'no text'; readonly why: string }
  /** For `SKIP`: the next `GET` gives it out. */
  | { readonly is: 'good' }
  | { readonly is: 'refused'; readonly refusal: Refused }

export class Cursor {
  readonly #parts: CursorParts
  readonly #partitions: PartitionCursor[] = []
  #turn = 0
  /** Nobody can join the broker's own groups. */
  #mayHaveMembers: boolean
  #before: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(parts: CursorParts) {
    this.#parts = parts
    this.#mayHaveMembers = !isInternalGroup(parts.groupId)
  }

  /** Nothing is lost by forgetting it. */
  get isIdle(): boolean {
    return this.#waiting === 0 && this.#partitions.every(({ isIdle }) => isIdle)
  }

  /** Nobody uses it, and what it gave out cannot be committed for now. */
  get isStuck(): boolean {
    return this.#waiting === 0 && this.#partitions.every(({ isIdle, isStuck }) => isIdle || isStuck)
  }

  /** The next record's value. */
  next(topic: Topic): Promise<Taken> {
    return this.#inTurn(() => this.#take(topic, 'text'))
  }

  /** Passes what comes next, if it cannot be given out as text. */
  skip(topic: Topic): Promise<Taken> {
    return this.#inTurn(() => this.#take(topic, 'no text'))
  }

  async close(): Promise<void> {
    await Promise.all(this.#partitions.map(partition => partition.close()))
  }

  async #inTurn(work: () => Promise<Taken>): Promise<Taken> {
    this.#waiting++
    const turn = this.#before.then(work, work)
    this.#before = turn
    try {
      return await turn
    } finally {
      this.#waiting--
    }
  }

  async #take(topic: Topic, wanted: 'text' | 'no text'): Promise<Taken> {
    const refusal = (await this.#refuseMembers()) ?? (await this.#look(topic))
    if (refusal !== null) return { is: 'refused', refusal }
    const count = this.#partitions.length
    for (let i = 0; i < count; i++) {
      const index = (this.#turn + i) % count
      const partition = this.#partitions[index] as PartitionCursor
      const store = topic.partitions[index]
      const head = store === undefined ? 'nothing' : await partition.head(store)
      if (head === 'nothing') continue
      if ('error' in head) {
        // The others are not kept waiting for it.
        this.#turn = index + 1
        return { is: 'refused', refusal: head }
      }
      this.#turn = index
      const text = textOf(head)
      if (text === null && wanted === 'text') return { is: 'no text', why: head.damage ?? 'value is not text' }
      if (text !== null && wanted === 'no text') return { is: 'good' }
      this.#turn = index + 1
      const settled = partition.handOut(head)
      return text === null ? { is: 'passed', settled } : { is: 'text', text, settled }
    }
    return { is: 'nothing' }
  }

  async #refuseMembers(): Promise<Refused | null> {
    if (!this.#mayHaveMembers) return null
    const { door, groupId } = this.#parts
    const done = await door.joined(groupId)
    if (done.error !== 'NONE') return done
    if (done.isJoined) return { error: 'NON_EMPTY_GROUP', message: `group ${groupId} has members` }
    this.#mayHaveMembers = false
    return null
  }

  /** Where the group is, by its log: it may have been moved by somebody else, or have more partitions by now. */
  async #look({ name, partitions: stores }: Topic): Promise<Refused | null> {
    const { door, groupId } = this.#parts
    const onRefused = () => {
      this.#mayHaveMembers = !isInternalGroup(groupId)
    }
    while (this.#partitions.length < stores.length) {
      this.#partitions.push(new PartitionCursor(this.#parts, this.#partitions.length, onRefused))
    }
    for (const partition of this.#partitions) partition.beginLook()
    const done = await door.committed(groupId, name)
    for (const [index, partition] of this.#partitions.entries()) {
      const store = stores[index]
      if (done.error !== 'NONE' || store === undefined) partition.abandonLook()
      else partition.endLook(done.offsets[index] ?? null, store)
    }
    return done.error === 'NONE' ? null : done
  }
}

function textOf({ value }: Entry): string | null {
  return value !== null && isUtf8(value) ? value.toString() : null
}
