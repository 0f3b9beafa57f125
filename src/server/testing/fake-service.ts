/**
 * A service for tests of connections: requests are texts, and each is answered when the test says so. The answer to `a` is
 * `A`, unless the test gives another.
 */
import type { Rope } from '../../base/rope.ts'
import { flattenRope, ropeOf } from '../../base/rope.ts'
import type { AnswerFrame } from '../../broker/broker.ts'
import type { ConnectionContext } from '../../broker/context.ts'
import type { AnswerSize, Service } from '../connection.ts'

interface Asked {
  readonly text: string
  readonly connection: ConnectionContext
  readonly resolve: (answer: AnswerFrame | null) => void
  readonly reject: (error: unknown) => void
}

export class FakeService implements Service {
  /** Requests in flight, in the order in which they began. */
  readonly asked: Asked[] = []
  /** Every request that was ever begun. */
  readonly begun: string[] = []
  /** Answers at once instead of waiting for the test. */
  immediate: ((text: string) => Buffer | null) | null = null
  /** Answers that were given back, by their request. */
  readonly released: string[] = []
  #wakers: (() => void)[] = []

  /** A request that begins with `large`, `medium` or `held` has such an answer. */
  answerSize(frame: Rope): AnswerSize {
    const text = flattenRope(frame).toString()
    return (['large', 'medium', 'held'] as const).find(size => text.startsWith(size)) ?? 'small'
  }

  answer(frame: Rope, connection: ConnectionContext): Promise<AnswerFrame | null> {
    const text = flattenRope(frame).toString()
    this.begun.push(text)
    const { promise, resolve, reject } = Promise.withResolvers<AnswerFrame | null>()
    if (this.immediate !== null) {
      const answer = this.immediate(text)
      resolve(answer === null ? null : ropeOf(answer))
    } else {
      this.asked.push({ text, connection, resolve, reject })
    }
    for (const wake of this.#wakers.splice(0)) wake()
    return promise
  }

  /** Resolves when so many requests have begun in all. */
  async untilBegun(count: number): Promise<void> {
    while (this.begun.length < count) await new Promise<void>(resolve => this.#wakers.push(resolve))
  }

  reply(text: string, answer: Buffer | null = frameOf(text.toUpperCase())): void {
    const release = () => void this.released.push(text)
    this.#take(text).resolve(answer === null ? null : { ...ropeOf(answer), release })
  }

  fail(text: string, error: unknown): void {
    this.#take(text).reject(error)
  }

  #take(text: string): Asked {
    const at = this.asked.findIndex(asked => asked.text === text)
    const [asked] = at < 0 ? [] : this.asked.splice(at, 1)
    if (asked === undefined) throw new Error(`nobody asked ${text}`)
    return asked
  }
}

/** A text as a frame. */
export function frameOf(text: string | Buffer): Buffer {
  const body = Buffer.from(text)
  const frame = Buffer.alloc(4 + body.length)
  frame.writeInt32BE(body.length)
  frame.set(body, 4)
  return frame
}
