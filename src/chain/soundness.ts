/**
 * What every message must be before the core looks at what it says: whole numbers where numbers are, batches that follow each
 * other. Peers are authenticated, not infallible; what is unsound is ignored, like a message that was lost.
 */
import { unreachable } from '../base/invariant.ts'
import type { Batch, ChainMessage } from './messages.ts'

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0

export function isSound(message: ChainMessage): boolean {
  switch (message.type) {
    case 'append':
      return isCount(message.commit) && areWritten(message)
    case 'recoveryAppend':
      return areWritten(message)
    case 'commits':
      return message.commits.every(
        ({ segment, epoch, commit }) => isCount(segment) && isCount(epoch) && isCount(commit),
      )
    case 'fence':
      return isCount(message.segment) && isCount(message.epoch) && isCount(message.segmentBase)
    case 'fenceReply':
      return isCount(message.segment) && isCount(message.epoch) && isCount(message.end) && isCount(message.commit)
    case 'ack':
    case 'gap':
    case 'recoveryAck':
    case 'summary':
    case 'summaryReply':
      return isCount(message.segment) && isCount(message.epoch) && isCount(message.end)
    case 'fenced':
      return isCount(message.segment) && isCount(message.epoch) && isCount(message.fenceEpoch)
    case 'unfit':
      return isCount(message.segment) && isCount(message.epoch)
    case 'read':
      return isCount(message.segment) && isEpoch(message.epoch) && isCount(message.from) && isCount(message.bytesMax)
    case 'readReply':
      return isCount(message.segment) && isEpoch(message.epoch) && isCount(message.from) && areBatches(message.batches)
    case 'producers':
      return isCount(message.segment)
    case 'producersReply':
      return isCount(message.segment) && isCount(message.end)
    default:
      return unreachable(message)
  }
}

const isEpoch = (epoch: number | null) => epoch === null || isCount(epoch)

function areWritten(message: Extract<ChainMessage, { type: 'append' | 'recoveryAppend' }>): boolean {
  const { segment, epoch, segmentBase, batches } = message
  if (!isCount(segment) || !isCount(epoch) || !isCount(segmentBase)) return false
  return areBatches(batches) && (batches.length === 0 || batches[0]!.base >= segmentBase)
}

function areBatches(batches: readonly Batch[]): boolean {
  let end: number | null = null
  for (const batch of batches) {
    if (!isCount(batch.base) || !isCount(batch.end) || !isCount(batch.bytes) || batch.end <= batch.base) return false
    if (end !== null && batch.base !== end) return false
    end = batch.end
  }
  return true
}
