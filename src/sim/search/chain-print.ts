/** The chain's search in one line per thing, for traces. */
import type { ChainCommand } from '../../chain/events.ts'
import type { ChainMessage } from '../../chain/messages.ts'
import type { Partition } from '../../chain/segment.ts'
import { endOf, type HeldSegment } from './chain-disk.ts'
import type { ChainNode, NodeEvent, Parcel } from './chain-node.ts'

export function printChainNode({ peer, chain, disk, record, proposals }: ChainNode): string {
  const who = `node ${peer.nodeId} boot ${peer.incarnation}${chain === null ? ' (down)' : ''}`
  const durable = disk.durable.map(printHeld).join(' ')
  const pending = disk.pending.map(({ write, record: each }) => `${write}:${plain(each)}`).join(' ')
  const knows = record === null ? 'nothing' : printRecord(record)
  return `${who} knows ${knows} | durable ${durable || '-'} | pending ${pending || '-'} | proposals ${plain(proposals)}\n        ${plain(chain)}`
}

const printHeld = (held: HeldSegment) =>
  `s${held.segment}[${held.base},${endOf(held)})f${held.fenceEpoch}${held.sealedEnd === null ? '' : ` sealed ${held.sealedEnd}`}`

export const printRecord = ({ version, chain }: Partition): string =>
  `v${version} ${chain.map(each => `s${each.id}[${each.base},${each.end ?? ''})${each.state} w${each.writer} e${each.writeEpoch} r${each.recoveryEpoch ?? '-'}`).join(' ')}`

export function printParcel({ from, to, message }: Parcel): string {
  return `${from.nodeId}→${to} ${printChainMessage(message)}`
}

function printChainMessage(message: ChainMessage): string {
  const { type, ...rest } = message
  const facts = Object.entries(rest).filter(([key]) => key !== 'partition')
  return `${type} ${facts.map(([key, value]) => `${key}=${plain(value)}`).join(' ')}`
}

export function printNodeEvent(event: NodeEvent, index: number): string {
  return `node ${index}: ${printEvent(event)}`
}

function printEvent(event: NodeEvent): string {
  switch (event.do) {
    case 'produce':
      return `a client produces record ${event.crc}`
    case 'sync':
      return 'its writes are durable'
    case 'tick':
      return 'time passes'
    case 'roll':
      return 'is told where its next segment goes'
    case 'recover':
      return `is ordered to recover segment ${event.segment}`
    case 'learn':
      return `learns ${printRecord(event.record)}`
    case 'decide':
      return `its proposal ${event.proposal} is decided: ${plain(event.decision.outcome)}${printNote(event.decision.note)}`
    case 'decideOrphan':
      return `a proposal of an earlier boot is decided: ${plain(event.decision.outcome)}${printNote(event.decision.note)}`
    case 'outcome':
      return `hears ${event.isKnown ? 'the outcome' : 'that nobody knows the outcome'} of proposal ${event.proposal}`
    case 'crash':
      return {
        luckless: 'crashes',
        lucky: 'crashes, with all of its writes kept',
        wiped: 'crashes, and its disk is lost',
      }[event.how]
    case 'restart':
      return `starts again as boot ${event.peer.incarnation}`
  }
}

function printNote(
  note: { readonly note: string; readonly command?: ChainCommand; readonly record?: Partition } | null,
) {
  return note?.record === undefined ? '' : ` by ${note.command?.do}: ${printRecord(note.record)}`
}

/** Values with what a reader of a trace needs, and no quotes. */
function plain(value: unknown): string {
  const text = JSON.stringify(value, (key, each: unknown) => {
    if (key === 'payload' || key === 'partition' || key === 'producers') return undefined
    if (each instanceof Map) return Object.fromEntries(each)
    return each instanceof Set ? [...each] : each
  })
  return (text ?? 'none').replaceAll('"', '')
}
