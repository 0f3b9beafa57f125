/** Events and effects as the lines of a recorded script. */
import { unreachable } from '../../base/invariant.ts'
import type { ProducerState } from '../../log/producers.ts'
import type { ChainCommand, ChainEffect, ChainEvent, ChainRecord } from '../events.ts'
import type { Batch, ChainMessage } from '../messages.ts'
import type { Partition, Placement, Replica } from '../segment.ts'

interface Names {
  nameOf(token: number): string
}

export function eventText(names: Names, event: ChainEvent): string {
  switch (event.type) {
    case 'metadata':
      return event.record === null ? 'record gone' : `record v${event.record.version}: ${chainText(event.record)}`
    case 'message':
      return `${messageText(event.message)} from ${event.from.nodeId}`
    case 'durable':
      return `durable ${event.write}`
    case 'produce':
      return `produce ${names.nameOf(event.token)} acks=${event.acks}`
    case 'outcome': {
      const { outcome } = event
      const what =
        outcome.kind === 'done'
          ? `done ${outcome.value}`
          : outcome.kind === 'refused'
            ? `refused ${outcome.error}`
            : 'unknown'
      return `outcome of proposal ${event.proposal}: ${what}`
    }
    case 'tick':
      return `tick ${event.nowMs}`
    case 'lease':
      return `lease until ${event.untilMs}`
    case 'placement':
      return `placement (${event.reason}): ${event.next === null ? 'none' : placementText(event.next)}`
    case 'recover':
      return `recover s${event.segment}, next ${placementText(event.next)}${event.spares.length > 0 ? `, spares ${nodesText(event.spares)}` : ''}`
    case 'repair':
      return `repair s${event.segment} from ${event.sources.join(',')}`
    case 'peerDown':
      return `peer ${event.nodeId} is down`
    case 'peerUp':
      return `peer ${event.peer.nodeId} is up`
    default:
      return unreachable(event)
  }
}

export function effectText(names: Names, effect: ChainEffect): string {
  switch (effect.do) {
    case 'write':
      return `write ${effect.write} ${recordText(effect.record)}`
    case 'send':
      return `send to ${effect.to} ${messageText(effect.message)}`
    case 'answer': {
      const { result } = effect
      const what = result.ok
        ? `ok base=${result.base} leaderEpoch=${result.leaderEpoch}`
        : `${result.error}${result.isDefinite ? '' : ' (may be written)'}`
      return `answer ${names.nameOf(effect.token)} ${what}`
    }
    case 'propose':
      return `propose ${effect.proposal} ${commandText(effect.command)}`
    case 'place':
      return `place the next (${effect.reason})${effect.avoid.length > 0 ? ` avoiding ${effect.avoid.join(',')}` : ''}`
    case 'readable':
      return `readable up to ${effect.highWatermark}`
    case 'halt':
      return `HALT: ${effect.sentence}`
    default:
      return unreachable(effect)
  }
}

const rangeText = (batches: readonly Batch[]) =>
  batches.length === 0 ? 'nothing' : `[${batches[0]!.base},${batches.at(-1)!.end})`

function producersText(producers: readonly ProducerState[] | null): string {
  if (producers === null) return ''
  const each = producers.map(({ producerId, batches }) => `${producerId}:${batches.at(-1)?.lastSequence ?? '-'}`)
  return ` producers={${each.join(' ')}}`
}

