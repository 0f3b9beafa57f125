/**
 * Planted bugs of the chain's core, one per rule that keeps what was acknowledged. Rules that are about time (the lease of a
 * writer that vouches alone) are the simulator's.
 */
import type { Edit } from '../mutant-list.ts'
import type { SearchMutant } from './search-mutant.ts'

export const chainMutants: readonly SearchMutant[] = [
  {
    name: 'recovers with a fence quorum that is one short',
    model: 'chain-zombie',
    edits: [
      edit(
        'segment.ts',
        'segment.replicas.length - segment.ackQuorum + 1',
        'segment.replicas.length - segment.ackQuorum',
      ),
    ],
  },
  {
    name: 'acknowledges while its own seal is in flight',
    model: 'chain-zombie',
    edits: [
      edit('writer.ts', '  if (isFrozen(writer)) return\n  if (writer.isLeaseBound', '  if (writer.isLeaseBound'),
    ],
  },
  {
    name: 'goes on acknowledging after an unknown outcome',
    model: 'chain-unknown',
    edits: [
      edit(
        'roll.ts',
        "  if (outcome.kind !== 'refused') return\n",
        "  if (outcome.kind === 'unknown') writer.phase = 'writing'\n  if (outcome.kind !== 'refused') return\n",
      ),
    ],
  },
  {
    name: 'reads the end before the fence: what is on its way to the disk is not counted',
    model: 'chain-journals',
    edits: [edit('replica.ts', 'to, epoch, end: local.end })', 'to, epoch, end: local.durableEnd })')],
  },
  {
    name: 'takes appends of an epoch below its fence',
    model: 'chain-zombie',
    edits: [edit('replica.ts', 'if (message.epoch < local.fenceEpoch) {', 'if (message.epoch < 0) {')],
  },
  {
    name: 'answers a fence before it is durable',
    model: 'chain-crash',
    edits: unsyncedFence(),
  },
  {
    name: 'forgets its fence in a crash',
    model: 'chain-crash',
    edits: [
      edit(
        'replica.ts',
        "write(turn, { kind: 'fence', segment: local.id, epoch })",
        "write(turn, { kind: 'fence', segment: local.id, epoch: local.durableFence })",
      ),
    ],
  },
  {
    name: 'answers a fence before it is durable (flush: relaxed)',
    model: 'chain-relaxed',
    edits: unsyncedFence(),
  },
  {
    name: 'seals without copying the tail',
    model: 'chain-zombie',
    edits: [edit('recoverer.ts', '=> durableEnd >= end && !isUnfit)', '=> durableEnd >= 0 && !isUnfit)')],
  },
  {
    name: 'ends at the shortest copy that answers',
    model: 'chain-zombie',
    edits: [
      edit(
        'recoverer.ts',
        'clean.reduce<number>((end, reply) => Math.max(end, reply.end), base)',
        'Math.min(...clean.map(reply => reply.end))',
      ),
    ],
  },
  {
    name: 'counts a copy that may have lost something as clean (flush: relaxed)',
    model: 'chain-relaxed',
    edits: [edit('recoverer.ts', "message.standing === 'clean' && recorded", 'recorded')],
  },
  {
    name: 'counts a wiped disk as clean',
    model: 'chain-wipe',
    edits: [
      edit('recoverer.ts', "message.standing === 'clean' && recorded.diskId === from.diskId", 'message.end >= 0'),
    ],
  },
  {
    name: 'acknowledges before the sync',
    model: 'chain-journals',
    edits: [
      edit('replica.ts', '  local.end = batch.end\n', '  local.end = batch.end\n  local.durableEnd = batch.end\n'),
      edit('replica.ts', "else if (taken === 'held') sendAck(turn, local)", 'else sendAck(turn, local)'),
    ],
  },
  {
    name: 'commits with fewer copies than the quorum',
    model: 'chain-zombie',
    edits: [edit('writer.ts', 'if (count >= ackQuorum) best', 'if (count >= ackQuorum - 1) best')],
  },
  {
    name: 'takes an append that leaves a gap',
    model: 'chain-zombie',
    edits: [
      edit('replica.ts', 'if (batch.base === local.end) {', 'if (batch.base >= local.end) {'),
      edit(
        'replica.ts',
        "  if (batches.length > 0 && batches[0]!.base !== segmentBase) {\n    send(turn, from.nodeId, 'data'",
        "  if (batches.length > 2) {\n    send(turn, from.nodeId, 'data'",
      ),
    ],
  },
  {
    name: 'lets readers see what is not committed',
    model: 'chain-readers',
    edits: [edit('replica.ts', 'return Math.min(local.end, local.commit) as Offset', 'return local.end')],
  },
  {
    name: 'lets a writer seal what is being recovered',
    model: 'chain-zombie',
    edits: [change("if (segment.state !== 'open') return refused('STALE', 'the segment is being recovered')", '')],
  },
  {
    name: 'completes a recovery that is not the latest',
    model: 'chain-recoverers',
    harmless:
      'each recovery has its own fence quorum and its own copies of the tail, so either end covers every commit; the check keeps the record readable, and the rule about restarted nodes simple',
    edits: [change('if (segment.recoveryEpoch !== change.epoch)', 'if (segment.recoveryEpoch === null)')],
  },
  {
    name: 'ends at the longest prefix that a commit may have reached, not at the longest copy',
    model: 'chain-zombie',
    harmless: 'whatever is committed is below; the longest copy is chosen because it keeps more of what was not',
    edits: [
      edit(
        'recoverer.ts',
        'clean.reduce<number>((end, reply) => Math.max(end, reply.end), base)',
        '(clean.map(reply => reply.end).sort((a, b) => b - a)[recovery.ackQuorum - (replicas.length - clean.length) - 1] ?? base)',
      ),
    ],
  },
]

/** One of each kind, found at once. */
export const chainMutantsInCi: readonly string[] = [
  'recovers with a fence quorum that is one short',
  'acknowledges while its own seal is in flight',
  'goes on acknowledging after an unknown outcome',
  'seals without copying the tail',
  'acknowledges before the sync',
  'lets readers see what is not committed',
]

function unsyncedFence(): readonly Edit[] {
  return [
    edit(
      'replica.ts',
      '    raiseFence(turn, local, epoch, from.nodeId)\n',
      '    raiseFence(turn, local, epoch, null)\n    local.durableFence = epoch\n    sendFenceReply(turn, local, from.nodeId, epoch, local.end)\n',
    ),
  ]
}

function edit(file: string, find: string, replace: string): Edit {
  return { file: `src/chain/${file}`, find, replace }
}

/** Of the record's transitions. */
function change(find: string, replace: string): Edit {
  return { file: 'src/cluster/chain-changes.ts', find, replace }
}
