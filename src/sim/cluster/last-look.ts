/**
 * What must be true of a partition when everything of it was read at every node: all that was promised is there, once, in its
 * order. What the nodes gave agrees already, or the log's oracle has said so.
 */
import type { AnomalyKind } from './anomalies.ts'
import type { ProduceRequest } from './client-door.ts'
import { type BatchFacts, isWithin, type LogOracle } from './log-oracle.ts'

export interface Promised {
  /** Nodes that must give each offset at the end. */
  readonly copiesMin: number
  /** The history tells every loss of what only a writer had; else any change of the leader epoch excuses it. */
  readonly tellsWriterLosses: boolean
  /**
   * A writer that was replaced and does not know it acknowledges nothing on its own word that it was sent so long after its
   * successor was seen. Null: that is not judged.
   */
  readonly leaseMs: number | null
}

type Report = (kind: AnomalyKind, text: string) => void
const sequenceCount = 2 ** 31

export function lookLast(log: LogOracle, batches: readonly BatchFacts[], promised: Promised, report: Report): void {
  const say: Report = (kind, text) => report(kind, `p${log.partition}: ${text}`)
  const start = Math.max(0, ...log.drains.map(drained => drained.logStart))
  const end = Math.max(0, ...log.drains.map(drained => drained.highWatermark))
  if (start < log.trimmed) say('trim undone', `trimmed to ${log.trimmed}, but it starts at ${start}`)
  checkReadable(log, start, end, promised.copiesMin, say)
  for (const facts of batches) if (facts.batch.partition === log.partition) checkAcknowledged(log, facts, start, say)
  if (end < log.acknowledgedEnd) say('lost write', `acknowledged up to ${log.acknowledgedEnd}, but it ends at ${end}`)
  checkWeakClaims(log, start, end, promised.tellsWriterLosses, say)
  checkProducers(log, start, end, batches, say)
}

function checkReadable(log: LogOracle, start: number, end: number, copiesMin: number, say: Report): void {
  for (let offset = start; offset < end; offset++) {
    const given = bitCount(log.finalReads[offset] ?? 0)
    if (given >= copiesMin || log.isExcused(offset, log.leaderEpochs[offset] ?? -1)) continue
    say('unreadable', `offset ${offset} is given by ${given} nodes; ${copiesMin} should`)
    return
  }
}

/** Whatever was seen or acknowledged with acks=all at an offset is still to be had there. */
function checkAcknowledged(log: LogOracle, { batch, bases }: BatchFacts, start: number, say: Report): void {
  for (const base of bases) {
    for (let i = 0; i < batch.serials.length; i++) {
      const offset = base + i
      if (offset < start || log.finalReads[offset] !== undefined) continue
      if (log.isExcused(offset, log.leaderEpochs[offset] ?? -1)) continue
      const serials = `${batch.serials[0]} to ${batch.serials.at(-1)}`
      say('lost write', `serials ${serials} were read or acknowledged at ${base}; nothing is given at ${offset}`)
      return
    }
  }
}

/** What only the writer vouched for may go with it, and only with it. */
function checkWeakClaims(log: LogOracle, start: number, end: number, tellsLosses: boolean, say: Report): void {
  const lastEpoch = Math.max(-1, ...log.drains.map(drained => drained.leaderEpoch))
  for (const { facts, base, leaderEpoch } of log.weakClaims) {
    const { serials } = facts.batch
    for (let i = 0; i < serials.length; i++) {
      const offset = base + i
      if (offset < start || (log.serials[offset] === serials[i] && offset < end)) continue
      const successor = offset < end ? (log.leaderEpochs[offset] ?? lastEpoch) : lastEpoch
      const wasTold = log.destroyed.some(loss => isWithin(loss, offset) && leaderEpoch < loss.belowLeaderEpoch)
      if (tellsLosses ? wasTold : wasTold || successor > leaderEpoch) continue
      say(
        'lost write',
        `serial ${serials[i]} was acknowledged at ${offset} by the writer of ${leaderEpoch}, and is gone`,
      )
      break
    }
  }
}

/** Idempotent producers: every sequence once, in order, without a gap, newer epochs behind older ones. */
function checkProducers(log: LogOracle, start: number, end: number, batches: readonly BatchFacts[], say: Report): void {
  const batchAt = new Map<number, ProduceRequest>()
  const firsts = new Map<string, number>()
  for (const { batch, bases } of batches) {
    if (batch.producerId < 0 || batch.partition !== log.partition) continue
    const epoch = `${batch.producerId}/${batch.producerEpoch}`
    if (!firsts.has(epoch)) firsts.set(epoch, batch.baseSequence)
    for (const base of bases) batchAt.set(base, batch)
  }
  const latest = new Map<number, ProduceRequest>()
  for (let offset = start; offset < end; offset++) {
    const batch = batchAt.get(offset)
    if (batch === undefined) continue
    checkNext(log, latest.get(batch.producerId), batch, offset, start, firsts, say)
    latest.set(batch.producerId, batch)
  }
}

function checkNext(
  log: LogOracle,
  before: ProduceRequest | undefined,
  batch: ProduceRequest,
  offset: number,
  start: number,
  firsts: ReadonlyMap<string, number>,
  say: Report,
): void {
  const { producerId, producerEpoch, baseSequence } = batch
  const isGapExcused = log.destroyed.some(loss => loss.what === 'everything')
  const isSameEpoch = before?.producerEpoch === producerEpoch
  if (before !== undefined && producerEpoch < before.producerEpoch) {
    say('zombie write', `producer ${producerId} wrote at ${offset} with epoch ${producerEpoch} behind a newer one`)
    return
  }
  // What came before the first one that is left may have been trimmed.
  if (isGapExcused || (before === undefined && start > 0)) return
  const expected = isSameEpoch
    ? (before.baseSequence + before.serials.length) % sequenceCount
    : firsts.get(`${producerId}/${producerEpoch}`)
  if (baseSequence === expected) return
  const what = `producer ${producerId}/${producerEpoch} has sequence ${baseSequence} at ${offset}`
  say('out of order', `${what}, where ${expected} comes next`)
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}
