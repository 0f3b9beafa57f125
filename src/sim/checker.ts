/**
 * Reads a history and says what must never happen but did. The names of anomalies are those of the taxonomy in
 * `docs/simulator.md`; each has a planted history in `checker.test.ts`; those of groups are in `group-oracle.ts`.
 */
import { invariant } from '../base/invariant.ts'
import { virtualEpochMs } from './clock.ts'
import { type GroupAnomalyKind, GroupOracle } from './group-oracle.ts'
import { type HistoryEvent, isDefinite, type PartitionKey } from './history.ts'
import { PartitionOracle, type Reading } from './partition-oracle.ts'

export const anomalyKinds = [
  'ack after failed sync',
  'acknowledged but not readable',
  'duplicate',
  'false corruption',
  'garbled read',
  'hole',
  'inconsistent offsets',
  'invented',
  'lost write',
  'early deletion',
  'offset regress',
  'out of order',
  'read above the high watermark',
  'refused write is visible',
  'unjustified error',
  'unjustified refusal',
  'wrong answer by time',
  'wrong range',
  'zombie write',
] as const
export type AnomalyKind = (typeof anomalyKinds)[number] | GroupAnomalyKind

export interface Anomaly {
  readonly kind: AnomalyKind | (string & {})
  readonly text: string
  readonly atMs: number
}

/** The world as far as all partitions share it. */
export interface Surroundings {
  /** The latest that any wall clock has shown. */
  maxWallMs: number
  rotten: boolean
  /** The node said so: the end of a partition may be lost, as long as nothing else is put in its place. */
  damageReported: boolean
  syncFailed: boolean
  report(kind: AnomalyKind, text: string): void
}

/** Bound of what one history reports: the first ones tell the story. */
const anomaliesMax = 20

export function check(history: readonly HistoryEvent[]): Anomaly[] {
  const anomalies: Anomaly[] = []
  let nowMs = 0
  let jumpsMs = 0
  const around: Surroundings = {
    maxWallMs: virtualEpochMs,
    rotten: false,
    damageReported: false,
    syncFailed: false,
    report: (kind, text) => void (anomalies.length < anomaliesMax && anomalies.push({ kind, text, atMs: nowMs })),
  }
  const partitions = new Map<PartitionKey, PartitionOracle>()
  const sends = new Map<number, PartitionOracle>()
  const readings = new Map<number, { readonly oracle: PartitionOracle; readonly reading: Reading }>()
  const groups = new GroupOracle(around)
  let lostPower = false
  const oracleOf = (key: PartitionKey) => {
    const oracle = partitions.get(key)
    invariant(oracle !== undefined, 'a history names a partition before it speaks of it')
    return oracle
  }
  const sendOf = (request: number) => {
    const oracle = sends.get(request)
    invariant(oracle !== undefined, 'an answer has a request')
    return oracle
  }

  for (const event of history) {
    nowMs = event.atMs
    around.maxWallMs = Math.max(around.maxWallMs, virtualEpochMs + nowMs + jumpsMs)
    switch (event.type) {
      case 'partition':
        partitions.set(event.partition, new PartitionOracle(event.partition, event.rules, around))
        break
      case 'deleting':
        oracleOf(event.partition).forget()
        break
      case 'send':
        sends.set(event.request, oracleOf(event.batch.partition))
        sendOf(event.request).send(event.request, event.batch, event.acks, event.inOrder)
        break
      case 'sent':
        sendOf(event.request).sent(event.request, event.baseOffset)
        break
      case 'refused':
        if (isDefinite(event.error)) sendOf(event.request).refused(event.request, event.error)
        break
      case 'unknown':
        break
      case 'reading': {
        const oracle = oracleOf(event.partition)
        readings.set(event.request, { oracle, reading: oracle.reading(event.from) })
        break
      }
      case 'read': {
        const asked = readings.get(event.request)
        invariant(asked !== undefined, 'an answer has a request')
        readings.delete(event.request)
        asked.oracle.read(asked.reading, event)
        break
      }
      case 'marks':
        oracleOf(event.partition).marks(event.marks)
        break
      case 'trim':
        oracleOf(event.partition).trim(event.before)
        break
      case 'trimmed':
        oracleOf(event.partition).trimmed(event.before, event.logStartOffset)
        break
      case 'drained':
        oracleOf(event.partition).drained(event)
        break
      case 'found by time':
        oracleOf(event.partition).foundByTime(event.timestampMs, event.found)
        break
      case 'found latest':
        oracleOf(event.partition).foundLatest(event.found)
        break
      case 'committing':
      case 'committed':
      case 'offsets asked':
      case 'offsets':
      case 'offsets going':
      case 'offsets gone':
      case 'topic going':
      case 'topic is new':
      case 'assigned':
        groups.take(event)
        break
      case 'clock jumps':
        jumpsMs += event.byMs
        break
      case 'down':
        lostPower ||= event.how === 'power'
        break
      case 'up':
        around.syncFailed = false
        groups.restarted()
        if (lostPower) for (const oracle of partitions.values()) oracle.powerLost()
        if (event.acceptsDataLoss === true) for (const oracle of partitions.values()) oracle.lossAccepted()
        lostPower = false
        break
      case 'sync failed':
        around.syncFailed = true
        break
      case 'rot':
        around.rotten = true
        break
      case 'damage reported':
        around.damageReported = true
        break
      case 'broken':
        anomalies.push({ kind: event.kind, text: event.text, atMs: nowMs })
        break
    }
  }
  for (const oracle of partitions.values()) oracle.end()
  return anomalies
}
