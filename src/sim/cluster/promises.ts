/**
 * What messages promise, held against the sender's disk: whoever says that it has voted, or has entries, batches or a fence,
 * has them where a crash does not take them away. A promise that a node breaks here would be found by its consequences too,
 * but only by a crash in the right millisecond.
 */
import type { ChainMessage } from '../../chain/messages.ts'
import type { Membership } from '../../raft/membership.ts'
import type { Message } from '../../raft/messages.ts'
import type { RaftEntry } from '../../raft/storage.ts'
import type { SimDisk } from './disk.ts'
import type { Host } from './host.ts'
import type { DiskImage } from './image.ts'

/** Why the message says more than the disk, as a sentence; null when it does not. */
export function whyUnkeptRaft(disk: DiskImage, message: Message): string | null {
  const { hardState } = disk
  const term = hardState?.term ?? 0
  switch (message.type) {
    case 'vote':
    case 'voteReply': {
      if (message.type === 'voteReply' && !message.isGranted) return null
      const candidate = message.type === 'vote' ? message.from.nodeId : message.to.nodeId
      const isKept = term > message.term || (term === message.term && hardState?.votedFor === candidate)
      return isKept ? null : `its vote for node ${candidate} in term ${message.term} is not on its disk`
    }
    case 'appendAck':
      // In a later term the log may have been cut since.
      if (term > message.term || lastIndexOf(disk) >= message.index) return null
      return `it acknowledges entry ${message.index}; its disk ends at ${lastIndexOf(disk)}`
    default:
      return null
  }
}

const lastIndexOf = ({ entries, snapshot }: DiskImage): number => entries.at(-1)?.index ?? snapshot?.index ?? 0

/** What is cut or dropped by now was decided by others, and is not asked for. */
export function whyUnkeptChain({ durable, written }: SimDisk, message: ChainMessage): string | null {
  if (message.type !== 'ack' && message.type !== 'recoveryAck' && message.type !== 'fenceReply') return null
  const image = written.segments.get(message.segment)
  if (image === undefined || image.sealedEnd !== null) return null
  const kept = durable.segments.get(message.segment)
  const what = `segment ${message.segment}`
  if (message.end > (kept?.end ?? image.base)) {
    const isAsking = message.type === 'recoveryAck' && message.isGap
    if (!isAsking) return `it says that it has ${what} up to ${message.end}; its disk has ${kept?.end ?? 'nothing'}`
  }
  if (message.type === 'ack' || (message.type === 'fenceReply' && message.standing !== 'clean')) return null
  const fence = Math.max(kept?.fenceEpoch ?? 0, kept?.epoch ?? 0)
  return fence >= message.epoch ? null : `it says that ${what} is fenced with ${message.epoch}; its disk has ${fence}`
}

/** Whether so many voters have it that no leader can come without it. What a disk had that was wiped since, it had. */
export function isDurableOnMajority(entry: RaftEntry, membership: Membership, hosts: readonly Host[]): boolean {
  const voters = membership.filter(({ role }) => role === 'voter')
  const having = voters.filter(({ nodeId, diskId }) => {
    const disk = hosts.find(host => host.nodeId === nodeId)?.disk.durable
    return disk === undefined || disk.identity?.diskId !== diskId || hasEntry(disk, entry)
  })
  return having.length > voters.length / 2
}

function hasEntry({ entries, snapshot }: DiskImage, { index, term }: RaftEntry): boolean {
  if (snapshot !== null && index <= snapshot.index) return true
  const [first] = entries
  return first !== undefined && entries[index - first.index]?.term === term
}
