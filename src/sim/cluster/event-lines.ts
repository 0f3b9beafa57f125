/** A history as lines for people: the whole of it in a trace, or what concerns one stretch of a log when something broke there. */
import type { ProduceRequest } from './client-door.ts'
import type { History, HistoryEvent } from './history.ts'

export function lineOf(event: HistoryEvent): string {
  switch (event.type) {
    case 'send':
      return `client sends #${event.request} to ${event.node}: ${batchText(event.batch)}`
    case 'acknowledged':
      return `client hears #${event.request}: acknowledged at ${event.base}, leader epoch ${event.leaderEpoch}`
    case 'refused':
      return `client hears #${event.request}: ${event.error}${event.isDefinite ? '' : ' (open)'}`
    case 'asked':
      return `client reads #${event.request} at ${event.node}: p${event.partition} from ${event.from}`
    case 'read':
      return `client hears #${event.request}: ${answerText(event)}`
    case 'trim':
    case 'trimmed':
      return `${event.type} p${event.partition} to ${event.offset}`
    case 'restarted':
      return `node ${event.node} is up again`
    case 'destroyed':
      return `destroyed (${event.what}): p${event.partition} ${event.from} to ${event.to}, below epoch ${event.belowLeaderEpoch}`
    case 'drained':
      return `all read at ${event.node}: p${event.partition} ${event.logStart} to ${event.highWatermark}, not given: ${JSON.stringify(event.unreadable)}`
  }
}

/** Everything that was asked or said about `[from, to)` of a partition, each line with its time. */
export function linesAbout({ events }: History, partition: number, from: number, to: number): string[] {
  const offsetsOf = basesOf(events, partition)
  const requests = new Map<number, HistoryEvent>()
  const lines: string[] = []
  for (const event of events) {
    if (!concerns(event, partition, from, to, offsetsOf, requests)) continue
    const asked = event.type === 'read' ? requests.get(event.request) : undefined
    const where = asked?.type === 'asked' ? ` (node ${asked.node}, asked at ${asked.atMs.toFixed(3)})` : ''
    lines.push(`${event.atMs.toFixed(3).padStart(12)} ${lineOf(event)}${where}`)
  }
  return lines
}

type Bases = ReadonlyMap<number, ReadonlySet<number>>

/** By serial: where it was ever said to lie. */
function basesOf(events: readonly HistoryEvent[], partition: number): Bases {
  const offsets = new Map<number, Set<number>>()
  const batches = new Map<number, ProduceRequest>()
  const note = (serial: number, offset: number) =>
    void offsets.set(serial, (offsets.get(serial) ?? new Set()).add(offset))
  const asked = new Set<number>()
  for (const event of events) {
    if (event.type === 'send' && event.batch.partition === partition) batches.set(event.request, event.batch)
    if (event.type === 'asked' && event.partition === partition) asked.add(event.request)
    if (event.type === 'acknowledged') {
      for (const [index, serial] of (batches.get(event.request)?.serials ?? []).entries())
        note(serial, event.base + index)
    }
    if (event.type === 'read' && event.answer.ok && asked.has(event.request)) {
      for (const { serial, offset } of event.answer.records) note(serial, offset)
    }
  }
  return offsets
}

function concerns(
  event: HistoryEvent,
  partition: number,
  from: number,
  to: number,
  offsetsOf: Bases,
  requests: Map<number, HistoryEvent>,
): boolean {
  switch (event.type) {
    case 'send': {
      const lies = (serial: number) => [...(offsetsOf.get(serial) ?? [])].some(offset => offset >= from && offset < to)
      if (event.batch.partition !== partition || !event.batch.serials.some(lies)) return false
      requests.set(event.request, event)
      return true
    }
    case 'asked':
      if (event.partition === partition) requests.set(event.request, event)
      return false
    case 'acknowledged':
    case 'refused':
      return requests.has(event.request)
    case 'read':
      return (
        requests.has(event.request) &&
        event.answer.ok &&
        event.answer.records.some(({ offset }) => offset >= from && offset < to)
      )
    case 'restarted':
      return true
    default:
      return event.partition === partition
  }
}

function batchText({ partition, acks, producerId, producerEpoch, baseSequence, serials }: ProduceRequest): string {
  const by = producerId < 0 ? '' : `, producer ${producerId}/${producerEpoch} from ${baseSequence} on`
  return `p${partition} serials ${serials[0]} to ${serials.at(-1)}, acks=${acks}${by}`
}

function answerText({ answer }: Extract<HistoryEvent, { type: 'read' }>): string {
  if (!answer.ok) return answer.error
  const { records, highWatermark, logStart, leaderEpoch, isWriter } = answer
  const [first] = records
  const last = records.at(-1)
  const what =
    first === undefined
      ? 'nothing'
      : `${first.offset} to ${last?.offset} (serials ${first.serial} to ${last?.serial}, epochs ${first.leaderEpoch} to ${last?.leaderEpoch})`
  return `${what}; watermark ${highWatermark}, start ${logStart}, epoch ${leaderEpoch}${isWriter ? ', writer' : ''}`
}
