/** What a state of a node shows: named, so that a search says where it has been. */
import type { ChainNode } from './chain-node.ts'

export function chainSights(node: ChainNode): readonly string[] {
  const { chain, disk, record } = node
  if (chain === null) return ['a node is down']
  return [
    ...[...chain.writers.values()].map(({ phase }) => `a writer is ${phase}`),
    ...[...chain.recoveries.values()].map(({ phase }) => `a recovery is ${phase}`),
    ...disk.durable.flatMap(({ sealedEnd, base, fenceEpoch, epoch, isDirty }) => [
      ...(sealedEnd !== null ? [sealedEnd === base ? 'an empty copy is sealed' : 'a copy is sealed'] : []),
      ...(fenceEpoch > epoch ? ['a copy is fenced'] : []),
      ...(isDirty ? ['a copy is dirty'] : []),
    ]),
    ...disk.pending.filter(({ record: { kind } }) => kind === 'truncate').map(() => 'a copy is cut'),
    ...(disk.pending.length > 1 ? ['several writes are pending'] : []),
    ...((record?.chain.length ?? 0) > 2 ? ['three segments'] : []),
    ...(node.orphans.length > 0 ? ['a command outlives its proposer'] : []),
    ...(chain.repairs.size > 0 ? ['a copy is repaired'] : []),
  ]
}
