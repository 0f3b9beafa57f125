/**
 * Batches of idempotent producers that were refused for lack of room. A partition that knows a producer finds a gap by its
 * sequence; one that does not takes any sequence as a beginning, and would take the second of two pipelined batches when the
 * first was too large for the room there was. Its retry would then pass for a duplicate, and be lost.
 */
import type { BatchHeader } from '../wire/record-batch.ts'

interface Missed {
  readonly epoch: number
  readonly sequence: number
  readonly untilMs: number
}

/** How long the retry of a refused batch is waited for. */
const rememberedMs = 60_000
/** Producers remembered per partition; beyond it the oldest is forgotten. */
const producersMax = 1000

export class MissedBatches {
  readonly #missed = new Map<number, Missed>()

  /** A batch was refused for lack of room. */
  note({ producerId, producerEpoch, baseSequence }: BatchHeader, nowMs: number): void {
    if (producerId < 0) return
    const known = this.#missed.get(producerId)
    if (known?.epoch === producerEpoch && known.sequence < baseSequence && known.untilMs > nowMs) return
    this.#missed.delete(producerId)
    this.#missed.set(producerId, { epoch: producerEpoch, sequence: baseSequence, untilMs: nowMs + rememberedMs })
    if (this.#missed.size > producersMax) this.#missed.delete(this.#missed.keys().next().value as number)
  }

  /** Whether a batch comes after one that is still missing. The missing one itself is forgotten when it comes. */
  isAfterMissed({ producerId, producerEpoch, baseSequence }: BatchHeader, nowMs: number): boolean {
    const missed = this.#missed.size === 0 ? undefined : this.#missed.get(producerId)
    if (missed === undefined) return false
    if (missed.epoch === producerEpoch && baseSequence > missed.sequence && nowMs < missed.untilMs) return true
    this.#missed.delete(producerId)
    return false
  }
}
