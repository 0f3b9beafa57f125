/** Commands that a node has asked for and waits to hear of, each with the time after which nobody knows what became of it. */
import type { TopicId } from '../../base/ids.ts'
import type { Outcome } from '../../cluster/commands.ts'

/** `null`: no answer in time; the command may still be applied, and then its outcome comes after all. */
export type OnOutcome = (outcome: Outcome | null) => void

interface Request {
  readonly onOutcome: OnOutcome
  deadlineMs: number
}

/** Answers still taken after their time; beyond it the oldest are forgotten. */
const overdueMax = 1000

export class Requests {
  readonly #waiting = new Map<TopicId, Request>()

  /** The same id again is the same request, asked once more. */
  add(id: TopicId, deadlineMs: number, onOutcome: OnOutcome): void {
    this.#waiting.set(id, { onOutcome, deadlineMs })
  }

  settle(id: TopicId, outcome: Outcome): void {
    const request = this.#waiting.get(id)
    if (request === undefined) return
    this.#waiting.delete(id)
    request.onOutcome(outcome)
  }

  /** A snapshot came over the entries that were waited for; the outcomes that matter are remembered in it. */
  settleRemembered(outcomes: ReadonlyMap<TopicId, Outcome>): void {
    for (const id of [...this.#waiting.keys()]) {
      const outcome = outcomes.get(id)
      if (outcome !== undefined) this.settle(id, outcome)
    }
  }

  expire(nowMs: number): void {
    for (const [id, request] of this.#waiting) {
      if (request.deadlineMs > nowMs) continue
      request.deadlineMs = Number.POSITIVE_INFINITY
      request.onOutcome(null)
      if (this.#waiting.size > overdueMax) this.#waiting.delete(id)
    }
  }
}