export function messageText(message: ChainMessage): string {
  const { type } = message
  switch (type) {
    case 'append': {
      const { segment, epoch, batches, commit, producers } = message
      return `append s${segment} e${epoch} ${rangeText(batches)} commit=${commit}${producersText(producers)}`
    }
    case 'commits':
      return `commits ${message.commits.map(({ segment, commit }) => `s${segment}=${commit}`).join(' ')}`
    case 'ack':
    case 'gap':
      return `${type} s${message.segment} e${message.epoch} end=${message.end}`
    case 'fenced':
      return `fenced s${message.segment} e${message.epoch} by ${message.fenceEpoch}`
    case 'unfit':
      return `unfit s${message.segment} e${message.epoch} ${message.reason}`
    case 'fence':
      return `fence s${message.segment} e${message.epoch}`
    case 'fenceReply': {
      const { segment, epoch, standing, end, commit } = message
      return `fenceReply s${segment} e${epoch} ${standing} end=${end} commit=${commit}`
    }
    case 'recoveryAppend': {
      const { segment, epoch, batches, producers } = message
      return `recoveryAppend s${segment} e${epoch} ${rangeText(batches)}${producersText(producers)}`
    }
    case 'recoveryAck':
      return `recoveryAck s${message.segment} e${message.epoch} end=${message.end}${message.isGap ? ' gap' : ''}`
    case 'read':
      return `read s${message.segment}${message.epoch === null ? '' : ` e${message.epoch}`} from=${message.from}`
    case 'readReply': {
      const { segment, epoch, batches, producers } = message
      return `readReply s${segment}${epoch === null ? '' : ` e${epoch}`} ${rangeText(batches)}${producersText(producers)}`
    }
    case 'summary':
      return `summary s${message.segment} e${message.epoch} end=${message.end}`
    case 'summaryReply':
      return `summaryReply s${message.segment} e${message.epoch} end=${message.end} bytes=${message.bytes}`
    case 'producers':
      return `producers s${message.segment}`
    case 'producersReply':
      return `producersReply s${message.segment} end=${message.end}${producersText(message.producers) || ' none'}`
    default:
      return unreachable(type)
  }
}

function recordText(record: ChainRecord): string {
  switch (record.kind) {
    case 'open':
      return `open s${record.segment} base=${record.base} e${record.epoch}${producersText(record.producers)}`
    case 'batch':
      return `batch s${record.segment} ${rangeText([record.batch])}`
    case 'fence':
      return `fence s${record.segment} e${record.epoch}`
    case 'truncate':
      return `truncate s${record.segment} end=${record.end}`
    case 'seal':
      return `seal s${record.segment} end=${record.end}`
    case 'drop':
      return `drop s${record.segment}`
    default:
      return unreachable(record)
  }
}

const nodesText = (replicas: readonly Replica[]) =>
  replicas.map(({ nodeId, incarnation }) => (incarnation === 1 ? `${nodeId}` : `${nodeId}@${incarnation}`)).join(',')

const placementText = ({ writer, replicas, ackQuorum }: Placement) =>
  `writer ${writer} of ${nodesText(replicas)} quorum ${ackQuorum}`

function commandText(command: ChainCommand): string {
  const { segment } = command
  switch (command.do) {
    case 'sealAndOpen': {
      const { epoch, end, complete, reason, next } = command
      return `sealAndOpen s${segment} e${epoch} end=${end} complete=${complete.join(',')} (${reason}), next ${placementText(next)}`
    }
    case 'beginRecovery':
      return `beginRecovery s${segment} e${command.epoch} by ${command.recoverer}`
    case 'completeRecovery': {
      const { epoch, end, complete, next } = command
      return `completeRecovery s${segment} e${epoch} end=${end} complete=${nodesText(complete)}, next ${placementText(next)}`
    }
    case 'addReplica':
      return `addReplica s${segment} ${nodesText([command.replica])}`
    case 'removeReplica':
      return `removeReplica s${segment} ${command.nodeId}`
    default:
      return unreachable(command)
  }
}

export function chainText(record: Partition): string {
  if (record.chain.length === 0) return '(empty)'
  return record.chain
    .map(({ id, base, end, state, writer, writeEpoch, leaderEpoch, replicas, complete }) => {
      const range = `[${base},${end ?? ''})`
      const who = state === 'open' ? `writer ${writer}` : complete === null ? '' : `complete ${complete.join(',')}`
      return `s${id}${range} ${state} e${writeEpoch} le${leaderEpoch} of ${nodesText(replicas)} ${who}`.trim()
    })
    .join(' | ')
}
