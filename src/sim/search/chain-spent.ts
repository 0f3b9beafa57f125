/**
 * Messages that come to nothing more at their receiver. The search forgets them, so that runs which differ only in what is left
 * over from the past are one. A copy that has what it is sent would only answer once more what it has answered before, and
 * nothing that was sent is ever lost; so the repeated answer is left out too.
 */
import type { NodeId, SegmentId } from '../../base/ids.ts'
import type { ChainMessage } from '../../chain/messages.ts'
import type { Chain } from '../../chain/state.ts'
import type { ChainNode, Parcel } from './chain-node.ts'

type MessageOf<Type extends ChainMessage['type']> = Extract<ChainMessage, { readonly type: Type }>

/** For a role that is over at its receiver, or that knows it already. A role that ended never comes back: its epoch is used up. */
export function isOver({ chain }: ChainNode, { from, message }: Parcel): boolean {
  if (chain === null) return false
  switch (message.type) {
    case 'ack':
      return isOldAck(chain, from.nodeId, message)
    case 'gap':
      return !isWriting(chain, message)
    case 'unfit':
    case 'fenced':
      return !isWriting(chain, message) && !isRecovering(chain, message)
    case 'fenceReply':
    case 'recoveryAck':
    case 'readReply':
    case 'summaryReply':
      return !isRecovering(chain, message)
    case 'producersReply':
      return ![...chain.writers.values()].some(
        ({ phase, before }) => phase === 'starting' && before === message.segment,
      )
    default:
      return false
  }
}

/** For a copy that has all of it, durably. */
export function isHeld({ chain }: ChainNode, { message }: Parcel): boolean {
  if (chain === null) return false
  switch (message.type) {
    case 'append':
      return isHeldAppend(chain, message)
    case 'recoveryAppend':
      return isHeldTail(chain, message)
    case 'commits':
      return message.commits.every(({ segment, commit }) => (chain.segments.get(segment)?.commit ?? -1) >= commit)
    case 'fence':
      return chain.segments.get(message.segment)?.durableFence === message.epoch
    case 'read':
    case 'summary':
      return fenceOf({ chain }, message.segment) > (message.epoch ?? 0)
    default:
      return false
  }
}

/**
 * For a copy that obeys a higher epoch, or of a segment that this node knows to be sealed: refused. What a recoverer still asks
 * of a sealed segment can only lead to a command that is refused.
 */
export function isRefused(node: ChainNode, { message }: Parcel): boolean {
  switch (message.type) {
    case 'append':
    case 'recoveryAppend':
    case 'fence':
      return isSealed(node, message.segment) || fenceOf(node, message.segment) > message.epoch
    case 'read':
    case 'summary':
      return message.epoch !== null && isSealed(node, message.segment)
    default:
      return false
  }
}

const fenceOf = ({ chain }: Pick<ChainNode, 'chain'>, id: SegmentId): number =>
  chain?.segments.get(id)?.durableFence ?? -1

/** Segments are numbered in the order in which they were opened. */
function isSealed({ record }: ChainNode, id: SegmentId): boolean {
  const last = record?.chain.at(-1)
  return last !== undefined && last.id > id
}

interface OfEpoch {
  readonly segment: SegmentId
  readonly epoch: number | null
}

function isWriting(chain: Chain, { segment, epoch }: OfEpoch): boolean {
  const writer = chain.writers.get(segment)
  return writer !== undefined && writer.epoch === epoch && writer.phase !== 'stopped'
}

function isRecovering(chain: Chain, { segment, epoch }: OfEpoch): boolean {
  const recovery = chain.recoveries.get(segment)
  return recovery?.epoch === epoch && recovery.phase !== 'done'
}

/** At most it makes the writer tell the commit offset once more. */
function isOldAck(chain: Chain, from: NodeId, message: MessageOf<'ack'>): boolean {
  if (!isWriting(chain, message)) return true
  const progress = chain.writers.get(message.segment)?.replicas.find(({ nodeId }) => nodeId === from)
  return progress !== undefined && progress.durableEnd >= message.end
}

function isHeldAppend(chain: Chain, { segment, epoch, batches, commit }: MessageOf<'append'>): boolean {
  const local = chain.segments.get(segment)
  if (local === undefined || local.fenceEpoch !== epoch || commit > local.commit) return false
  return (batches.at(-1)?.end ?? local.base) <= local.durableEnd
}

function isHeldTail(chain: Chain, { segment, epoch, batches }: MessageOf<'recoveryAppend'>): boolean {
  const local = chain.segments.get(segment)
  if (local === undefined || local.durableFence !== epoch || local.recoveryEpoch !== epoch) return false
  return (batches.at(-1)?.end ?? local.base) <= local.durableEnd
}
