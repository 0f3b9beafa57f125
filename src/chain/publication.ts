/**
 * Tells the replicas of the segments written here what is committed, where no append does: one message per peer, which lists
 * the segments whose commit offset advanced; none when none did.
 */
import type { NodeId } from '../base/ids.ts'
import type { ChainMessage } from './messages.ts'
import { isDue, send, type Turn, type Writer } from './state.ts'

type Commit = Extract<ChainMessage, { type: 'commits' }>['commits'][number]

export function publish(turn: Turn): void {
  const { chain } = turn
  if (chain.unpublished.size === 0 || !isDue(chain, chain.publishedMs, chain.settings.publishMs)) return
  chain.publishedMs = chain.pacedMs
  const byPeer = new Map<NodeId, Commit[]>()
  for (const segment of chain.unpublished) {
    const writer = chain.writers.get(segment)
    if (writer !== undefined) collect(turn, writer, byPeer)
  }
  chain.unpublished.clear()
  for (const [nodeId, commits] of byPeer) send(turn, nodeId, 'data', { type: 'commits', commits })
}

function collect({ chain }: Turn, writer: Writer, byPeer: Map<NodeId, Commit[]>): void {
  const { segment, epoch, commit } = writer
  for (const progress of writer.replicas) {
    if (progress.nodeId === chain.self.nodeId || progress.toldCommit >= commit) continue
    progress.toldCommit = commit
    const commits = byPeer.get(progress.nodeId) ?? []
    commits.push({ segment, epoch, commit })
    byPeer.set(progress.nodeId, commits)
  }
}
